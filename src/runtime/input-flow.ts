// Input on its way from the fetcher to the queues of the tasks, bounded: a partition with enough buffered is paused
// until half of that is processed.
import type { Clock } from '../base/ports.ts'
import type { Fetcher } from '../client/fetcher.ts'
import type { LeftOpen } from '../client/left-open.ts'
import { partitionId } from '../base/topic-partition.ts'
import type { RecordQueue } from '../task/record-queue.ts'
import type { StreamTask } from '../task/stream-task.ts'
import type { TaskManager } from './task-manager.ts'

/** From one look at what is held up to the next, ms. */
const lookEveryMs = 1000

export interface InputFlowOptions {
  readonly fetcher: Fetcher
  readonly manager: TaskManager
  readonly bufferedBytesMax: number
  readonly clock: Clock
  readonly leftOpen: LeftOpen
}

export class InputFlow {
  readonly #fetcher: Fetcher
  readonly #manager: TaskManager
  readonly #bufferedBytesMax: number
  readonly #followed = new Map<string, RecordQueue>()
  readonly #paused = new Set<RecordQueue>()
  readonly #clock: Clock
  readonly #leftOpen: LeftOpen
  /** The last stable offset that held up each repartition topic when it was looked at last, and since when. */
  readonly #heldUp = new Map<RecordQueue, { readonly at: number; readonly sinceMs: number }>()
  #lookedMs = 0

  constructor({ fetcher, manager, bufferedBytesMax, clock, leftOpen }: InputFlowOptions) {
    this.#fetcher = fetcher
    this.#manager = manager
    this.#bufferedBytesMax = bufferedBytesMax
    this.#clock = clock
    this.#leftOpen = leftOpen
  }

  /** Hands on what arrived. @throws the error of a partition that cannot be read. */
  take(): void {
    for (const fetched of this.#fetcher.take()) {
      this.#manager.taskOf(fetched.topic, fetched.partition)?.addRecords(fetched.topic, fetched)
    }
  }

  /** Pauses and resumes partitions by what is buffered, and looks now and then at what is held up. */
  balance(): void {
    const nowMs = this.#clock.monotonic()
    if (nowMs >= this.#lookedMs + lookEveryMs) this.#suspectHeldUp(nowMs)
    const high = this.#bufferedBytesMax / Math.max(1, this.#followed.size)
    for (const queue of this.#followed.values()) {
      const { bufferedBytes } = queue
      if (bufferedBytes >= high && !this.#paused.has(queue)) {
        this.#paused.add(queue)
        this.#fetcher.pause(queue.topic, queue.partition)
      } else if (bufferedBytes < high / 2 && this.#paused.delete(queue)) {
        this.#fetcher.resume(queue.topic, queue.partition)
      }
    }
  }

  /** The records of a worker of ours behind a transaction that nobody ends (see LeftOpen). */
  #suspectHeldUp(nowMs: number): void {
    this.#lookedMs = nowMs
    for (const queue of this.#followed.values()) {
      if (!queue.source.repartition) continue
      const { topic, partition } = queue
      const progress = this.#fetcher.progress(topic, partition)
      const known = this.#heldUp.get(queue)
      if (progress === undefined || progress.lastStableOffset >= progress.highWatermark)
        this.#heldUp.delete(queue)
      else if (known?.at !== progress.lastStableOffset)
        this.#heldUp.set(queue, { at: progress.lastStableOffset, sinceMs: nowMs })
      else if (progress.position >= known.at) this.#leftOpen.suspect([{ topic, partition }], known.sinceMs)
    }
  }

  /** Reads the inputs of exactly these tasks; those that were read before go on where they are. */
  follow(tasks: readonly StreamTask[]): void {
    const wanted = new Map(
      tasks.flatMap((task) =>
        task.group.queues.map((queue) => [partitionId(queue.topic, queue.partition), queue]),
      ),
    )
    for (const [id, queue] of this.#followed) {
      if (wanted.get(id) === queue) continue
      this.#fetcher.remove(queue.topic, queue.partition)
      this.#followed.delete(id)
      this.#paused.delete(queue)
      this.#heldUp.delete(queue)
    }
    for (const [id, queue] of wanted) {
      if (this.#followed.has(id)) continue
      this.#followed.set(id, queue)
      this.#fetcher.add(queue.topic, queue.partition, queue.position)
    }
  }

  /** Goes back to the positions of the tasks; what is buffered and on its way is thrown away. */
  seek(tasks: readonly StreamTask[]): void {
    this.follow(tasks)
    for (const queue of this.#followed.values()) {
      this.#fetcher.seek(queue.topic, queue.partition, queue.position)
      if (this.#paused.delete(queue)) this.#fetcher.resume(queue.topic, queue.partition)
    }
  }
}
