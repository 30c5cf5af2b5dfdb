// The aborted transactions of a partition, in the order in which they were completed: that is how a broker keeps them,
// and how a fetch lists them. A transaction that began first may stand behind one that began later.
import { lowerBound } from '../base/lower-bound.ts'

export interface AbortedTransaction {
  readonly producerId: number
  readonly firstOffset: number
  /** Of its marker: it grows along the index. */
  readonly lastOffset: number
  /** When it was completed: all that are listed later begin there or behind it. */
  readonly lastStableOffset: number
}

export class AbortedIndex {
  #entries: AbortedTransaction[] = []

  add(entry: AbortedTransaction): void {
    this.#entries.push(entry)
  }

  /** Those that overlap the offsets from `from` up to, but not including, `end`. */
  overlapping(from: number, end: number): AbortedTransaction[] {
    const found: AbortedTransaction[] = []
    for (let at = this.#indexOf(from); at < this.#entries.length; at++) {
      const entry = this.#entries[at] as AbortedTransaction
      if (entry.firstOffset < end) found.push(entry)
      if (entry.lastStableOffset >= end) break
    }
    return found
  }

  /** Compaction went through everything below `end`: these are what it left of the transactions that end there. */
  replaceBelow(end: number, kept: readonly AbortedTransaction[]): void {
    this.#entries = [...kept, ...this.#entries.slice(this.#indexOf(end))]
  }

  /** First entry whose marker stands at `offset` or behind it. */
  #indexOf(offset: number): number {
    return lowerBound(
      this.#entries.length,
      (index) => (this.#entries[index] as AbortedTransaction).lastOffset < offset,
    )
  }
}
