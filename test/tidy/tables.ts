// What the tidy rules allow. Each exception carries its reason; one that nothing needs any more fails the test.

/** Rank of each folder of src/: a file imports its own folder and folders of a lower rank. */
export const layerOf: Readonly<Record<string, number>> = {
  base: 0,
  record: 1,
  protocol: 1,
  serde: 1,
  config: 1,
  state: 2,
  client: 2,
  embedded: 2,
  topology: 3,
  task: 4,
  runtime: 5,
  delivery: 5,
  http: 6,
  metrics: 6,
  savepoint: 6,
  testing: 7,
  cli: 8,
}

/** Files directly in src/: the error table lies under everything, the public entry on top of everything. */
export const layerOfFile: Readonly<Record<string, number>> = { 'src/errors.ts': 0, 'src/index.ts': 9 }

/** The one home of each third-party package: paths of files, or folders with a slash at the end. */
export const homeOf: Readonly<Record<string, readonly string[]>> = {
  '@kafkajs/confluent-schema-registry': ['src/serde/registry/'],
  '@node-rs/crc32': ['src/record/crc32c.ts'],
  '@standard-schema/spec': ['src/serde/'],
  // plain-reader.ts: the other client of a recount, which must share nothing with ours.
  // kafkajs-requests.ts: old versions of requests, for the contract of the brokers.
  kafkajs: [
    'src/client/connection.ts',
    'src/client/kafkajs-internals.d.ts',
    'src/testing/plain-reader.ts',
    'test/support/contract/kafkajs-requests.ts',
    'test/support/contract/kafkajs-protocol.d.ts',
  ],
  lmdb: ['src/state/lmdb-engine.ts'],
  'lz4-napi': ['src/record/compression.ts'],
  'prom-client': ['src/metrics/'],
  snappy: ['src/record/compression.ts'],
  testcontainers: ['src/testing/kafka/'],
  yaml: ['src/cli/', 'src/config/'],
  yargs: ['src/cli/', 'src/config/'],
}

/** Files that may reach the clock, timers, randomness, network, disk and processes of the machine themselves. */
export const portFiles: readonly string[] = [
  'src/base/node-ports.ts',
  'src/base/node-http.ts',
  // The entry of a thread: it is made of the real ports, and writes a line by itself while the main thread cannot.
  'src/client/heartbeat-thread.ts',
  'src/testing/',
  'src/cli/',
  // It answers machines that look on, and nothing of the runtime depends on it: a simulation has no use for it.
  'src/metrics/http-server.ts',
]

/** Schema libraries that a processor may import beside the package itself. */
export const schemaLibraries: readonly string[] = ['zod', 'valibot', 'arktype', '@standard-schema/spec']

export const fileLinesMax = 500
export const functionLinesMax = 70

/** Files and functions (`path`, `path functionName`) over the limits, with the reason. */
export const sizeExceptions: Readonly<Record<string, string>> = {
  'src/record/record-cursor.ts next': 'codec loop: one record is decoded in place, without a call per field',
}
