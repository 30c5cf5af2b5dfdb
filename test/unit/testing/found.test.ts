// What the simulation has found: each is a plan that failed before the fault behind it was mended.
import { describe, expect, it } from 'vitest'
import { epochMs } from '../../../src/testing/simulation/simulated-process.ts'
import { applicationId, type Chunk, type Plan } from '../../sim/plan.ts'
import { runPlan } from '../../sim/run-seed.ts'
import type { Op } from '../../system/faults/ops.ts'

const chunk = (atMs: number, rows: readonly (readonly [key: string, op: Op])[]): Chunk => ({
  atMs,
  records: rows.map(([key, op]) => ({ key, value: JSON.stringify(op), timestamp: epochMs + atMs })),
})

const plan: Plan = {
  seed: 1,
  nodes: 1,
  partitions: 2,
  transactionVersion: 2,
  producerEpochMax: undefined,
  latencyMs: 1,
  slowRate: 0,
  costMs: 0.01,
  wallClockTimers: false,
  settings: {
    applicationId,
    sessionTimeoutMs: 6000,
    heartbeatIntervalMs: 1000,
    rebalanceTimeoutMs: 2000,
    transactionTimeoutMs: 2000,
    requestTimeoutMs: 2000,
    connectionTimeoutMs: 1000,
    commitIntervalMs: 50,
    fetchWaitMs: 100,
    purgeIntervalMs: 1000,
  },
  workers: [{ host: 'w1', startsAtMs: 0 }],
  input: [],
  faults: [],
  healAtMs: 20_000,
}

describe('found by the simulation', () => {
  it.each([1, 2, 3, 4, 5, 6, 7, 8, 9])(
    'a transaction that times out near the last epoch of its producer id (transaction %i)',
    async (nth) => {
      const outcome = await runPlan({
        ...plan,
        producerEpochMax: 5,
        settings: { ...plan.settings, sessionTimeoutMs: 25_000, requestTimeoutMs: 4000 },
        input: Array.from({ length: 12 }, (_, index) =>
          chunk(500 + 300 * index, [[`key-${index % 3}`, { id: `op-${index}`, kind: 'count' }]]),
        ),
        faults: [
          {
            kind: 'pause',
            host: 'w1',
            forMs: 5000,
            atMs: 0,
            when: { host: 'w1', point: 'before-end-txn', nth },
          },
        ],
      })
      expect(outcome.report).toEqual([])
      expect(outcome.marks).toContain('a transaction timed out')
    },
  )

  it('a worker that was put out, and reads where its successor has purged a repartition topic', async () => {
    const rows: (readonly [string, Op])[] = [
      ['key-0', { id: 'op-11', kind: 'transfer', to: 'key-12', amount: 889 }],
      ['key-23', { id: 'op-12', kind: 'transfer', to: 'key-6', amount: 686 }],
      ['key-23', { id: 'op-13', kind: 'transfer', to: 'key-14', amount: 904 }],
      ['key-4', { id: 'op-14', kind: 'count' }],
      ['key-1', { id: 'op-15', kind: 'timer', delayMs: 1617 }],
      ['key-14', { id: 'op-19', kind: 'transfer', to: 'key-20', amount: 885 }],
    ]
    const outcome = await runPlan({
      ...plan,
      nodes: 2,
      transactionVersion: 1,
      settings: { ...plan.settings, standbyReplicas: 1, standbyLagMax: 0, commitIntervalMs: 60 },
      workers: [
        { host: 'w1', startsAtMs: 0 },
        { host: 'w2', startsAtMs: 7 },
      ],
      input: [
        chunk(
          818,
          Array.from({ length: 11 }, (_, index) => transfer(index)),
        ),
      ],
      faults: [
        { kind: 'request', effect: 'unanswered', apiKey: 26, host: 'w1', holdMs: 0, atMs: 734 },
        {
          kind: 'move coordinator',
          of: 'group',
          host: 'w1',
          nodeId: 2,
          loadMs: 12_588,
          atMs: 2395,
          when: { host: 'w1', point: 'after-produce', nth: 1 },
        },
      ],
    })
    expect(outcome.report).toEqual([])
    expect(outcome.violations).toEqual([])
  })
})
