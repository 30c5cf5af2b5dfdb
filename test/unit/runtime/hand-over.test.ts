// The budget of a hand-over: when it begins, when it is over, and that a join in time ends it.
import { describe, expect, it } from 'vitest'
import { silentLogger } from '../../../src/base/log.ts'
import { nodePorts } from '../../../src/base/node-ports.ts'
import type { Ports, TimerHandle } from '../../../src/base/ports.ts'
import { HandOver } from '../../../src/runtime/hand-over.ts'

/** One hand-over, with timers that end when they are told to. */
const handOver = (rebalanceTimeoutMs: number, transactionTimeoutMs: number) => {
  const running = new Map<TimerHandle, { readonly callback: () => void; readonly delayMs: number }>()
  const timers: Ports['timers'] = {
    ...nodePorts.timers,
    set: (callback, delayMs) => {
      const handle = { of: 'test' } as unknown as TimerHandle
      running.set(handle, { callback, delayMs })
      return handle
    },
    clear: (handle) => void running.delete(handle),
  }
  const graces: number[] = []
  const subject = new HandOver({
    settings: { rebalanceTimeoutMs, transactionTimeoutMs },
    ports: { ...nodePorts, timers },
    log: silentLogger,
    producer: { giveUp: (_why, graceMs) => void graces.push(graceMs) },
  })
  return { subject, graces, delays: () => [...running.values()].map(({ delayMs }) => delayMs), running }
}

describe('the budget', () => {
  it.each([
    [30_000, 10_000, 5000],
    [4000, 60_000, 2000],
  ])(
    'with %i and %i ms is %i ms, from the first call on, and as much again for the abort',
    (rebalance, transaction, budget) => {
      const { subject, graces, delays, running } = handOver(rebalance, transaction)
      subject.called()
      subject.called()
      expect(delays()).toEqual([budget])
      for (const { callback } of running.values()) callback()
      expect(graces).toEqual([budget])
      expect(subject.isLate).toBe(true)
      subject.joins()
      expect(subject.isLate).toBe(false)
    },
  )

  it('ends with the join, and begins anew with the next call', () => {
    const { subject, delays } = handOver(3000, 3000)
    subject.called()
    subject.joins()
    expect(delays()).toEqual([])
    subject.called()
    expect(delays()).toEqual([1500])
    expect(subject.isLate).toBe(false)
  })
})
