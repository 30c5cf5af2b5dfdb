// What the open transaction wrote into a store, and the undo log of the record in hand.
import type { Entry } from './entries.ts'
import type { SortedKeys } from './sorted-keys.ts'
import { entryBytes, type Held } from './store-codec.ts'

export class Overlay {
  /** The keys of it and of what waits for a flush, in order; undefined where nobody asks for that. */
  readonly #dirty: SortedKeys | undefined
  #entries: Entry[] = []
  #bytes = 0

  // What the record in hand wrote, and what the overlay held for it before (undefined: nothing).
  // Only the first `#undoCount` entries count: truncating an array gives its memory back, for each record anew.
  readonly #undoEntries: Entry[] = []
  readonly #undoHeld: (Held | undefined)[] = []
  #undoCount = 0
  #bytesAtMark = 0

  constructor(dirty: SortedKeys | undefined) {
    this.#dirty = dirty
  }

  /** In the order of their first writes, each once. */
  get entries(): readonly Entry[] {
    return this.#entries
  }

  /** About what the finished records wrote. */
  get bytes(): number {
    return this.#bytes
  }

  write(entry: Entry, held: Held): void {
    this.#undoEntries[this.#undoCount] = entry
    this.#undoHeld[this.#undoCount] = entry.isWritten ? entry.value : undefined
    this.#undoCount += 1
    if (!entry.isWritten) {
      entry.below = entry.value
      entry.isWritten = true
      this.#entries.push(entry)
      if (!entry.isWaiting) this.#dirty?.add(entry.key)
    }
    entry.value = held
    this.#bytes += entryBytes(entry.key, held)
  }

  /** Begins a record. */
  mark(): void {
    this.#bytesAtMark = this.#bytes
    this.#undoCount = 0
  }

  /** Takes back what was written since the last `mark`. */
  undo(): void {
    for (let index = this.#undoCount - 1; index >= 0; index--) {
      const before = this.#undoHeld[index]
      if (before === undefined) this.#takeBack(this.#entries.pop() as Entry)
      else (this.#undoEntries[index] as Entry).value = before
    }
    this.#bytes = this.#bytesAtMark
    this.mark()
  }

  /** Takes everything back. */
  drop(): void {
    for (const entry of this.#entries) this.#takeBack(entry)
    this.#empty()
  }

  /** Its entries are committed: those that did not wait for a flush before do so now. */
  commit(waiting: Entry[]): void {
    for (const entry of this.#entries) {
      entry.below = undefined
      entry.isWritten = false
      if (entry.isWaiting) continue
      entry.isWaiting = true
      waiting.push(entry)
    }
    this.#empty()
  }

  #empty(): void {
    this.#entries = []
    this.#bytes = 0
    this.mark()
  }

  #takeBack(entry: Entry): void {
    entry.value = entry.below
    entry.below = undefined
    entry.isWritten = false
    if (!entry.isWaiting) this.#dirty?.delete(entry.key)
  }
}
