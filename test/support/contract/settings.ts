// The two brokers that the contract is held against, and their settings: each is named for both side by side, so that
// neither has one that the other has not.

export const subjects = ['kafka', 'embedded'] as const
export type Subject = (typeof subjects)[number]

/** Short ones where a case waits for them. */
export const sessionTimeoutMsMin = 500
export const sessionTimeoutMsMax = 60_000
export const transactionTimeoutMsMax = 90_000
export const offsetMetadataBytesMax = 100
export const requestBytesMax = 4 * 1024 * 1024
const cleanIntervalMs = 200
const transactionCleanupIntervalMs = 200
export const coordinatorPartitions = 4

export const kafkaSettings: Readonly<Record<string, string>> = {
  'auto.create.topics.enable': 'true',
  'num.partitions': '3',
  'group.initial.rebalance.delay.ms': '0',
  'group.min.session.timeout.ms': String(sessionTimeoutMsMin),
  'group.max.session.timeout.ms': String(sessionTimeoutMsMax),
  'transaction.max.timeout.ms': String(transactionTimeoutMsMax),
  'transaction.abort.timed.out.transaction.cleanup.interval.ms': String(transactionCleanupIntervalMs),
  'offset.metadata.max.bytes': String(offsetMetadataBytesMax),
  'offsets.topic.num.partitions': String(coordinatorPartitions),
  'transaction.state.log.num.partitions': String(coordinatorPartitions),
  'socket.request.max.bytes': String(requestBytesMax),
  'log.cleaner.backoff.ms': String(cleanIntervalMs),
  'log.retention.check.interval.ms': String(cleanIntervalMs),
  'log.initial.task.delay.ms': String(cleanIntervalMs),
}

export const embeddedSettings = {
  autoCreateTopics: true,
  defaultPartitions: 3,
  initialRebalanceDelayMs: 0,
  sessionTimeoutMsMin,
  sessionTimeoutMsMax,
  transactionTimeoutMsMax,
  transactionCleanupIntervalMs,
  offsetMetadataBytesMax,
  coordinatorPartitions,
  requestBytesMax,
  cleanIntervalMs,
} as const
