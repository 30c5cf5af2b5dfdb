import { describe, expect, it } from 'vitest'
import { nodePorts } from '../../../src/base/node-ports.ts'
import { int64 } from '../../../src/serde/numbers.ts'
import { string } from '../../../src/serde/text.ts'
import { MemoryEngine } from '../../../src/state/memory-engine.ts'
import { TransactionalStore } from '../../../src/state/transactional-store.ts'
import { StoreMigrations } from '../../../src/task/store-migrations.ts'
import type { StoreDefinition } from '../../../src/topology/contracts.ts'
import { store, versionedStore } from '../../../src/topology/handles.ts'
import { finishedStore } from '../../../src/topology/store-layouts.ts'
import { readStoreCode, storeCode } from '../../../src/topology/store-code.ts'
import { identity } from '../state/support.ts'

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
    const changes: string[] = []
    again.drainChanges((of, value) => changes.push(`${of}=${Buffer.from(value ?? '').toString()}`))
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
    expect(storeCode(finished(store('s', { ...headed, ttlMs: 4 })))).toBe('1lsl')
    expect(readStoreCode('12tsl')).toEqual({ version: 12, layout: 'tsl' })
    expect(readStoreCode('x')).toBeUndefined()
  })
})
