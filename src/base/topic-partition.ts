// A partition of a topic as a value, and as one string that can be a Map key.

export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}

/** `orders-3`: unique, since the partition is what follows the last dash. */
export const partitionId = (topic: string, partition: number): string => `${topic}-${partition}`
