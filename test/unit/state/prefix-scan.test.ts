import { describe, expect, it } from 'vitest'
import { bytes, string } from '../../../src/serde/text.ts'
import { int32 } from '../../../src/serde/numbers.ts'
import { prefixBounds } from '../../../src/state/store-codec.ts'
import { MemoryEngine } from '../../../src/state/memory-engine.ts'
import { TransactionalStore } from '../../../src/state/transactional-store.ts'
import { nodePorts } from '../../../src/base/node-ports.ts'
import { identity } from './support.ts'

describe('a scan by prefix', () => {
  const opened = (): TransactionalStore<string, number> => {
    const engine = new MemoryEngine()
    engine.reset(identity)
    return new TransactionalStore({ name: 's', key: string, value: int32, engine, clock: nodePorts.clock })
  }

  it('finds what begins with it, flushed, committed and written, both ways', () => {
    const store = opened()
    store.put('ab', 1)
    store.put('b', 2)
    store.put('a', 3)
    store.commitOverlay({ changelogOffset: 3, leaderEpoch: 0, caughtUpAtMs: 0 })
    store.flush()
    store.put('aa', 4)
    store.put('ac', 5)
    store.delete('ab')
    const keys = (prefix: string, reverse = false): string[] =>
      [...store.prefixScan(prefix, string, { reverse })].map(({ key }) => key)
    expect(keys('a')).toEqual(['a', 'aa', 'ac'])
    expect(keys('a', true)).toEqual(['ac', 'aa', 'a'])
    expect(keys('')).toEqual(['a', 'aa', 'ac', 'b'])
    expect(keys('ab')).toEqual([])
    const range = (from: string | undefined, to: string | undefined): string[] =>
      [...store.range(from, to, { reverse: true })].map(({ key }) => key)
    expect(range('aa', 'b')).toEqual(['ac', 'aa'])
    expect(range(undefined, undefined)).toEqual(['b', 'ac', 'aa', 'a'])
  })

  it('ends before the next prefix, also behind bytes that are FF', () => {
    const bounds = (...prefix: number[]): (string | undefined)[] => {
      const { from, to } = prefixBounds(bytes, Buffer.from(prefix))
      return [from, to]
    }
    expect(bounds(1, 2)).toEqual(['\u0001\u0002', '\u0001\u0003'])
    expect(bounds(1, 0xff)).toEqual(['\u0001\u00ff', '\u0002'])
    expect(bounds(0xff, 0xff)).toEqual(['\u00ff\u00ff', undefined])
    expect(bounds()).toEqual(['', undefined])
  })
})
