// `npm run bench`: measures millstream against Kafka Streams and the kafkajs loop, in turns, within one run on one broker.
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { ensureError } from '../src/errors.ts'
import { startKafka } from '../src/testing/kafka/start-kafka.ts'
import { quickWorks, type Work, works } from './contestants/works.ts'
import { buildJava } from './java-project.ts'
import { imageNodeOptions } from './node-options.ts'
import { type Peer, type Plan, peers, planOf, type Turn, turnsOf } from './plan.ts'
import { type Report, type Result, reportOf, tableOf } from './report.ts'
import { Tool } from './tool.ts'
import { describeTurn, type Figures, isLatency, runTurn, type Stage } from './turns.ts'

const usage = `npm run bench -- [WORK...] [options]

WORK                    ${works.join(', ')}; default: all, of a quick run ${quickWorks.join(', ')}
--quick                 fewer records and rounds; ends within 5 minutes by default
--json FILE             write the ratios (and the figures behind them) there
--against PEER          ${peers.join(', ')}; may be given twice; default: all
--records N             records of a throughput turn
--warm-up N             records before its clock starts
--rounds N              turns of each contestant
--latency-seconds N     how long latency is measured
--help                  this text`

/** Else the files of a turn are removed a minute after its topics, while another turn is being measured. */
const brokerSettings = { 'log.segment.delete.delay.ms': '500' }

class UsageError extends Error {}

/** Between two turns: what the last one left to do (flushes, deletions) is not to fall into the next one. */
const pauseMs = 1000

const oneOf = <T extends string>(known: readonly T[], what: string, given: string): T => {
  const found = known.find((one) => one === given)
  if (found === undefined) throw new UsageError(`${what} is one of ${known.join(', ')}, not "${given}"`)
  return found
}

const numberOption = (name: string, text: string | undefined, lowest: number): number | undefined => {
  if (text === undefined) return undefined
  const value = Number(text)
  if (Number.isSafeInteger(value) && value >= lowest) return value
  throw new UsageError(`--${name} is a whole number of at least ${lowest}, not "${text}"`)
}

interface CommandLine {
  readonly plan: Plan
  readonly json: string | undefined
}

const parse = (args: string[]): ReturnType<typeof parseWords> => {
  try {
    return parseWords(args)
  } catch (error) {
    throw new UsageError(ensureError(error).message)
  }
}

