// The log port. The runtime writes lines through it; what they look like and where they go is decided above.
import type { LogFormat } from './log-line.ts'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

/** Structured fields of a log line: ids, offsets, durations; never record payloads and never secrets. */
export type LogFields = Readonly<Record<string, unknown>>

/** A file descriptor for whole lines, and how they look. */
export interface DirectLines {
  readonly descriptor: number
  readonly format: LogFormat
}

export interface Logger {
  debug(text: string, fields?: LogFields): void
  info(text: string, fields?: LogFields): void
  warn(text: string, fields?: LogFields): void
  error(text: string, fields?: LogFields): void
  /**
   * Where a thread of ours writes a line by itself while the thread of this logger stands still. Without it such a line
   * comes when that thread goes on.
   */
  readonly direct?: DirectLines | undefined
}

const nothing = (): void => {}

/** Drops every line. */
export const silentLogger: Logger = { debug: nothing, info: nothing, warn: nothing, error: nothing }
