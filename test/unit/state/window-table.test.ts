// Stores of windows: what is past its retention goes in portions, with all that says where it was.
import { describe, expect, it } from 'vitest'
import type { Serde } from '../../../src/serde/serde.ts'
import { string } from '../../../src/serde/text.ts'
import { MemoryEngine } from '../../../src/state/memory-engine.ts'
import { SessionTable } from '../../../src/state/session-table.ts'
import { SlidingTable } from '../../../src/state/sliding-table.ts'
import { rawKeys } from '../../../src/state/store-codec.ts'
import { TimeWindowTable } from '../../../src/state/time-window-table.ts'
import { TransactionalStore } from '../../../src/state/transactional-store.ts'
import { type WindowEntryStore, windowEntries } from '../../../src/state/window-entries.ts'
import type { WindowTable } from '../../../src/state/window-table.ts'
import { at, identity, scannedDigest, TestClock } from './support.ts'

const serde = string as Serde<unknown>

interface Kind {
  readonly name: string
  readonly table: (store: WindowEntryStore) => WindowTable
  /** Keeps a window of `k` that begins at this time, and one of `l`. */
  readonly put: (table: WindowTable, start: number) => void
  /** Each window takes so many entries. */
  readonly entriesOfWindow: number
  /** So long after its start a window is there for the last time. */
  readonly keptMs: number
  /** What stands first in the key of the window that begins at 10. */
  readonly lowest: number
}

const both = (put: (key: string) => void): void => ['k', 'l'].forEach(put)

const kinds: Kind[] = [
  {
    name: 'time windows',
    table: (store) =>
      new TimeWindowTable(store, serde, serde, { kind: 'time', sizeMs: 5, advanceMs: 5, retentionMs: 20 }),
    put: (table, start) => both((key) => (table as TimeWindowTable).put(key, start, 'v', start)),
    entriesOfWindow: 1,
    keptMs: 19,
    lowest: 10,
  },
  {
    name: 'sessions',
    table: (store) => new SessionTable(store, serde, serde, { kind: 'sessions', retentionMs: 20 }),
    put: (table, start) => both((key) => (table as SessionTable).put(key, start, start + 2, 'v')),
    entriesOfWindow: 2,
    keptMs: 22,
    lowest: 12,
  },
  {
    name: 'sliding windows',
    table: (store) => new SlidingTable(store, serde, serde, { kind: 'sliding', sizeMs: 5, retentionMs: 20 }),
    put: (table, start) => both((key) => (table as SlidingTable).put(key, start, 'v', start)),
    entriesOfWindow: 2,
    keptMs: 21,
    lowest: 10,
  },
]

describe.each(kinds)('the store of $name', ({ table: make, put, entriesOfWindow, keptMs, lowest }) => {
  it.each([false, true])('forgets in portions what is past its retention (flushed: %s)', (isFlushed) => {
    const engine = new MemoryEngine()
    engine.reset(identity)
    const value = windowEntries(serde)
    const options = { name: 'windows', key: rawKeys, value, engine, clock: new TestClock(), digest: true }
    const store: WindowEntryStore = new TransactionalStore(options)
    expect(store.scanDigest(9)).toBe(true)
    const table = make(store)
    store.mark()
    for (let start = 0; start < 50; start += 5) put(table, start)
    table.advance(10 + keptMs)
    if (isFlushed) {
      store.commitOverlay(at(1))
      store.flush()
      store.mark()
    }
    // Those that begin at 0 and 5 go: four of twenty windows.
    let portions = 1
    while (table.expire(3)) portions += 1
    expect(portions).toBe(2)
    const progress = 1
    expect([...store.all()]).toHaveLength(16 * entriesOfWindow + progress)
    expect(table.lowest(0)).toBe(lowest)
    expect(table.expire(3)).toBe(false)

    store.commitOverlay(at(2))
    expect(store.digest).toBe(scannedDigest(store))
  })
})
