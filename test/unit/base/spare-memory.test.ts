// Memory that is used again: who gets it, how much lies free, and what is let go.
import { describe, expect, it } from 'vitest'
import { SpareMemory } from '../../../src/base/spare-memory.ts'

const spareOf = (...sizes: number[]): SpareMemory => {
  const spare = new SpareMemory({ bytesMax: 10_000, countMax: 64, lookEvery: 10 })
  for (const size of sizes) spare.keep(new ArrayBuffer(size))
  return spare
}

describe('SpareMemory', () => {
  it('gives the smallest that is large enough and not far too large, and each once', () => {
    const spare = spareOf(800, 80, 8000)
    const kept = spare.take(300)
    expect(kept?.byteLength).toBe(800)
    expect(spare.freeBytes).toBe(8080)
    expect(spare.take(1999)).toBeUndefined()
    expect(spare.take(2000)?.byteLength).toBe(8000)
    spare.keep(kept as ArrayBuffer)
    expect(spare.take(700)).toBe(kept)
    expect(spare.take(700)).toBeUndefined()
  })

  it('lets the smallest go for a larger one where it is full', () => {
    const spare = spareOf(800, 80, 8000, 8000)
    expect(spare.take(9000)).toBeUndefined()
    expect(spare.freeBytes).toBe(16_800)
    expect(spare.take(7000)?.byteLength).toBe(8000)
    // Not full: there is room for what comes back.
    expect(spare.take(9000)).toBeUndefined()
    expect(spare.freeBytes).toBe(8800)
  })

  it('keeps its bound and one more, or 64', () => {
    expect(spareOf(6000, 6000, 6000).freeBytes).toBe(12_000)
    expect(spareOf(...Array.from({ length: 100 }, () => 10)).freeBytes).toBe(640)
  })

  it('lets go of what lay free all the while, and of nothing that was needed', () => {
    const spare = spareOf(1000, 1000, 1000, 100)
    let made = 0
    const another = (): ArrayBuffer => {
      made++
      return new ArrayBuffer(1000)
    }
    /** As many questions as a look takes, with two pieces in use at once. */
    const work = (): void => {
      for (let count = 0; count < 5; count++) {
        const taken = [spare.take(500), spare.take(500)]
        for (const memory of taken) spare.keep(memory ?? another())
      }
    }
    // The first time includes the moment when nothing was there.
    work()
    expect(spare.freeBytes).toBe(3100)
    work()
    work()
    expect(spare.freeBytes).toBe(2000)
    work()
    work()
    expect([spare.freeBytes, made]).toEqual([2000, 0])
  })
})
