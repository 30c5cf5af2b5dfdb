// The course of a simulation: workers start, input comes and faults happen; then everything is healed, and whatever is
// left has to be processed in bounded time; then the workers close.
import { armFaultPoints } from '../../base/fault-point.ts'
import type { SettingsInput } from '../../config/settings.ts'
import type { Topology } from '../../topology/contracts.ts'
import { internalTopics, sinkTopicNames, sourceTopicName } from '../../topology/internal-topics.ts'
import { misused } from '../driver/misused.ts'
import type { Fault } from './fault.ts'
import { FaultRunner, type FaultTargets } from './fault-runner.ts'
import { SimulatedProcess } from './simulated-process.ts'
import type { SimulatedWorkerOptions } from './simulated-worker.ts'
import { Simulation, type SimulationOptions } from './simulation.ts'

export interface PlannedWorker {
  readonly host: string
  readonly startsAtMs: number
}

export interface ScenarioOptions extends SimulationOptions {
  readonly applicationId: string
  /** For each life of a worker, whose name stands in the argument: `<host>.<life>`. */
  readonly topology: (writer: string) => Topology
  readonly settings: SettingsInput
  readonly partitions: number
  readonly workers: readonly PlannedWorker[]
  readonly faults: readonly Fault[]
  /** When all faults end. */
  readonly healAtMs: number
  readonly onLine?: SimulatedWorkerOptions['onLine']
  readonly onFault?: FaultTargets['onFault']
  readonly onCrash?: FaultTargets['onCrash']
  /** Whether the run is over early, since something is wrong. */
  readonly isBroken?: () => boolean
}

export interface Course {
  /** From the heal until everything was processed; infinite where it was not in time. */
  readonly drain: { readonly tookMs: number; readonly boundMs: number }
  /** Workers that did not come to an end. */
  readonly unclosed: readonly string[]
}

/** For what each fault may still cost after the heal. */
const patienceMs = 30_000
const closingMs = 40_000
const drainedForMs = 500
/** Shortest and longest wait that settings allow decide how long a recovery may take. */
const settingMs = (value: unknown): number => (typeof value === 'number' ? value : 45_000)

/** The topics that a topology reads, and all topics that it has to do with. */
const topicsOf = (
  { graph }: Topology,
  applicationId: string,
): { sources: string[]; outer: string[]; all: string[] } => {
  const nodes = graph.subtopologies.flatMap((subtopology) => subtopology.nodes)
  const sources = nodes.flatMap((node) =>
    node.kind === 'source' ? [sourceTopicName(applicationId, node)] : [],
  )
  const sinks = nodes.flatMap((node) => (node.kind === 'sink' ? sinkTopicNames(applicationId, node) : []))
  const internal = new Set(internalTopics(graph, applicationId).map(({ topic }) => topic))
  const outer = [...new Set([...sources, ...sinks])].filter((topic) => !internal.has(topic))
  return { sources, outer, all: [...outer, ...internal] }
}

/** The points of a worker's work are told of in one place of a thread. */
let isPlaying = false

export class Scenario {
  readonly simulation: Simulation
  readonly #options: ScenarioOptions
  readonly #runner: FaultRunner
  readonly #sources: readonly string[]
  #failovers = 0

