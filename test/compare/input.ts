// What both sides of the comparison read: records out of a seed, with times out of order, late by up to twice the grace,
// and right where windows close; with keys that come often and keys that come seldom, and without a key or a value.
import { below, type Random, seededRandom } from '../support/random.ts'

/** How long windows wait for late records; the Java side has the same (Operators.java). */
export const graceMs = 250
/** How far the partners of a record of the left side may be from it; the Java side has the same. */
export const within = { beforeMs: 100, afterMs: 50 }
/** All windows begin and end at multiples of it. */
const gridMs = 50
export const firstMs = 1_700_000_000_000
const hotKeys = 20
const keys = 300
/** Below what any store of the comparison keeps its windows for: what is lost beyond is not compared. */
const leapMaxMs = 150
const recordsOnEdge = 6
const lateByLittleMs = 40
const restSteps = 40
const restStepMs = 30
const lastMoments = 40
const lastMomentStepMs = 1000

/** Undefined: null. */
export interface InputRecord {
  readonly timestamp: number
  readonly key: string | undefined
  /** `l` or `r`, the side of a join that it is of, and a number; the letter alone stands for null on that side. */
  readonly value: string | undefined
}

/** Stream time as it goes on: by little, by a leap, or onto the edge of a window's grace, where it stays for some records. */
class Times {
  readonly #random: Random
  readonly #lateness: (random: Random) => number
  #now = firstMs
  #staying = 0

  constructor(random: Random, lateness: (random: Random) => number) {
    this.#random = random
    this.#lateness = lateness
  }

  /** The timestamp of the next record. */
  next(): number {
    if (this.#staying > 0) {
      this.#staying--
      return this.#now - this.#lateness(this.#random)
    }
    const kind = below(this.#random, 100)
    if (kind < 5) {
      this.#staying = recordsOnEdge
      this.#now = this.#edge() - below(this.#random, 2)
      return this.#now
    }
    this.#now += below(this.#random, kind === 5 ? leapMaxMs : 4)
    return this.#now - this.#lateness(this.#random)
  }

  /** The next moment at which a window may close; a millisecond before it takes records yet. */
  #edge(): number {
    return Math.ceil((this.#now + 2 - graceMs) / gridMs) * gridMs + graceMs
  }
}

/** How much earlier than stream time a record is: not at all, a little, twice the grace at most, or on an edge of it. */
const lateness = (random: Random): number => {
  const kind = below(random, 20)
  if (kind < 11) return 0
  if (kind < 15) return below(random, graceMs / 2)
  if (kind < 18) return below(random, 2 * graceMs + 1)
  return graceMs + gridMs * below(random, 5) + (kind === 18 ? 0 : 10) + below(random, 3) - 1
}

const lateByLittle = (random: Random): number => (below(random, 4) === 0 ? below(random, lateByLittleMs) : 0)

const valueFor = (random: Random, numbers: number): string | undefined => {
  const kind = below(random, 100)
  if (kind < 2) return undefined
  const side = random() < 0.5 ? 'l' : 'r'
  return kind < 10 ? side : `${side}${below(random, numbers)}`
}

/**
 * How an input lies in its topic. by-seed: a partition holds one seed, in one order. nearly-in-order: the same, with records
 * that are late by less than any window is long, and some that come at the last moment at which they are joined. by-key: partitioned by the key.
 */
export type Layout = 'by-seed' | 'nearly-in-order' | 'by-key'

/**
 * Numbers that values are taken of. Where there are few, rows are written again as they are: no change in millstream, while
 * Kafka Streams tells it with its later timestamp, so that timestamps are compared where there are many.
 */
const numbersOf: Readonly<Record<Layout, number>> = {
  'by-seed': 1_000_000_000,
  'nearly-in-order': 1_000_000_000,
  'by-key': 200,
}

/** The records of a seed, in the order in which they are written. Keys tell their seed, so that two seeds never meet. */
export function* inputOf(seed: number, records: number, layout: Layout): Generator<InputRecord> {
  const random = seededRandom(seed)
  let latest = firstMs
  const times = new Times(random, layout === 'nearly-in-order' ? lateByLittle : lateness)
  for (let index = 0; index < records; index++) {
    const number = random() < 0.5 ? below(random, hotKeys) : below(random, keys)
    const timestamp = times.next()
    latest = Math.max(latest, timestamp)
    yield {
      timestamp,
      key: below(random, 100) === 0 ? undefined : `s${seed}-k${number}`,
      value: valueFor(random, numbersOf[layout]),
    }
  }
  if (layout !== 'nearly-in-order') return
  yield* rest(seed, latest)
  yield* atLastMoment(seed, latest + restSteps * restStepMs + lastMomentStepMs)
}

/**
 * Records behind the others that meet each other, until all that came alone has been told: Kafka Streams tells some of it
 * later than it is due.
 */
function* rest(seed: number, from: number): Generator<InputRecord> {
  for (let step = 1; step <= restSteps; step++)
    for (const side of ['l', 'r'])
      yield { timestamp: from + step * restStepMs, key: `s${seed}-rest`, value: `${side}${step}` }
}

/**
 * Records whose partner comes in the last millisecond of their grace, at which stream time has come by two others that meet.
 * One that comes later is told alone, and Kafka Streams may join it all the same (decision 0020).
 */
function* atLastMoment(seed: number, from: number): Generator<InputRecord> {
  for (let step = 0; step < lastMoments; step++) {
    const timestamp = from + step * lastMomentStepMs
    const [side, other, lengthMs] = step % 2 === 0 ? ['l', 'r', within.afterMs] : ['r', 'l', within.beforeMs]
    const key = `s${seed}-last-${step}`
    yield { timestamp, key, value: `${side}${step}` }
    for (const one of ['l', 'r'])
      yield { timestamp: timestamp + lengthMs + graceMs, key: `s${seed}-rest`, value: `${one}${step}` }
    yield { timestamp, key, value: `${other}${step}` }
  }
}

const word = (text: string | undefined): string =>
  text === undefined ? '-' : Buffer.from(text).toString('hex')

/** The records of a seed as lines for the other side (Lines.java). @param partition of the seed */
export function* linesOf(
  seed: number,
  records: number,
  layout: Layout,
  partition: number,
): Generator<string> {
  for (const { timestamp, key, value } of inputOf(seed, records, layout)) {
    // Where a record without a key goes to is not told by its key.
    if (layout === 'by-key' && key === undefined) continue
    yield `${layout === 'by-key' ? -1 : partition} ${timestamp} ${word(key)} ${word(value)}\n`
  }
}
