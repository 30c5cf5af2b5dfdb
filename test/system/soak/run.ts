// `npm run soak`: workers under steady input and random kill -9 for as long as one likes, judged while it runs.
import fs from 'node:fs'
import process from 'node:process'
import { parseArgs } from 'node:util'
import { progressBar } from '../../../src/cli/progress.ts'
import { createScreen, type Screen } from '../../../src/cli/screen.ts'
import { listenForStop } from '../../../src/cli/stop-signals.ts'
import { ensureError } from '../../../src/errors.ts'
import { startKafka } from '../../../src/testing/kafka/start-kafka.ts'
import { startJudge } from '../../support/judge.ts'
import { runSeed } from '../../support/random.ts'
import { Soak, SoakFailed, type SoakPlan, type SoakProgress } from './soak.ts'
import { type Verdict, verdictsOf } from './verdicts.ts'

const usage = `npm run soak -- [options]

--for TIME         how long input is fed and workers are killed: 90s, 10m, 2h; default 10m
--workers N        workers that are killed; one more lives through; default 4
--kill-every TIME  from one kill -9 to the next, on average; default 3s
--rate N           committed input records a second, 1/7 more is aborted; default 20000
--seed N           of the plan and the records, not of the timing; default: another one each time
--help             this text`

class UsageError extends Error {}

const unitsMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

const timeOption = (name: string, text: string): number => {
  const [, count, unit = ''] = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text) ?? []
  const ms = Number(count) * (unitsMs[unit] ?? Number.NaN)
  if (!(ms > 0)) throw new UsageError(`--${name} is a time like 90s, 10m or 2h, not "${text}"`)
  return ms
}

const numberOption = (name: string, text: string, least: number): number => {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < least)
    throw new UsageError(`--${name} is a whole number from ${least} on, not "${text}"`)
  return value
}

const readWords = (args: string[]) =>
  parseArgs({
    args,
    options: {
      for: { type: 'string', default: '10m' },
      workers: { type: 'string', default: '4' },
      'kill-every': { type: 'string', default: '3s' },
      rate: { type: 'string', default: '20000' },
      seed: { type: 'string', default: String(runSeed()) },
      help: { type: 'boolean' },
    },
  }).values

const parse = (args: string[]): SoakPlan | 'help' => {
  let words: ReturnType<typeof readWords>
  try {
    words = readWords(args)
  } catch (error) {
    throw new UsageError(ensureError(error).message)
  }
  if (words.help === true) return 'help'
  return {
    forMs: timeOption('for', words.for),
    workers: numberOption('workers', words.workers, 1),
    killEveryMs: timeOption('kill-every', words['kill-every']),
    rate: numberOption('rate', words.rate, 1),
    seed: numberOption('seed', words.seed, 0),
  }
}

const lineEveryMs = 10_000

const lineOf = ({ atMs, fed, checked, kills, open, memoryBytes, handles }: SoakProgress): string =>
  [
    `${Math.round(atMs / 1000)} s: ${fed} fed`,
    `${checked} checked`,
    `${kills} kills, ${open} inside a transaction`,
    `the survivor has ${(memoryBytes / 1e6).toFixed(0)} MB, ${handles} handles`,
  ].join('; ')

const showing = (screen: Screen, { forMs }: SoakPlan): ((progress: SoakProgress) => void) => {
  let shownMs = 0
  return (progress) => {
    const seconds = Math.floor(progress.atMs / 1000)
    if (screen.drawn) screen.draw([progressBar('soak', seconds, Math.round(forMs / 1000)), lineOf(progress)])
    else if (progress.atMs - shownMs >= lineEveryMs) {
      shownMs = progress.atMs
      process.stdout.write(`${lineOf(progress)}\n`)
    }
  }
}

const shown = ({ what, isGood, text }: Verdict): string =>
  `${isGood === undefined ? 'not judged' : isGood ? 'passed' : 'FAILED'}  ${what}: ${text}\n`

/** Cleaned up often, so that what is deleted is gone; a transaction of somebody who does not come back ends soon. */
const brokerSettings = {
  'log.retention.check.interval.ms': '30000',
  'log.segment.delete.delay.ms': '1000',
  'transaction.abort.timed.out.transaction.cleanup.interval.ms': '500',
}

const main = async (plan: SoakPlan): Promise<boolean> => {
  const screen = createScreen()
  const print = (text: string): void => void (screen.drawn ? screen.print(text) : process.stdout.write(text))
  const say = (line: string): void => print(`${line}\n`)
  const stop = listenForStop((name) => say(`${name}: the input ends now, and what was done is judged`))
  await using resources = new AsyncDisposableStack()
  const kafka = resources.use(
    await startKafka({ backend: 'jvm', forBenchmark: true, heapMb: 768, brokerSettings, onProgress: say }),
  )
  const judge = resources.use(await startJudge(kafka.brokers, say))
  const soak = resources.use(new Soak(plan, kafka, judge))
  const { forMs, workers, rate, killEveryMs, seed } = plan
  say(
    `${workers} workers that are killed and one that is not, ${rate} records a second, a kill every ${killEveryMs} ms, for ${forMs / 1000} s, seed ${seed}`,
  )
  const evidence = await soak.run(stop.signal, showing(screen, plan)).catch((error: unknown) => {
    say(`logs and disks are kept in ${soak.directory}`)
    throw error
  })
  const verdicts = verdictsOf(evidence)
  screen.close()
  for (const verdict of verdicts) print(shown(verdict))
  const passed = verdicts.filter(({ isGood }) => isGood === true).length
  const failed = verdicts.filter(({ isGood }) => isGood === false).length
  await resources.disposeAsync()
  stop.release()
  if (failed === 0) fs.rmSync(soak.directory, { recursive: true, force: true, maxRetries: 5 })
  else say(`logs and disks are kept in ${soak.directory}; the plan again: --seed ${seed}`)
  process.stdout.write(`${passed} passed, ${failed} failed\n`)
  return failed === 0 && passed > 0
}

try {
  const plan = parse(process.argv.slice(2))
  if (plan === 'help') process.stdout.write(`${usage}\n`)
  else process.exitCode = (await main(plan)) ? 0 : 1
} catch (error) {
  const isUsage = error instanceof UsageError
  const text = isUsage
    ? `${error.message}\n\n${usage}`
    : error instanceof SoakFailed
      ? error.message
      : ensureError(error).stack
  process.stderr.write(`${text}\n`)
  if (!isUsage) process.stdout.write('0 passed, 1 failed\n')
  process.exitCode = isUsage ? 2 : 1
}