  constructor(options: ScenarioOptions) {
    this.#options = options
    const { applicationId, settings } = options
    this.simulation = new Simulation(options)
    const topics = topicsOf(options.topology('-'), applicationId)
    this.#sources = topics.sources
    // Timestamps of a test may be of any year: a record is not to be too old for its topic.
    const kept = { 'retention.ms': '-1' }
    for (const topic of topics.outer) this.simulation.logs.createTopic(topic, options.partitions, kept)
    this.#runner = new FaultRunner(this.simulation, {
      applicationId,
      topics: topics.all,
      onCrash: options.onCrash,
      onFault: (fault) => {
        const { kind } = fault
        const isLong = 'forMs' in fault && fault.forMs > settingMs(settings.sessionTimeoutMs)
        if (
          kind === 'kill' ||
          kind === 'restart' ||
          kind === 'put out' ||
          (isLong && (kind === 'pause' || kind === 'silence'))
        )
          this.#failovers++
        options.onFault?.(fault)
      },
    })
  }

  /** Faults that took place. */
  get faults(): number {
    return this.#runner.happened
  }

  /** How often a worker was killed, closed, or thought dead. */
  get failovers(): number {
    return this.#failovers
  }

  /** @param onHealed called when nothing is wrong any more, before what is left is waited for */
  async play(onHealed: () => void = () => {}): Promise<Course> {
    const { time } = this.simulation
    const { healAtMs, settings } = this.#options
    if (isPlaying) throw misused('one simulation runs at a time; await the one before')
    isPlaying = true
    armFaultPoints((point) => {
      const { current } = time
      if (current instanceof SimulatedProcess) this.#runner.reached(current, point)
    })
    try {
      this.#startWorkers()
      this.#runner.plan(this.#options.faults)
      await this.#until(healAtMs, () => false)
      this.#runner.heal()
      onHealed()
      const boundMs =
        Math.max(settingMs(settings.transactionTimeoutMs), settingMs(settings.sessionTimeoutMs)) + patienceMs
      const tookMs = (await this.#drained(healAtMs + boundMs)) - healAtMs
      return { drain: { tookMs, boundMs }, unclosed: await this.#closeWorkers() }
    } finally {
      armFaultPoints(undefined)
      isPlaying = false
    }
  }

  async close(): Promise<void> {
    await this.simulation.close()
  }

  /** Positions of the group by `<topic>/<partition>`. */
  committed(): Map<string, number> {
    const committed = new Map<string, number>()
    const { offsets } = this.simulation.kafka.state.groups
    for (const [topic, partitions] of offsets.topics(this.#options.applicationId))
      for (const [partition, { offset }] of partitions) committed.set(`${topic}/${partition}`, offset)
    return committed
  }

  #startWorkers(): void {
    const { topology, settings, workers, onLine, applicationId } = this.#options
    for (const { host, startsAtMs } of workers) {
      const worker = this.simulation.addWorker({
        host,
        topology,
        settings: { ...settings, applicationId, instanceId: host },
        onLine,
      })
      this.simulation.time.schedule(startsAtMs, undefined, () => worker.start())
    }
  }

  /**
   * Runs until everything is processed and each worker knows it: a commit whose answer is lost is looked up only after a
   * while, and a join that was sent before the heal may fence the worker that sent it. @returns since when; infinite where it is not so by `atMs`
   */
  async #drained(atMs: number): Promise<number> {
    const { time, net } = this.simulation
    for (;;) {
      await this.#until(atMs, () => this.#isDrained())
      if (!this.#isDrained()) return Number.POSITIVE_INFINITY
      const sinceMs = time.nowMs
      await this.#until(sinceMs + drainedForMs, () => net.awaitsEnd || !this.#areRunning())
      if (!net.awaitsEnd && this.#areRunning()) return sinceMs
    }
  }

  /** Runs until that time, or until then. */
  async #until(atMs: number, done: () => boolean): Promise<void> {
    const { time } = this.simulation
    const { isBroken = () => false } = this.#options
    let asked = 0
    await time.run(() => isBroken() || time.nowMs >= atMs || (++asked % 16 === 0 && done()))
  }

  #areRunning(): boolean {
    return this.simulation.workers.every(({ state, isUp }) => isUp && state === 'running')
  }

  #isDrained(): boolean {
    const { logs, workers, kafka, net } = this.simulation
    if (net.awaitsEnd) return false
    if (!this.#areRunning()) return false
    const committed = this.committed()
    for (const topic of this.#sources) {
      const partitions = logs.logs(topic)
      if (partitions.length === 0) return false
      for (const [partition, { endOffset, lastStableOffset }] of partitions.entries()) {
        if (committed.get(`${topic}/${partition}`) !== endOffset || lastStableOffset !== endOffset)
          return false
      }
    }
    return workers.every(({ transactionalId }) =>
      /^(Empty|Complete|Dead)|^$/.test(kafka.state.transactions.describe(transactionalId)?.state ?? ''),
    )
  }

  /** @returns those that did not end */
  async #closeWorkers(): Promise<string[]> {
    const { time, workers } = this.simulation
    for (const worker of workers) {
      worker.finish()
      worker.close(true)
    }
    await this.#until(time.nowMs + closingMs, () => workers.every(({ isUp }) => !isUp))
    return workers.filter(({ isUp }) => isUp).map(({ host }) => host)
  }
}
