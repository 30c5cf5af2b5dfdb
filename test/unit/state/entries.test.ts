import { describe, expect, it } from 'vitest'
import { Entries, type Entry } from '../../../src/state/entries.ts'
import { StoreMemory } from '../../../src/state/store-memory.ts'

// An entry of one char and a number counts 137 bytes: three fit below a third of 1400.
const full = (unflushed: readonly Entry[] = []): Entries => {
  const memory = new StoreMemory(1400)
  const entries = new Entries(memory)
  memory.join({ committedBytes: 0, flush: () => {}, age: () => entries.age(unflushed) })
  return entries
}

describe('the entries of a store', () => {
  it('forget what was not read for two generations, and keep what was', () => {
    const entries = full()
    entries.make('u', 1)
    entries.make('n', 2)
    for (const key of 'ABCDEFGHIJ') {
      entries.make(key, 0)
      expect(entries.get('u')?.value).toBe(1)
    }
    expect(entries.get('n')).toBeUndefined()
  })

  it('stay within their two generations', () => {
    const entries = full()
    const keys = Array.from({ length: 100 }, (_, index) => String(index))
    for (const key of keys) entries.make(key, 0)
    expect(keys.filter((key) => entries.get(key) !== undefined).length).toBeLessThanOrEqual(8)
  })

  it('that the engine does not hold are never forgotten', () => {
    const unflushed: Entry[] = []
    const entries = full(unflushed)
    const kept = entries.make('k', 1)
    unflushed.push(kept)
    for (let index = 0; index < 100; index++) entries.make(`n${index}`, 0)
    expect(entries.get('k')).toBe(kept)
    unflushed.length = 0
    for (let index = 100; index < 200; index++) entries.make(`n${index}`, 0)
    expect(entries.get('k')).toBeUndefined()
  })

  it('that grow count as what they have become', () => {
    const entries = full()
    const grown = entries.make('g', 1)
    entries.make('n', 2)
    entries.grown(1000)
    entries.grown(1000)
    expect(entries.get('n')).toBeUndefined()
    expect(grown.key).toBe('g')
  })
})
