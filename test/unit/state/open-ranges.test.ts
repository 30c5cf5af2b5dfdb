// Ranges over a store that are still read when it is written.
import { describe, expect, it } from 'vitest'
import { int64 } from '../../../src/serde/numbers.ts'
import { string } from '../../../src/serde/text.ts'
import { MemoryEngine } from '../../../src/state/memory-engine.ts'
import { TransactionalStore } from '../../../src/state/transactional-store.ts'
import { at, code, identity, storeOf, TestClock } from './support.ts'

describe('a write', () => {
  it('ends a range that is read on after a write', () => {
    const { store } = storeOf(int64)
    for (const key of ['a', 'b', 'c']) store.put(key, 1)
    store.commitOverlay(at(1))
    store.flush()
    const enders: (() => void)[] = [
      () => store.put('x', 1),
      () => store.delete('a'),
      () => store.undo(),
      () => store.commitOverlay(at(9)),
      () => store.dropOverlay(),
      () => store.applyChangelog([], at(9)),
    ]
    for (const end of enders) {
      const range = store.all()
      range.next()
      const unread = store.range('a', undefined)
      end()
      expect([code(() => range.next()), code(() => unread.next())]).toEqual([
        'RANGE_INVALIDATED',
        'RANGE_INVALIDATED',
      ])
    }
    const reading = store.all()
    reading.next()
    store.get('b')
    expect(reading.next().value?.key).toBe('b')
  })

  it('ends what a range reads of the engine with the write, not only when somebody reads on', () => {
    let open = 0
    class Engine extends MemoryEngine {
      override *range(...bounds: Parameters<MemoryEngine['range']>): ReturnType<MemoryEngine['range']> {
        open += 1
        try {
          yield* super.range(...bounds)
        } finally {
          open -= 1
        }
      }
    }
    const engine = new Engine()
    engine.reset(identity)
    engine.write(
      ['a', 'b'].map((key) => ({ key, value: int64.encode(1) })),
      at(1),
    )
    const store = new TransactionalStore({
      name: 'totals',
      key: string,
      value: int64,
      engine,
      clock: new TestClock(),
    })
    store.all().next()
    expect(open).toBe(1)
    store.put('c', 1)
    expect(open).toBe(0)
  })
})
