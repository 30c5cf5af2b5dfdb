import { describe, expect, it } from 'vitest'
import { nodePorts } from '../../../src/base/node-ports.ts'
import {
  int64,
  joinStore,
  store,
  string,
  topic,
  topology,
  type TopologyScope,
  tumbling,
  untilTimeLimit,
  untilWindowCloses,
  versionedStore,
  windowed,
  windowStore,
  within,
} from '../../../src/index.ts'
import { MemoryEngine } from '../../../src/state/memory-engine.ts'
import { TransactionalStore } from '../../../src/state/transactional-store.ts'
import { StoreMigrations } from '../../../src/task/store-migrations.ts'
import type { StoreDefinition } from '../../../src/topology/contracts.ts'
import { finishedStore } from '../../../src/topology/store-layouts.ts'
import { isSameLayout, readStoreCode, storeCode } from '../../../src/topology/store-code.ts'
import { changesOf, identity } from '../state/support.ts'

const plainUse = { keepsTable: false, waiting: false, windowShape: undefined }
const at = (changelogOffset: number) => ({ changelogOffset, leaderEpoch: 0, caughtUpAtMs: 0 })
const key = string

const opened = (definition: StoreDefinition, engine: MemoryEngine) =>
  new TransactionalStore<unknown, unknown>({
    name: definition.name,
    key: definition.key,
    value: definition.value,
    engine,
    clock: nodePorts.clock,
    digest: true,
  })

/** A store that holds what was written with the earlier definition, opened with the later one. */
const reopened = (
  earlier: StoreDefinition,
  later: StoreDefinition,
  entries: readonly (readonly [key: unknown, value: unknown])[],
) => {
  const engine = new MemoryEngine()
  engine.reset(identity)
  const written = opened(earlier, engine)
  written.mark()
  for (const [of, value] of entries) written.put(of, value)
  written.commitOverlay(at(5))
  written.flush()
  const again = opened(later, engine)
  while (!again.scanDigest(100));
  const stores = new Map([[later.name, { definition: later, store: again }]])
  return { engine, store: again, migrations: new StoreMigrations(stores, new Map([[later.name, 1]])) }
}

const finished = (handle: unknown, keepsTable = false): StoreDefinition =>
  finishedStore(handle as StoreDefinition, { ...plainUse, keepsTable })

const tenfold = { key, value: string, version: 2, previous: int64, migrate: (old: number) => `${old * 10}` }

describe('a migration of a store', () => {
  const entries = [
    ['a', 1],
    ['b', 2],
  ] as const

  it('is done once, in the transaction, and again where that is aborted', () => {
    const made = finished(store('s', { key, value: int64 }))
    const { engine, store: again, migrations } = reopened(made, finished(store('s', tenfold)), entries)
    expect(migrations.run()).toBe(true)
    expect(again.get('a')).toBe('10')
    again.dropOverlay()
    expect(migrations.run()).toBe(true)
    const changes = changesOf(again).map(([of, value]) => `${of}=${value?.toString() ?? ''}`)
    expect(changes).toEqual(['a=10', 'b=20'])
    const promised = again.nextDigest
    again.commitOverlay(at(9))
    migrations.done()
    expect(migrations.run()).toBe(false)
    again.dropOverlay()
    again.flush()
    expect([...again.all()].map(({ value }) => value)).toEqual(['10', '20'])
    const fresh = opened(finished(store('s', tenfold)), engine)
    fresh.forgetDigest()
    while (!fresh.scanDigest(100));
    expect(fresh.digest).toBe(promised)
  })

  it('goes by what is committed, when that was looked at anew', () => {
    const made = finished(store('s', { key, value: int64 }))
    const { store: again, migrations } = reopened(made, finished(store('s', tenfold)), entries)
    migrations.run()
    again.dropOverlay()
    // The outcome was unknown, and then found to be committed.
    migrations.expect(new Map())
    expect(migrations.run()).toBe(false)
  })

  it('removes what migrate answers null for, and gets bytes without a serde for them', () => {
    const made = finished(store('s', { key, value: int64 }))
    const later = store('s', {
      key,
      value: int64,
      version: 2,
      migrate: (old, from) => (old.length === 8 && from === 1 && old[7] === 1 ? null : 7),
    })
    const { store: again, migrations } = reopened(made, finished(later), entries)
    migrations.run()
    expect([...again.all()]).toEqual([{ key: 'b', value: 7 }])
  })

  it('keeps timestamps', () => {
    const dated = entries.map(([of, value]) => [of, { value, timestamp: 40 + value }] as const)
    const { store: again, migrations } = reopened(
      finished(store('s', { key, value: int64 }), true),
      finished(store('s', tenfold), true),
      dated,
    )
    migrations.run()
    expect(again.get('b')).toEqual({ value: '20', timestamp: 42 })
  })

  it('keeps headers', () => {
    const headers = [{ key: 'trace', value: Buffer.from('7') }]
    const dated = entries.map(([of, value]) => [of, { value, timestamp: 40 + value, headers }] as const)
    const { store: again, migrations } = reopened(
      finished(store('s', { key, value: int64, headers: true })),
      finished(store('s', { ...tenfold, headers: true })),
      dated,
    )
    migrations.run()
    expect(again.get('b')).toEqual({ value: '20', timestamp: 42, headers })
  })

  it('leaves the books of a store alone, and refuses to remove what stands in them', () => {
    const versions = (options: object): StoreDefinition =>
      finished(versionedStore('s', { key, value: int64, historyMs: 5, ...options }))
    const written = [
      ['\u0081a', { value: 1, timestamp: 6 }],
      ['\u00ff', { time: 6, expired: '' }],
    ] as const
    const ok = versions({ version: 2, previous: int64, migrate: (old: number) => old + 1 })
    const { store: again, migrations } = reopened(versions({}), ok, written)
    migrations.run()
    expect(again.get('\u0081a')).toEqual({ value: 2, timestamp: 6 })
    expect(again.get('\u00ff')).toEqual({ time: 6, expired: '' })
    const bad = reopened(versions({}), versions({ version: 2, migrate: () => null }), written)
    expect(() => bad.migrations.run()).toThrow(/migrate answered null, which this store does not take/)
  })

  it('that throws is named with the store', () => {
    const made = finished(store('s', { key, value: int64 }))
    const later = store('s', { ...tenfold, migrate: () => ({}) as string })
    const { migrations } = reopened(made, finished(later), entries)
    expect(() => migrations.run()).toThrow(/STORE_LAYOUT: the store could not be migrated: .*store s/)
  })
})