const parseWords = (args: string[]) =>
  parseArgs({
    args,
    allowPositionals: true,
    options: {
      quick: { type: 'boolean', default: false },
      json: { type: 'string' },
      against: { type: 'string', multiple: true },
      records: { type: 'string' },
      'warm-up': { type: 'string' },
      rounds: { type: 'string' },
      'latency-seconds': { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  })

const readCommandLine = (args: string[]): CommandLine | 'help' => {
  const { values, positionals } = parse(args)
  if (values.help) return 'help'
  const chosen: Work[] = positionals.map((word) => oneOf(works, 'WORK', word))
  const against: Peer[] = (values.against ?? []).map((word) => oneOf(peers, '--against', word))
  const plan = planOf({
    works: chosen.length > 0 ? [...new Set(chosen)] : values.quick ? quickWorks : works,
    against: against.length === 0 ? peers : [...new Set(against)],
    quick: values.quick,
    records: numberOption('records', values.records, 1),
    warmUpRecords: numberOption('warm-up', values['warm-up'], 0),
    rounds: numberOption('rounds', values.rounds, 1),
    latencySeconds: numberOption('latency-seconds', values['latency-seconds'], 1),
  })
  return { plan, json: values.json === undefined ? undefined : path.resolve(values.json) }
}

const elapsedSeconds = (): number => process.uptime()

const say = (text: string): void => {
  process.stderr.write(`[${elapsedSeconds().toFixed(0).padStart(4)} s] ${text}\n`)
}

const figuresText = (figures: Figures): string =>
  isLatency(figures)
    ? `p50 ${figures.p50Ms.toFixed(1)} ms, p99 ${figures.p99Ms.toFixed(1)} ms, max ${figures.maxMs.toFixed(1)} ms (sender late by ${figures.senderLateMs.toFixed(1)} ms at most)`
    : `${Math.round(figures.recordsPerSecond).toLocaleString('en-US')} rec/s, ${figures.cpuMicrosPerRecord.toFixed(2)} us CPU per record`

const wouldOverrun = (plan: Plan, turn: Turn, lastSeconds: ReadonlyMap<string, number>): boolean => {
  if (!turn.optional || plan.budgetSeconds === undefined) return false
  const estimate = lastSeconds.get(`${turn.kind} ${turn.work} ${turn.contestant}`) ?? 0
  return elapsedSeconds() + estimate > plan.budgetSeconds
}

const runTurns = async (stage: Stage): Promise<Result[]> => {
  const { plan } = stage
  const turns = turnsOf(plan)
  const results: Result[] = []
  const lastSeconds = new Map<string, number>()
  for (const [index, turn] of turns.entries()) {
    const what = `${index + 1}/${turns.length} ${describeTurn(turn, plan.rounds)}`
    if (wouldOverrun(plan, turn, lastSeconds)) {
      say(`${what}: left out, the time is short`)
      continue
    }
    await sleep(pauseMs)
    say(what)
    const start = elapsedSeconds()
    try {
      const figures = await runTurn(stage, turn, index + 1)
      if (turn.round > 0) results.push({ turn, figures })
      say(`  ${figuresText(figures)}`)
    } catch (cause) {
      throw new Error(`${what}: ${ensureError(cause).message}`, { cause })
    }
    lastSeconds.set(`${turn.kind} ${turn.work} ${turn.contestant}`, elapsedSeconds() - start)
  }
  return results
}

const prepareInput = async (tool: Tool, plan: Plan, topic: string): Promise<void> => {
  const records = plan.input.records + plan.warmUpRecords
  say(`writing ${records.toLocaleString('en-US')} records to the input topic`)
  await tool.create(topic, plan.partitions)
  await tool.load(topic, { ...plan.input, records })
  await tool.scan(topic, plan.input.keys)
}

const measure = async (plan: Plan, directory: string): Promise<Report> => {
  const progress = (text: string): void => say(`  ${text}`)
  const classPath = await buildJava(progress)
  await using kafka = await startKafka({
    forBenchmark: true,
    heapMb: 1024,
    brokerSettings,
    onProgress: progress,
  })
  say(`broker: ${kafka.how}`)
  const tool = await Tool.start(kafka.brokers, classPath, path.join(directory, 'tool.log'), progress)
  const prefix = `bench-${Date.now().toString(36)}`
  const stage: Stage = {
    plan,
    brokers: kafka.brokers,
    tool,
    classPath,
    directory,
    prefix,
    input: `${prefix}-input`,
  }
  try {
    await prepareInput(tool, plan, stage.input)
    const report = reportOf(plan, await runTurns(stage))
    await tool.delete(prefix)
    return report
  } finally {
    await tool.close()
  }
}

const main = async (): Promise<void> => {
  const commandLine = readCommandLine(process.argv.slice(2))
  if (commandLine === 'help') {
    console.log(usage)
    return
  }
  const { plan, json } = commandLine
  // Before the work, not after it: a file that cannot be written is to be known now.
  if (json !== undefined) fs.closeSync(fs.openSync(json, 'a'))
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'millstream-bench-'))
  process.on('exit', () => fs.rmSync(directory, { recursive: true, force: true }))
  // Children are guarded: they end with this process, by their pids.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130))
  const cpus = os.cpus()
  const processors = `${cpus.length} x ${cpus[0]?.model ?? 'unknown processor'}`
  say(`Node ${process.versions.node} ${imageNodeOptions.join(' ')}, ${processors}`)
  const report = await measure(plan, directory)
  say('every output was read back and is right\n')
  console.log(tableOf(plan, report))
  if (json !== undefined) {
    fs.writeFileSync(json, `${JSON.stringify(report, null, 2)}\n`)
    console.log(`\nwritten to ${json}`)
  }
}

try {
  await main()
} catch (error) {
  const isUsage = error instanceof UsageError
  console.error(isUsage ? `${error.message}\n\n${usage}` : ensureError(error).message)
  process.exitCode = isUsage ? 2 : 1
}
