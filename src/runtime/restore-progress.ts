// How far a restore is, and how long it will take: counted by the restorer, read by the log, listeners and probes.
import type { Clock } from '../base/ports.ts'

export interface RestoreProgress {
  /** Stores that are not at their end yet. */
  readonly stores: number
  readonly storesTotal: number
  /** Changelog records that were put into stores so far. */
  readonly records: number
  /** Bytes of the changelogs that were read so far. */
  readonly bytes: number
  /** Offsets up to the ends; compaction has left fewer records than that. */
  readonly offsetsLeft: number
  readonly offsetsTotal: number
  /** By the rate of the last ten seconds; undefined while nothing moves. */
  readonly secondsLeft: number | undefined
}

/** What looks on while stores are restored. */
export interface RestoreObserver {
  restoreBegan(meter: RestoreMeter): void
  /** At the beginning, every two seconds, and at the end. */
  restoreReported(): void
  /** One round of fetching: it goes on, however long it takes. */
  turned(): void
  /** What was restored is not what was committed. */
  storeDiverged(): void
  /** It is over, at its end or interrupted. */
  restoreEnded(meter: RestoreMeter): void
}

const rateOverMs = 10_000

/** Counts one restore. */
export class RestoreMeter {
  readonly #clock: Clock
  /** Offsets left, by store. */
  readonly #left: Map<string, number>
  readonly #storesTotal: number
  readonly #offsetsTotal: number
  /** Where it was at the last reports, the oldest first. */
  readonly #samples: { readonly atMs: number; readonly left: number }[] = []
  #records = 0
  #bytes = 0

  /** @param offsets that lie before each store */
  constructor(clock: Clock, offsets: ReadonlyMap<string, number>) {
    this.#clock = clock
    this.#left = new Map(offsets)
    this.#storesTotal = offsets.size
    this.#offsetsTotal = this.#offsetsLeft()
    this.sample()
  }

  get records(): number {
    return this.#records
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Stores that reached their end. */
  get storesDone(): number {
    return this.#storesTotal - this.#left.size
  }

  /** A part of a changelog is in its store. */
  advanced(store: string, offsetsLeft: number, records: number, bytes: number): void {
    this.#records += records
    this.#bytes += bytes
    if (offsetsLeft > 0) this.#left.set(store, offsetsLeft)
    else this.#left.delete(store)
  }

  /** Notes where it is, for the rate. */
  sample(): void {
    const now = this.#clock.monotonic()
    while ((this.#samples[0]?.atMs ?? now) < now - rateOverMs) this.#samples.shift()
    this.#samples.push({ atMs: now, left: this.#offsetsLeft() })
  }

  get progress(): RestoreProgress {
    const offsetsLeft = this.#offsetsLeft()
    const oldest = this.#samples[0]
    const done = (oldest?.left ?? offsetsLeft) - offsetsLeft
    const passedMs = this.#clock.monotonic() - (oldest?.atMs ?? 0)
    return {
      stores: this.#left.size,
      storesTotal: this.#storesTotal,
      records: this.#records,
      bytes: this.#bytes,
      offsetsLeft,
      offsetsTotal: this.#offsetsTotal,
      secondsLeft: secondsLeft(offsetsLeft, done, passedMs),
    }
  }

  #offsetsLeft(): number {
    let sum = 0
    for (const left of this.#left.values()) sum += left
    return sum
  }
}

const secondsLeft = (left: number, done: number, passedMs: number): number | undefined => {
  if (left === 0) return 0
  return done > 0 && passedMs > 0 ? Math.ceil((left * passedMs) / done / 1000) : undefined
}

/** Several restores as one; undefined for none. */
export const sumProgress = (parts: readonly RestoreProgress[]): RestoreProgress | undefined => {
  if (parts.length === 0) return undefined
  const sum = (of: (part: RestoreProgress) => number): number =>
    parts.reduce((total, part) => total + of(part), 0)
  const seconds = parts.map((part) => part.secondsLeft)
  return {
    stores: sum((part) => part.stores),
    storesTotal: sum((part) => part.storesTotal),
    records: sum((part) => part.records),
    bytes: sum((part) => part.bytes),
    offsetsLeft: sum((part) => part.offsetsLeft),
    offsetsTotal: sum((part) => part.offsetsTotal),
    secondsLeft: seconds.includes(undefined) ? undefined : Math.max(...seconds.map((one) => one as number)),
  }
}
