// The arguments of `npm run sim`.
import { parseArgs } from 'node:util'
import { isWrongBuild, type WrongBuild, wrongBuilds } from '../../src/base/wrong-builds.ts'
import { ensureError } from '../../src/errors.ts'

export const usage = `npm run sim -- [options]

--seeds N        so many seeds; default 200
--from N         the first of them; default 1
--for TIME       as many as fit into 30s, 10m, 1h, beginning with --from, or with a seed that no run had before
--seed N         this one alone; a failure is made smaller
--trace          with --seed: everything that happens, line by line; of a failure, after it was made smaller
--controls       deliberately wrong builds, each until a seed notices it, --seeds at most (default 500)
--build NAME     with --seed or --controls: this wrong build
--threads N      default: one for each core
--json FILE      write the counts there
--help           this text`

export class UsageError extends Error {}

export interface CommandLine {
  readonly seeds: number | undefined
  readonly from: number | undefined
  readonly forMs: number | undefined
  readonly seed: number | undefined
  readonly trace: boolean
  readonly controls: boolean
  readonly build: WrongBuild | undefined
  readonly threads: number | undefined
  readonly json: string | undefined
}

const wholeNumber = (name: string, text: string | undefined): number | undefined => {
  if (text === undefined) return undefined
  const value = Number(text)
  if (text === '' || !Number.isSafeInteger(value) || value < 0)
    throw new UsageError(`--${name} is a whole number, not "${text}"`)
  return value
}

const unitsMs: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000 }

const duration = (text: string | undefined): number | undefined => {
  if (text === undefined) return undefined
  const [, number, unit] = /^(\d+(?:\.\d+)?)([smh])$/.exec(text) ?? []
  if (number === undefined || unit === undefined)
    throw new UsageError(`--for is like 30s, 10m or 1h, not "${text}"`)
  return Number(number) * (unitsMs[unit] as number)
}

const buildOf = (text: string | undefined): WrongBuild | undefined => {
  if (text === undefined || isWrongBuild(text)) return text
  throw new UsageError(`there is no wrong build "${text}": one of ${Object.keys(wrongBuilds).join(', ')}`)
}

const read = (args: string[]) =>
  parseArgs({
    args,
    options: {
      seeds: { type: 'string' },
      from: { type: 'string' },
      for: { type: 'string' },
      seed: { type: 'string' },
      trace: { type: 'boolean' },
      controls: { type: 'boolean' },
      build: { type: 'string' },
      threads: { type: 'string' },
      json: { type: 'string' },
      help: { type: 'boolean' },
    },
  })

/** @throws UsageError */
export const parseCommandLine = (args: string[]): CommandLine | 'help' => {
  let words: ReturnType<typeof read>['values']
  try {
    words = read(args).values
  } catch (error) {
    throw new UsageError(ensureError(error).message)
  }
  if (words.help === true) return 'help'
  const line: CommandLine = {
    seeds: wholeNumber('seeds', words.seeds),
    from: wholeNumber('from', words.from),
    forMs: duration(words.for),
    seed: wholeNumber('seed', words.seed),
    trace: words.trace === true,
    controls: words.controls === true,
    build: buildOf(words.build),
    threads: wholeNumber('threads', words.threads),
    json: words.json,
  }
  if (line.threads === 0) throw new UsageError('--threads is at least 1')
  if (line.trace && line.seed === undefined) throw new UsageError('--trace goes with --seed')
  if (line.seeds !== undefined && line.forMs !== undefined)
    throw new UsageError('--seeds and --for exclude each other')
  return line
}
