// `simulate`: a user's topology on several workers and an embedded broker, in one thread, in virtual time, under faults
// that a seed decides. A run that fails can be repeated by its seed, and is told with as few faults as it takes.
import type { SettingsInput } from '../../config/settings.ts'
import { ensureError, MillstreamError } from '../../errors.ts'
import type { Serde } from '../../serde/serde.ts'
import type { Topology } from '../../topology/contracts.ts'
import { prepareAlone } from '../../topology/remote-serdes.ts'
import { misused } from '../driver/misused.ts'
import type {
  SimulatedFeed,
  SimulatedLife,
  SimulatedSendOptions,
  SimulateOptions,
  SimulationSummary,
} from './contracts.ts'
import { describeFault, type Fault } from './fault.ts'
import { planFaults } from './fault-plan.ts'
import type { NewRecord } from './log-access.ts'
import { Scenario } from './scenario.ts'
import { SeededRandom } from './seeded-random.ts'
import { shrinkList } from './shrink-list.ts'
import { epochMs } from './simulated-process.ts'
import type { VirtualTime } from './virtual-time.ts'
import { worldOf } from './world-view.ts'

const seedsByDefault = 50
const workersByDefault = 2
const partitionsByDefault = 2
/** Input comes and faults happen within this time. */
const safetyMs = 12_000
const faultsLeast = 3
const faultsMost = 12
/** A failure is run again so often at most, with fewer faults. */
const triesMax = 60
/** Records that are appended together, at most. */
const chunkMax = 12

/** Short times: a fault costs as little as it can. */
const shortSettings: SettingsInput = {
  sessionTimeoutMs: 6000,
  heartbeatIntervalMs: 1000,
  rebalanceTimeoutMs: 3000,
  transactionTimeoutMs: 4000,
  requestTimeoutMs: 2000,
  connectionTimeoutMs: 1000,
  commitIntervalMs: 50,
  fetchWaitMs: 200,
  purgeIntervalMs: 2000,
}

interface Sent extends NewRecord {
  readonly topic: string
}

interface RunResult {
  readonly records: number
  readonly faults: number
  readonly failovers: number
  readonly virtualMs: number
  readonly failure: Error | undefined
}

const encode = <T>(serde: Serde<never, T>, value: T): Uint8Array | null =>
  serde.encodesNull?.(value) === true ? null : Buffer.from(serde.encode(value))

/** Has the user make the input, with times that the seed decides. */
const inputOf = (options: SimulateOptions, seed: number): { atMs: number; records: Sent[] }[] => {
  const random = new SeededRandom(seed).stream('input')
  const times = new SeededRandom(seed).stream('times')
  const sent: Omit<Sent, 'timestamp'>[] = []
  const timestamps: (number | undefined)[] = []
  const feed: SimulatedFeed = {
    seed,
    random: () => random.next(),
    send: (topic, key, value, { timestamp, ...more }: SimulatedSendOptions = {}) => {
      const keyBytes = encode(topic.key as Serde<never, unknown>, key)
      sent.push({
        ...more,
        topic: topic.name,
        key: keyBytes,
        value: encode(topic.value as Serde<never, unknown>, value),
      })
      timestamps.push(timestamp)
    },
  }
  options.input(feed)
  const chunks: Omit<Sent, 'timestamp'>[][] = []
  for (let at = 0; at < sent.length; ) {
    const size = 1 + times.below(chunkMax)
    chunks.push(sent.slice(at, at + size))
    at += size
  }
  const atTimes = chunks.map(() => Math.floor(times.between(0, safetyMs))).sort((one, other) => one - other)
  let number = 0
  return chunks.map((chunk, index) => {
    const atMs = atTimes[index] as number
    return {
      atMs,
      records: chunk.map((one) => ({ ...one, timestamp: timestamps[number++] ?? epochMs + atMs })),
    }
  })
}

const hostsOf = ({ workers = workersByDefault }: SimulateOptions): string[] =>
  Array.from({ length: workers }, (_, index) => `w${index + 1}`)

const clusterOf = (seed: number): { nodes: number; transactionVersion: 1 | 2; latencyMs: number } => {
  const random = new SeededRandom(seed).stream('cluster')
  return {
    nodes: random.pick([1, 2, 3]),
    transactionVersion: random.chance(0.8) ? 2 : 1,
    latencyMs: random.pick([0.5, 2]),
  }
}

const faultsOf = (options: SimulateOptions, seed: number): Fault[] =>
  options.faults?.length === 0
    ? []
    : planFaults({
        random: new SeededRandom(seed).stream('faults'),
        hosts: hostsOf(options),
        nodes: clusterOf(seed).nodes,
        untilMs: safetyMs,
        count: [faultsLeast, faultsMost],
        kinds: options.faults,
      })

/** That of nobody: it is looked at and never runs. */
const noLife: SimulatedLife = { sleep: () => Promise.resolve(), random: () => 0 }

const topologyOf = ({ topology }: SimulateOptions, life: SimulatedLife = noLife): Topology =>
  typeof topology === 'function' ? topology(life) : topology

