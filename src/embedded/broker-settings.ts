// The settings of the embedded broker and their defaults: those of Kafka 4.3, but for two. A group does not wait for
// more members before its first rebalance, since somebody waits at the terminal. And a topic does not come to life by
// being named: a misspelt input is to be an error, as it is in production.
import type { BrokerSettings } from './broker-state.ts'

const minuteMs = 60_000
const MiB = 1024 * 1024

export const brokerDefaults: BrokerSettings = {
  autoCreateTopics: false,
  defaultPartitions: 1,
  transactionVersion: 2,
  initialRebalanceDelayMs: 0,
  sessionTimeoutMsMin: 6000,
  sessionTimeoutMsMax: 30 * minuteMs,
  transactionTimeoutMsMax: 15 * minuteMs,
  transactionCleanupIntervalMs: 10_000,
  transactionalIdExpirationMs: 7 * 24 * 60 * minuteMs,
  offsetMetadataBytesMax: 4096,
  coordinatorPartitions: 50,
  requestBytesMax: 100 * MiB,
  cleanIntervalMs: 15_000,
  markerDelayMs: () => 0,
  producerEpochMax: 32_766,
}
