// What a run of the benchmark consists of: its sizes, and which contestant has its turn when.
import type { Work } from './contestants/works.ts'
import type { Input } from './tool.ts'

export type Contestant = 'millstream' | Peer
export type Peer = 'kafka-streams' | 'kafkajs'

export const peers: readonly Peer[] = ['kafka-streams', 'kafkajs']

/** Windows and tables are no loop that somebody writes by hand. */
export const knows = (contestant: Contestant, work: Work): boolean =>
  contestant !== 'kafkajs' || work === 'map' || work === 'count'

/** A join of streams answers some records not at all and others more than once: no latency can be told by record. */
const isMeasured = (kind: Turn['kind'], work: Work): boolean =>
  kind === 'throughput' || work !== 'stream-join'

export interface Plan {
  readonly works: readonly Work[]
  readonly against: readonly Peer[]
  readonly quick: boolean
  /** The input of the throughput turns, without the warm-up. */
  readonly input: Input
  readonly partitions: number
  /** The first records of a throughput turn, processed before its clock starts. */
  readonly warmUpRecords: number
  readonly rounds: number
  readonly latency: {
    readonly rate: number
    readonly seconds: number
    /** Sent at the same rate before the measuring begins. */
    readonly discardSeconds: number
    /** Waiting in the input when the contestant starts, processed as fast as it can before any is timed. */
    readonly warmUpRecords: number
  }
  /** A turn beyond the first round is left out when it would probably end after this; undefined: never. */
  readonly budgetSeconds: number | undefined
}

export interface Turn {
  readonly kind: 'throughput' | 'latency'
  readonly work: Work
  readonly contestant: Contestant
  /** From 1; 0: a rehearsal, whose figures do not count. */
  readonly round: number
  /** May be left out when the time is short. */
  readonly optional: boolean
}

const fullPlan: Omit<Plan, 'works' | 'against'> = {
  quick: false,
  input: { records: 2_000_000, keys: 100_000, bytes: 120 },
  partitions: 6,
  warmUpRecords: 200_000,
  rounds: 3,
  latency: { rate: 1000, seconds: 20, discardSeconds: 3, warmUpRecords: 200_000 },
  budgetSeconds: undefined,
}

const quickPlan: Omit<Plan, 'works' | 'against'> = {
  ...fullPlan,
  quick: true,
  input: { ...fullPlan.input, records: 600_000 },
  rounds: 2,
  latency: { ...fullPlan.latency, seconds: 10 },
  budgetSeconds: 270,
}

export interface PlanChoice {
  readonly works: readonly Work[]
  readonly against: readonly Peer[]
  readonly quick: boolean
  readonly records?: number | undefined
  readonly warmUpRecords?: number | undefined
  readonly rounds?: number | undefined
  readonly latencySeconds?: number | undefined
}

export const planOf = (choice: PlanChoice): Plan => {
  const base = choice.quick ? quickPlan : fullPlan
  return {
    ...base,
    works: choice.works,
    against: choice.against,
    input: { ...base.input, records: choice.records ?? base.input.records },
    warmUpRecords: choice.warmUpRecords ?? base.warmUpRecords,
    rounds: choice.rounds ?? base.rounds,
    latency: { ...base.latency, seconds: choice.latencySeconds ?? base.latency.seconds },
  }
}

/** Another contestant begins in each round, so that none always runs on a fresh or on a busy broker. */
const orderOf = (contestants: readonly Contestant[], round: number): Contestant[] => {
  const first = (round - 1) % contestants.length
  return [...contestants.slice(first), ...contestants.slice(0, first)]
}

/**
 * One turn of each kind before the first one that counts. The broker and the judge are JVMs: under the load of a kind that is
 * new to them their compilers take a whole core for half a minute, from whoever has that turn (figures: README.md).
 */
const rehearsalsOf = ({ works }: Plan): Turn[] =>
  (['throughput', 'latency'] as const).flatMap((kind) => {
    const work = works.find((one) => isMeasured(kind, one))
    return work === undefined ? [] : [{ kind, work, contestant: 'millstream', round: 0, optional: false }]
  })

/**
 * All turns, in order. The second round of a quick run is optional, measures throughput alone, and leaves out kafkajs,
 * which takes most of the time.
 */
export const turnsOf = (plan: Plan): Turn[] => {
  const turns = rehearsalsOf(plan)
  for (let round = 1; round <= plan.rounds; round++) {
    const optional = plan.quick && round > 1
    const all: Contestant[] = ['millstream', ...plan.against]
    const contestants = orderOf(optional ? all.filter((name) => name !== 'kafkajs') : all, round)
    for (const kind of ['throughput', 'latency'] as const) {
      if (optional && kind === 'latency') continue
      for (const work of plan.works) {
        for (const contestant of contestants)
          if (knows(contestant, work) && isMeasured(kind, work))
            turns.push({ kind, work, contestant, round, optional })
      }
    }
  }
  return turns
}
