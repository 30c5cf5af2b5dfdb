// `npm test`, `npm run verify` and `npm run controls`: every check and every suite runs, also after a failure, and one line at the end
// says what came out: `N passed, N failed` (`, N skipped`), added up over all suites. A check or a suite that fails
// without a failed test of its own (a lint error, a crash, no test found) counts as one failure, so a red run never
// says `0 failed`. What failed is said once more before that line: thousands of lines after it happened, at the end of a log.
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import process from 'node:process'
import { wrongBuilds } from '../src/base/wrong-builds.ts'
import { addUp, closingLine, type Counts, countsOf, failuresOf, noCounts } from './check-counts.ts'
import { type Outcome, runToEnd } from './process-group.ts'

interface Step {
  readonly name: string
  readonly command: string
  readonly args: readonly string[]
  /** What the step should take; more is said aloud, three times as much ends it and is a failure. */
  readonly budgetSeconds: number
}

const root = path.dirname(import.meta.dirname)
const inCi = ['1', 'true'].includes(process.env.CI ?? '')

const checks: readonly Step[] = [
  { name: 'format', command: 'biome', args: ['format', '.'], budgetSeconds: 20 },
  { name: 'lint', command: 'biome', args: ['lint', '--error-on-warnings', '.'], budgetSeconds: 20 },
  { name: 'promises', command: 'oxlint', args: ['--deny-warnings'], budgetSeconds: 40 },
  { name: 'types', command: 'tsc', args: ['-p', '.'], budgetSeconds: 40 },
  {
    name: 'types of dist',
    command: 'tsc',
    args: ['-p', 'tsconfig.build.json', '--noEmit'],
    budgetSeconds: 40,
  },
  { name: 'knip', command: 'knip', args: [], budgetSeconds: 40 },
]

/** What failed outside all tests stands beside the counts. */
const unhandledIn = (file: string): string => `${file}.unhandled`

interface Suite extends Step {
  /** Arguments that make it write its counts into this file. */
  readonly countsInto: (file: string) => readonly string[]
}

const suite = (name: string, budgetSeconds: number): Suite => ({
  name,
  command: 'vitest',
  args: ['run', '--project', name],
  budgetSeconds,
  countsInto: (file) => [
    ...['default', 'json', './tools/unhandled-reporter.ts'].map((reporter) => `--reporter=${reporter}`),
    `--outputFile.json=${file}`,
    `--outputFile.unhandled=${unhandledIn(file)}`,
  ],
})

/** The short form of the fault bench, a program of its own. */
const faults: Suite = {
  name: 'faults',
  command: 'node',
  args: [
    '--conditions=millstream-source',
    '--no-memory-protection-keys',
    'test/system/faults/run.ts',
    '--short',
  ],
  budgetSeconds: 360,
  countsInto: (file) => ['--json', file],
}

/** Seeds of the simulation, a program of its own. */
const sim: Suite = {
  name: 'sim',
  command: 'node',
  args: [
    '--conditions=millstream-source',
    '--no-memory-protection-keys',
    'test/sim/run.ts',
    '--seeds',
    '2000',
  ],
  budgetSeconds: 240,
  countsInto: (file) => ['--json', file],
}

const suites = {
  unit: suite('unit', 180),
  integration: suite('integration', 600),
  language: suite('language', 300),
  contract: suite('contract', 100),
  controls: suite('controls', 200),
  system: suite('system', 180),
  faults,
  sim,
} as const satisfies Record<string, Suite>

type SuiteName = keyof typeof suites

const failures: string[] = []

const report = (step: Step, outcome: Outcome, verdict: string): void => {
  const late = outcome.seconds > step.budgetSeconds ? ', over budget' : ''
  const ended = outcome.timedOut ? ', ended because it took too long' : ''
  process.stdout.write(
    `== ${step.name}: ${verdict}, ${outcome.seconds.toFixed(1)} s of ${step.budgetSeconds} s${late}${ended}\n`,
  )
}

const runStep = (step: Step, args: readonly string[] = []): Promise<Outcome> =>
  runToEnd(path.join(root, 'node_modules', '.bin', step.command), [...step.args, ...args], {
    cwd: root,
    limitMs: step.budgetSeconds * 3000,
  })

const runCheck = async (step: Step): Promise<Counts> => {
  const outcome = await runStep(step)
  report(step, outcome, outcome.code === 0 ? 'good' : 'FAILED')
  if (outcome.code !== 0) failures.push(step.name)
  return outcome.code === 0 ? noCounts : { ...noCounts, failed: 1 }
}

const runSuite = async (step: Suite, args: readonly string[]): Promise<Counts> => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'millstream-test-'))
  const file = path.join(folder, 'result.json')
  try {
    const outcome = await runStep(step, [...step.countsInto(file), ...args])
    const result = (): string => readFileSync(file, 'utf8')
    const counts = countsOf(outcome.code, result, inCi)
    report(step, outcome, closingLine(counts))
    if (counts.failed > 0) failures.push(step.name, ...failuresOf(result))
    if (existsSync(unhandledIn(file))) failures.push(readFileSync(unhandledIn(file), 'utf8').trimEnd())
    return counts
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const usage = `arguments: any of ${Object.keys(suites).join(', ')} (default: all), then -- and arguments of vitest (or of npm run faults)`

const parse = (
  mode: string,
  args: readonly string[],
): { names: readonly SuiteName[]; rest: readonly string[] } => {
  const at = args.indexOf('--')
  const given = at < 0 ? args : args.slice(0, at)
  const unknown = given.find((name) => !Object.hasOwn(suites, name))
  if (unknown !== undefined) {
    process.stderr.write(`unknown suite "${unknown}"; ${usage}\n`)
    process.exit(2)
  }
  const all: readonly string[] = mode === 'verify' ? ['unit'] : Object.keys(suites)
  return {
    names: (given.length > 0 ? given : all) as readonly SuiteName[],
    rest: at < 0 ? [] : args.slice(at + 1),
  }
}

/** `npm run controls -- NAME...`: one suite, whose arguments are names of wrong builds; it reads them from a variable. */
const parseControls = (args: readonly string[]): ReturnType<typeof parse> => {
  const unknown = args.find((name) => !Object.hasOwn(wrongBuilds, name))
  if (unknown !== undefined) {
    process.stderr.write(`unknown wrong build "${unknown}": one of ${Object.keys(wrongBuilds).join(', ')}\n`)
    process.exit(2)
  }
  process.env['MILLSTREAM_CONTROLS'] = args.join(' ')
  return { names: ['controls'], rest: [] }
}

const [mode = 'test', ...args] = process.argv.slice(2)
const { names, rest } = mode === 'controls' ? parseControls(args) : parse(mode, args)
let total = noCounts
// A run that names its suites is somebody at work on them: the checks would only be in the way.
if (args.length === 0 && mode !== 'controls')
  for (const check of checks) total = addUp(total, await runCheck(check))
for (const name of names) total = addUp(total, await runSuite(suites[name], rest))
if (failures.length > 0) process.stdout.write(`\nfailed:\n${failures.join('\n')}\n\n`)
process.stdout.write(`${closingLine(total)}\n`)
process.exit(total.failed > 0 || total.passed === 0 ? 1 : 0)
