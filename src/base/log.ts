// The log port. The runtime writes lines through it; what they look like and where they go is decided above.
export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

/** Structured fields of a log line: ids, offsets, durations; never record payloads and never secrets. */
export type LogFields = Readonly<Record<string, unknown>>

export interface Logger {
  debug(text: string, fields?: LogFields): void
  info(text: string, fields?: LogFields): void
  warn(text: string, fields?: LogFields): void
  error(text: string, fields?: LogFields): void
}

const nothing = (): void => {}

/** Drops every line. */
export const silentLogger: Logger = { debug: nothing, info: nothing, warn: nothing, error: nothing }