const lifeOf = (timeOf: () => VirtualTime, random: SeededRandom): SimulatedLife => ({
  sleep: (ms) =>
    new Promise((resolve) => {
      const time = timeOf()
      time.schedule(ms, time.current, resolve)
    }),
  random: () => random.next(),
})

const failed = (what: string, cause?: Error): MillstreamError =>
  new MillstreamError('SIMULATION_FAILED', { what, cause })

/** One run. What the invariants throw is its failure. */
const runOnce = async (
  options: SimulateOptions,
  seed: number,
  faults: readonly Fault[],
): Promise<RunResult> => {
  const applicationId = options.settings?.applicationId ?? topologyOf(options).name
  prepareAlone(topologyOf(options).graph, applicationId)
  let stopped: Error | undefined
  const scenario = new Scenario({
    ...clusterOf(seed),
    seed,
    applicationId,
    topology: (writer) =>
      topologyOf(
        options,
        lifeOf(() => scenario.simulation.time, new SeededRandom(seed).stream(`life ${writer}`)),
      ),
    settings: { ...shortSettings, ...options.settings },
    partitions: options.partitions ?? partitionsByDefault,
    workers: hostsOf(options).map((host, index) => ({ host, startsAtMs: 10 * index })),
    faults,
    healAtMs: safetyMs,
    isBroken: () => {
      stopped ??= scenario.simulation.workers.flatMap(({ failures }) => failures)[0]
      return stopped !== undefined
    },
  })
  const { time, logs } = scenario.simulation
  let records = 0
  try {
    for (const chunk of inputOf(options, seed)) {
      records += chunk.records.length
      const stranger = chunk.records.find(({ topic }) => logs.logs(topic).length === 0)
      if (stranger !== undefined) throw misused('the topology has no such topic', { topic: stranger.topic })
      time.schedule(chunk.atMs, undefined, () => {
        for (const { topic, ...record } of chunk.records) logs.append(topic, [record])
      })
    }
    const { drain, unclosed } = await scenario.play()
    const inTime = drain.tookMs <= drain.boundMs
    const failure =
      stopped ??
      (inTime
        ? undefined
        : failed(`not all input was processed within ${drain.boundMs / 1000} s after the last fault`)) ??
      (unclosed.length === 0 ? undefined : failed(`workers did not close: ${unclosed.join(', ')}`)) ??
      (await violationOf(options, scenario, seed, applicationId))
    return { records, faults: scenario.faults, failovers: scenario.failovers, virtualMs: time.nowMs, failure }
  } finally {
    await scenario.close()
  }
}

const violationOf = async (
  options: SimulateOptions,
  { simulation }: Scenario,
  seed: number,
  applicationId: string,
): Promise<Error | undefined> => {
  try {
    await options.invariants(worldOf(simulation, seed, applicationId, topologyOf(options)))
    return undefined
  } catch (error) {
    return ensureError(error)
  }
}

/** The failure of a seed, with as few faults as it takes. */
const explain = async (
  options: SimulateOptions,
  seed: number,
  faults: readonly Fault[],
  first: Error,
): Promise<MillstreamError> => {
  let tries = 0
  let failure = first
  const left = await shrinkList(faults, async (fewer) => {
    if (tries++ >= triesMax) return false
    const again = (await runOnce(options, seed, fewer)).failure
    failure = again ?? failure
    return again !== undefined
  })
  const because =
    left.length === 0 ? 'without any fault' : `with these faults:\n${left.map(describeFault).join('\n')}\n`
  return new MillstreamError('SIMULATION_FAILED', {
    what: `seed ${seed} failed ${because}: ${failure.message}`,
    fix: `Run this seed alone to see it again: seeds: [${seed}].`,
    cause: failure,
  })
}

/**
 * Runs a topology on several workers under faults: killed and stopped workers, lost disks, lost, late and repeated
 * requests, moved coordinators, nodes that are down. Once per seed, in virtual time, without a port or a thread.
 * @throws MillstreamError DRIVER_MISUSED where the topology does not have what is asked for; SIMULATION_FAILED at the first seed whose invariants throw, whose input is not processed in
 * time, or whose worker stops with an error (which is the cause)
 */
export const simulate = async (options: SimulateOptions): Promise<SimulationSummary> => {
  const { seeds = seedsByDefault } = options
  const chosen = typeof seeds === 'number' ? Array.from({ length: seeds }, (_, index) => index + 1) : seeds
  const summary = { seeds: 0, records: 0, faults: 0, failovers: 0, virtualMs: 0 }
  for (const seed of chosen) {
    const faults = faultsOf(options, seed)
    // A run keeps the event loop for itself: between two of them others have their turn.
    await new Promise((resolve) => void setImmediate(resolve))
    const result = await runOnce(options, seed, faults)
    if (result.failure !== undefined) throw await explain(options, seed, faults, result.failure)
    summary.seeds++
    summary.records += result.records
    summary.faults += result.faults
    summary.failovers += result.failovers
    summary.virtualMs += result.virtualMs
  }
  return summary
}
