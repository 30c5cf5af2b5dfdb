// Which faults a run has: chosen by its seed. Not every kind in every run (a swarm): a fault that is everywhere hides what
// only shows where it is absent.
import { type FaultPoint, faultPoints } from '../../base/fault-point.ts'
import type { CrashKind, Fault, FaultAction, FaultKind, Trigger } from './fault.ts'
import { type RequestEffect, requestEffects } from './request-faults.ts'
import type { SeededRandom } from './seeded-random.ts'

export interface PlanOptions {
  readonly random: SeededRandom
  readonly hosts: readonly string[]
  readonly nodes: number
  /** The phase in which faults happen. */
  readonly untilMs: number
  /** Least and most number of faults. */
  readonly count: readonly [least: number, most: number]
  /** Only these; default: all. */
  readonly kinds?: readonly FaultKind[] | undefined
}

const weights: Readonly<Record<FaultKind, number>> = {
  request: 7,
  kill: 5,
  pause: 3,
  restart: 3,
  block: 2,
  cut: 1,
  silence: 3,
  'put out': 2,
  'foreign transaction': 2,
  'move coordinator': 2,
  'move leader': 1,
  'stop node': 1,
  'slow markers': 3,
  clock: 1,
}

const allKinds = Object.keys(weights) as FaultKind[]
/** An outcome that stays unknown is worth more than a delay. */
const effects: readonly RequestEffect[] = [
  ...(Object.keys(requestEffects) as RequestEffect[]),
  'answer lost',
  'unanswered',
  'ghost',
  'refused',
]

/** Requests by key, the more often the more is at stake. */
const apiKeys: readonly number[] = [
  26, 26, 26, 26, 28, 28, 28, 0, 0, 0, 22, 22, 9, 9, 11, 14, 12, 1, 1, 2, 3, 10, 24, 25, 13, 8,
]
const crashes: readonly CrashKind[] = ['process', 'process', 'process', 'machine', 'disk lost']
/** Those of a commit are what matters. */
const points: readonly FaultPoint[] = [...faultPoints, ...faultPoints.slice(3)]

/** Short mostly, long now and then: shorter and longer than the timeouts of sessions and transactions. */
const someTime = (random: SeededRandom): number =>
  Math.round(random.chance(0.6) ? random.between(5, 1500) : random.between(1500, 16_000))

const draw = (random: SeededRandom, kinds: readonly FaultKind[]): FaultKind => {
  let ticket = random.next() * kinds.reduce((sum, kind) => sum + weights[kind], 0)
  for (const kind of kinds) {
    ticket -= weights[kind]
    if (ticket < 0) return kind
  }
  return kinds[0] as FaultKind
}

const action = (kind: FaultKind, { random, hosts, nodes }: PlanOptions): FaultAction => {
  const host = random.pick(hosts)
  const nodeId = 1 + random.below(nodes)
  switch (kind) {
    case 'request': {
      const effect = random.pick(effects)
      // Produce and TxnOffsetCommit: what else can be refused is asked again.
      const apiKey = effect === 'refused' ? random.pick([0, 28]) : random.pick(apiKeys)
      return { kind, effect, apiKey, host, holdMs: someTime(random) }
    }
    case 'silence':
      return { kind, host, forMs: Math.round(random.between(1000, 16_000)) }
    case 'foreign transaction':
      return { kind, pick: random.below(1000), forMs: someTime(random) }
    case 'block': {
      const direction = random.pick(['both ways', 'to the broker', 'to the client'] as const)
      return { kind, host, nodeId: random.chance(0.5) ? 0 : nodeId, forMs: someTime(random), direction }
    }
    case 'cut':
    case 'put out':
      return { kind, host }
    case 'kill':
      return { kind, host, crash: random.pick(crashes), downMs: someTime(random) }
    case 'pause':
      return { kind, host, forMs: someTime(random) }
    case 'restart':
      return { kind, host, leave: random.chance(0.5), downMs: someTime(random) }
    case 'move coordinator': {
      const of = random.chance(0.5) ? 'group' : 'transaction'
      return { kind, of, host, nodeId, loadMs: random.chance(0.5) ? 0 : someTime(random) }
    }
    case 'move leader':
      return { kind, pick: random.below(1000), nodeId }
    case 'stop node':
      return { kind, nodeId, forMs: someTime(random) }
    case 'slow markers':
      return {
        kind,
        delayMs: Math.round(random.chance(0.5) ? random.between(5, 500) : random.between(500, 8000)),
        forMs: someTime(random),
      }
    case 'clock':
      return { kind, host, skewMs: Math.round(random.between(-3_600_000, 3_600_000)) }
  }
}

/** Faults that mean most in the middle of a commit. */
const triggered: ReadonlySet<FaultKind> = new Set([
  'kill',
  'pause',
  'move coordinator',
  'cut',
  'slow markers',
])

const trigger = (
  random: SeededRandom,
  { kind, ...details }: FaultAction,
  hosts: readonly string[],
): Trigger | undefined => {
  if (!triggered.has(kind) || random.chance(0.3)) return undefined
  const host = 'host' in details ? details.host : random.pick(hosts)
  return { host, point: random.pick(points), nth: 1 + random.below(4) }
}

/** A member that is put out of its group and does not know it, while something of its transaction is on its way. */
const zombie = ({ random, hosts, untilMs }: PlanOptions): Fault[] => {
  const host = random.pick(hosts)
  const atMs = Math.round(random.between(0, untilMs * 0.7))
  const holdMs = Math.round(random.chance(0.6) ? random.between(300, 3000) : random.between(3000, 12_000))
  const apiKey = random.pick([0, 0, 0, 26, 28])
  const effect = random.pick(['delayed', 'delayed', 'ghost'] as const)
  const laterMs = atMs + Math.round(random.between(0, 1000))
  const faults: Fault[] = [{ atMs, kind: 'silence', host, forMs: Math.round(random.between(2000, 16_000)) }]
  if (random.chance(0.8)) faults.push({ atMs: laterMs, kind: 'request', effect, apiKey, host, holdMs })
  if (random.chance(0.7))
    faults.push({ atMs: laterMs + Math.round(random.between(50, 700)), kind: 'put out', host })
  return faults
}

/** A commit that arrives, and whose sender hears nothing for longer than it asks, but not for as long as its session. */
const lostCommit = ({ random, hosts, untilMs }: PlanOptions): Fault => {
  const host = random.pick(hosts)
  return {
    atMs: Math.round(random.between(0, untilMs)),
    when: { host, point: 'end-txn-sent', nth: 1 },
    kind: 'block',
    host,
    nodeId: 0,
    forMs: Math.round(random.between(1700, 5500)),
    direction: 'to the client',
  }
}

export const planFaults = (options: PlanOptions): Fault[] => {
  const { random, hosts, untilMs, count, kinds = allKinds } = options
  const chosen = kinds.filter(() => random.chance(0.6))
  if (chosen.length === 0) chosen.push(...kinds)
  const [least, most] = count
  const faults = Array.from({ length: least + random.below(most - least + 1) }, (): Fault => {
    const atMs = Math.round(random.between(0, untilMs))
    const act = action(draw(random, chosen), options)
    const when = trigger(random, act, hosts)
    return when === undefined ? { ...act, atMs } : { ...act, atMs, when }
  })
  if (chosen.includes('silence') && chosen.includes('request')) faults.push(...zombie(options))
  if (chosen.includes('block') && random.chance(0.5)) faults.push(lostCommit(options))
  return faults.sort((one, other) => one.atMs - other.atMs)
}
