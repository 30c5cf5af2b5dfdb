// The input partitions of a task: picks the next record, the lowest timestamp first.
import type { RecordQueue } from './record-queue.ts'

export class PartitionGroup {
  readonly queues: readonly RecordQueue[]

  constructor(queues: readonly RecordQueue[]) {
    this.queues = queues
  }

  /**
   * The queue with the next record, or undefined when there is none, or when an empty partition is known to have
   * records on the broker that may be older (KIP-353): then the task waits for them.
   */
  next(): RecordQueue | undefined {
    const { queues } = this
    if (queues.length === 1) return queues[0]?.hasHead ? queues[0] : undefined
    let best: RecordQueue | undefined
    for (let index = 0; index < queues.length; index++) {
      const queue = queues[index] as RecordQueue
      if (!queue.hasHead) {
        if (!queue.caughtUp) return undefined
        continue
      }
      if (best === undefined || queue.headTimestamp < best.headTimestamp) best = queue
    }
    return best
  }

  /** Whether nothing is buffered or under way, and the broker has nothing more. */
  get drained(): boolean {
    return this.queues.every((queue) => !queue.hasHead && queue.caughtUp && !queue.hasTaken)
  }

  get bufferedBytes(): number {
    let bytes = 0
    for (const queue of this.queues) bytes += queue.bufferedBytes
    return bytes
  }
}
