// The store of a join of streams: what it keeps, and what it forgets in portions.
import { beforeEach, describe, expect, it } from 'vitest'
import { json } from '../../../src/serde/json.ts'
import { int64 } from '../../../src/serde/numbers.ts'
import type { Serde } from '../../../src/serde/serde.ts'
import { string } from '../../../src/serde/text.ts'
import { type JoinEntry, joinEntries, leftSide, rightSide, waiting } from '../../../src/state/join-entries.ts'
import { type JoinShape, JoinTable } from '../../../src/state/join-table.ts'
import { MemoryEngine } from '../../../src/state/memory-engine.ts'
import { rawKeys } from '../../../src/state/store-codec.ts'
import { TransactionalStore } from '../../../src/state/transactional-store.ts'
import { at, changesOf, identity, scannedDigest, TestClock } from './support.ts'

const shape: JoinShape = {
  kind: 'join',
  beforeMs: 4,
  afterMs: 6,
  graceMs: 20,
  outer: [false, true],
}

let engine = new MemoryEngine()
let store: TransactionalStore<string, JoinEntry>
let table: JoinTable

beforeEach(() => {
  engine = new MemoryEngine()
  engine.reset(identity)
  const value = joinEntries(string as Serde<unknown>, int64 as Serde<unknown>)
  store = new TransactionalStore({ name: 'kept', key: rawKeys, value, engine, clock: new TestClock() })
  table = new JoinTable(store, string as Serde<unknown>, shape)
  store.mark()
})

const left = (timestamp: number, waits = false): void => {
  table.advance(timestamp, true)
  table.keep(leftSide, 'k', timestamp, `l${timestamp}`, waits)
}
const right = (timestamp: number): void => {
  table.advance(timestamp, true)
  table.keep(rightSide, 'k', timestamp, timestamp, false)
}

const timesOf = (found: readonly { readonly timestamp: number }[]): number[] =>
  found.map(({ timestamp }) => timestamp)

/** All but the entry of the progress. */
const entries = (): number => [...store.all()].length - 1

