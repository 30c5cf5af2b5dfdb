// Sessions in a store: an entry by time, and one by key that says where it is.
//
// key of a session:  end int64 (from 0) · start int64 · key bytes
// key of its place:  80 · length of the key int32 · key bytes · end int64 · start int64
import type { Serde } from '../serde/serde.ts'
import type { Timestamped } from './timestamped.ts'
import { type Entry, place, timeBytes, timeIn, timeKey, type WindowEntryStore } from './window-entries.ts'
import { byKey, lastTimeKey, type SessionShape, type WindowEntry, WindowTable } from './window-table.ts'

const placeOf = (key: string, start: number, end: number): string =>
  byKey(key) + timeKey(end) + timeKey(start)

export class SessionTable extends WindowTable {
  readonly shape: SessionShape

  constructor(store: WindowEntryStore, key: Serde<unknown>, value: Serde<unknown>, shape: SessionShape) {
    super(store, key, value)
    this.shape = shape
  }

  put(key: string, start: number, end: number, value: unknown): void {
    this.store.put(this.idOf(key, start, end), { value, timestamp: end })
    this.store.put(placeOf(key, start, end), place)
  }

  remove({ id, key, start, end }: WindowEntry): void {
    this.store.delete(id)
    this.store.delete(placeOf(key, start, end))
  }

  getWindow(key: string, start: number, end: number): Timestamped<unknown> | undefined {
    return this.store.get(this.idOf(key, start, end)) as Timestamped<unknown> | undefined
  }

  /** The earliest end of a session that is not past its retention at this time. */
  visibleFrom(time: number): number {
    return time - this.shape.retentionMs + 1
  }

  /** Sessions of a key with end >= `earliestEnd` and start <= `latestStart`, the oldest first. */
  find(key: string, earliestEnd: number, latestStart: number): WindowEntry[] {
    const prefix = byKey(key)
    const found: { start: number; end: number }[] = []
    const low = prefix + timeKey(Math.max(0, earliestEnd))
    for (const { key: at } of this.store.range(low, prefix + lastTimeKey)) {
      const end = timeIn(at, prefix.length)
      const start = timeIn(at, prefix.length + timeBytes)
      // Sessions of a key do not overlap: the later one begins later, too.
      if (start > latestStart) break
      found.push({ start, end })
    }
    return found.map(({ start, end }) => {
      const id = this.idOf(key, start, end)
      return this.entryOf(id, this.store.get(id) as Entry)
    })
  }

  /** Ordered by end, start and key. */
  *between(from: number, to: number): IterableIterator<WindowEntry> {
    const first = Math.max(0, from, this.visibleFrom(this.time))
    for (const { key, value } of this.store.range(timeKey(first), lastTimeKey)) {
      const entry = this.entryOf(key, value)
      if (entry.start >= from && entry.start < to) yield entry
    }
  }

  ofKey(key: string, from: number, to: number): WindowEntry[] {
    const earliestEnd = Math.max(from, this.visibleFrom(this.time))
    return this.find(key, earliestEnd, to).filter(({ start }) => start >= from && start < to)
  }

  // Not visible a moment before, but told on close only now.
  protected get lastExpired(): number {
    return this.time - this.shape.retentionMs - 1
  }

  protected firstTime({ end }: WindowEntry): number {
    return end
  }

  protected override removePlace(id: string): void {
    this.store.delete(placeOf(id.slice(2 * timeBytes), timeIn(id, timeBytes), timeIn(id, 0)))
  }

  protected idOf(key: string, start: number, end: number): string {
    return timeKey(end) + timeKey(start) + key
  }

  protected entryOf(id: string, entry: Entry): WindowEntry {
    const { value, timestamp } = entry as Timestamped<unknown>
    return {
      id,
      key: id.slice(2 * timeBytes),
      start: timeIn(id, timeBytes),
      end: timeIn(id, 0),
      value,
      timestamp,
    }
  }
}
