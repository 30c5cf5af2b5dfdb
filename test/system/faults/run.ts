// `npm run faults`: rows of the fault matrix on a broker of their own, each judged by the checker.
import fs from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { parseArgs } from 'node:util'
import { ensureError } from '../../../src/errors.ts'
import { runToEnd } from '../../../tools/process-group.ts'
import { runSeed } from '../../support/random.ts'
import { Bench, Failed } from './bench.ts'
import { type Grounds, openGrounds } from './grounds.ts'
import { rows } from './rows.ts'
import type { BenchRow, Row, TestedRow } from './row.ts'

const usage = `npm run faults -- [ROW...] [options]

ROW          ${[...new Set(rows.map(({ id }) => id))].join(', ')}; default: all
--rounds N   each row so often, each time with another seed; default 1
--seed N     of the first round; default: another one each time
--short      the rows and sizes that are a stage of npm test
--json FILE  write the counts there
--help       this text`

class UsageError extends Error {}

interface CommandLine {
  readonly rows: readonly Row[]
  readonly rounds: number
  readonly seed: number
  readonly short: boolean
  readonly json: string | undefined
}

const numberOption = (name: string, text: string | undefined, otherwise: number): number => {
  const value = text === undefined ? otherwise : Number(text)
  if (!Number.isSafeInteger(value) || value < 0)
    throw new UsageError(`--${name} is a whole number, not "${text}"`)
  return value
}

const readWords = (args: string[]) =>
  parseArgs({
    args,
    allowPositionals: true,
    options: {
      rounds: { type: 'string' },
      seed: { type: 'string' },
      short: { type: 'boolean' },
      json: { type: 'string' },
      help: { type: 'boolean' },
    },
  })

const parse = (args: string[]): CommandLine | 'help' => {
  let words: ReturnType<typeof readWords>
  try {
    words = readWords(args)
  } catch (error) {
    throw new UsageError(ensureError(error).message)
  }
  const { values, positionals } = words
  if (values.help === true) return 'help'
  const known = new Set(rows.map(({ id }) => id))
  const names = positionals.map((name) => name.toUpperCase())
  const unknown = names.find((name) => !known.has(name))
  if (unknown !== undefined) throw new UsageError(`there is no row "${unknown}"`)
  const short = values.short === true
  const wanted = (row: Row): boolean =>
    names.length > 0 ? names.includes(row.id) : !short || ('short' in row && row.short)
  return {
    rows: rows.filter(wanted),
    rounds: Math.max(1, numberOption('rounds', values.rounds, 1)),
    seed: numberOption('seed', values.seed, runSeed()),
    short,
    json: values.json,
  }
}

const say = (line: string): void => void process.stdout.write(`${line}\n`)

type SharedGrounds = (brokers: 1 | 3) => Promise<Grounds>

const runOnBench = async (
  shared: SharedGrounds,
  row: BenchRow,
  seed: number,
  short: boolean,
): Promise<string> => {
  const { brokers = 1, brokerSettings, proxied } = row
  await using own = new AsyncDisposableStack()
  const grounds =
    brokerSettings === undefined && proxied === undefined
      ? await shared(brokers)
      : await openGrounds({ brokers, brokerSettings, proxied }, own, say)
  await using bench = await Bench.open(grounds, { ...row, row: row.id, seed, short })
  try {
    return await row.run(bench)
  } catch (error) {
    // The rest of what went wrong is in the logs: the report says where they are.
    if (error instanceof Failed) throw error
    return bench.fail([ensureError(error).stack ?? String(error)])
  }
}

const root = path.resolve(import.meta.dirname, '../../..')
const testLimitMs = 600_000

const runTests = async ({ tests }: TestedRow): Promise<string> => {
  const { code } = await runToEnd(path.join(root, 'node_modules/.bin/vitest'), ['run', ...tests], {
    cwd: root,
    limitMs: testLimitMs,
  })
  if (code !== 0) throw new Failed(`vitest run ${tests.join(' ')} ended with ${code}`)
  return 'by the tests above'
}

const runRow = async (grounds: SharedGrounds, row: Row, line: CommandLine): Promise<boolean[]> => {
  const outcomes: boolean[] = []
  const isTested = 'tests' in row
  for (let round = 0; round < (isTested ? 1 : line.rounds); round++) {
    const seed = line.seed + round
    const startedMs = performance.now()
    const seconds = (): string => `${((performance.now() - startedMs) / 1000).toFixed(1)} s`
    try {
      const told = isTested ? await runTests(row) : await runOnBench(grounds, row, seed, line.short)
      say(`${row.id.padEnd(4)} passed, ${seconds()}, seed ${seed}: ${row.title}: ${told}`)
      outcomes.push(true)
    } catch (error) {
      say(`${row.id.padEnd(4)} FAILED, ${seconds()}, seed ${seed}: ${row.title}`)
      say(error instanceof Failed ? error.message : (ensureError(error).stack ?? String(error)))
      say(`again: npm run faults -- ${row.id} --seed ${seed}${line.short ? ' --short' : ''}`)
      outcomes.push(false)
    }
  }
  return outcomes
}

const main = async (line: CommandLine): Promise<boolean> => {
  await using resources = new AsyncDisposableStack()
  const opened = new Map<number, Promise<Grounds>>()
  const grounds: SharedGrounds = (brokers) => {
    const known = opened.get(brokers) ?? openGrounds({ brokers }, resources, say)
    opened.set(brokers, known)
    return known
  }
  const outcomes: boolean[] = []
  for (const row of line.rows) outcomes.push(...(await runRow(grounds, row, line)))
  const passed = outcomes.filter((outcome) => outcome).length
  const failed = outcomes.length - passed
  if (line.json !== undefined) {
    const counts = { numPassedTests: passed, numFailedTests: failed, numPendingTests: 0, numTodoTests: 0 }
    fs.writeFileSync(line.json, JSON.stringify(counts))
  }
  await resources.disposeAsync()
  say(`${passed} passed, ${failed} failed`)
  return failed === 0 && passed > 0
}

try {
  const line = parse(process.argv.slice(2))
  if (line === 'help') say(usage)
  else process.exitCode = (await main(line)) ? 0 : 1
} catch (error) {
  const isUsage = error instanceof UsageError
  process.stderr.write(`${isUsage ? `${error.message}\n\n${usage}` : ensureError(error).stack}\n`)
  process.exitCode = isUsage ? 2 : 1
}
