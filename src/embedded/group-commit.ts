// What OffsetCommit and TxnOffsetCommit have in common: partitions that exist are separated from those that do not, and
// an offset is refused whose metadata are too large.
import type { BrokerState, Topics } from './broker-state.ts'
import { codes } from './codes.ts'
import type { CommittedOffset } from './group-offsets.ts'

export interface OffsetToCommit {
  readonly partition: number
  readonly offset: number
  readonly leaderEpoch: number
  readonly metadata: string | null
}

export interface ByTopic<T> {
  readonly topic: string
  readonly partitions: readonly T[]
}

export interface PartitionError {
  readonly partition: number
  readonly errorCode: number
}

const exists = (topics: Topics, topic: string, partition: number): boolean => {
  const count = topics.get(topic)?.logs.length ?? 0
  return partition >= 0 && partition < count
}

/** Each partition with this error. */
export const refuseAll = (
  topics: readonly ByTopic<{ readonly partition: number }>[],
  errorCode: number,
): ByTopic<PartitionError>[] =>
  topics.map(({ topic, partitions }) => ({
    topic,
    partitions: partitions.map(({ partition }) => ({ partition, errorCode })),
  }))

/**
 * Answers partitions that do not exist by itself, and asks `commit` for the others: those of a topic that has both come
 * after them.
 * @param commit is not called where there is none
 */
export const withExisting = <T extends { readonly partition: number }>(
  { topics: known }: BrokerState,
  topics: readonly ByTopic<T>[],
  commit: (topics: readonly ByTopic<T>[]) => readonly ByTopic<PartitionError>[],
): ByTopic<PartitionError>[] => {
  const answers = new Map<string, PartitionError[]>()
  const toCommit: ByTopic<T>[] = []
  for (const { topic, partitions } of topics) {
    const found = partitions.filter(({ partition }) => exists(known, topic, partition))
    const missing = partitions.filter(({ partition }) => !exists(known, topic, partition))
    const errors = missing.map(({ partition }) => ({
      partition,
      errorCode: codes.UNKNOWN_TOPIC_OR_PARTITION as number,
    }))
    if (errors.length > 0) answers.set(topic, [...(answers.get(topic) ?? []), ...errors])
    if (found.length > 0) toCommit.push({ topic, partitions: found })
  }
  for (const { topic, partitions } of toCommit.length === 0 ? [] : commit(toCommit)) {
    answers.set(topic, [...(answers.get(topic) ?? []), ...partitions])
  }
  return [...answers].map(([topic, partitions]) => ({ topic, partitions }))
}

/** Puts each offset whose metadata are not too large. */
export const putOffsets = (
  { settings }: BrokerState,
  topics: readonly ByTopic<OffsetToCommit>[],
  put: (topic: string, partition: number, offset: CommittedOffset) => void,
): ByTopic<PartitionError>[] =>
  topics.map(({ topic, partitions }) => ({
    topic,
    partitions: partitions.map(({ partition, offset, leaderEpoch, metadata }) => {
      const text = metadata ?? ''
      if (text.length > settings.offsetMetadataBytesMax) {
        return { partition, errorCode: codes.OFFSET_METADATA_TOO_LARGE }
      }
      put(topic, partition, { offset, leaderEpoch, metadata: text })
      return { partition, errorCode: codes.NONE }
    }),
  }))
