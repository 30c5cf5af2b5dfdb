// Runs one operator after the other on both sides, on the same input, and compares what came out.
import { once } from 'node:events'
import fs from 'node:fs'
import path from 'node:path'
import { createWorker } from '../../src/index.ts'
import { type Layout, linesOf } from './input.ts'
import { type Operator, operators, topologyOf } from './operators.ts'
import type { Peer } from './peer.ts'
import { type Comparison, compareResults, readResults } from './results.ts'

export interface Stage {
  readonly brokers: string[]
  readonly peer: Peer
  /** State directories and files of records go here. */
  readonly directory: string
  /** All names of topics and groups of this run begin so. */
  readonly prefix: string
  readonly seeds: number
  readonly from: number
  readonly records: number
  /** Of our windows. */
  readonly graceMs: number
}

/** Far above what either side takes. */
const timeoutMs = 900_000

const inputTopic = (stage: Stage, layout: Layout): string => `${stage.prefix}-${layout}`

/** Writes the inputs that these operators read: a partition for each seed, or as Kafka's partitioner has it by the key. */
export const writeInputs = async (stage: Stage, names: readonly string[]): Promise<void> => {
  const layoutsOf = ({ input, rows = input }: Operator): Layout[] => [input, rows]
  for (const layout of new Set(names.flatMap((name) => layoutsOf(operators[name] as Operator)))) {
    const file = path.join(stage.directory, layout)
    const stream = fs.createWriteStream(file)
    for (let index = 0; index < stage.seeds; index++)
      for (const line of linesOf(stage.from + index, stage.records, layout, index))
        if (!stream.write(line)) await once(stream, 'drain')
    stream.end()
    await once(stream, 'close')
    await stage.peer.create(inputTopic(stage, layout), stage.seeds)
    await stage.peer.load(inputTopic(stage, layout), file)
    fs.rmSync(file)
  }
}

interface Run {
  readonly application: string
  readonly input: string
  readonly rows: string
  readonly output: string
  readonly stateDir: string
}

/** Runs the operator in both at once, each until it is through the input. */
const runBoth = async (stage: Stage, name: string, ours: Run, theirs: Run): Promise<void> => {
  const { peer, brokers } = stage
  const worker = createWorker(
    topologyOf(operators[name] as Operator, ours.application, ours, stage.graceMs),
    { brokers, applicationId: ours.application, stateDir: ours.stateDir, commitIntervalMs: 500 },
  )
  const failed = worker.finished.then(() => new Promise<never>(() => undefined))
  // Whoever waits races against it; nobody may be waiting at the time.
  failed.catch(() => undefined)
  await peer.startOperator({ operator: name, ...theirs })
  try {
    await Promise.race([worker.start(), failed])
    await Promise.race([peer.awaitGroup(ours.application, ours.input, timeoutMs), failed])
    await peer.awaitGroup(theirs.application, theirs.input, timeoutMs)
  } finally {
    await worker.close()
  }
  await peer.stopOperator()
}

/** @throws where one of the two does not get through the input. */
export const compareOperator = async (stage: Stage, name: string): Promise<Comparison> => {
  const operator = operators[name] as Operator
  const runOf = (side: string): Run => ({
    application: `${stage.prefix}-${name}-${side}`,
    input: inputTopic(stage, operator.input),
    rows: inputTopic(stage, operator.rows ?? operator.input),
    output: `${stage.prefix}-${name}-out-${side}`,
    stateDir: path.join(stage.directory, `${name}-${side}`),
  })
  const [ours, theirs] = [runOf('ours'), runOf('theirs')]
  for (const { output, stateDir } of [ours, theirs]) {
    await stage.peer.create(output, stage.seeds)
    fs.mkdirSync(stateDir, { recursive: true })
  }
  await runBoth(stage, name, ours, theirs)
  const resultsOf = async ({ output, stateDir }: Run) => {
    const file = path.join(stateDir, 'results')
    await stage.peer.read(output, file)
    return readResults(file, operator.compared)
  }
  const comparison = compareResults(await resultsOf(ours), await resultsOf(theirs))
  await stage.peer.delete(`${stage.prefix}-${name}-`)
  for (const { stateDir } of [ours, theirs]) fs.rmSync(stateDir, { recursive: true, force: true })
  return comparison
}
