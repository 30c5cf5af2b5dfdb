// The input partitions of a task: picks the next record, the lowest timestamp first.
import { schemaLookMs } from './failures.ts'
import type { RecordQueue } from './record-queue.ts'
import type { TaskPosition } from './task-state.ts'

/** How long a task waits for an input that has nothing more (KIP-695). */
export interface Idling {
  /** -1: it waits for no input, also where one is known to have records that were not fetched yet. */
  readonly maxTaskIdleMs: number
  /** Wall-clock time, ms since the epoch. */
  readonly now: () => number
}

/** In the place of a deadline: the input was not found empty. */
const noDeadline = 0

export class PartitionGroup {
  readonly queues: readonly RecordQueue[]
  readonly #waitsForKnown: boolean
  readonly #idleMs: number
  readonly #now: () => number
  /** Until when each input is waited for that has nothing more. Undefined: not at all. */
  readonly #deadlines: number[] | undefined

  constructor(queues: readonly RecordQueue[], { maxTaskIdleMs, now }: Idling) {
    this.queues = queues
    this.#waitsForKnown = maxTaskIdleMs >= 0
    this.#idleMs = maxTaskIdleMs
    this.#now = now
    if (maxTaskIdleMs > 0) this.#deadlines = queues.map(() => noDeadline)
  }

  /**
   * The queue with the next record, or undefined when there is none, or when an input without one is waited for. It is as
   * long as it is known to have records on the broker that may be older; and until the idle time is over otherwise.
   */
  next(): RecordQueue | undefined {
    const { queues } = this
    if (queues.length === 1) return queues[0]?.hasHead ? queues[0] : undefined
    let best: RecordQueue | undefined
    let waits = false
    for (let index = 0; index < queues.length; index++) {
      const queue = queues[index] as RecordQueue
      if (queue.hasHead) {
        if (this.#deadlines !== undefined) this.#deadlines[index] = noDeadline
        if (best === undefined || queue.headTimestamp < best.headTimestamp) best = queue
      } else if (this.#mustWait(queue, index)) waits = true
    }
    return waits ? undefined : best
  }

  /** Inputs without a record that keep those of other inputs from being processed. */
  get awaited(): readonly RecordQueue[] {
    if (this.queues.length === 1 || !this.queues.some((queue) => queue.hasHead)) return []
    const now = this.#now()
    return this.queues.filter((queue, index) => {
      if (queue.isHeldBack) return true
      if (queue.hasHead || !this.#waitsForKnown) return false
      return !queue.caughtUp || now < (this.#deadlines?.[index] ?? noDeadline)
    })
  }

  /** When an input is no longer waited for, or a schema is looked for again, ms since the epoch; infinity without one. */
  get idleUntilMs(): number {
    if (this.isHeldBack) return this.#now() + schemaLookMs
    if (this.#deadlines === undefined) return Number.POSITIVE_INFINITY
    const now = this.#now()
    let until = Number.POSITIVE_INFINITY
    for (const deadline of this.#deadlines) if (deadline > now && deadline < until) until = deadline
    return until
  }

  /** The same where records waited for schemas that have come. */
  nextBehindGate(): RecordQueue | undefined {
    let opened = false
    for (const queue of this.queues) {
      if (!queue.isHeldBack) continue
      queue.tryGate()
      opened ||= !queue.isHeldBack
    }
    return opened ? this.next() : undefined
  }

  /** Whether records wait for schemas; those of the other partitions wait with them. */
  get isHeldBack(): boolean {
    return this.queues.some((queue) => queue.isHeldBack)
  }

  /** Whether nothing is buffered or under way, and the broker has nothing more. */
  get drained(): boolean {
    return this.queues.every((queue) => !queue.hasHead && queue.caughtUp && !queue.hasTaken)
  }

  /** Where the inputs stand: what is to be committed. */
  get positions(): TaskPosition[] {
    return this.queues.map(({ topic, partition, position, partitionTime }) => ({
      topic,
      partition,
      offset: position,
      partitionTime,
    }))
  }

  get bufferedBytes(): number {
    let bytes = 0
    for (const queue of this.queues) bytes += queue.bufferedBytes
    return bytes
  }

  #mustWait(queue: RecordQueue, index: number): boolean {
    // Its next record is here, and may be the oldest.
    if (queue.isHeldBack) return true
    if (!this.#waitsForKnown) return false
    const deadlines = this.#deadlines
    if (!queue.caughtUp) {
      if (deadlines !== undefined) deadlines[index] = noDeadline
      return true
    }
    if (deadlines === undefined) return false
    const now = this.#now()
    // From when it is first found to have nothing: one that has been silent for long is not waited for again.
    if (deadlines[index] === noDeadline) deadlines[index] = now + this.#idleMs
    return now < (deadlines[index] as number)
  }
}
