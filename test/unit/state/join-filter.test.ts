import { describe, expect, it } from 'vitest'
import { leftSide, rightSide } from '../../../src/state/join-entries.ts'
import { JoinFilter } from '../../../src/state/join-filter.ts'
import { KeySet } from '../../../src/state/key-set.ts'

describe('a set of keys', () => {
  it('has what was added, however much that was, and hardly anything else', () => {
    const set = new KeySet()
    for (let index = 0; index < 5000; index++) set.add(`key-${index}`)
    const others = Array.from({ length: 5000 }, (_, index) => `other-${index}`)
    for (let index = 0; index < 5000; index++) expect(set.has(`key-${index}`)).toBe(true)
    expect(others.filter((key) => set.has(key)).length).toBeLessThan(3)
    const before = set.size
    set.add('key-0')
    expect(set.size).toBe(before)
    expect(before).toBeGreaterThan(4997)
  })
})

describe('what a join need not look for', () => {
  it('is nothing in the stretches that may have had records before', () => {
    const filter = new JoinFilter(0, [20, -1])
    expect(filter.excludes(rightSide, 10, 'k')).toBe(false)
    expect(filter.excludes(rightSide, 20, 'k')).toBe(false)
    expect(filter.excludes(rightSide, 30, 'k')).toBe(true)
    expect(filter.excludes(leftSide, 0, 'k')).toBe(true)
  })

  it('is every key but those that were kept there, on their side', () => {
    const filter = new JoinFilter(0, [-1, -1])
    filter.note(leftSide, 10, 'k')
    expect(filter.excludes(leftSide, 10, 'k')).toBe(false)
    expect(filter.excludes(leftSide, 10, 'l')).toBe(true)
    expect(filter.excludes(leftSide, 20, 'k')).toBe(true)
    expect(filter.excludes(rightSide, 10, 'k')).toBe(true)
  })

  it('is nothing where notes were forgotten, which are bounded', () => {
    const filter = new JoinFilter(0, [-1, -1])
    for (let start = 0; start < 100; start++) filter.note(leftSide, start, 'k')
    expect(filter.excludes(leftSide, 35, 'l')).toBe(false)
    expect(filter.excludes(leftSide, 36, 'l')).toBe(true)
    for (let index = 0; index < 260_000; index++) filter.note(leftSide, 200, `k${index}`)
    expect(filter.excludes(leftSide, 200, 'l')).toBe(false)
    expect(filter.excludes(leftSide, 201, 'l')).toBe(true)
    expect(filter.excludes(rightSide, 0, 'l')).toBe(true)
  })
})
