// The ranges over a store that somebody goes through. A write ends them: they would go on over data that are no longer there,
// and pin pages of the engine.
import { rangeInvalidated } from './store-errors.ts'

/** From `low` on, below `high`; undefined: without a bound. */
export interface RangeBounds {
  readonly low: string | undefined
  readonly high: string | undefined
  readonly reverse: boolean
}

export class OpenRanges {
  readonly #store: string
  readonly #open = new Set<IterableIterator<unknown>>()
  /** Grows with each write: a range that was begun before it is no longer right. */
  version = 0

  constructor(store: string) {
    this.#store = store
  }

  /** @param below what it reads of the engine */
  open(below: IterableIterator<unknown>): void {
    this.#open.add(below)
  }

  close(below: IterableIterator<unknown>): void {
    this.#open.delete(below)
    below.return?.()
  }

  /** Something was written. */
  changed(): void {
    this.version += 1
    if (this.#open.size === 0) return
    for (const range of this.#open) range.return?.()
    this.#open.clear()
  }

  /** @throws RANGE_INVALIDATED when something was written since then */
  assertSame(version: number): void {
    if (version !== this.version) throw rangeInvalidated(this.#store)
  }
}