describe('the store of a join', () => {
  it('finds what is within two times, over the ends of stretches, and in what was flushed as well', () => {
    for (const timestamp of [0, 8, 9, 10, 11, 19, 20]) left(timestamp)
    const found = (): number[] => timesOf(table.find(leftSide, 'k', 9, 19))
    expect(found()).toEqual([9, 10, 11, 19])
    store.drainChanges(() => {})
    store.commitOverlay(at(1))
    store.flush()
    store.mark()
    expect(found()).toEqual([9, 10, 11, 19])
    expect(table.find(leftSide, 'k', 8, 8)).toEqual([
      { side: leftSide, key: 'k', timestamp: 8, number: 0, value: 'l8' },
    ])
    expect(timesOf(table.find(leftSide, 'k', -5, 0))).toEqual([0])
    expect(table.find(rightSide, 'k', 0, 99)).toEqual([])
    expect(table.find(leftSide, 'l', 0, 99)).toEqual([])
  })

  it('finds what others wrote while somebody else had the store, and what was there when it began', () => {
    left(100)
    store.drainChanges(() => {})
    store.commitOverlay(at(1))
    store.flush()
    // Another worker went on with a copy of it, and its changes come back by the changelog.
    const copy = new MemoryEngine()
    copy.reset(identity)
    copy.write([...engine.range(undefined, undefined, false)], at(1))
    const value = joinEntries(string as Serde<unknown>, int64 as Serde<unknown>)
    const elsewhere = new TransactionalStore({
      name: 'kept',
      key: rawKeys,
      value,
      engine: copy,
      clock: new TestClock(),
    })
    const other = new JoinTable(elsewhere, string as Serde<unknown>, shape)
    elsewhere.mark()
    other.advance(110, true)
    expect(timesOf(other.find(leftSide, 'k', 90, 110))).toEqual([100])
    other.advance(130, true)
    other.keep(leftSide, 'k', 130, 'l130', false)
    expect(timesOf(table.find(leftSide, 'k', 90, 140))).toEqual([100])
    const changes = changesOf(elsewhere).map(([key, bytes]) => ({
      key: Buffer.from(key, 'latin1'),
      value: bytes,
    }))
    store.applyChangelog(changes, at(2))
    store.mark()
    table.advance(131, true)
    expect(timesOf(table.find(leftSide, 'k', 90, 140))).toEqual([130])
  })

  it('finds nothing past its retention, which goes by the time of each side', () => {
    right(100)
    left(70)
    left(71)
    left(99)
    expect(timesOf(table.find(leftSide, 'k', 0, 200))).toEqual([70, 71, 99])
    left(100)
    expect(timesOf(table.find(leftSide, 'k', 0, 200))).toEqual([71, 99, 100])
    expect(timesOf(table.find(rightSide, 'k', 0, 200))).toEqual([100])
  })

  it('keeps records of one time apart, and in their order', () => {
    right(5)
    for (let count = 0; count < 300; count++) table.keep(rightSide, 'k', 5, count, false)
    expect(table.find(rightSide, 'k', 5, 5).map(({ value }) => value)).toEqual([
      5,
      ...Array.from({ length: 300 }, (_, count) => count),
    ])
  })

  it('removes what is past its retention in portions, and nothing that waits', () => {
    for (let timestamp = 0; timestamp < 40; timestamp++) right(timestamp)
    for (let timestamp = 0; timestamp < 20; timestamp++) left(timestamp, timestamp < 5)
    expect(entries()).toBe(40 + 20 + 5)
    right(79)
    expect(table.hasWork).toBe(true)
    expect(timesOf(table.takeClosed(3))).toEqual([0, 1, 2])
    expect(timesOf(table.takeClosed(3))).toEqual([3, 4])
    // The right side is past 49, the left one, by its own time, is not past anything.
    let portions = 1
    while (table.expire(15)) portions += 1
    expect(portions).toBe(3)
    expect(entries()).toBe(1 + 15)
    expect(table.hasWork).toBe(false)
    left(10, true)
    left(1000)
    expect(timesOf(table.takeClosed(9))).toEqual([10])
    expect(table.expire(99)).toBe(false)
    expect(entries()).toBe(2)
  })

  it('keeps its digest where what waits is there already, of a record that an earlier window kept elsewhere', () => {
    const value = joinEntries(string as Serde<unknown>, int64 as Serde<unknown>)
    const options = { name: 'kept', key: rawKeys, value, engine, clock: new TestClock(), digest: true }
    const commit = (shapeThen: JoinShape, offset: number): void => {
      const opened = new TransactionalStore<string, JoinEntry>(options)
      while (!opened.scanDigest(9));
      const before = new JoinTable(opened, string as Serde<unknown>, shapeThen)
      opened.mark()
      before.advance(15, true)
      before.keep(leftSide, 'k', 15, 'l15', true)
      opened.commitOverlay(at(offset))
      expect(opened.digest).toBe(scannedDigest(opened))
      opened.close()
    }
    commit(shape, 1)
    commit({ ...shape, beforeMs: 1, afterMs: 1 }, 2)
  })

  it('takes the place of what closes out before its record: a changelog that is cut has no place without one', () => {
    left(10, true)
    store.commitOverlay(at(1))
    store.mark()
    left(1000)
    expect(timesOf(table.takeClosed(9))).toEqual([10])
    const removed = changesOf(store).filter(([, value]) => value === null)
    expect(removed.map(([key]) => key.charCodeAt(0))).toEqual([3, 1])
  })

  it('does not remove what waits and is found no more', () => {
    left(10, true)
    table.advance(1000, false)
    left(500)
    expect(table.find(leftSide, 'k', 0, 99)).toEqual([])
    expect(table.takeClosed(9)).toEqual([])
    table.expire(99)
    expect(entries()).toBe(3)
    left(1000)
    expect(timesOf(table.takeClosed(9))).toEqual([10])
    table.expire(99)
    expect(entries()).toBe(1)
  })

  it('tells what closes before what was passed already', () => {
    left(50, true)
    left(100)
    expect(timesOf(table.takeClosed(9))).toEqual([50])
    left(30, true)
    left(40, true)
    expect(table.hasWork).toBe(true)
    expect(timesOf(table.takeClosed(1))).toEqual([30])
    expect(timesOf(table.takeClosed(1))).toEqual([40])
    expect(table.takeClosed(1)).toEqual([])
  })

  it('forgets in time also what a longer grace let in again', () => {
    for (const timestamp of [100, 150, 200]) left(timestamp)
    table.expire(99)
    table = new JoinTable(store, string as Serde<unknown>, { ...shape, graceMs: 100 })
    left(120)
    expect(timesOf(table.find(leftSide, 'k', 0, 999))).toEqual([120, 200])
    left(1000)
    expect(table.expire(99)).toBe(false)
    expect(entries()).toBe(1)
  })

  it('does not look twice where nothing has closed', () => {
    left(100)
    left(101, true)
    left(127)
    table.expire(99)
    expect(table.hasWork).toBe(false)
    left(128)
    expect(table.hasWork).toBe(true)
  })
})

describe.each([
  ['primitives', string, int64, 'text', 7],
  ['documents', json<unknown>(), json<unknown>(), { a: 1 }, [2]],
] as const)('the entries of a join of %s', (_, ofLeft, ofRight, one, other) => {
  const serde = joinEntries(ofLeft as Serde<unknown>, ofRight as Serde<unknown>)
  const progress = {
    time: 5,
    closing: -1,
    kept: [3, 2 ** 40],
    closed: ['\u00ff', '\u0003abc'],
    expired: ['', '\u0001'],
  } as const

  it('are read as they were written', () => {
    const kept = [
      { side: leftSide, value: one },
      { side: rightSide, value: other },
    ]
    for (const entry of [...kept, waiting, progress] as JoinEntry[]) {
      const bytes = serde.encode(entry)
      expect(serde.decode(bytes)).toEqual(entry)
      const target = Buffer.alloc(bytes.length + 4)
      expect(serde.encodeInto?.(entry, target, 2) ?? bytes.length).toBe(bytes.length)
      if (serde.encodeInto !== undefined) expect(target.subarray(2, -2)).toEqual(Buffer.from(bytes))
      target.set(bytes, 2)
      const read =
        serde.decodeFrom ??
        ((source: Buffer, from: number, to: number) => serde.decode(source.subarray(from, to)))
      expect(read(target, 2, target.length - 2)).toEqual(entry)
      for (let room = 0; room < bytes.length; room++)
        expect(serde.encodeInto?.(entry, Buffer.alloc(room), 0) ?? -1).toBe(-1)
    }
  })

  it('are refused where they are none', () => {
    for (const bytes of [Buffer.of(), Buffer.of(4), serde.encode(progress).subarray(0, 40)])
      expect(() => serde.decode(bytes)).toThrow(RangeError)
  })
})
