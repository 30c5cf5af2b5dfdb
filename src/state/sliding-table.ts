// Sliding windows in a store: as time windows, but they begin with any record, so that an entry by key says where they are.
//
// key of a window:    start int64 (from 0) · key bytes
// key of its place:   80 · length of the key int32 · key bytes · start int64
import type { Serde } from '../serde/serde.ts'
import type { Timestamped } from './timestamped.ts'
import { type Entry, place, timeBytes, timeIn, timeKey, type WindowEntryStore } from './window-entries.ts'
import {
  byKey,
  lastTimeKey,
  type SlidingShape,
  type WindowEntry,
  windowFrom,
  WindowTable,
} from './window-table.ts'

const placeOf = (key: string, start: number): string => byKey(key) + timeKey(start)

export class SlidingTable extends WindowTable {
  readonly shape: SlidingShape

  constructor(store: WindowEntryStore, key: Serde<unknown>, value: Serde<unknown>, shape: SlidingShape) {
    super(store, key, value)
    this.shape = shape
  }

  put(key: string, start: number, value: unknown, timestamp: number): void {
    this.store.put(this.idOf(key, start), { value, timestamp })
    this.store.put(placeOf(key, start), place)
  }

  delete(key: string, start: number): void {
    this.store.delete(this.idOf(key, start))
    this.store.delete(placeOf(key, start))
  }

  getWindow(key: string, start: number): Timestamped<unknown> | undefined {
    return this.store.get(this.idOf(key, start)) as Timestamped<unknown> | undefined
  }

  /** Windows of a key with first <= start <= last, the latest first. */
  latest(key: string, first: number, last: number): WindowEntry[] {
    const prefix = byKey(key)
    const low = prefix + timeKey(Math.max(0, first))
    const starts: number[] = []
    for (const { key: at } of this.store.range(low, prefix + timeKey(last + 1), { reverse: true }))
      starts.push(timeIn(at, prefix.length))
    return starts.map((start) => {
      const id = this.idOf(key, start)
      return this.entryOf(id, this.store.get(id) as Entry)
    })
  }

  /** Ordered by start and then by key. */
  *between(from: number, to: number): IterableIterator<WindowEntry> {
    const first = Math.max(0, from, this.lastExpired + 1)
    if (first >= to) return
    const end = to > Number.MAX_SAFE_INTEGER ? lastTimeKey : timeKey(to)
    for (const { key, value } of this.store.range(timeKey(first), end)) yield this.entryOf(key, value)
  }

  ofKey(key: string, from: number, to: number): WindowEntry[] {
    const last = Math.min(to, this.time + 2) - 1
    return this.latest(key, Math.max(from, this.lastExpired + 1), last).reverse()
  }

  // With twice the size and the grace it is the window behind a record that is just not late: it tells when the record
  // before that one was, one moment before the window that begins after it.
  protected get lastExpired(): number {
    return this.time - this.shape.retentionMs - 2
  }

  protected firstTime({ start }: WindowEntry): number {
    return start
  }

  protected idOf(key: string, start: number): string {
    return timeKey(start) + key
  }

  protected entryOf(id: string, entry: Entry): WindowEntry {
    return windowFrom(id, entry, this.shape.sizeMs)
  }

  protected override removePlace(id: string): void {
    this.store.delete(placeOf(id.slice(timeBytes), timeIn(id, 0)))
  }
}
