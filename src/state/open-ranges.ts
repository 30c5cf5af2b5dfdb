// The ranges over a store that somebody goes through. A write ends them: they would go on over data that are no longer there,
// and pin pages of the engine.
import type { StoredEntry, StoreEngine } from './contracts.ts'
import { merged } from './entries.ts'
import type { SortedKeys } from './sorted-keys.ts'
import { rangeInvalidated } from './store-errors.ts'

/** From `low` on, below `high`; undefined: without a bound. */
export interface RangeBounds {
  readonly low: string | undefined
  readonly high: string | undefined
  readonly reverse: boolean
}

export class OpenRanges {
  readonly #store: string
  readonly #engine: StoreEngine
  /** What they read of the engine. */
  readonly #open = new Set<IterableIterator<StoredEntry>>()
  /** Grows with each write: a range that was begun before it is no longer right. */
  version = 0

  constructor(store: string, engine: StoreEngine) {
    this.#store = store
    this.#engine = engine
  }

  /**
   * What is written over what the engine holds, in one order. It throws RANGE_INVALIDATED once something was written after
   * this call.
   * @param dirty the keys that are written @param written the value of such a key; null: it is absent
   */
  over(
    bounds: RangeBounds,
    dirty: () => SortedKeys,
    written: (key: string) => Buffer | null,
  ): IterableIterator<StoredEntry> {
    return this.#entries(bounds, dirty, written, this.version)
  }

  *#entries(
    { low, high, reverse }: RangeBounds,
    dirty: () => SortedKeys,
    written: (key: string) => Buffer | null,
    version: number,
  ): IterableIterator<StoredEntry> {
    this.#assertSame(version)
    const above = dirty().within(low, high, reverse)
    const below = this.#engine.range(low, high, reverse)
    this.#open.add(below)
    try {
      for (const entry of merged(above, below, reverse, written)) {
        yield entry
        this.#assertSame(version)
      }
    } finally {
      this.#open.delete(below)
      below.return?.()
    }
  }

  /** Something was written. */
  changed(): void {
    this.version += 1
    if (this.#open.size === 0) return
    for (const range of this.#open) range.return?.()
    this.#open.clear()
  }

  #assertSame(version: number): void {
    if (version !== this.version) throw rangeInvalidated(this.#store)
  }
}
