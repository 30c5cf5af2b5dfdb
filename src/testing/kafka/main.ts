// A broker by hand: `node src/testing/kafka/main.ts [--version 3.9] [--port N] [--data DIR] [--backend jvm]
// [--set name=value]...` prints the address and runs until Ctrl-C.
import { parseArgs } from 'node:util'
import { ensureError } from '../../errors.ts'
import { type KafkaBackend, startKafka } from './start-kafka.ts'

const { values } = parseArgs({
  options: {
    version: { type: 'string' },
    port: { type: 'string' },
    data: { type: 'string' },
    backend: { type: 'string' },
    benchmark: { type: 'boolean' },
    set: { type: 'string', multiple: true, default: [] },
  },
})

const pairs = values.set.map((pair): [string, string] => {
  const at = pair.indexOf('=')
  return at < 0 ? [pair, ''] : [pair.slice(0, at), pair.slice(at + 1)]
})

const interrupted = new Promise<void>((resolve) => {
  // Not `once`: a library below testcontainers (signal-exit) kills the process at once when, while it runs, it sees no
  // other listener, and one that is removed before its call is not seen. The container would stay.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => resolve())
})
// Pending promises do not keep the process alive; this timer does.
const keepAlive = setInterval(() => undefined, 60_000)

try {
  const kafka = await startKafka({
    version: values.version,
    port: values.port === undefined ? undefined : Number(values.port),
    dataDirectory: values.data,
    backend: values.backend as KafkaBackend | undefined,
    forBenchmark: values.benchmark,
    brokerSettings: Object.fromEntries(pairs),
    onProgress: (line) => console.error(line),
  })
  console.error(`${kafka.how}; Ctrl-C stops it`)
  console.log(kafka.brokers.join(','))
  await interrupted
  await kafka.stop()
} catch (error) {
  console.error(ensureError(error).message)
  process.exitCode = 1
} finally {
  clearInterval(keepAlive)
}
