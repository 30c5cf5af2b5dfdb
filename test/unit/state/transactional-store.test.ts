import { afterEach, describe, expect, it } from 'vitest'
import { nodePorts } from '../../../src/base/node-ports.ts'
import { json } from '../../../src/serde/json.ts'
import { int64 } from '../../../src/serde/numbers.ts'
import type { Serde } from '../../../src/serde/serde.ts'
import { bytes, string } from '../../../src/serde/text.ts'
import { LmdbEngine } from '../../../src/state/lmdb-engine.ts'
import { MemoryEngine } from '../../../src/state/memory-engine.ts'
import { StateDigest } from '../../../src/state/state-digest.ts'
import { rawKeys } from '../../../src/state/store-codec.ts'
import { StoreMemory } from '../../../src/state/store-memory.ts'
import { TransactionalStore } from '../../../src/state/transactional-store.ts'
import {
  at,
  changesOf,
  code,
  identity,
  record,
  scannedDigest,
  storeClock as clock,
  storeOf,
  withDirectory,
} from './support.ts'

const drained = (store: Parameters<typeof changesOf>[0]): [string, string | null][] =>
  changesOf(store).map(([key, value]) => [key, value === null ? null : value.toString('hex')])

afterEach(() => {
  clock.ms = 0
})

describe('TransactionalStore', () => {
  it('takes null where the serde does, and says that it is there', () => {
    const { store } = storeOf(json<null>())
    store.put('k', null)
    expect([store.get('k'), store.has('k')]).toEqual([null, true])
  })

  it('reads for a record its own entry also when the memory became full in between', () => {
    const { store } = storeOf(string)
    store.mark()
    for (const key of ['a', 'k', 'z']) store.put(key, key)
    store.commitOverlay(at(1))
    store.flush()
    store.mark()
    const inHand = record('k')
    expect(store.getOf(inHand)).toBe('k')
    store.age()
    store.get('z')
    store.putOf(inHand, 'new')
    expect([store.get('k'), store.get('z'), store.get('a')]).toEqual(['new', 'z', 'a'])
  })

  it('keeps its digest where entries are removed with the bytes that a range had in hand', () => {
    const engine = new MemoryEngine()
    engine.reset(identity)
    const options = { name: 'totals', key: rawKeys, value: string, engine, clock, digest: true }
    const store = new TransactionalStore<string, string>(options)
    expect(store.scanDigest(1)).toBe(true)
    store.mark()
    for (const key of ['a', 'b', 'c']) store.put(key, `${key}-value`)
    store.commitOverlay(at(1))
    store.close()
    // Nothing of it is in memory.
    const opened = new TransactionalStore<string, string>(options)
    opened.mark()
    for (const { key, value } of [...opened.rawRange('a', 'c')]) opened.putRaw(key, null, value)
    opened.putRaw('d', Buffer.from('d-value'))
    expect(drained(opened)).toEqual([
      ['a', null],
      ['b', null],
      ['d', Buffer.from('d-value').toString('hex')],
    ])
    opened.commitOverlay(at(2))
    const expected = new StateDigest()
    for (const key of ['c', 'd']) {
      expected.setKey(key)
      expected.add(Buffer.from(`${key}-value`))
    }
    expect(opened.digest).toBe(expected.text)
  })

  it('reads for a record what its changelog brought since', () => {
    const { store } = storeOf(string)
    const inHand = record('k')
    expect(store.getOf(inHand)).toBeUndefined()
    store.applyChangelog([{ key: Buffer.from('k'), value: Buffer.from('new') }], at(1))
    expect(store.getOf(inHand)).toBe('new')
  })

  it('takes back one record alone', () => {
    const { store } = storeOf(int64)
    store.mark()
    store.put('a', 1)
    store.put('b', 1)
    store.mark()
    store.put('a', 2)
    store.put('a', 3)
    store.delete('b')
    store.put('c', 1)
    store.undo()
    store.undo()
    expect([store.get('a'), store.get('b'), store.get('c')]).toEqual([1, 1, undefined])
    expect(drained(store).map(([key]) => key)).toEqual(['a', 'b'])
  })

  it('tells each changed key once, with its last value', () => {
    const { store } = storeOf(int64)
    store.put('a', 1)
    store.put('b', 1)
    store.commitOverlay(at(1))
    for (let value = 0; value < 5; value++) store.put('a', value)
    store.delete('b')
    store.delete('never')
    expect(drained(store)).toEqual([
      ['a', '0000000000000004'],
      ['b', null],
    ])
    store.commitOverlay(at(2))
    expect(drained(store)).toEqual([])
    expect(store.uncommittedBytes).toBe(0)
  })

  it('asks nobody about a key that is inserted, keeps its digest, and refuses one that it knows', () => {
    const asked: string[] = []
    class Engine extends MemoryEngine {
      override get(key: string): Buffer | undefined {
        asked.push(key)
        return super.get(key)
      }
    }
    const engine = new Engine()
    engine.reset(identity)
    const options = { name: 'totals', key: rawKeys, value: string, engine, clock, digest: true }
    const store = new TransactionalStore<string, string>(options)
    expect(store.scanDigest(1)).toBe(true)
    store.mark()
    store.insert('a', 'undone')
    store.undo()
    store.insert('a', 'one')
    store.insert('b', 'two')
    expect(code(() => store.insert('b', 'three'))).toBe('INVARIANT_BROKEN')
    const changes = ['one', 'two'].map((text) => Buffer.from(text).toString('hex'))
    expect(drained(store)).toEqual([
      ['a', changes[0]],
      ['b', changes[1]],
    ])
    store.commitOverlay(at(1))
    expect(asked).toEqual([])
    expect(store.digest).toBe(scannedDigest(store))
  })

  it('looks for what is inserted where nothing vouches for what it holds', () => {
    const engine = new MemoryEngine()
    engine.reset(identity)
    engine.write([{ key: 'a', value: Buffer.from('never committed') }], at(1))
    const store = new TransactionalStore({
      name: 'totals',
      key: rawKeys,
      value: string,
      engine,
      clock,
      digest: true,
    })
    while (!store.scanDigest(9));
    store.doubted = true
    store.mark()
    store.insert('a', 'one')
    store.commitOverlay(at(2))
    expect([store.get('a'), store.digest]).toEqual(['one', scannedDigest(store)])
  })

  describe('takes the old value of a key for its digest from below the overlay', () => {
    const counted = (store: TransactionalStore<string, number>): string => {
      const digest = new StateDigest()
      for (const { key, value } of store.all()) {
        digest.setKey(key)
        digest.add(int64.encode(value))
      }
      return digest.text
    }
    const digested = (): TransactionalStore<string, number> => {
      const engine = new MemoryEngine()
      engine.reset(identity)
      const options = { name: 'totals', key: string, value: int64, engine, clock, digest: true }
      const store = new TransactionalStore<string, number>(options)
      store.applyChangelog([{ key: Buffer.from('a'), value: int64.encode(1) }], at(1))
      return store
    }
    const add = (store: TransactionalStore<string, number>, key: string): void => {
      store.mark()
      store.put(key, (store.get(key) ?? 0) + 1)
    }
    const scanned = (store: TransactionalStore<string, number>): void => {
      while (!store.scanDigest(1));
    }

    it.each<[string, (store: TransactionalStore<string, number>) => void]>([
      [
        'when it was read in the transaction before',
        (store) => {
          scanned(store)
          add(store, 'a')
          store.commitOverlay(at(2))
          store.put('a', 7)
        },
      ],
      [
        'when it was read before a restore',
        (store) => {
          store.get('a')
          store.applyChangelog([{ key: Buffer.from('a'), value: int64.encode(5) }], at(2))
          scanned(store)
          store.put('a', 7)
        },
      ],
      [
        'when a record before it was undone',
        (store) => {
          scanned(store)
          add(store, 'b')
          store.undo()
          add(store, 'a')
        },
      ],
      [
        'when a transaction before it was aborted',
        (store) => {
          scanned(store)
          add(store, 'b')
          store.dropOverlay()
          add(store, 'a')
        },
      ],
      [
        'when its record was undone and came again',
        (store) => {
          scanned(store)
          add(store, 'b')
          add(store, 'a')
          store.undo()
          add(store, 'a')
          store.delete('b')
        },
      ],
    ])('%s', (_, act) => {
      const store = digested()
      act(store)
      store.drainChanges(() => {})
      const next = store.nextDigest
      store.commitOverlay(at(9))
      expect([next, store.digest]).toEqual([counted(store), counted(store)])
    })
  })

  it('counts the digest anew where it was written in the middle of a scan', () => {
    const engine = new MemoryEngine()
    engine.reset(identity)
    const open = () =>
      new TransactionalStore<string, number>({
        name: 'totals',
        key: string,
        value: int64,
        engine,
        clock,
        digest: true,
      })
    const store = open()
    const change = (key: string, value: number) => ({ key: Buffer.from(key), value: int64.encode(value) })
    store.applyChangelog([change('a', 1), change('b', 2), change('c', 3)], at(3))
    expect([store.scanDigest(2), store.digest]).toEqual([false, undefined])
    store.applyChangelog([change('a', 9)], at(4))
    while (!store.scanDigest(2));
    const other = open()
    while (!other.scanDigest(100));
    expect([store.digest?.startsWith('3.'), store.digest]).toEqual([true, other.digest])
    store.close()
    expect(open().digest).toBe(other.digest)
    engine.write([{ key: 'd', value: Buffer.alloc(8) }], { ...at(4), digest: other.digest as string })
    expect(open().digest).toBe(undefined)
  })

  it('drops the writes of an aborted transaction', () => {
    const { store } = storeOf(int64)
    store.put('a', 1)
    store.commitOverlay(at(1))
    store.put('a', 2)
    store.put('b', 2)
    store.undo()
    expect(store.uncommittedBytes).toBe(0)
    store.put('a', 2)
    store.dropOverlay()
    expect([store.get('a'), store.get('b'), store.uncommittedBytes]).toEqual([1, undefined, 0])
  })

  it('flushes by age, by size and on demand, with the checkpoint of what was flushed', () => {
    const { store, engine } = storeOf(int64, new MemoryEngine(), {
      memory: new StoreMemory(3000),
      flushIntervalMs: 500,
    })
    store.put('a', 1)
    store.commitOverlay(at(1))
    expect([engine.count(), engine.checkpoint(), store.checkpoint()]).toEqual([0, undefined, at(1)])
    clock.ms = 500
    store.put('b', 1)
    store.commitOverlay(at(2))
    expect([engine.count(), engine.checkpoint()]).toEqual([2, at(2)])
    for (let index = 0; index < 20; index++) store.put(`k${index}`, index)
    store.commitOverlay(at(3))
    expect([engine.count(), engine.checkpoint()]).toEqual([22, at(3)])
    store.put('never committed', 1)
    store.delete('a')
    store.dropOverlay()
    store.delete('b')
    store.commitOverlay(at(4))
    store.flush()
    expect([engine.count(), engine.checkpoint()]).toEqual([21, at(4)])
    store.commitOverlay(at(5))
    store.close()
    expect(engine.checkpoint()).toEqual(at(5))
  })

  it('reads what was flushed, not what it had read before', () => {
    const { store } = storeOf(int64)
    for (let round = 1; round < 4; round++) {
      expect(store.get('a')).toBe(round === 1 ? undefined : round - 1)
      store.put('a', round)
      store.commitOverlay(at(round))
      store.flush()
    }
    store.delete('a')
    store.commitOverlay(at(9))
    store.flush()
    expect([store.get('a'), store.has('a')]).toEqual([undefined, false])
  })

  it('keeps what was committed when the flush fails, and writes it with the next one', () => {
    class FullEngine extends MemoryEngine {
      full = true
      override write(...args: Parameters<MemoryEngine['write']>): void {
        if (this.full) throw new Error('no space')
        super.write(...args)
      }
    }
    const engine = new FullEngine()
    const { store } = storeOf(int64, engine, { flushIntervalMs: 0 })
    store.put('a', 1)
    expect(() => store.commitOverlay(at(1))).toThrow('no space')
    expect([store.get('a'), drained(store)]).toEqual([1, []])
    engine.full = false
    store.commitOverlay(at(2))
    expect([engine.count(), engine.checkpoint()]).toEqual([1, at(2)])
  })

  it('is not changed by what the caller does with a value or a buffer', () => {
    const objects = storeOf(json<{ n: number }>()).store
    const value = { n: 1 }
    objects.put('a', value)
    value.n = 2
    const got = objects.get('a')
    expect(got).toEqual({ n: 1 })
    if (got) got.n = 3
    expect(objects.get('a')).toEqual({ n: 1 })

    const plain: Serde<Uint8Array> = { name: 'plain', encode: (given) => given, decode: (given) => given }
    for (const serde of [bytes, plain]) {
      const { store } = storeOf(serde)
      const given = Buffer.from('abc')
      store.put('a', given)
      given.fill(0)
      store.commitOverlay(at(1))
      store.flush()
      store.get('a')?.fill(0)
      expect(Buffer.from(store.get('a') ?? []).toString()).toBe('abc')
    }
  })

  it('finds the key of a record by its bytes', () => {
    const { store } = storeOf(int64)
    const other: Serde<string> = { ...string, encode: (key) => Buffer.from(`other ${key}`) }
    store.mark()
    store.putOf(record('grün'), 1)
    expect([store.get('grün'), store.getOf(record('grün'))]).toEqual([1, 1])
    // Bytes of another serde say nothing: the key is encoded again.
    expect(store.getOf({ ...record('xxx', other), key: 'grün' })).toBe(1)
    expect(code(() => store.getOf({ key: 'a', keyBytes: { ...record('a').keyBytes, keyLength: -1 } }))).toBe(
      'SERIALIZATION_FAILED',
    )
    const made = { key: 'made', keyBytes: undefined }
    store.putOf(made, 2)
    expect([store.getOf(made), store.get('made')]).toEqual([2, 2])
  })

  it('knows one key in two spellings as one', () => {
    const key = json()
    const engine = new MemoryEngine()
    const store = new TransactionalStore({ name: 'totals', key, value: int64, engine, clock })
    const spelled = (text: string) => ({
      key: JSON.parse(text) as unknown,
      keyBytes: {
        source: Buffer.from(text),
        keyStart: 0,
        keyLength: text.length,
        keySerde: key as Serde<unknown, never>,
      },
    })
    store.putOf(spelled('{"a": 1}'), 5)
    expect(store.getOf(spelled('{"a":1}'))).toBe(5)
  })

  it('treats a value that is written as null as a delete', () => {
    const optional = { ...int64, encodesNull: (value: number | null) => value === null } as Serde<
      number | null
    >
    const { store } = storeOf(optional)
    store.put('a', 1)
    store.put('a', null)
    expect([store.get('a'), store.has('a')]).toEqual([undefined, false])
  })

  it('refuses what it cannot hold, and says where', () => {
    const { store } = storeOf(int64)
    expect(code(() => store.put('a', 1.5))).toBe('SERIALIZATION_FAILED')
    expect(code(() => store.put(null as never, 1))).toBe('SERIALIZATION_FAILED')
    const holes = storeOf({ ...int64, check: () => {} } as Serde<number>).store
    expect(code(() => holes.put('a', undefined as never))).toBe('SERIALIZATION_FAILED')
    expect(() => store.put('a', 'x' as never)).toThrow(/store totals/)
    expect(store.has('a')).toBe(false)
    withDirectory((directory) => {
      const engine = new LmdbEngine({ directory, disk: nodePorts.disk })
      engine.reset(identity)
      const large = new TransactionalStore({ name: 'totals', key: string, value: int64, engine, clock })
      large.put('k'.repeat(1977), 1)
      expect(() => large.put('k'.repeat(1978), 1)).toThrow(
        /1978 bytes is larger than the 1977 .*store totals/,
      )
      large.commitOverlay(at(1))
      large.close()
    })
  })

  it('restores from the changelog: the last value wins, caches are forgotten', () => {
    const { store, engine } = storeOf(int64)
    store.put('a', 1)
    store.commitOverlay(at(5))
    expect(store.get('b')).toBeUndefined()
    const entry = (key: string, value: number | null) => ({
      key: Buffer.from(key),
      value: value === null ? null : int64.encode(value),
    })
    store.applyChangelog(
      [entry('b', 1), entry('a', null), entry('b', 2), entry('c', 3), entry('c', null)],
      at(10),
    )
    expect([store.get('a'), store.get('b'), store.get('c')]).toEqual([undefined, 2, undefined])
    expect([engine.count(), engine.checkpoint(), store.checkpoint()]).toEqual([1, at(10), at(10)])
    store.put('a', 1)
    expect(code(() => store.applyChangelog([], at(11)))).toBe('INVARIANT_BROKEN')
    store.dropOverlay()
    expect(code(() => store.applyChangelog([], at(9)))).toBe('INVARIANT_BROKEN')
    expect(code(() => store.commitOverlay(at(9)))).toBe('INVARIANT_BROKEN')
  })

  it('refuses use after close', () => {
    const { store } = storeOf(int64)
    store.close()
    store.close()
    expect([
      code(() => store.get('a')),
      code(() => store.put('a', 1)),
      code(() => store.all()),
      code(() => store.commitOverlay(at(1))),
    ]).toEqual(Array(4).fill('CLOSED'))
  })
})
