// `npm run sim`: many seeds and what came of them, one seed and all that happened in it, or the wrong builds and how soon
// each is noticed.
import fs from 'node:fs'
import process from 'node:process'
import { setWrongBuild, type WrongBuild, wrongBuilds } from '../../src/base/wrong-builds.ts'
import { progressBar } from '../../src/cli/progress.ts'
import { ensureError } from '../../src/errors.ts'
import { describeFault } from '../../src/testing/simulation/fault.ts'
import { type CommandLine, parseCommandLine, UsageError, usage } from './command-line.ts'
import { type Mark, marks } from './marks.ts'
import { type Plan, planOf } from './plan.ts'
import { type Outcome, runPlan } from './run-seed.ts'
import { SeedPool, threadsOfMachine } from './seed-pool.ts'
import type { SeedOrder, SeedResult } from './seed-thread.ts'
import { shrink } from './shrink.ts'

const say = (line: string): void => void process.stdout.write(`${line}\n`)

const barEveryMs = 200
const lineEveryMs = 15_000
let shownMs = Number.NEGATIVE_INFINITY

/** A bar on a terminal, else a line now and then. */
const progress = (step: string, done: number, total: number): void => {
  const now = performance.now()
  const isTerminal = process.stderr.isTTY === true
  if (now - shownMs < (isTerminal ? barEveryMs : lineEveryMs) && done < total) return
  shownMs = now
  const bar = progressBar(step, done, total)
  process.stderr.write(isTerminal ? `\r${bar}${done >= total ? '\n' : ''}` : `${bar}\n`)
}

const seedsByDefault = 200
const seedsOfControls = 500
const failuresShown = 5

/** Seeds one after the other, until that time where one is given. */
function* ordersOf(
  from: number,
  count: number,
  untilMs: number,
  wrongBuild?: WrongBuild,
): Generator<SeedOrder> {
  for (let seed = from; seed < from + count && performance.now() < untilMs; seed++) yield { seed, wrongBuild }
}

class Totals {
  readonly counts = new Map<Mark, number>()
  readonly failed: SeedResult[] = []
  seeds = 0
  records = 0
  faults = 0
  failovers = 0
  virtualMs = 0

  add(result: SeedResult): void {
    this.seeds++
    this.records += result.records
    this.faults += result.faults
    this.failovers += result.failovers
    this.virtualMs += result.virtualMs
    for (const mark of result.marks) this.counts.set(mark, (this.counts.get(mark) ?? 0) + 1)
    if (result.violated.length > 0) this.failed.push(result)
  }

  lines(seconds: number): string[] {
    const per = (count: number): string => Math.round(count / (seconds / 60)).toLocaleString('en')
    return [
      `${this.seeds} seeds in ${seconds.toFixed(1)} s: ${this.records} records, ${this.faults} faults, ${this.failovers} failovers, ${(this.virtualMs / 3_600_000).toFixed(1)} hours of virtual time`,
      `${per(this.seeds)} seeds and ${per(this.failovers)} failovers per minute`,
      ...marks.map((mark) => `  ${String(this.counts.get(mark) ?? 0).padStart(6)}  ${mark}`),
    ]
  }
}

const sayFailure = ({ seed, report }: Pick<SeedResult, 'seed' | 'report'>, build?: WrongBuild): void => {
  say(`seed ${seed} FAILED`)
  for (const line of report) say(`  ${line}`)
  say(`again: npm run sim -- --seed ${seed}${build === undefined ? '' : ` --build ${build}`}`)
}

interface Counts {
  readonly passed: number
  readonly failed: number
}

const runMany = async (line: CommandLine): Promise<Counts> => {
  const startedMs = performance.now()
  const { forMs } = line
  const count = forMs === undefined ? (line.seeds ?? seedsByDefault) : Number.MAX_SAFE_INTEGER / 2
  const from = line.from ?? (forMs === undefined ? 1 : Date.now() % 2 ** 31)
  const untilMs = forMs === undefined ? Number.POSITIVE_INFINITY : startedMs + forMs
  const totals = new Totals()
  await using pool = new SeedPool(line.threads ?? threadsOfMachine())
  await pool.run(ordersOf(from, count, untilMs, line.build), (result) => {
    totals.add(result)
    if (result.violated.length > 0 && totals.failed.length <= failuresShown) sayFailure(result, line.build)
    if (forMs === undefined) progress('seeds', totals.seeds, count)
    else progress('time', Math.round((performance.now() - startedMs) / 1000), Math.round(forMs / 1000))
    return undefined
  })
  for (const text of totals.lines((performance.now() - startedMs) / 1000)) say(text)
  const missing = marks.filter((mark) => !totals.counts.has(mark))
  // A few seeds cannot show everything.
  const isComplete = missing.length === 0 || totals.seeds < marksExpectedFrom
  if (!isComplete) say(`never seen: ${missing.join('; ')}`)
  return {
    passed: totals.seeds - totals.failed.length + (isComplete ? 1 : 0),
    failed: totals.failed.length + (isComplete ? 0 : 1),
  }
}

