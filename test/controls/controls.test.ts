// Negative controls: each deliberately wrong build (src/base/wrong-builds.ts) runs a scenario that its fault breaks, and
// the checker has to name the violated invariant; the unchanged build runs the same scenario with the same seed, and
// nothing may be wrong. MILLSTREAM_CONTROLS chooses some of them by name.
import process from 'node:process'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { setWrongBuild, type WrongBuild, wrongBuilds } from '../../src/base/wrong-builds.ts'
import { type Judge, startJudge } from '../support/judge.ts'
import { kafkaBrokers } from '../support/kafka.ts'
import { runSeed } from '../support/random.ts'
import * as aborts from './aborts.ts'
import type { Violation } from './checker.ts'
import { expected, invariants } from './expected.ts'
import * as restores from './restores.ts'
import { Stage, type StageOptions } from './stage.ts'
import * as takeOvers from './take-overs.ts'

interface Scenario {
  readonly run: (stage: Stage) => Promise<void>
  readonly kind?: 'ticking'
  readonly partitions?: number
}

const scenarios: Readonly<Record<WrongBuild, Scenario>> = {
  'restore-to-last-stable-offset': { run: restores.openTransactionInChangelog },
  'no-generation': { run: takeOvers.unknowingZombie },
  'abort-on-unknown-outcome': { run: aborts.unknownOutcome },
  'sequence-rolled-back': { run: aborts.failedProduce },
  'no-rewind-after-abort': { run: aborts.abortOnce },
  'rewind-first-task-only': { run: aborts.abortOfSeveralTasks, partitions: 3 },
  'overlay-kept-on-revoke': { run: takeOvers.putOutInTransaction },
  'local-flush-before-commit': { run: aborts.abortAndClose },
  'prefetch-kept-after-seek': { run: aborts.abortWithPrefetch },
  'offsets-without-require-stable': { run: takeOvers.pendingCommit },
  'timer-without-offsets': { run: takeOvers.unknowingTimer, kind: 'ticking' },
  'cache-kept-over-reload': { run: restores.outForAWhile },
  'standby-with-stale-cache': { run: restores.backToStandby, partitions: 2 },
  'changelog-record-skipped': { run: restores.emptyDisk },
  'old-transaction-after-rejoin': { run: takeOvers.lateProduce },
  'offsets-before-last-produce': { run: takeOvers.lateProduceAndSuccessor },
  'first-aborted-range-only': { run: aborts.abortedInput },
  'restore-by-last-record': { run: restores.emptyDisk },
}

const names = Object.keys(wrongBuilds) as WrongBuild[]
const asked = (process.env['MILLSTREAM_CONTROLS'] ?? '').split(/[\s,]+/).filter((name) => name !== '')
const chosen = asked.length === 0 ? names : names.filter((name) => asked.includes(name))
const seed = runSeed()
const rows: string[] = []
let judge: Judge

beforeAll(async () => {
  judge = await startJudge(kafkaBrokers())
})

afterEach(() => setWrongBuild(undefined))

afterAll(async () => {
  await judge?.stop()
  const head = `${'wrong build'.padEnd(34)}${'unchanged'.padEnd(14)}${'wrong build'.padEnd(14)}seconds`
  console.log(`\nnegative controls, MILLSTREAM_SEED=${seed}\n${[head, ...rows].join('\n')}`)
})

interface Played {
  readonly violations: readonly Violation[]
  readonly diverged: number
  readonly log: string
}

const play = async (name: WrongBuild, settings: Omit<StageOptions, 'kind'> = {}): Promise<Played> => {
  const { run, ...options } = scenarios[name]
  const stage = await Stage.open(judge, seed, { ...options, ...settings })
  try {
    await run(stage)
    return { violations: await stage.violations(), diverged: stage.diverged(), log: stage.log() }
  } finally {
    await stage.dispose()
  }
}

const invariantsOf = (violations: readonly Violation[]): string[] =>
  [...new Set(violations.map(({ invariant }) => invariant))].sort(
    (a, b) => Number(a.slice(1)) - Number(b.slice(1)),
  )

const textOf = (violations: readonly Violation[]): string =>
  violations
    .slice(0, 6)
    .map(({ invariant, evidence }) => `    ${invariant} ${invariants[invariant]}: ${evidence}`)
    .join('\n')

it.each(chosen)('%s is noticed', async (name) => {
  const startedMs = performance.now()
  const unchanged = await play(name)
  setWrongBuild(name)
  const wrongly = await play(name)
  setWrongBuild(undefined)
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
  const violated = invariantsOf(wrongly.violations)
  const verdicts = [
    unchanged.violations.length === 0 ? 'passes' : `VIOLATES ${invariantsOf(unchanged.violations).join(' ')}`,
    violated.length === 0 ? 'NOT NOTICED' : violated.join(' '),
  ]
  rows.push(`${name.padEnd(34)}${verdicts.map((text) => text.padEnd(14)).join('')}${seconds}`)
  console.log(`${name}: ${wrongBuilds[name]}\n${textOf(wrongly.violations)}`)
  if (unchanged.violations.length > 0) console.log(`the unchanged build\n${unchanged.log}`)
  if (!violated.includes(expected[name].invariant)) console.log(`the wrong build\n${wrongly.log}`)
  expect(textOf(unchanged.violations), `the unchanged build, MILLSTREAM_SEED=${seed}`).toBe('')
  expect(violated, `what the wrong build violates, MILLSTREAM_SEED=${seed}`).toContain(
    expected[name].invariant,
  )
})

const byDigest = chosen.filter((name) => expected[name].byDigest === true)

if (byDigest.length > 0)
  it.each(byDigest)('%s is noticed by the worker itself, by its digest', async (name) => {
    const startedMs = performance.now()
    const settings = { settings: { stateDigest: 'on' } } as const
    const unchanged = await play(name, settings)
    setWrongBuild(name)
    const wrongly = await play(name, settings)
    setWrongBuild(undefined)
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
    const verdicts = [
      unchanged.violations.length === 0 && unchanged.diverged === 0 ? 'passes' : 'DOES NOT PASS',
      wrongly.diverged > 0 ? 'digest' : 'NOT NOTICED',
    ]
    rows.push(`${name.padEnd(34)}${verdicts.map((text) => text.padEnd(14)).join('')}${seconds}`)
    expect(textOf(unchanged.violations), `the unchanged build, MILLSTREAM_SEED=${seed}`).toBe('')
    expect(unchanged.diverged).toBe(0)
    expect(wrongly.violations.map(({ evidence }) => evidence).join()).toContain('STORE_DIVERGED')
  })
