// What one seed stands for: a cluster, workers, an input and faults, as plain data that can be made smaller.
import type { SettingsInput } from '../../src/config/settings.ts'
import { epochMs } from '../../src/testing/simulation/simulated-process.ts'
import { planFaults } from '../../src/testing/simulation/fault-plan.ts'
import type { Fault } from '../../src/testing/simulation/fault.ts'
import type { PlannedWorker } from '../../src/testing/simulation/scenario.ts'
import { SeededRandom } from '../../src/testing/simulation/seeded-random.ts'
import type { RecordToWrite } from '../support/judge.ts'
import { makeOp } from '../system/faults/ops.ts'

/** Records that are appended together. */
export interface Chunk {
  readonly atMs: number
  readonly records: readonly RecordToWrite[]
  /** Absent: not in a transaction. */
  readonly transaction?: { readonly committed: boolean; readonly endsAfterMs: number } | undefined
}

export interface Plan {
  readonly seed: number
  readonly nodes: number
  readonly partitions: number
  readonly transactionVersion: 1 | 2
  readonly producerEpochMax: number | undefined
  readonly latencyMs: number
  readonly slowRate: number
  readonly costMs: number
  readonly wallClockTimers: boolean
  readonly settings: SettingsInput
  readonly workers: readonly PlannedWorker[]
  readonly input: readonly Chunk[]
  readonly faults: readonly Fault[]
  /** When all faults end. */
  readonly healAtMs: number
}

export const applicationId = 'faults'

const recordsLeast = 500
const committedLeast = 480
/** The input comes within this time, and all faults happen in it. */
const safetyMs = 20_000

const inputOf = (random: SeededRandom): Chunk[] => {
  const next = (): number => random.next()
  const input: Chunk[] = []
  let number = 0
  let committed = 0
  const abortRate = random.pick([0, 0.1, 0.2])
  const transactionRate = random.pick([0, 0.3, 0.6])
  while (number < recordsLeast || committed < committedLeast) {
    const isAborted = random.chance(abortRate)
    const size = 1 + random.below(30)
    const records = Array.from({ length: size }, () => {
      const atMs = epochMs + Math.floor((number / recordsLeast) * safetyMs)
      return { ...makeOp(next, number++, isAborted), timestamp: atMs }
    })
    if (!isAborted) committed += size
    const endsAfterMs = Math.round(random.chance(0.8) ? random.between(0, 50) : random.between(0, 3000))
    const chunk = { atMs: 0, records }
    input.push(
      isAborted || random.chance(transactionRate)
        ? { ...chunk, transaction: { committed: !isAborted, endsAfterMs } }
        : chunk,
    )
  }
  const times = input.map(() => random.between(0, safetyMs)).sort((one, other) => one - other)
  return input.map((chunk, index) => ({ ...chunk, atMs: times[index] as number }))
}

const settingsOf = (random: SeededRandom): SettingsInput => {
  // Long enough for a transaction of the dead to time out, or short: then the leader of the group aborts it.
  const isPatient = random.chance(0.35)
  return {
    applicationId,
    sessionTimeoutMs: isPatient ? 25_000 : random.pick([6000, 6000, 8000]),
    heartbeatIntervalMs: random.pick([500, 1000]),
    rebalanceTimeoutMs: random.pick([2000, 4000]),
    transactionTimeoutMs: isPatient ? random.pick([4000, 12_000]) : random.pick([2000, 4000, 12_000, 30_000]),
    requestTimeoutMs: random.pick([800, 2000, 5000, 15_000]),
    connectionTimeoutMs: 1000,
    commitIntervalMs: random.pick([20, 60, 150]),
    // Small ones give a transaction many produces.
    batchBytes: random.pick([1024, 4096, 65_536]),
    fetchWaitMs: random.pick([100, 500]),
    fetchBytesMax: 65_536,
    partitionFetchBytesMax: random.pick([1024, 2048, 65_536]),
    bufferedBytesMax: 65_536,
    uncommittedBytesMax: 65_536,
    // On: a worker finds out by itself what the checker is to find.
    stateDigest: random.pick(['on', 'off']),
    purgeIntervalMs: random.pick([1000, 60_000]),
    standbyReplicas: random.pick([0, 0, 1]),
    standbyLagMax: random.pick([0, 10_000]),
  }
}

export const planOf = (seed: number): Plan => {
  const root = new SeededRandom(seed)
  const random = root.stream('plan')
  const nodes = random.pick([1, 2, 2, 3])
  const count = random.pick([2, 2, 3])
  const hosts = Array.from({ length: count }, (_, index) => `w${index + 1}`)
  return {
    seed,
    nodes,
    partitions: random.pick([1, 2, 2, 3]),
    transactionVersion: random.chance(0.75) ? 2 : 1,
    producerEpochMax: random.chance(0.4) ? random.between(4, 40) | 0 : undefined,
    latencyMs: random.pick([0.5, 1, 3]),
    slowRate: random.pick([0, 0, 0.01, 0.05]),
    costMs: random.pick([0.005, 0.02, 0.1]),
    wallClockTimers: random.chance(0.6),
    settings: settingsOf(random),
    workers: hosts.map((host, index) => ({
      host,
      startsAtMs: index === 0 || random.chance(0.6) ? index * 7 : random.below(safetyMs),
    })),
    input: inputOf(root.stream('input')),
    faults: planFaults({
      random: root.stream('faults'),
      hosts,
      nodes,
      untilMs: safetyMs,
      count: [3, 18],
    }),
    healAtMs: safetyMs,
  }
}
