// How a log line looks, for machines and for people: the terminal writes them, and so does a thread that cannot wait for it.
import type { LogFields, LogLevel } from './log.ts'

export const logFormats = ['human', 'json'] as const
export type LogFormat = (typeof logFormats)[number]

/** What a part of a human line is, for whoever gives it a colour. */
export type LinePart = LogLevel | 'aside'

const plainValue = (value: unknown): unknown => {
  if (value instanceof Error) return value.message
  return typeof value === 'bigint' ? String(value) : value
}

const json = (value: unknown): string => {
  try {
    return JSON.stringify(value, (_key, inner) => plainValue(inner)) ?? String(value)
  } catch {
    // A circle: a log line must not end the program.
    return JSON.stringify(String(value))
  }
}

/** A field as a person reads it: one line, in quotes where its end would not be seen. */
const humanValue = (value: unknown): string => {
  const plain = plainValue(value)
  if (typeof plain !== 'string') return typeof plain === 'object' ? json(plain) : String(plain)
  return plain !== '' && /^[^\s"=]+$/.test(plain) ? plain : JSON.stringify(plain)
}

const timeOfDay = (date: Date): string => {
  const two = (value: number): string => String(value).padStart(2, '0')
  const clock = [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':')
  return `${clock}.${String(date.getMilliseconds()).padStart(3, '0')}`
}

/** @returns the line with its end */
export const logLine = (
  format: LogFormat,
  time: Date,
  level: LogLevel,
  text: string,
  fields: LogFields = {},
  paint: (part: LinePart, text: string) => string = (_part, plain) => plain,
): string => {
  if (format === 'json') {
    const { time: _time, level: _level, text: _text, ...others } = fields
    return `${json({ time: time.toISOString(), level, text, ...others })}\n`
  }
  const shown = Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => ` ${paint('aside', `${name}=`)}${humanValue(value)}`)
  return `${paint('aside', timeOfDay(time))} ${paint(level, level.padEnd(5))} ${text}${shown.join('')}\n`
}
