import { describe, expect, it } from 'vitest'
import { Pulse, StandstillWatch } from '../../../src/base/pulse.ts'
import { Slicer } from '../../../src/runtime/slice.ts'
import type { StreamTask } from '../../../src/task/stream-task.ts'

/** Tasks that have so many records, each of which takes some time, on a clock that moves by nothing else. */
const scene = (recordMs: Record<string, number>, records = 1_000_000) => {
  let now = 0
  const limits: Record<string, number[]> = {}
  const tasks = Object.keys(recordMs).map((id) => {
    let left = records
    limits[id] = []
    return {
      id,
      punctuateWallClock: () => false,
      process: (limit: number) => {
        const done = Math.min(limit, left)
        left -= done
        now += done * (recordMs[id] as number)
        if (done > 0) limits[id]?.push(limit)
        return done
      },
    } as unknown as StreamTask
  })
  const pulse = new Pulse()
  pulse.know(tasks.map(({ id }) => id))
  const slicer = new Slicer({ now: () => now, monotonic: () => now }, pulse)
  return { slicer, tasks, limits, pulse, now: () => now }
}

describe('a slice', () => {
  it('takes more records in a turn while they are quick', () => {
    const { slicer, tasks, limits, now } = scene({ a: 0.001 })
    expect(slicer.run(tasks)).toBeGreaterThan(500)
    expect(limits['a']?.slice(0, 10)).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 256])
    expect(now()).toBeLessThan(1.3)
  })

  it('takes one record at a time while they are slow', () => {
    const { slicer, tasks, limits } = scene({ a: 1200 })
    for (let slices = 0; slices < 5; slices++) expect(slicer.run(tasks)).toBe(1)
    expect(limits['a']).toEqual([1, 1, 1, 1, 1])
  })

  it('takes fewer when records become slow, and more again', () => {
    const recordMs = { a: 0.001 }
    const { slicer, tasks } = scene(recordMs)
    slicer.run(tasks)
    recordMs.a = 1
    // The 256 of the first turn take 256 ms; the next turns take about 20.
    expect([1, 2, 3].map(() => slicer.run(tasks))).toEqual([256, 20, 20])
    recordMs.a = 0.001
    expect(slicer.run(tasks)).toBeGreaterThan(500)
  })

  it('ends when nothing is left', () => {
    const { slicer, tasks } = scene({ a: 0.001, b: 0.001 }, 5)
    expect(slicer.run(tasks)).toBe(10)
    expect(slicer.run(tasks)).toBe(0)
  })

  it('begins with each task in its turn, so that none takes all that they share', () => {
    let isFree = true
    const taken: string[] = []
    /** Takes what is free, as long as it has work. */
    const taskOf = (id: string, isBusy: () => boolean) =>
      ({
        id,
        punctuateWallClock: () => false,
        process: () => {
          if (!isFree || !isBusy()) return 0
          isFree = false
          taken.push(id)
          return 1
        },
      }) as unknown as StreamTask
    let cIsBusy = false
    const tasks = [taskOf('a', () => true), taskOf('b', () => true), taskOf('c', () => cIsBusy)]
    const { slicer } = scene({})
    for (let answers = 0; answers < 8; answers++) {
      cIsBusy = answers >= 4
      isFree = true
      // The worker looks once more before it waits.
      expect([slicer.run(tasks), slicer.run(tasks)]).toEqual([1, 0])
    }
    expect(taken).toEqual(['a', 'b', 'a', 'b', 'c', 'a', 'b', 'c'])
    // Tasks may go.
    isFree = true
    expect(slicer.run(tasks.slice(0, 1))).toBe(1)
  })

  it('shows which task has the thread, and that it is over also when that throws', () => {
    const { slicer, tasks, pulse } = scene({ a: 1, b: 1 })
    const watch = new StandstillWatch(pulse.memory, { lookEveryMs: 10, blockedAfterMs: 10 }, 0)
    let seen: unknown
    const throwing = {
      ...tasks[1],
      id: 'b',
      process: () => {
        watch.look(0)
        seen = watch.look(10)
        throw new Error('no')
      },
    } as unknown as StreamTask
    expect(() => slicer.run([tasks[0] as StreamTask, throwing])).toThrow('no')
    expect(seen).toEqual({ began: { ms: 10, task: 1 } })
    expect(watch.look(20)).toEqual({ ended: { ms: 10, task: 1 } })
    watch.look(30)
    expect(watch.look(40)).toBe(undefined)
  })
})
