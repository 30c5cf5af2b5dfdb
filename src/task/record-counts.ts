// What a task counts of its records, since its start.
export interface RecordCounts {
  processed: number
  skipped: number
  retried: number
  /** Records that came too late for a window. */
  late: number
  /** Timers that were set, those that took the place of another one included. */
  timersSet: number
  /** Timers that fired, those that failed and fire again included. */
  timersFired: number
  /** Calls of asynchronous processors that had no answer in time. */
  callsTimedOut: number
}

export const noRecords = (): RecordCounts => ({
  processed: 0,
  skipped: 0,
  retried: 0,
  late: 0,
  timersSet: 0,
  timersFired: 0,
  callsTimedOut: 0,
})
