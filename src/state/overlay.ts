// What the open transaction wrote into a store, and the undo log of the record in hand.
import { copyBytes } from '../record/copy-bytes.ts'
import { type Entries, sortedKeys } from './entries.ts'
import type { HotEntry } from './hot-entry.ts'
import type { SortedKeys } from './sorted-keys.ts'

/** As a length in the undo log: the transaction had not written it before. */
const firstWrite = -3

/** The undo log gives its memory back above this. */
const undoBytesMax = 1 << 20

/** About what a write takes in memory besides its bytes. */
const writeOverhead = 64

export class Overlay {
  readonly #entries: Entries
  /** What it holds of this one may be behind. */
  hot: Pick<HotEntry<never>, 'mark' | 'undo' | 'forget'> | undefined
  /** The keys of it and of what waits for a flush, in order; undefined where nobody asks for that. */
  #dirty: SortedKeys | undefined
  /** They were asked for since the last flush. */
  #isScanned = false
  /** In the order of their first writes, each once. */
  ids: number[] = []
  #bytes = 0

  // What the record in hand wrote, and what that was before. Only the first `#undoCount` entries count: truncating an array
  // gives its memory back, for each record anew.
  readonly #undoIds: number[] = []
  readonly #undoLengths: number[] = []
  #undoCount = 0
  /** The values before, one after the other. */
  #undoBytes: Buffer = Buffer.allocUnsafeSlow(256)
  #undoEnd = 0
  #bytesAtMark = 0

  constructor(entries: Entries) {
    this.#entries = entries
  }

  /** About what was written. */
  get bytes(): number {
    return this.#bytes
  }

  /** The keys of it and of what waits for a flush, in order. */
  sorted(waiting: readonly number[]): SortedKeys {
    this.#isScanned = true
    this.#dirty ??= sortedKeys(this.#entries.table, this.ids, waiting)
    return this.#dirty
  }

  /** Nothing waits for a flush. */
  flushed(): void {
    this.#dirty = this.#isScanned ? sortedKeys(this.#entries.table, this.ids) : undefined
    this.#isScanned = false
  }

  /** The lists of entries that get other numbers when the caches age. */
  numbers(): number[][] {
    this.#undoIds.length = this.#undoCount
    return [this.ids, this.#undoIds]
  }

  /** Before each write, also of what is not written here yet (`hot`): a transaction of such writes alone has to commit. */
  touch(): void {
    this.#bytes += writeOverhead
  }

  /** After `touch`. @param length of the bytes, or `absent` */
  write(id: number, source: Uint8Array, start: number, length: number): void {
    const { table } = this.#entries
    this.#undoIds[this.#undoCount] = id
    if (table.isWritten(id)) this.#keep(id)
    else {
      this.#undoLengths[this.#undoCount] = firstWrite
      table.begin(id)
      this.ids.push(id)
      if (this.#dirty !== undefined && !table.isWaiting(id)) this.#dirty.add(table.key(id))
    }
    this.#undoCount += 1
    table.setValue(id, source, start, length)
    this.#bytes += table.keyLength(id) + Math.max(0, length)
  }

  #keep(id: number): void {
    const { table } = this.#entries
    const length = table.valueLength(id)
    this.#undoLengths[this.#undoCount] = length
    if (length <= 0) return
    if (this.#undoEnd + length > this.#undoBytes.length) {
      const larger = Buffer.allocUnsafeSlow((this.#undoEnd + length) * 2)
      this.#undoBytes.copy(larger, 0, 0, this.#undoEnd)
      this.#undoBytes = larger
    }
    const start = table.valueStart(id)
    copyBytes(table.arena, start, length, this.#undoBytes, this.#undoEnd)
    this.#undoEnd += length
  }

  /** Begins a record. */
  mark(): void {
    this.#bytesAtMark = this.#bytes
    this.#undoCount = 0
    this.#undoEnd = 0
    if (this.#undoBytes.length > undoBytesMax) this.#undoBytes = Buffer.allocUnsafeSlow(256)
    this.hot?.mark()
  }

  /** Takes back what was written since the last `mark`. */
  undo(): void {
    const { table } = this.#entries
    for (let index = this.#undoCount - 1; index >= 0; index--) {
      const length = this.#undoLengths[index] as number
      if (length === firstWrite) this.#takeBack(this.ids.pop() as number)
      else {
        this.#undoEnd -= Math.max(0, length)
        table.setValue(this.#undoIds[index] as number, this.#undoBytes, this.#undoEnd, length)
      }
    }
    this.#bytes = this.#bytesAtMark
    this.hot?.undo()
    this.mark()
  }

  /** Takes everything back. */
  drop(): void {
    for (const id of this.ids) this.#takeBack(id)
    this.hot?.forget()
    this.#empty()
  }

  /** Its entries are committed: those that did not wait for a flush before do so now. */
  commit(waiting: number[]): void {
    const { table } = this.#entries
    for (const id of this.ids) {
      table.settle(id)
      if (table.isWaiting(id)) continue
      table.setWaiting(id, true)
      waiting.push(id)
    }
    this.#empty()
  }

  #empty(): void {
    this.ids = []
    this.#bytes = 0
    this.mark()
  }

  #takeBack(id: number): void {
    const { table } = this.#entries
    table.takeBack(id)
    if (this.#dirty !== undefined && !table.isWaiting(id)) this.#dirty.delete(table.key(id))
  }
}
