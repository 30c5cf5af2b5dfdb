// What the command line writes, and how it looks: log lines for people or for machines, and errors as code, what,
// where and fix. Log lines and errors go to standard error; what a command was asked for goes to standard output.
import path from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { styleText } from 'node:util'
import type { DirectLines, LogFields, Logger, LogLevel } from '../base/log.ts'
import { type LinePart, type LogFormat, logFormats, logLine } from '../base/log-line.ts'
import { type ErrorCode, ensureError } from '../errors.ts'

export { type LogFormat, logFormats }

export interface TerminalOptions {
  readonly format: LogFormat
  /** Debug lines, and stacks of errors. */
  readonly verbose: boolean
  readonly colour: boolean
  readonly write: (text: string) => void
  readonly now: () => Date
  /** Where what is written ends up, if other threads may write there, too. */
  readonly direct?: DirectLines | undefined
}

export interface Terminal extends Logger {
  readonly format: LogFormat
  /** Shows an error that ended something. */
  failure(thrown: unknown): void
}

type Style = Parameters<typeof styleText>[0]

const styles: Readonly<Record<LinePart, Style>> = {
  aside: 'gray',
  debug: 'gray',
  info: 'green',
  warn: 'yellow',
  error: 'red',
}

/** Colour where a person looks at it and has not asked for none (no-color.org). */
export const wantsColour = (
  stream: { readonly isTTY?: boolean | undefined },
  environment: Readonly<Record<string, string | undefined>>,
): boolean => stream.isTTY === true && !environment['NO_COLOR'] && environment['TERM'] !== 'dumb'

interface Failure {
  readonly code: ErrorCode | undefined
  readonly what: string
  readonly where: Readonly<Record<string, unknown>>
  readonly fix: string | undefined
  readonly causes: readonly string[]
  /** Where in the user's code it was thrown. */
  readonly at: string | undefined
  readonly stack: string
}

/** Structural: a module may bring another copy of the package, whose errors are of another class. */
const read = (thrown: unknown): Failure => {
  const error = ensureError(thrown) as Error & Partial<Pick<Failure, 'code' | 'what' | 'where' | 'fix'>>
  const ours = error.name === 'MillstreamError' && error.what !== undefined
  const what = ours ? (error.what ?? '') : `${error.name}: ${error.message}`
  const causes: string[] = []
  let origin: Error = error
  for (let cause = error.cause; cause instanceof Error && causes.length < 5; cause = cause.cause) {
    origin = cause
    if (!what.includes(cause.message)) causes.push(`${cause.name}: ${cause.message}`)
  }
  const { code, where = {}, fix } = ours ? error : {}
  return { code, what, where, fix, causes, at: userFrame(origin), stack: stacks(error) }
}

const ownFolder = new URL('..', import.meta.url).href

/** The innermost place outside of Node, packages and millstream, as a path that an editor opens. */
const userFrame = (error: Error): string | undefined => {
  const place = error.stack
    ?.split('\n')
    .map((line) => /^\s+at .*?(file:[^()]+?:\d+:\d+)\)?$/.exec(line)?.[1])
    .find((found) => found !== undefined && !found.startsWith(ownFolder) && !found.includes('/node_modules/'))
  return place === undefined ? undefined : path.relative(process.cwd(), fileURLToPath(place))
}

const stacks = (error: Error): string => {
  const parts: string[] = []
  for (let one: unknown = error; one instanceof Error && parts.length < 6; one = one.cause)
    parts.push(one.stack ?? one.message)
  return parts.join('\ncaused by ')
}

export const createTerminal = (options: TerminalOptions): Terminal => {
  const { format, verbose, colour, write, now, direct } = options
  const paint = (style: Style, text: string): string =>
    colour ? styleText(style, text, { validateStream: false }) : text

  const line = (level: LogLevel, text: string, fields?: LogFields): void =>
    write(logLine(format, now(), level, text, fields, (part, shown) => paint(styles[part], shown)))

  const failureLines = ({ code, what, where, fix, causes, at, stack }: Failure): string => {
    const row = (name: string, text: string): string =>
      `  ${paint('gray', name.padEnd(6))} ${text.replaceAll('\n', '\n         ')}\n`
    const places = Object.entries(where).filter(([, value]) => value !== undefined)
    return [
      `${paint(['red', 'bold'], code ?? 'ERROR')}\n`,
      row('what', what),
      places.length > 0
        ? row('where', places.map(([name, value]) => `${name} ${String(value)}`).join(', '))
        : '',
      ...causes.map((cause) => row('cause', cause)),
      at === undefined ? '' : row('at', at),
      fix === undefined ? '' : row('fix', fix.trim()),
      verbose ? `${stack}\n` : '',
    ].join('')
  }

  return {
    format,
    direct,
    debug: (text, fields) => {
      if (verbose) line('debug', text, fields)
    },
    info: (text, fields) => line('info', text, fields),
    warn: (text, fields) => line('warn', text, fields),
    error: (text, fields) => line('error', text, fields),
    failure: (thrown) => {
      const failure = read(thrown)
      if (format === 'human') return write(failureLines(failure))
      const { code, what, where, fix, causes, at, stack } = failure
      line('error', what, {
        code,
        where,
        cause: causes[0],
        at,
        fix: fix?.trim(),
        stack: verbose ? stack : undefined,
      })
    },
  }
}

/** The terminal of this process. */
export const processTerminal = (
  format: LogFormat,
  verbose: boolean,
  write?: (text: string) => void,
): Terminal =>
  createTerminal({
    format,
    verbose,
    colour: format === 'human' && wantsColour(process.stderr, process.env),
    write: write ?? ((text) => void process.stderr.write(text)),
    now: () => new Date(),
    direct: write === undefined ? { descriptor: process.stderr.fd, format } : undefined,
  })
