// The memory of answers: who gets it again, when, and what is left for those who kept a view of it.
import { describe, expect, it } from 'vitest'
import { FramePool } from '../../../src/client/frame-pool.ts'
import type { BatchView } from '../../../src/record/batch-view.ts'

const MiB = 1024 * 1024

/** They were read, and are done with. */
const giveBack = (pool: FramePool, frames: readonly Buffer[]): void => {
  for (const { buffer } of frames) {
    const lease = pool.lease(buffer)
    lease?.hold()
    lease?.release()
  }
}

const readOnce = (pool: FramePool, bytes: number): void => giveBack(pool, [pool.take(bytes)])

/** Stands for batches: the pool only marks them. */
const batches = (count: number): BatchView[] => Array.from({ length: count }, () => ({}) as BatchView)

describe('FramePool', () => {
  it('uses memory again, of which those who kept a view see nothing', () => {
    const pool = new FramePool()
    const first = pool.take(1000).fill('first')
    const kept = first.subarray(10, 20)
    giveBack(pool, [first])
    expect([first.length, kept.length, (kept.buffer as ArrayBuffer).detached]).toEqual([0, 0, true])
    expect(pool.freeBytes).toBe(1000)
    const second = pool.take(900)
    expect([second.length, second.buffer.byteLength, pool.freeBytes]).toEqual([900, 1000, 0])
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

  it('gives the smallest that is large enough and not far too large', () => {
    const pool = new FramePool()
    giveBack(
      pool,
      [800, 8000, 80].map((bytes) => pool.take(bytes)),
    )
    expect(pool.freeBytes).toBe(8880)
    expect(pool.take(700).buffer.byteLength).toBe(800)
    // No waiting record of a few bytes holds much more than them.
    expect(pool.take(1999).buffer.byteLength).toBe(1999 + 249)
    expect(pool.take(2000).buffer.byteLength).toBe(8000)
    expect(pool.freeBytes).toBe(80)
  })

  it('makes new memory with an eighth to spare, once some came back', () => {
    const pool = new FramePool()
    giveBack(pool, [pool.take(800)])
    expect(pool.take(1000).buffer.byteLength).toBe(1125)
  })

  it('keeps 48 MiB and one more, or 64, and detaches what it does not keep', () => {
    const pool = new FramePool()
    const frames = Array.from({ length: 12 }, () => pool.take(5 * MiB))
    giveBack(pool, frames)
    expect(pool.freeBytes).toBe(10 * 5 * MiB)
    expect(frames.map(({ length }) => length)).toEqual(frames.map(() => 0))
    const huge = new FramePool()
    giveBack(huge, [huge.take(60 * MiB), huge.take(MiB)])
    expect(huge.freeBytes).toBe(60 * MiB)
    const small = new FramePool()
    giveBack(
      small,
      Array.from({ length: 100 }, () => small.take(100)),
    )
    expect(small.freeBytes).toBe(6400)
  })

  it('lets go of what a load left behind, once only little comes', () => {
    const pool = new FramePool()
    giveBack(
      pool,
      Array.from({ length: 3 }, () => pool.take(MiB)),
    )
    for (let count = 0; count < 100; count++) readOnce(pool, 1000)
    // One that needs its memory shows that so much of the load is not over.
    readOnce(pool, MiB)
    for (let count = 0; count < 50; count++) readOnce(pool, 1000)
    expect(Math.floor(pool.freeBytes / MiB)).toBe(1)
    for (let count = 0; count < 100; count++) readOnce(pool, 1000)
    expect(pool.freeBytes).toBeLessThan(MiB)
  })
})
