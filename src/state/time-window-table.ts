// Time windows in a store: one entry for each window and key.
//
// key of a window:  start int64 (from 0) · key bytes
import type { Serde } from '../serde/serde.ts'
import type { Timestamped } from './timestamped.ts'
import { type Entry, timeKey, type WindowEntryStore } from './window-entries.ts'
import {
  lastTimeKey,
  type TimeWindowShape,
  type WindowEntry,
  windowFrom,
  WindowTable,
} from './window-table.ts'

export class TimeWindowTable extends WindowTable {
  readonly shape: TimeWindowShape
  // The prefix made last: records that follow each other are mostly of the same window.
  #start = -1
  #prefix = ''

  constructor(store: WindowEntryStore, key: Serde<unknown>, value: Serde<unknown>, shape: TimeWindowShape) {
    super(store, key, value)
    this.shape = shape
  }

  get(key: string, start: number): Timestamped<unknown> | undefined {
    return this.store.get(this.idOf(key, start)) as Timestamped<unknown> | undefined
  }

  put(key: string, start: number, value: unknown, timestamp: number): void {
    this.store.put(this.idOf(key, start), { value, timestamp })
  }

  delete(key: string, start: number): void {
    this.store.delete(this.idOf(key, start))
  }

  getWindow(key: string, start: number): Timestamped<unknown> | undefined {
    return this.get(key, start)
  }

  /** Ordered by start and then by key. */
  *between(from: number, to: number): IterableIterator<WindowEntry> {
    const first = Math.max(0, from, this.lastExpired + 1)
    if (first >= to) return
    const end = to > Number.MAX_SAFE_INTEGER ? lastTimeKey : timeKey(to)
    for (const { key, value } of this.store.range(timeKey(first), end)) yield this.entryOf(key, value)
  }

  /** A look-up for each start that a window can have. */
  *ofKey(key: string, from: number, to: number): IterableIterator<WindowEntry> {
    const { advanceMs } = this.shape
    const { time } = this
    const first = Math.ceil(Math.max(0, from, this.lastExpired + 1) / advanceMs) * advanceMs
    for (let start = first; start < to && start <= time; start += advanceMs) {
      const entry = this.get(key, start)
      if (entry !== undefined) yield this.entryOf(this.idOf(key, start), entry)
    }
  }

  protected get lastExpired(): number {
    return this.time - this.shape.retentionMs
  }

  protected firstTime({ start }: WindowEntry): number {
    return start
  }

  protected entryOf(id: string, entry: Entry): WindowEntry {
    return windowFrom(id, entry, this.shape.sizeMs)
  }

  protected idOf(key: string, start: number): string {
    if (start !== this.#start) {
      this.#prefix = timeKey(start)
      this.#start = start
    }
    return this.#prefix + key
  }
}
