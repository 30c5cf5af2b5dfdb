// `npm run compare`: the same input through Kafka Streams and through millstream, operator by operator, on one broker; what
// comes out has to be equal, byte by byte.
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import process from 'node:process'
import { buildJava } from '../../bench/java-project.ts'
import { progressBar } from '../../src/cli/progress.ts'
import { ensureError } from '../../src/errors.ts'
import { startKafka } from '../../src/testing/kafka/start-kafka.ts'
import { type CommandLine, parseCommandLine, UsageError, usage } from './command-line.ts'
import { compareOperator, type Stage, writeInputs } from './compare.ts'
import { graceMs } from './input.ts'
import { Peer } from './peer.ts'
import type { Comparison } from './results.ts'

const say = (line: string): void => void process.stdout.write(`${line}\n`)
const tell = (line: string): void => void process.stderr.write(`${line}\n`)

const progress = (step: string, done: number, total: number): void => {
  const bar = progressBar('operators', done, total)
  process.stderr.write(process.stderr.isTTY ? `\r${bar}  ${step.padEnd(30)}` : `${bar}  ${step}\n`)
}

const sayDifferences = (name: string, { differing, differences }: Comparison): void => {
  if (process.stderr.isTTY) process.stderr.write('\n')
  say(`${name}: ${differing} keys differ`)
  for (const { key, ours, theirs } of differences) {
    say(`  ${key}`)
    say(`    millstream:    ${ours}`)
    say(`    Kafka Streams: ${theirs}`)
  }
}

const row = (name: string, cells: readonly (string | number)[]): string =>
  `  ${name.padEnd(30)}${cells.map((cell) => String(cell).padStart(12)).join('')}`

const tableOf = (line: CommandLine, compared: ReadonlyMap<string, Comparison>): string[] => [
  row('', ['seeds', 'records', 'results', 'equal']),
  ...[...compared].map(([name, { results, differing }]) =>
    row(name, [line.seeds, line.seeds * line.records, results, differing === 0 ? 'yes' : 'NO']),
  ),
]

const compareAll = async (stage: Stage, line: CommandLine): Promise<Map<string, Comparison>> => {
  const compared = new Map<string, Comparison>()
  progress('writing the input', 0, line.operators.length)
  await writeInputs(stage, line.operators)
  for (const name of line.operators) {
    progress(name, compared.size, line.operators.length)
    const comparison = await compareOperator(stage, name)
    compared.set(name, comparison)
    if (comparison.differing > 0) sayDifferences(name, comparison)
  }
  progress('', compared.size, line.operators.length)
  if (process.stderr.isTTY) process.stderr.write('\n')
  await stage.peer.delete(stage.prefix)
  return compared
}

/** Whether all is as it has to be: equal, or, with a grace that is wrong, different. */
const judge = (line: CommandLine, compared: ReadonlyMap<string, Comparison>): boolean => {
  const isGood = ({ differing, results }: Comparison): boolean =>
    results > 0 && (line.graceOffByOne ? differing > 0 : differing === 0)
  const bad = [...compared].filter(([, comparison]) => !isGood(comparison)).map(([name]) => name)
  const wrong = line.graceOffByOne ? 'did not notice the grace' : 'differ, or have no results'
  if (bad.length > 0) say(`FAILED: ${bad.join(', ')} ${wrong}`)
  else say(line.graceOffByOne ? 'every operator noticed the grace' : 'equal')
  return bad.length === 0
}

const main = async (line: CommandLine): Promise<boolean> => {
  const startedMs = performance.now()
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'millstream-compare-'))
  process.on('exit', () => fs.rmSync(directory, { recursive: true, force: true }))
  // Children are guarded: they end with this process, by their pids.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130))
  const classPath = await buildJava(tell)
  await using kafka = await startKafka({ forBenchmark: true, heapMb: 1024, onProgress: tell })
  tell(`broker: ${kafka.how}`)
  await using peer = await Peer.start(kafka.brokers, classPath, path.join(directory, 'kafka-streams.log'))
  const stage: Stage = {
    brokers: kafka.brokers,
    peer,
    directory,
    prefix: `compare-${Date.now().toString(36)}`,
    seeds: line.seeds,
    from: line.from,
    records: line.records,
    graceMs: line.graceOffByOne ? graceMs - 1 : graceMs,
  }
  const compared = await compareAll(stage, line)
  for (const text of tableOf(line, compared)) say(text)
  say(`${((performance.now() - startedMs) / 1000).toFixed(0)} s`)
  return judge(line, compared)
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
