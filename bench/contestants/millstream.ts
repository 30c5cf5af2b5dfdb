// The millstream contestant: one worker runs `map` or `count` through the public API.
import { createWorker } from '../../src/index.ts'
import { countTopology } from './millstream-count.ts'
import { mapTopology } from './millstream-map.ts'
import { Stopwatch, serveUntilClosed } from './stopwatch.ts'
import { readArguments } from './works.ts'

const given = readArguments(process.argv.slice(2))
const stopwatch = new Stopwatch(given.warmUpRecords)
const onRecord = (): void => stopwatch.record()
const build = given.work === 'map' ? mapTopology : countTopology

const worker = createWorker(build(given.input, given.output, onRecord), {
  brokers: given.brokers,
  applicationId: given.applicationId,
  stateDir: given.stateDir,
  commitIntervalMs: 100,
})
// A worker that fails must end the turn.
worker.finished.catch((error: unknown) => {
  console.error(error)
  process.exit(1)
})
await worker.start()
await serveUntilClosed(stopwatch)
await worker.close()
process.exit(0)
