import { expect, it } from 'vitest'
import type { TimerHandle, Timers } from '../../../src/base/ports.ts'
import { nodePorts } from '../../../src/base/node-ports.ts'
import { LoopStalls } from '../../../src/metrics/loop-stalls.ts'

it('counts a loop that stands still, and none that is a little late', () => {
  let now = 0
  let due: (() => void) | undefined
  const timers: Timers = {
    ...nodePorts.timers,
    set: (callback, delayMs) => {
      expect(delayMs).toBe(100)
      due = callback
      return {}
    },
    clear: (_handle: TimerHandle) => {
      due = undefined
    },
  }
  const stalls = new LoopStalls({ now: () => now, monotonic: () => now }, timers)
  const pass = (durationMs: number): void => {
    now += durationMs
    due?.()
  }
  for (const durationMs of [100, 120, 300]) pass(durationMs)
  expect([stalls.count, stalls.stalledSeconds]).toEqual([0, 0])
  pass(700)
  pass(100)
  pass(20_100)
  expect([stalls.count, stalls.stalledSeconds]).toEqual([2, 20.6])
  stalls.stop()
  pass(700)
  expect(stalls.count).toBe(2)
})
