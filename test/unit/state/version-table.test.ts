import { describe, expect, it } from 'vitest'
import { nodePorts } from '../../../src/base/node-ports.ts'
import { int64 } from '../../../src/serde/numbers.ts'
import { string } from '../../../src/serde/text.ts'
import { MemoryEngine } from '../../../src/state/memory-engine.ts'
import { rawKeys } from '../../../src/state/store-codec.ts'
import { TransactionalStore } from '../../../src/state/transactional-store.ts'
import { type VersionEntryStore, versionEntries } from '../../../src/state/version-entries.ts'
import { VersionTable } from '../../../src/state/version-table.ts'
import { identity } from './support.ts'

const opened = () => {
  const engine = new MemoryEngine()
  engine.reset(identity)
  const value = versionEntries(int64 as never)
  const options = { name: 's', key: rawKeys, value, engine, clock: nodePorts.clock }
  const store: VersionEntryStore = new TransactionalStore(options) as never
  const withHistory = (historyMs: number) =>
    new VersionTable(store, string as never, int64 as never, historyMs)
  return { store, withHistory }
}

/** Of one key with a version in each ms: the latest, those of the history with their ends, and how far time and the walk came. */
const entriesOf = (historyMs: number): number => 2 + 2 * (historyMs + 1)

describe('a versioned store', () => {
  it('removes what is past its history also where that is longer than it was', () => {
    const { store, withHistory } = opened()
    const short = withHistory(10)
    for (let time = 1000; time < 1100; time++) short.put('a', time, time)
    expect([...store.all()]).toHaveLength(entriesOf(10))
    const long = withHistory(64)
    // Before what the walk over the short history has passed.
    for (const time of [1040, 1045, 1050, 1070]) expect(long.put('a', time, time)).toBe('earlier')
    expect(long.put('b', 1060, 1060)).toBe('latest')
    expect(long.put('b', undefined, 1062)).toBe('latest')
    expect(long.asOf('a', 1048)?.value).toBe(1045)
    for (let time = 1100; time < 1300; time++) long.put('a', time, time)
    expect(long.asOf('b', 1300)).toBeUndefined()
    expect([...store.all()]).toHaveLength(entriesOf(64))
  })

  it('has a shorter history from the next write on', () => {
    const { store, withHistory } = opened()
    const long = withHistory(64)
    for (let time = 1000; time < 1100; time++) long.put('a', time, time)
    const short = withHistory(10)
    for (let time = 1100; time < 1110; time++) short.put('a', time, time)
    expect([...store.all()]).toHaveLength(entriesOf(10))
  })
})
