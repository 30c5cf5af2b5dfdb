// A store whose memory is too small for what it does: what it forgets, and what it must not.
import { describe, expect, it } from 'vitest'
import { json } from '../../../src/serde/json.ts'
import { bytes, string } from '../../../src/serde/text.ts'
import { MemoryEngine } from '../../../src/state/memory-engine.ts'
import { StoreMemory } from '../../../src/state/store-memory.ts'
import { at, record, storeOf } from './support.ts'

describe('a store whose memory fills up', () => {
  const large = Buffer.alloc(300, 1)
  const other = Buffer.alloc(300, 2)
  const filled = () => {
    const opened = storeOf(bytes, undefined, { memory: new StoreMemory(300), flushIntervalMs: 0 })
    opened.store.put('k', large)
    opened.store.commitOverlay(at(1))
    return opened.store
  }
  /** Two look-ups of other keys drop what is clean. */
  const forget = (store: ReturnType<typeof filled>): void => {
    for (const key of ['a', 'b', 'c']) store.get(key)
  }

  it('keeps what the open transaction wrote', () => {
    const store = filled()
    store.put('k', other)
    forget(store)
    expect(store.get('k')).toEqual(other)
    store.dropOverlay()
    expect(store.get('k')).toEqual(large)
  })

  it('keeps what is committed and cannot be flushed', () => {
    const engine = new MemoryEngine()
    const { store } = storeOf(bytes, engine, { memory: new StoreMemory(300), flushIntervalMs: 1e9 })
    engine.write = () => {
      throw new Error('the disk is full')
    }
    store.put('k', large)
    expect(() => store.commitOverlay(at(1))).toThrow('the disk is full')
    forget(store)
    expect(store.get('k')).toEqual(large)
  })

  it('deletes a key whose value alone takes all of it', () => {
    const store = filled()
    forget(store)
    store.delete('k')
    expect(store.get('k')).toBeUndefined()
  })

  it('writes to its own key what looks up others while it is encoded', () => {
    const memory = new StoreMemory(300)
    const { store } = storeOf(json<unknown>(), undefined, { memory })
    store.put('key', {
      toJSON: () => {
        for (let index = 0; index < 20; index++) store.get(`other-${index}`)
        return 'mine'
      },
    })
    expect([...store.all()]).toEqual([{ key: 'key', value: 'mine' }])
  })

  it('writes what it was given, though something larger is put while it is encoded', () => {
    const { store } = storeOf(json<unknown>())
    const { store: other } = storeOf(string)
    const large = 'x'.repeat(5_000_000)
    store.put('key', {
      toJSON: () => {
        other.put('large', large)
        return { total: 1 }
      },
    })
    expect([store.get('key'), other.get('large')]).toEqual([{ total: 1 }, large])
  })

  it('reads for a record what was written to its key since the record was looked up', () => {
    const store = filled()
    const inHand = record('k')
    expect(store.getOf(inHand)).toEqual(large)
    forget(store)
    store.put('k', other)
    expect(store.getOf(inHand)).toEqual(other)
    forget(store)
    store.putOf(inHand, large)
    expect([store.get('k'), store.getOf(inHand)]).toEqual([large, large])
  })
})