const marksExpectedFrom = 1000

const violated = ({ violations }: Outcome): string =>
  [...new Set(violations.map(({ invariant }) => invariant))].sort().join(' ')

const sayPlan = (plan: Plan): void => {
  const records = plan.input.reduce((sum, chunk) => sum + chunk.records.length, 0)
  say(
    `${plan.workers.length} workers, ${plan.nodes} brokers, transactions version ${plan.transactionVersion}, ${plan.partitions} partitions, ${records} records, ${plan.faults.length} faults:`,
  )
  for (const fault of plan.faults) say(`  ${describeFault(fault)}`)
}

const runOne = async (seed: number, { trace, build }: CommandLine): Promise<Counts> => {
  setWrongBuild(build)
  const plan = planOf(seed)
  const outcome = await runPlan(plan, { trace })
  if (outcome.violations.length === 0) {
    for (const text of outcome.trace) say(text)
    sayPlan(plan)
    say(
      `seed ${seed} passed: ${outcome.events} events, ${(outcome.virtualMs / 1000).toFixed(1)} s of virtual time, digest ${outcome.digest}`,
    )
    return { passed: 1, failed: 0 }
  }
  sayFailure(outcome, build)
  const wanted = violated(outcome)
  const smaller = await shrink(
    plan,
    async (candidate) => violated(await runPlan(candidate)) === wanted,
    (tries) => progress('shrinking', tries, Number.POSITIVE_INFINITY),
  )
  say('made smaller, the same is violated by:')
  sayPlan(smaller)
  const again = await runPlan(smaller, { trace })
  for (const text of again.report) say(`  ${text}`)
  for (const text of again.trace) say(text)
  return { passed: 0, failed: 1 }
}

const noticeOne = async (build: WrongBuild, line: CommandLine): Promise<string | undefined> => {
  let first: SeedResult | undefined
  let done = 0
  const count = line.seeds ?? seedsOfControls
  await using pool = new SeedPool(line.threads ?? threadsOfMachine())
  await pool.run(ordersOf(line.from ?? 1, count, Number.POSITIVE_INFINITY, build), (result) => {
    progress('seeds', ++done, count)
    if (result.violated.length === 0) return undefined
    // Threads run beside each other: the lowest seed is the answer.
    if (first === undefined || result.seed < first.seed) first = result
    return false
  })
  return first && `seed ${first.seed}: ${first.violated.join(' ')}`
}

/** Wrong builds that no seed so far has noticed, with the reason. */
const rare: Readonly<Partial<Record<WrongBuild, string>>> = {
  'offsets-before-last-produce':
    'it takes a held up produce, a member that is put out right after its offsets, a successor and a late commit within a second',
}

const runControls = async (line: CommandLine): Promise<Counts> => {
  const names = line.build === undefined ? (Object.keys(wrongBuilds) as WrongBuild[]) : [line.build]
  let passed = 0
  for (const name of names) {
    const noticed = await noticeOne(name, line)
    const reason = rare[name]
    if (noticed !== undefined || reason !== undefined) passed++
    say(`${name.padEnd(34)} ${noticed ?? (reason === undefined ? 'NOT NOTICED' : `not noticed: ${reason}`)}`)
  }
  return { passed, failed: names.length - passed }
}

const main = async (line: CommandLine): Promise<boolean> => {
  const { passed, failed } = line.controls
    ? await runControls(line)
    : line.seed === undefined
      ? await runMany(line)
      : await runOne(line.seed, line)
  if (line.json !== undefined) {
    const counts = { numPassedTests: passed, numFailedTests: failed, numPendingTests: 0, numTodoTests: 0 }
    fs.writeFileSync(line.json, JSON.stringify(counts))
  }
  say(`${passed} passed, ${failed} failed`)
  return failed === 0 && passed > 0
}

try {
  const line = parseCommandLine(process.argv.slice(2))
  if (line === 'help') say(usage)
  else process.exitCode = (await main(line)) ? 0 : 1
} catch (error) {
  const isUsage = error instanceof UsageError
  process.stderr.write(`${isUsage ? `${error.message}\n\n${usage}` : ensureError(error).stack}\n`)
  process.exitCode = isUsage ? 2 : 1
}
