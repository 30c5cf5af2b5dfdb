// The arguments of `npm run compare`.
import { parseArgs } from 'node:util'
import { ensureError } from '../../src/errors.ts'
import { operators } from './operators.ts'

export const usage = `npm run compare -- [options]

--operators A,B     these operators; default: all
--seeds N           inputs of each operator; default 20
--records N         records of each input; default 10000
--from N            the first seed; default 1
--grace-off-by-one  our windows close one millisecond early: every operator with a grace has to differ
--help              this text

operators: ${Object.keys(operators).join(', ')}`

export class UsageError extends Error {}

export interface CommandLine {
  readonly operators: readonly string[]
  readonly seeds: number
  readonly from: number
  readonly records: number
  readonly graceOffByOne: boolean
}

const wholeNumber = (name: string, text: string): number => {
  const value = Number(text)
  if (text === '' || !Number.isSafeInteger(value) || value < 1)
    throw new UsageError(`--${name} is a whole number of at least 1, not "${text}"`)
  return value
}

const read = (args: string[]) =>
  parseArgs({
    args,
    options: {
      operators: { type: 'string' },
      seeds: { type: 'string', default: '20' },
      records: { type: 'string', default: '10000' },
      from: { type: 'string', default: '1' },
      'grace-off-by-one': { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  }).values

const chosen = (text: string | undefined): string[] => {
  if (text === undefined) return Object.keys(operators)
  const names = text.split(',').map((name) => name.trim())
  const unknown = names.find((name) => !Object.hasOwn(operators, name))
  if (unknown === undefined) return names
  throw new UsageError(`there is no operator "${unknown}": one of ${Object.keys(operators).join(', ')}`)
}

/** @throws UsageError */
export const parseCommandLine = (args: string[]): CommandLine | 'help' => {
  let words: ReturnType<typeof read>
  try {
    words = read(args)
  } catch (error) {
    throw new UsageError(ensureError(error).message)
  }
  if (words.help) return 'help'
  const graceOffByOne = words['grace-off-by-one']
  const names = chosen(words.operators).filter((name) => !graceOffByOne || operators[name]?.grace === true)
  if (names.length === 0) throw new UsageError('none of these operators has a grace')
  return {
    operators: names,
    seeds: wholeNumber('seeds', words.seeds),
    records: wholeNumber('records', words.records),
    from: wholeNumber('from', words.from),
    graceOffByOne,
  }
}
