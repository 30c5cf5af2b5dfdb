import { describe, expect, it } from 'vitest'
import { ReadCache } from '../../../src/state/layers.ts'
import { StoreMemory } from '../../../src/state/store-memory.ts'

// An entry of one char and a number counts 73 bytes: three fit below a third of 768.
const full = (): ReadCache => {
  const memory = new StoreMemory(768)
  const cache = new ReadCache(memory)
  memory.join({ committedBytes: 0, flush: () => {}, age: () => cache.age() })
  return cache
}

describe('ReadCache', () => {
  it('forgets what was not read for two generations, and keeps what was', () => {
    const cache = full()
    cache.add('u', 1)
    cache.add('n', 2)
    for (const key of 'ABCDEFGHIJ') {
      cache.add(key, 0)
      expect(cache.get('u')).toBe(1)
    }
    expect(cache.get('n')).toBeUndefined()
  })

  it('stays within its two generations', () => {
    const cache = full()
    const keys = Array.from({ length: 100 }, (_, index) => String(index))
    for (const key of keys) cache.add(key, 0)
    expect(keys.filter((key) => cache.get(key) !== undefined).length).toBeLessThanOrEqual(8)
  })

  it('never shows again what a flush replaced', () => {
    const cache = full()
    cache.add('k', 'old')
    cache.flushed(new Map([['k', 'new']]), 73)
    expect(cache.get('k')).toBe('new')
    for (const key of 'ABCDEFGHIJ') {
      cache.add(key, 0)
      expect(cache.get('k')).toBe('new')
    }
    cache.clear()
    expect(cache.get('k')).toBeUndefined()
  })
})
