import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SortedKeys } from '../../../src/state/sorted-keys.ts'

const key = fc.integer({ min: 0, max: 3000 }).map((number) => String.fromCharCode(number >> 8, number & 255))

describe('keys in order', () => {
  it('are those of a sorted list, over any range, both ways', () => {
    fc.assert(
      fc.property(
        fc.array(key, { maxLength: 1500 }),
        fc.array(fc.tuple(fc.boolean(), key), { maxLength: 1500 }),
        fc.option(key, { nil: undefined }),
        fc.option(key, { nil: undefined }),
        (first, changes, low, high) => {
          const model = new Set(first)
          const keys = SortedKeys.of(model)
          for (const [add, changed] of changes) {
            if (add) {
              model.add(changed)
              keys.add(changed)
            } else {
              model.delete(changed)
              keys.delete(changed)
            }
          }
          const expected = [...model]
            .filter((one) => (low === undefined || one >= low) && (high === undefined || one < high))
            .sort()
          expect([...keys.within(low, high, false)]).toEqual(expected)
          expect([...keys.within(low, high, true)]).toEqual(expected.reverse())
        },
      ),
      { numRuns: 60 },
    )
  })

  it('stay in order when thousands come one after another', () => {
    const keys = new SortedKeys()
    const names = Array.from({ length: 5000 }, (_, index) => `k${(index * 7919) % 5000}`)
    for (const name of names) keys.add(name)
    expect([...keys.within(undefined, undefined, false)]).toEqual([...names].sort())
    for (const name of names) keys.delete(name)
    expect([...keys.within(undefined, undefined, false)]).toEqual([])
  })
})
