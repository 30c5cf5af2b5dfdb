// The memory of answers: who gets it again, when, and what is left for those who kept a view of it.
import { describe, expect, it } from 'vitest'
import { FramePool } from '../../../src/client/frame-pool.ts'
import type { BatchView } from '../../../src/record/batch-view.ts'

const MiB = 1024 * 1024

/** An answer is read, and is done with at once. */
const readOnce = (pool: FramePool, bytes: number): Buffer => {
  const frame = pool.take(bytes)
  const lease = pool.lease(frame.buffer)
  lease?.hold()
  lease?.release()
  return frame
}

/** Stands for batches: the pool only marks them. */
const batches = (count: number): BatchView[] => Array.from({ length: count }, () => ({}) as BatchView)

describe('FramePool', () => {
  it('uses memory again, of which those who kept a view see nothing', () => {
    const pool = new FramePool()
    const first = pool.take(1000).fill('first')
    const kept = first.subarray(10, 20)
    const lease = pool.lease(first.buffer)
    lease?.hold()
    lease?.release()
    expect([first.length, kept.length, (kept.buffer as ArrayBuffer).detached]).toEqual([0, 0, true])
    expect(pool.freeBytes).toBe(1125)
    const second = pool.take(1100)
    expect([second.length, second.buffer.byteLength, pool.freeBytes]).toEqual([1100, 1125, 0])
    expect(second.toString('latin1', 0, 5)).toBe('first')
  })

  it('waits for every batch', () => {
    const pool = new FramePool()
    const frame = pool.take(100)
    const lease = pool.lease(frame.buffer)
    const lent = batches(3)
    lease?.hold()
    lease?.lendTo(lent)
    lease?.release()
    for (const { memory } of lent) {
      expect(frame.length).toBe(100)
      memory?.release()
    }
    expect(frame.length).toBe(0)
    expect(() => lent[0]?.memory?.release()).toThrow('INVARIANT_BROKEN')
  })

  it('takes nothing that it did not give, and no answer twice', () => {
    const pool = new FramePool()
    expect(pool.lease(Buffer.allocUnsafeSlow(100).buffer)).toBeUndefined()
    expect(pool.lease(undefined)).toBeUndefined()
    const frame = pool.take(100)
    expect(pool.lease(frame.buffer)).toBeDefined()
    expect(pool.lease(frame.buffer)).toBeUndefined()
    expect(new FramePool().lease(pool.take(100).buffer)).toBeUndefined()
  })

  it('gives the smallest that is large enough, and a larger one in place of the smallest that is not', () => {
    const pool = new FramePool()
    const sizes = [800, 8000, 80]
    const frames = sizes.map((bytes) => pool.take(bytes))
    for (const frame of frames) {
      const lease = pool.lease(frame.buffer)
      lease?.hold()
      lease?.release()
    }
    expect(pool.freeBytes).toBe(900 + 9000 + 90)
    expect(pool.take(800).buffer.byteLength).toBe(900)
    expect(pool.take(10_000).buffer.byteLength).toBe(11_250)
    expect(pool.freeBytes).toBe(9000)
    expect(pool.take(90).buffer.byteLength).toBe(9000)
  })

  it('keeps no more than 16 MiB, and detaches what it does not keep', () => {
    const pool = new FramePool()
    const frames = Array.from({ length: 4 }, () => pool.take(4 * MiB))
    const huge = pool.take(40 * MiB)
    for (const frame of [huge, ...frames]) {
      const lease = pool.lease(frame.buffer)
      lease?.hold()
      lease?.release()
    }
    expect(pool.freeBytes).toBe(3 * 4.5 * MiB)
    expect([huge.length, ...frames.map(({ length }) => length)]).toEqual([0, 0, 0, 0, 0])
  })

  it('lets go of what a load left behind, once only little comes', () => {
    const pool = new FramePool()
    const frames = Array.from({ length: 3 }, () => pool.take(MiB))
    for (const frame of frames) {
      const lease = pool.lease(frame.buffer)
      lease?.hold()
      lease?.release()
    }
    const before = pool.freeBytes
    // One that needs its memory shows that the load is not over.
    for (let count = 0; count < 100; count++) readOnce(pool, 1000)
    readOnce(pool, MiB)
    for (let count = 0; count < 50; count++) readOnce(pool, 1000)
    expect(pool.freeBytes).toBe(before)
    for (let count = 0; count < 64; count++) readOnce(pool, 1000)
    expect(pool.freeBytes).toBeLessThan(MiB)
  })
})
