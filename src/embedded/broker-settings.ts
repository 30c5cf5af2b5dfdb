// The settings of the embedded broker and their defaults: those of Kafka 4.3, but for two. A group does not wait for
// more members before its first rebalance, since somebody waits at the terminal. And a topic does not come to life by
// being named: a misspelt input is to be an error, as it is in production.
import type { BrokerSettings } from './broker-state.ts'
import { type DescribedSetting, settingTypes } from './topic-settings.ts'

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
  joinDelayMs: 0,
  producerEpochMax: 32_766,
}

const { BOOLEAN, INT, LONG } = settingTypes
/** From the file of the broker's settings, as KIP-226 numbers it. */
const isStatic = 4

/** Settings of a node, by the names that Kafka gives them. */
export const describeNode = (settings: BrokerSettings, nodeId: number): DescribedSetting[] => {
  const described = (name: string, value: string | number | boolean, type: number): DescribedSetting => ({
    name,
    value: String(value),
    source: isStatic,
    type,
    synonyms: [{ name, value: String(value), source: isStatic }],
  })
  return [
    described('node.id', nodeId, INT),
    described('auto.create.topics.enable', settings.autoCreateTopics, BOOLEAN),
    described('num.partitions', settings.defaultPartitions, INT),
    described('group.initial.rebalance.delay.ms', settings.initialRebalanceDelayMs, INT),
    described('group.min.session.timeout.ms', settings.sessionTimeoutMsMin, INT),
    described('group.max.session.timeout.ms', settings.sessionTimeoutMsMax, INT),
    described('transaction.max.timeout.ms', settings.transactionTimeoutMsMax, INT),
    described(
      'transaction.abort.timed.out.transaction.cleanup.interval.ms',
      settings.transactionCleanupIntervalMs,
      INT,
    ),
    described('transactional.id.expiration.ms', settings.transactionalIdExpirationMs, INT),
    described('offset.metadata.max.bytes', settings.offsetMetadataBytesMax, INT),
    described('offsets.topic.num.partitions', settings.coordinatorPartitions, INT),
    described('transaction.state.log.num.partitions', settings.coordinatorPartitions, INT),
    described('socket.request.max.bytes', settings.requestBytesMax, INT),
    described('log.retention.check.interval.ms', settings.cleanIntervalMs, LONG),
  ]
}
