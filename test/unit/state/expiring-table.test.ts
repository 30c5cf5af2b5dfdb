import { describe, expect, it } from 'vitest'
import { nodePorts } from '../../../src/base/node-ports.ts'
import { int64 } from '../../../src/serde/numbers.ts'
import { string } from '../../../src/serde/text.ts'
import { expiringEntries, type ExpiringStore, ExpiringTable } from '../../../src/state/expiring-table.ts'
import { MemoryEngine } from '../../../src/state/memory-engine.ts'
import { rawKeys } from '../../../src/state/store-codec.ts'
import { TransactionalStore } from '../../../src/state/transactional-store.ts'
import { identity } from './support.ts'

describe('a table whose entries live for a time', () => {
  it('deletes what is over also where stream time began anew', () => {
    const engine = new MemoryEngine()
    engine.reset(identity)
    const options = { name: 's', key: rawKeys, engine, clock: nodePorts.clock }
    const store: ExpiringStore = new TransactionalStore({
      ...options,
      value: expiringEntries(int64 as never),
    }) as never
    let now = 1000
    const table = new ExpiringTable(store, string as never, int64 as never, 16, () => now)
    table.put('early', { value: 1, timestamp: 1000 })
    now = 5
    table.put('again', { value: 2, timestamp: 5 })
    now = 2000
    table.put('late', { value: 3, timestamp: 2000 })
    expect([...table.all()].map(({ key }) => key)).toEqual(['late'])
    // The entry, its place, and how far the sweep came.
    expect([...store.all()]).toHaveLength(3)
  })
})
