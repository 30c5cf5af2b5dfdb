// Runs one turn: fresh topics, a fresh contestant process with a fresh application id and state directory, and the
// judge's word on the output before its figures count.
import fs from 'node:fs'
import path from 'node:path'
import { javaCommand } from '../src/testing/kafka/jars.ts'
import { argumentsOf, type ContestantArguments } from './contestants/works.ts'
import { LineProcess } from './line-process.ts'
import { imageNodeOptions } from './node-options.ts'
import type { Contestant, Plan, Turn } from './plan.ts'
import type { LatencyFigures, Tool } from './tool.ts'

/** What all turns of a run share. */
export interface Stage {
  readonly plan: Plan
  readonly brokers: string[]
  readonly tool: Tool
  readonly classPath: string
  /** State directories and logs go here. */
  readonly directory: string
  /** All names of topics and groups of this run begin so. */
  readonly prefix: string
  readonly input: string
}

interface ThroughputFigures {
  readonly recordsPerSecond: number
  readonly cpuMicrosPerRecord: number
}

export type Figures = ThroughputFigures | LatencyFigures

/** Far above what the slowest contestant takes; a turn that reaches it fails. */
const turnTimeoutMs = 600_000
const closeGraceMs = 20_000

const commandOf = (
  contestant: Contestant,
  classPath: string,
): { command: string; args: readonly string[] } => {
  const onNode = (script: string): { command: string; args: readonly string[] } => ({
    command: process.execPath,
    args: [...imageNodeOptions, path.join(import.meta.dirname, 'contestants', script)],
  })
  switch (contestant) {
    case 'millstream':
      return onNode('millstream.ts')
    case 'kafkajs':
      return onNode('kafkajs.ts')
    case 'kafka-streams': {
      const quiet = '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn'
      return { command: javaCommand(), args: [quiet, '-cp', classPath, 'millstream.bench.Contestant'] }
    }
    default:
      return contestant satisfies never
  }
}

const start = async (
  stage: Stage,
  contestant: Contestant,
  given: ContestantArguments,
): Promise<LineProcess> => {
  const { command, args } = commandOf(contestant, stage.classPath)
  const log = path.join(stage.directory, `${given.applicationId}.log`)
  fs.mkdirSync(given.stateDir, { recursive: true })
  return LineProcess.start(contestant, command, [...args, ...argumentsOf(given)], log)
}

/** The one that must not end early is the contestant: what it logged says more than a time limit. */
const whileRunning = <T>(contestant: LineProcess, work: Promise<T>): Promise<T> =>
  Promise.race([work, contestant.unexpectedEnd])

const argumentsFor = (stage: Stage, turn: Turn, name: string, input: string): ContestantArguments => ({
  brokers: stage.brokers,
  work: turn.work,
  input,
  output: `${name}-out`,
  applicationId: `${name}-app`,
  stateDir: path.join(stage.directory, `${name}-state`),
  warmUpRecords: turn.kind === 'throughput' ? stage.plan.warmUpRecords : 0,
})

const createTopics = async (stage: Stage, turn: Turn, given: ContestantArguments): Promise<void> => {
  const { tool, plan } = stage
  await tool.create(given.output, plan.partitions)
  // The others make their changelogs by themselves.
  if (turn.contestant === 'kafkajs' && turn.work === 'count') {
    await tool.create(`${given.applicationId}-counts-changelog`, plan.partitions)
  }
}

const check = (stage: Stage, turn: Turn, given: ContestantArguments): Promise<unknown> =>
  stage.tool.check(turn.work, given.input, given.output, stage.plan.input.keys)

const throughput = async (stage: Stage, turn: Turn, given: ContestantArguments): Promise<Figures> => {
  const contestant = await start(stage, turn.contestant, given)
  try {
    await whileRunning(contestant, stage.tool.awaitGroup(given.applicationId, given.input, turnTimeoutMs))
    const answer = (await whileRunning(contestant, contestant.ask('result'))) as {
      records: number
      seconds: number
      cpuSeconds: number
    }
    await contestant.close(closeGraceMs)
    await check(stage, turn, given)
    const { records } = stage.plan.input
    return {
      recordsPerSecond: records / answer.seconds,
      cpuMicrosPerRecord: (answer.cpuSeconds * 1e6) / records,
    }
  } finally {
    await contestant.close(closeGraceMs)
  }
}

const latency = async (stage: Stage, turn: Turn, given: ContestantArguments): Promise<Figures> => {
  const { rate, seconds, discardSeconds, warmUpRecords } = stage.plan.latency
  const { bytes } = stage.plan.input
  await stage.tool.create(given.input, stage.plan.partitions)
  await stage.tool.load(given.input, { ...stage.plan.input, records: warmUpRecords })
  const contestant = await start(stage, turn.contestant, given)
  try {
    await whileRunning(contestant, stage.tool.awaitGroup(given.applicationId, given.input, turnTimeoutMs))
    return await whileRunning(
      contestant,
      stage.tool.latency(turn.work, given.input, given.output, { rate, seconds, discardSeconds, bytes }),
    )
  } finally {
    await contestant.close(closeGraceMs)
  }
}

/** @throws when a process dies, the output is wrong, or the turn takes too long. */
export const runTurn = async (stage: Stage, turn: Turn, number: number): Promise<Figures> => {
  const name = `${stage.prefix}-${number}`
  const isThroughput = turn.kind === 'throughput'
  const given = argumentsFor(stage, turn, name, isThroughput ? stage.input : `${name}-in`)
  await createTopics(stage, turn, given)
  const figures = await (isThroughput ? throughput : latency)(stage, turn, given)
  await stage.tool.delete(`${name}-`)
  fs.rmSync(given.stateDir, { recursive: true, force: true })
  return figures
}

/** Names of works as they stand in messages. */
export const describeTurn = (turn: Turn, rounds: number): string => {
  const round = turn.round === 0 ? ', rehearsal' : rounds > 1 ? `, round ${turn.round} of ${rounds}` : ''
  return `${turn.work} ${turn.kind}, ${turn.contestant}${round}`
}

export const isLatency = (figures: Figures): figures is LatencyFigures => 'p50Ms' in figures
