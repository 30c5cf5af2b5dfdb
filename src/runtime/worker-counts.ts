// What a worker counts since its start.
import type { StreamTask } from '../task/stream-task.ts'

export interface WorkerCounts {
  readonly processed: number
  readonly skipped: number
  readonly retried: number
  /** Records that came too late for a window. */
  readonly late: number
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

/** Of records, over tasks. */
export interface RecordCounts {
  processed: number
  skipped: number
  retried: number
  late: number
}

export const noRecords = (): RecordCounts => ({ processed: 0, skipped: 0, retried: 0, late: 0 })

/** Adds what this task has counted. */
export const addCounts = (sums: RecordCounts, { counts }: StreamTask): void => {
  sums.processed += counts.processed
  sums.skipped += counts.skipped
  sums.retried += counts.retried
  sums.late += counts.late
}
