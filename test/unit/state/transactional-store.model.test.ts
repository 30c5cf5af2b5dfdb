// Random operations against a naive model, on both engines: what is read, what goes to the changelog, what is on disk, and
// that the digest that follows the changes is the one of the entries.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { nodePorts } from '../../../src/base/node-ports.ts'
import { json } from '../../../src/serde/json.ts'
import { int32 } from '../../../src/serde/numbers.ts'
import type { Serde } from '../../../src/serde/serde.ts'
import { bytes } from '../../../src/serde/text.ts'
import type { StoreEngine } from '../../../src/state/contracts.ts'
import { LmdbEngine } from '../../../src/state/lmdb-engine.ts'
import { MemoryEngine } from '../../../src/state/memory-engine.ts'
import { StateDigest } from '../../../src/state/state-digest.ts'
import { rawKeys } from '../../../src/state/store-codec.ts'
import { StoreMemory } from '../../../src/state/store-memory.ts'
import { TransactionalStore } from '../../../src/state/transactional-store.ts'
import { TestClock, at, changesOf, identity, withDirectory } from './support.ts'

type State = Map<string, number>
type Key = Uint8Array

const text = (key: Key): string => Buffer.from(key).toString('latin1')
const keyOf = (key: string): Buffer => Buffer.from(key, 'latin1')

/** Keys with the bytes at which orders differ; few, so that one key meets every layer. */
const pool = ['', '\0', 'a', 'a\0', '\x7f', '\x80', '\xff', '\xff\xff'].map((name) =>
  Buffer.from(name, 'latin1'),
)
const key = fc.constantFrom(...pool)
const bound = fc.option(key, { nil: undefined })

type Step = {
  readonly kind: string
  readonly key: Buffer
  readonly to: Buffer | undefined
  readonly from: Buffer | undefined
  readonly value: number
  readonly reverse: boolean
}
// Weighted: what empties the cache comes seldom, so that stale entries have time to be seen.
const kinds = (
  'put put put put put put put put update update update update delete delete delete delete get get get get check check check range range range range ' +
  'mark mark mark undo undo commit commit commit commit undrained drop drop flush flush flush reopen changelog stop'
).split(' ')
const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom(...kinds),
  key,
  from: bound,
  to: bound,
  value: fc.integer({ min: -5, max: 1000 }),
  reverse: fc.boolean(),
})

// As long as it says: by default fast-check makes most lists short, and no key would meet every layer.
const lengths = { maxLength: 60, size: 'max' } as const

class Model {
  durable: State = new Map()
  durableOffset = 0
  committed: State = new Map()
  offset = 0
  current: State = new Map()
  marked: State = new Map()
  changed = new Set<string>()
  changedAtMark = new Set<string>()

  write(name: string, value: number | undefined): void {
    if (value === undefined) {
      if (!this.current.delete(name)) return
    } else this.current.set(name, value)
    this.changed.add(name)
  }
  mark(): void {
    this.marked = new Map(this.current)
    this.changedAtMark = new Set(this.changed)
  }
  undo(): void {
    this.current = new Map(this.marked)
    this.changed = new Set(this.changedAtMark)
  }
  settle(state: State): void {
    this.current = new Map(state)
    this.changed.clear()
    this.mark()
  }
  entries(from: Buffer | undefined, to: Buffer | undefined, reverse: boolean): [string, number][] {
    const list = [...this.current].filter(
      ([name]) =>
        (!from || Buffer.compare(keyOf(name), from) >= 0) && (!to || Buffer.compare(keyOf(name), to) < 0),
    )
    list.sort(([a], [b]) => Buffer.compare(keyOf(a), keyOf(b)))
    return reverse ? list.reverse() : list
  }
}

/** A store that lays out its keys itself, with keys as the others have them. */
const overRawKeys = (store: TransactionalStore<string, number>): TransactionalStore<Key, number> => {
  const { get, has, put, delete: remove, range } = TransactionalStore.prototype
  const over = {
    get: (key: Key) => get.call(store, text(key)),
    has: (key: Key) => has.call(store, text(key)),
    put: (key: Key, value: number) => put.call(store, text(key), value),
    delete: (key: Key) => remove.call(store, text(key)),
    *range(from?: Key, to?: Key, options?: { readonly reverse?: boolean }) {
      const low = from && text(from)
      for (const entry of range.call(store, low, to && text(to), options))
        yield { key: keyOf(entry.key as never), value: entry.value }
    },
  }
  return Object.assign(store, over) as never
}

