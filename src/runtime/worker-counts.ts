// What a worker counts since its start.
import type { RecordCounts } from '../task/record-counts.ts'
import type { StreamTask } from '../task/stream-task.ts'

export interface WorkerCounts {
  readonly processed: number
  readonly skipped: number
  readonly retried: number
  /** Records that came too late for a window. */
  readonly late: number
  /** Timers that were set, and that fired; those of aborted transactions included. */
  readonly timersSet: number
  readonly timersFired: number
  /** Calls of asynchronous processors that had no answer in time. */
  readonly callsTimedOut: number
  /** Transactions committed. */
  readonly committed: number
  readonly aborted: number
  /** Outcomes that had to be looked up, and producers that were fenced. */
  readonly recovered: number
  readonly rebalanced: number
  /** How often, and for how many ms in all, the main thread stood still for 5 s or longer. */
  readonly blocked: number
  readonly blockedMs: number
}

/** What tasks have counted, and those that were closed. */
export const sumOf = (closed: RecordCounts, tasks: Iterable<StreamTask>): RecordCounts => {
  const sums = { ...closed }
  for (const task of tasks) addCounts(sums, task)
  return sums
}

/** Adds what this task has counted. */
export const addCounts = (sums: RecordCounts, { counts }: StreamTask): void => {
  sums.processed += counts.processed
  sums.skipped += counts.skipped
  sums.retried += counts.retried
  sums.late += counts.late
  sums.timersSet += counts.timersSet
  sums.timersFired += counts.timersFired
  sums.callsTimedOut += counts.callsTimedOut
}
