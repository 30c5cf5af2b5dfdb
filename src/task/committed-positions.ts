// Where the inputs of a task stood at its last commit: what a rewind goes back to.
import { invariant } from '../base/assert.ts'
import { partitionId } from '../base/topic-partition.ts'
import type { QueueStart, RecordQueue } from './record-queue.ts'

export interface CommittedOffset {
  readonly offset: number
  /** It was committed by this task, or read back; false for a start that was only chosen. */
  readonly committed: boolean
}

export class CommittedPositions {
  readonly #queues: readonly RecordQueue[]
  readonly #offsets: number[]
  readonly #areCommitted: boolean[]

  /** @param queues at the start that was chosen */
  constructor(queues: readonly RecordQueue[]) {
    this.#queues = queues
    this.#offsets = queues.map((queue) => queue.position)
    this.#areCommitted = queues.map(() => false)
  }

  /** Whether the queues are elsewhere now, also past markers. */
  get areBehind(): boolean {
    const queues = this.#queues
    for (let index = 0; index < queues.length; index++)
      if (queues[index]?.position !== this.#offsets[index]) return true
    return false
  }

  /** By `partitionId`. */
  all(): ReadonlyMap<string, CommittedOffset> {
    return new Map(
      this.#queues.map((queue, index) => [
        partitionId(queue.topic, queue.partition),
        { offset: this.#offsets[index] as number, committed: this.#areCommitted[index] as boolean },
      ]),
    )
  }

  /** The positions of the queues are committed. */
  settle(task: string): void {
    for (const [index, queue] of this.#queues.entries()) {
      const { position, topic } = queue
      invariant(position >= (this.#offsets[index] ?? 0), 'offsets only grow', { task, topic })
      this.#offsets[index] = position
      this.#areCommitted[index] = true
      queue.settle()
    }
  }

  /** Drops what the queues hold. @param starts where it is not the last commit, by `partitionId` */
  rewind(starts: ReadonlyMap<string, QueueStart>, stays: boolean): void {
    for (const [index, queue] of this.#queues.entries()) {
      const start = starts.get(partitionId(queue.topic, queue.partition))
      const position = start?.offset ?? (this.#offsets[index] as number)
      queue.reset(stays ? queue.position : position, start?.partitionTime)
      this.#offsets[index] = position
    }
  }
}
