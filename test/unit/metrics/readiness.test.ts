import { describe, expect, it } from 'vitest'
import { deathOf, readiness, readinessOf } from '../../../src/metrics/readiness.ts'
import { runningStatus } from './status.ts'

const restore = {
  stores: 2,
  storesTotal: 3,
  records: 100,
  bytes: 5000,
  offsetsLeft: 1200,
  offsetsTotal: 5000,
  secondsLeft: 12,
}

describe('readinessOf', () => {
  it('is ready when it runs with all tasks, also without any', () => {
    expect(readinessOf(runningStatus())).toBe(undefined)
    expect(readinessOf(runningStatus({ assignedTasks: 0, tasks: [] }))).toBe(undefined)
  })

  it.each([
    [{ state: 'created' }, 'starting'],
    [{ state: 'starting' }, 'starting'],
    [{ state: 'rebalancing' }, 'rebalancing'],
    [{ state: 'rebalancing', restore }, 'restoring 2 stores: 1200 of 5000 offsets left, about 12 s left'],
    [
      { state: 'running', restore: { ...restore, stores: 1, secondsLeft: undefined } },
      'restoring 1 store: 1200 of 5000 offsets left',
    ],
    [{ state: 'running', assignedTasks: 3 }, 'opening tasks: 1 of 3 run'],
    [{ state: 'recovering' }, 'recovering since 2026-01-02T03:04:05.000Z'],
    [
      { state: 'recovering', restore: { ...restore, secondsLeft: 0 } },
      'recovering since 2026-01-02T03:04:05.000Z: restoring 2 stores: 1200 of 5000 offsets left, about 0 s left',
    ],
    [{ state: 'closing' }, 'stopping'],
    [{ state: 'closed' }, 'stopped'],
    [{ state: 'failed', failure: 'PROCESSING_FAILED' }, 'stopped: PROCESSING_FAILED'],
  ] as const)('%j is not ready', (changes, reason) => {
    expect(readinessOf(runningStatus(changes))).toBe(reason)
  })
})

describe('readiness', () => {
  it('is that of all workers, and names those that are not ready', () => {
    const good = runningStatus()
    const bad = runningStatus({ applicationId: 'other', state: 'starting' })
    expect(readiness([good])).toMatchObject({ ready: true, reason: undefined })
    expect(readiness([bad])).toMatchObject({ ready: false, reason: 'starting' })
    expect(readiness([good, bad])).toMatchObject({
      ready: false,
      reason: 'other: starting',
      workers: [
        { application: 'app', ready: true, reason: undefined },
        { application: 'other', ready: false, reason: 'starting', state: 'starting' },
      ],
    })
  })
})

describe('deathOf', () => {
  it('finds a loop that has not turned for too long', () => {
    const stuck = runningStatus({ loop: { idleMs: 12_000, idleMaxMs: 10_000 } })
    expect(deathOf([runningStatus(), stuck])).toBe(
      'the loop of app (running) has not turned for 12 s; the limit is 10 s',
    )
  })

  it('takes a worker for alive that is unready, or has no loop any more', () => {
    expect(deathOf([runningStatus({ state: 'recovering' })])).toBe(undefined)
    expect(deathOf([runningStatus({ state: 'failed', loop: undefined })])).toBe(undefined)
    expect(deathOf([])).toBe(undefined)
  })
})
