// Input on its way from the fetcher to the queues of the tasks, bounded: a partition with enough buffered is paused
// until half of that is processed.
import type { Fetcher } from '../client/fetcher.ts'
import { partitionId } from '../base/topic-partition.ts'
import type { RecordQueue } from '../task/record-queue.ts'
import type { StreamTask } from '../task/stream-task.ts'
import type { TaskManager } from './task-manager.ts'

export class InputFlow {
  readonly #fetcher: Fetcher
  readonly #manager: TaskManager
  readonly #bufferedBytesMax: number
  readonly #followed = new Map<string, RecordQueue>()
  readonly #paused = new Set<RecordQueue>()

  constructor(fetcher: Fetcher, manager: TaskManager, bufferedBytesMax: number) {
    this.#fetcher = fetcher
    this.#manager = manager
    this.#bufferedBytesMax = bufferedBytesMax
  }

  /** Hands on what arrived. @throws the error of a partition that cannot be read. */
  take(): void {
    for (const fetched of this.#fetcher.take()) {
      this.#manager.taskOf(fetched.topic, fetched.partition)?.addRecords(fetched.topic, fetched)
    }
  }

  /** Pauses and resumes partitions by what is buffered. */
  balance(): void {
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