const run = (
  steps: readonly Step[],
  value: Serde<number>,
  open: (again: boolean) => StoreEngine,
  tiny: boolean,
  raw: boolean,
): void => {
  const clock = new TestClock()
  let engine = open(false)
  engine.reset(identity)
  const start = (): TransactionalStore<Key, number> => {
    // A process that is killed takes its memory with it.
    const memory = new StoreMemory(tiny ? 1000 : undefined)
    const options = { name: 's', value, engine, clock, digest: true, memory, flushIntervalMs: 1e9 }
    const started = raw
      ? overRawKeys(new TransactionalStore<string, number>({ ...options, key: rawKeys }))
      : new TransactionalStore<Key, number>({ ...options, key: bytes })
    // What was committed on this disk brings its digest along.
    if (engine.checkpoint() === undefined) while (!started.scanDigest(3));
    return started
  }
  let store = start()
  const digestOf = (state: State): string => {
    const digest = new StateDigest()
    for (const [name, number] of state) {
      const encoded = value.encode(number)
      digest.setKey(name)
      digest.add(encoded)
    }
    return digest.text
  }
  const model = new Model()
  const decode = (held: Uint8Array | null): number | undefined =>
    held === null ? undefined : value.decode(held)
  const flushed = (): void => {
    model.durable = new Map(model.committed)
    model.durableOffset = model.offset
  }
  const noticeFlush = (): void => {
    if ((engine.checkpoint()?.changelogOffset ?? 0) !== model.durableOffset) flushed()
  }
  const acts: Record<string, (step: Step) => void> = {
    get: (s) => expect(store.has(s.key)).toBe(model.current.has(text(s.key))),
    check: () => {
      for (const one of pool) expect(store.get(one)).toBe(model.current.get(text(one)))
    },
    put: (s) => {
      store.put(s.key, s.value)
      model.write(text(s.key), s.value)
    },
    // As an aggregation does: what a write replaces was read just before.
    update: (s) => {
      const before = store.get(s.key) ?? 0
      expect(before).toBe(model.current.get(text(s.key)) ?? 0)
      store.put(s.key, before + 1)
      model.write(text(s.key), before + 1)
    },
    delete: (s) => {
      store.delete(s.key)
      model.write(text(s.key), undefined)
    },
    range: (s) =>
      expect(
        [...store.range(s.from, s.to, { reverse: s.reverse })].map((entry) => [text(entry.key), entry.value]),
      ).toEqual(model.entries(s.from, s.to, s.reverse)),
    mark: () => {
      store.mark()
      model.mark()
    },
    undo: () => {
      store.undo()
      model.undo()
    },
    commit: () => {
      const changes = new Map<string, number | undefined>()
      for (const [name, held] of changesOf(store)) {
        expect(changes.has(name)).toBe(false)
        changes.set(name, decode(held))
      }
      expect(changes).toEqual(new Map([...model.changed].map((name) => [name, model.current.get(name)])))
      expect(store.nextDigest).toBe(digestOf(model.current))
      model.offset += 10
      store.commitOverlay(at(model.offset))
      model.committed = new Map(model.current)
      model.settle(model.committed)
      noticeFlush()
    },
    undrained: () => {
      model.offset += 10
      store.commitOverlay(at(model.offset))
      model.committed = new Map(model.current)
      model.settle(model.committed)
      noticeFlush()
    },
    drop: () => {
      store.dropOverlay()
      model.settle(model.committed)
    },
    flush: () => {
      store.flush()
      flushed()
    },
    changelog: (s) => {
      store.dropOverlay()
      model.offset += 10
      const other = s.to ?? Buffer.from('c')
      store.applyChangelog(
        [
          { key: s.key, value: value.encode(s.value) },
          { key: other, value: s.reverse ? null : value.encode(s.value + 1) },
        ],
        at(model.offset),
      )
      model.committed.set(text(s.key), s.value)
      if (s.reverse) model.committed.delete(text(other))
      else model.committed.set(text(other), s.value + 1)
      model.settle(model.committed)
      flushed()
    },
    // A clean close, and a process that ends without one: the latter falls back to what was flushed.
    reopen: () => {
      store.close({ sync: false })
      model.settle(model.committed)
      flushed()
      engine = open(true)
      store = start()
    },
    stop: () => {
      engine.close()
      engine = open(true)
      store = start()
      expect(store.checkpoint()?.changelogOffset ?? 0).toBe(model.durableOffset)
      model.committed = new Map(model.durable)
      model.offset = model.durableOffset
      model.settle(model.committed)
    },
  }
  try {
    for (const one of steps) {
      acts[one.kind]?.(one)
      // Not always: a store that was read last is another one than a store that was written last.
      if (one.reverse) expect(store.get(one.key)).toBe(model.current.get(text(one.key)))
      expect(store.digest).toBe(digestOf(model.committed))
    }
    expect([...store.all()].map((entry) => [text(entry.key), entry.value])).toEqual(
      model.entries(undefined, undefined, false),
    )
    store.close({ sync: false })
    engine = open(true)
    store = start()
    store.forgetDigest()
    while (!store.scanDigest(3));
    expect(store.digest).toBe(digestOf(model.committed))
    expect(engine.count()).toBe(model.committed.size)
    expect(engine.checkpoint()?.changelogOffset ?? 0).toBe(model.offset)
  } finally {
    engine.close()
  }
}

const serdes: [string, Serde<number>, boolean][] = [
  ['int32 (held as value)', int32, false],
  ['json (held as bytes)', json<number>(), false],
  ['int32 under raw keys', int32, true],
]

describe.each(serdes)('model, values as %s', (_, value, raw) => {
  it.each([false, true])('memory engine, tiny limits %s', (tiny) => {
    fc.assert(
      fc.property(fc.array(step, lengths), (steps) => {
        const engine = new MemoryEngine()
        run(steps, value, () => engine, tiny, raw)
      }),
      { numRuns: 200 },
    )
  })

  it.each([false, true])('lmdb engine, tiny limits %s', (tiny) => {
    fc.assert(
      fc.property(fc.array(step, lengths), (steps) =>
        withDirectory((directory) =>
          run(steps, value, () => new LmdbEngine({ directory, disk: nodePorts.disk }), tiny, raw),
        ),
      ),
      { numRuns: 60 },
    )
  })
})