describe('the code of a store', () => {
  it('says version, kind and serdes', () => {
    expect(storeCode(finished(store('s', { key, value: int64 })))).toBe('1psl')
    expect(storeCode(finished(store('s', { key, value: int64 }), true))).toBe('1tsl')
    expect(storeCode(finished(store('s', tenfold)))).toBe('2pss')
    expect(storeCode(finished(store('s', { key, value: int64, ttlMs: 4 })))).toBe('1esl')
    const headed = { key, value: int64, headers: true }
    expect(storeCode(finished(store('s', headed)))).toBe('1rsl')
    expect(storeCode(finished(store('s', headed), true))).toBe('1rsl')
    expect(storeCode(finished(store('s', { ...headed, ttlMs: 4 })))).toBe('1fsl')
    expect(readStoreCode('12tsl')).toEqual({ version: 12, layout: 'tsl' })
    expect(readStoreCode('x')).toBeUndefined()
  })

  const lefts = topic('lefts', { key, value: string })
  const rights = topic('rights', { key, value: string })
  const out = topic('out', { key, value: string })
  const window = within({ beforeMs: 1, afterMs: 1, graceMs: 0 })
  const kept = joinStore('kept', { key, left: string, right: string })
  const joiner = (): string => ''
  const codeOf = (describeIt: (t: TopologyScope) => unknown, name = 'kept'): string | undefined =>
    topology('app', (t) => void describeIt(t))
      .graph.subtopologies.flatMap(({ stores }) => stores)
      .find((one) => one.name === name)?.layout

  it('says which join keeps it: an inner one would never take out what another one has waiting', () => {
    expect(codeOf((t) => t.stream(lefts).join(t.stream(rights), joiner, window, kept).to(out))).toBe('1isss')
    expect(codeOf((t) => t.stream(lefts).leftJoin(t.stream(rights), joiner, window, kept).to(out))).toBe(
      '1lsss',
    )
    expect(codeOf((t) => t.stream(lefts).outerJoin(t.stream(rights), joiner, window, kept).to(out))).toBe(
      '1osss',
    )
  })

  it('says until when it holds changes back', () => {
    const ten = tumbling({ sizeMs: 10, graceMs: 0 })
    const counts = (t: TopologyScope) =>
      t
        .stream(lefts)
        .groupByKey()
        .windowedBy(ten)
        .count(windowStore('counts', { key, value: int64 }))
    const held = { name: 'kept', key: windowed(string, ten), value: int64 }
    expect(codeOf((t) => counts(t).suppress(untilWindowCloses(), held))).toBe('1cosl')
    expect(codeOf((t) => counts(t).suppress(untilTimeLimit({ waitMs: 1 }), held))).toBe('1dosl')
    expect(
      codeOf((t) =>
        t
          .table(lefts, store('rows', { key, value: string }))
          .suppress(untilTimeLimit({ waitMs: 1 }), { name: 'kept', key, value: string }),
      ),
    ).toBe('1dss')
  })

  it('of an earlier build is that of any kind which that did not tell apart', () => {
    expect(isSameLayout('msss', 'osss')).toBe(true)
    expect(isSameLayout('hsl', 'csl')).toBe(true)
    expect(isSameLayout('hsl', 'css')).toBe(false)
    expect(isSameLayout('osss', 'isss')).toBe(false)
    expect(isSameLayout('hsl', 'osl')).toBe(false)
  })
})
