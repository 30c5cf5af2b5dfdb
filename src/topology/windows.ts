// The kinds of windows: how long they are, when the next one begins, and how long they wait for what is late.
import { type CalendarUnit, calendarUnits, isTimeZone } from '../base/calendar.ts'

/** Windows of one length. All times in ms. */
export interface TimeWindows {
  readonly kind: 'time'
  readonly sizeMs: number
  /** From the start of one window to that of the next. */
  readonly advanceMs: number
  /** How long a window takes records after its end, in stream time. */
  readonly graceMs: number
}

export interface TumblingOptions {
  readonly sizeMs: number
  /** How long a window takes records after its end, in stream time; 0: it closes with the first record behind it. */
  readonly graceMs: number
}

export interface HoppingOptions extends TumblingOptions {
  /** From the start of one window to that of the next, at most `sizeMs`. */
  readonly advanceMs: number
}

/** Windows one after another: `[0, size)`, `[size, 2 * size)`, … Each record is in one. */
export const tumbling = ({ sizeMs, graceMs }: TumblingOptions): TimeWindows =>
  Object.freeze({ kind: 'time', sizeMs, advanceMs: sizeMs, graceMs })

/** Windows that overlap: one of `sizeMs` begins every `advanceMs`. A record is in each that it falls into. */
export const hopping = ({ sizeMs, advanceMs, graceMs }: HoppingOptions): TimeWindows =>
  Object.freeze({ kind: 'time', sizeMs, advanceMs, graceMs })

/** Sessions: records of a key with no more than `gapMs` from one to the next. All times in ms. */
export interface Sessions {
  readonly kind: 'sessions'
  readonly gapMs: number
  /** How long a session takes records after its end and the gap, in stream time. */
  readonly graceMs: number
}

export interface SessionsOptions {
  /** The longest time between two records of a session. */
  readonly gapMs: number
  /** How long a session waits for late records beyond the gap, in stream time. */
  readonly graceMs: number
}

/** Sessions of each key: a record joins those that it is at most `gapMs` away from, and makes them one. */
export const sessions = ({ gapMs, graceMs }: SessionsOptions): Sessions =>
  Object.freeze({ kind: 'sessions', gapMs, graceMs })

/** Windows that move with the records. All times in ms. */
export interface SlidingWindows {
  readonly kind: 'sliding'
  /** From the first moment of a window to its last one, which belongs to it. */
  readonly sizeMs: number
  /** How long a window takes records after its end, in stream time. */
  readonly graceMs: number
}

export interface SlidingOptions {
  /** The longest time between two records of a window. */
  readonly sizeMs: number
  readonly graceMs: number
}

/**
 * Windows that end with a record, and those that begin right after one: of each key every set of records that are at most
 * `sizeMs` apart is in a window of its own. No window begins before 0.
 */
export const sliding = ({ sizeMs, graceMs }: SlidingOptions): SlidingWindows =>
  Object.freeze({ kind: 'sliding', sizeMs, graceMs })

/**
 * From the end of a window to the stream time at which it takes nothing more; undefined: it takes records for good. The end of
 * a time window is behind it.
 */
export const closesAfterMs = (windows: AnyWindows): number | undefined => {
  if (windows.kind === 'unlimited') return undefined
  const { graceMs } = windows
  if (windows.kind === 'sessions') return windows.gapMs + graceMs + 1
  return windows.kind === 'sliding' ? graceMs + 1 : graceMs
}

/** Windows by the calendar of a time zone. */
export interface CalendarWindows {
  readonly kind: 'calendar'
  readonly every: CalendarUnit
  readonly timeZone: string
  /** How long a window takes records after its end, in stream time, ms. */
  readonly graceMs: number
}

export interface CalendarOptions {
  readonly every: CalendarUnit
  /** Name of the IANA: Europe/Berlin, America/New_York, UTC. */
  readonly timeZone: string
  readonly graceMs: number
}

/**
 * The days, the weeks (from Monday) or the months of a time zone, one after another. Where clocks are turned a day has 23 or 25
 * hours. The first window begins at 0.
 */
export const calendar = ({ every, timeZone, graceMs }: CalendarOptions): CalendarWindows =>
  Object.freeze({ kind: 'calendar', every, timeZone, graceMs })

/** Windows without an end. */
export interface UnlimitedWindows {
  readonly kind: 'unlimited'
  /** Where they begin, ms since the epoch. */
  readonly startMs: number
}

export interface UnlimitedOptions {
  /** Where they begin, ms since the epoch. Default: 0. */
  readonly startMs?: number
}

/**
 * One window for each key, from `startMs` on, which never closes; it is kept for good. Its end is infinity. Records before the
 * start are left out.
 */
export const unlimited = ({ startMs = 0 }: UnlimitedOptions = {}): UnlimitedWindows =>
  Object.freeze({ kind: 'unlimited', startMs })

export type AnyWindows = TimeWindows | Sessions | SlidingWindows | CalendarWindows | UnlimitedWindows

export const wholeFrom = (least: number, value: unknown): boolean =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= least

/** What is wrong with windows. */
export const windowProblems = (windows: AnyWindows): string[] => {
  const problems: string[] = []
  if (windows.kind === 'unlimited') {
    const { startMs } = windows
    return wholeFrom(0, startMs) ? [] : [`startMs is ${startMs}, but takes a whole number from 0`]
  }
  const { graceMs } = windows
  if (!wholeFrom(0, graceMs)) problems.push(`graceMs is ${graceMs}, but takes a whole number from 0`)
  if (windows.kind === 'sessions') {
    const { gapMs } = windows
    if (!wholeFrom(1, gapMs)) problems.push(`gapMs is ${gapMs}, but takes a whole number from 1`)
    return problems
  }
  if (windows.kind === 'calendar') {
    const { every, timeZone } = windows
    if (!calendarUnits.includes(every))
      problems.push(`every is ${String(every)}, but takes ${calendarUnits.join(', ')}`)
    if (!isTimeZone(timeZone)) problems.push(`timeZone is ${String(timeZone)}, which is no time zone`)
    return problems
  }
  const { sizeMs } = windows
  const least = windows.kind === 'time' ? 1 : 0
  if (!wholeFrom(least, sizeMs)) problems.push(`sizeMs is ${sizeMs}, but takes a whole number from ${least}`)
  if (windows.kind === 'sliding') return problems
  const { advanceMs } = windows
  if (advanceMs !== sizeMs && !wholeFrom(1, advanceMs))
    problems.push(`advanceMs is ${advanceMs}, but takes a whole number from 1`)
  else if (advanceMs > sizeMs)
    problems.push(
      `advanceMs is ${advanceMs}, more than the size of ${sizeMs}: records between windows would be lost`,
    )
  return problems
}
