// When a worker commits: at its interval while there is work, soon when there is none, early when much is uncommitted.
import type { Clock } from '../base/ports.ts'
import type { WorkerSettings } from '../config/worker-settings.ts'
import type { StreamTask } from '../task/stream-task.ts'
import type { Transaction } from './transaction.ts'

/** With nothing left to process, a commit begins not sooner after the last one than this, or than that one took. */
const commitGapMs = 15
const idleWaitMs = 500

export class CommitPace {
  readonly #settings: WorkerSettings
  readonly #clock: Clock

  constructor(settings: WorkerSettings, clock: Clock) {
    this.#settings = settings
    this.#clock = clock
  }

  isDue(tasks: readonly StreamTask[], transaction: Transaction): boolean {
    if (!tasks.some((task) => task.dirty)) return false
    if (transaction.sinceLastMs >= this.#pauseMs(tasks, transaction)) return true
    let bytes = transaction.collector.collectedBytes
    for (const task of tasks) bytes += task.uncommittedBytes
    return bytes > this.#settings.uncommittedBytesMax
  }

  /** How long a loop without records may sleep, ms; not positive when something is due. */
  idleMs(tasks: readonly StreamTask[], transaction: Transaction, paused: boolean): number {
    const commitInMs = this.#pauseMs(tasks, transaction) - transaction.sinceLastMs
    const now = this.#clock.now()
    let waitMs = idleWaitMs
    for (const task of tasks) {
      if (!paused) waitMs = Math.min(waitMs, task.wakeAtMs - now)
      if (task.dirty) waitMs = Math.min(waitMs, commitInMs)
    }
    return waitMs
  }

  /** From the end of a commit to the next one: short only when nothing is left to process, neither here nor at the broker. */
  #pauseMs(tasks: readonly StreamTask[], transaction: Transaction): number {
    const { commitIntervalMs } = this.#settings
    if (!tasks.every(({ group }) => group.drained)) return commitIntervalMs
    return Math.min(Math.max(commitGapMs, transaction.lastDurationMs), commitIntervalMs)
  }
}
