// The millstream contestant: one worker runs a work through the public API.
import { createWorker, type Topology } from '../../src/index.ts'
import { countTopology } from './millstream-count.ts'
import { mapTopology } from './millstream-map.ts'
import { streamJoinTopology } from './millstream-stream-join.ts'
import { tableJoinTopology } from './millstream-table-join.ts'
import { windowedCountTopology } from './millstream-windowed-count.ts'
import { Stopwatch, serveUntilClosed } from './stopwatch.ts'
import { readArguments, type Work } from './works.ts'

const topologyOf: Readonly<Record<Work, (input: string, output: string, onRecord: () => void) => Topology>> =
  {
    map: mapTopology,
    count: countTopology,
    'windowed-count': windowedCountTopology,
    'stream-join': streamJoinTopology,
    'table-join': tableJoinTopology,
  }

const given = readArguments(process.argv.slice(2))
const stopwatch = new Stopwatch(given.warmUpRecords)
const onRecord = (): void => stopwatch.record()

const worker = createWorker(topologyOf[given.work](given.input, given.output, onRecord), {
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
