import { describe, expect, it } from 'vitest'
import type { Clock } from '../../../src/base/ports.ts'
import { MillstreamError } from '../../../src/errors.ts'
import { RestoreMeter, type RestoreProgress } from '../../../src/runtime/restore-progress.ts'
import { WorkerWatch } from '../../../src/runtime/worker-watch.ts'
import { KeptLog } from '../../support/worker.ts'

const movingClock = (): Clock & { atMs: number } => {
  const clock = { atMs: 1000, now: () => 1e12 + clock.atMs, monotonic: () => clock.atMs }
  return clock
}

describe('RestoreMeter', () => {
  it('counts what is left, and the time by the rate of the last ten seconds', () => {
    const clock = movingClock()
    const meter = new RestoreMeter(
      clock,
      new Map([
        ['a', 1000],
        ['b', 9000],
      ]),
    )
    expect(meter.progress).toEqual({
      stores: 2,
      storesTotal: 2,
      records: 0,
      bytes: 0,
      offsetsLeft: 10_000,
      offsetsTotal: 10_000,
      secondsLeft: undefined,
    })
    clock.atMs += 2000
    meter.advanced('a', -1, 900, 5000)
    meter.advanced('b', 8000, 1000, 6000)
    meter.sample()
    // 2,000 offsets in 2 s.
    expect(meter.progress).toMatchObject({ stores: 1, records: 1900, bytes: 11_000, offsetsLeft: 8000 })
    expect(meter.progress.secondsLeft).toBe(8)
    expect(meter.storesDone).toBe(1)
    // Slower since: after ten seconds the fast beginning no longer counts.
    for (let seconds = 0; seconds < 12; seconds += 2) {
      clock.atMs += 2000
      meter.advanced('b', 8000 - (seconds + 2) * 100, 10, 10)
      meter.sample()
    }
    expect(meter.progress.offsetsLeft).toBe(6800)
    expect(meter.progress.secondsLeft).toBe(68)
    meter.advanced('b', 0, 1, 1)
    expect(meter.progress).toMatchObject({ stores: 0, offsetsLeft: 0, secondsLeft: 0 })
  })

  it('says nothing of the time while nothing moves', () => {
    const clock = movingClock()
    const meter = new RestoreMeter(clock, new Map([['a', 1000]]))
    clock.atMs += 5000
    meter.sample()
    expect(meter.progress.secondsLeft).toBe(undefined)
  })
})

describe('WorkerWatch', () => {
  it('adds up restores, past and under way, and reports them', () => {
    const clock = movingClock()
    const watch = new WorkerWatch(clock, new KeptLog())
    const reports: RestoreProgress[] = []
    const forget = watch.observe({ restoring: (progress) => void reports.push(progress) })
    expect(watch.restore).toBe(undefined)
    const [first, second] = [
      new RestoreMeter(clock, new Map([['a', 10]])),
      new RestoreMeter(clock, new Map([['b', 20]])),
    ]
    watch.restoreBegan(first)
    watch.restoreBegan(second)
    first.advanced('a', 0, 7, 70)
    second.advanced('b', 5, 15, 150)
    expect(watch.restore).toMatchObject({ stores: 1, storesTotal: 2, offsetsLeft: 5, offsetsTotal: 30 })
    expect(watch.restored).toEqual({ stores: 1, records: 22, bytes: 220 })
    watch.restoreEnded(first)
    expect(watch.restored).toEqual({ stores: 1, records: 22, bytes: 220 })
    watch.restoreEnded(second)
    expect(watch.restored).toEqual({ stores: 1, records: 22, bytes: 220 })
    expect(watch.restore).toBe(undefined)
    expect(reports.map(({ offsetsLeft }) => offsetsLeft)).toEqual([10, 30, 5, 5])
    forget()
    watch.restoreBegan(first)
    expect(reports).toHaveLength(4)
  })

  it('takes the time of a rebalance until the worker runs again', () => {
    const clock = movingClock()
    const watch = new WorkerWatch(clock, new KeptLog())
    const durations: number[] = []
    watch.observe({ rebalanced: (durationMs) => void durations.push(durationMs) })
    watch.moved('starting', 'created')
    watch.moved('rebalancing', 'starting')
    clock.atMs += 300
    watch.moved('rebalancing', 'rebalancing')
    clock.atMs += 300
    watch.moved('running', 'rebalancing')
    watch.moved('recovering', 'running')
    clock.atMs += 50
    watch.moved('running', 'recovering')
    expect(durations).toEqual([600])
  })

  it('knows since when, what went wrong and how long ago the loop turned', () => {
    const clock = movingClock()
    const watch = new WorkerWatch(clock, new KeptLog())
    watch.moved('recovering', 'running')
    const since = watch.stateSinceMs
    clock.atMs += 40
    watch.moved('recovering', 'recovering')
    expect(watch.stateSinceMs).toBe(since)
    clock.atMs += 40
    expect(watch.idleMs).toBe(40)
    watch.turned()
    expect(watch.idleMs).toBe(0)
    watch.fault(new MillstreamError('PRODUCER_FENCED', { what: 'x' }))
    watch.fault(new MillstreamError('OUTCOME_UNKNOWN', { what: 'x' }))
    watch.fault(new MillstreamError('INSTANCE_FENCED', { what: 'x' }))
    expect([watch.faults.recover, watch.faults.stop, watch.fenced]).toEqual([2, 1, 2])
    watch.failed(new MillstreamError('INSTANCE_FENCED', { what: 'x' }))
    expect(watch.failure).toBe('INSTANCE_FENCED')
    // A new worker in its place.
    watch.moved('starting', 'created')
    expect([watch.failure, watch.fenced]).toEqual([undefined, 2])
  })

  it('goes on when an observer throws', () => {
    const log = new KeptLog()
    const watch = new WorkerWatch(movingClock(), log)
    const phases: unknown[] = []
    watch.observe({
      committed: () => {
        throw new Error('of the user')
      },
    })
    watch.observe({ committed: (one) => void phases.push(one) })
    watch.committed({ produceMs: 1, offsetsMs: 2, endMs: 3 })
    expect(phases).toEqual([{ produceMs: 1, offsetsMs: 2, endMs: 3 }])
    expect(log.with('an observer threw').map(({ fields }) => fields['cause'])).toEqual(['of the user'])
  })
})
