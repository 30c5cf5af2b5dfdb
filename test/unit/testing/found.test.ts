// What the simulation has found: each is a plan that failed before the fault behind it was mended.
import { describe, expect, it } from 'vitest'
import { epochMs } from '../../../src/testing/simulation/simulated-process.ts'
import { applicationId, type Chunk, type Plan } from '../../sim/plan.ts'
import { runPlan } from '../../sim/run-seed.ts'
import type { Op } from '../../system/faults/ops.ts'

const chunk = (atMs: number, rows: readonly (readonly [key: string, op: Op])[]): Chunk => ({
  atMs,
  records: rows.map(([key, op]) => ({
    key,
    value: JSON.stringify(op),
    timestamp: epochMs + Math.floor(atMs),
  })),
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
    'a transaction that times out at the last epochs of its producer id (transaction %i)',
    async (nth) => {
      const outcome = await runPlan({
        ...plan,
        producerEpochMax: 5,
        settings: { ...plan.settings, sessionTimeoutMs: 25_000, requestTimeoutMs: 15_000 },
        input: Array.from({ length: 12 }, (_, index) =>
          chunk(500 + 300 * index, [[`key-${index % 3}`, { id: `op-${index}`, kind: 'count' }]]),
        ),
        // The group does not answer either: the worker cannot know whether the id is its own to take back.
        faults: [
          { kind: 'silence', host: 'w1', forMs: 16_000, atMs: 400 },
          {
            kind: 'request',
            effect: 'delayed',
            apiKey: 26,
            host: 'w1',
            holdMs: 5000,
            atMs: 150 + 300 * nth,
          },
        ],
      })
      expect(outcome.report).toEqual([])
      expect(outcome.marks).toContain('a transaction timed out')
    },
  )

  it('a worker that was put out, and reads where its successor has purged a repartition topic', async () => {
    const rows: (readonly [string, Op])[] = [
      ['key-7', { id: 'op-10', kind: 'copy', copies: 0 }],
      ['key-0', { id: 'op-11', kind: 'transfer', to: 'key-12', amount: 889 }],
      ['key-23', { id: 'op-12', kind: 'transfer', to: 'key-6', amount: 686 }],
      ['key-23', { id: 'op-13', kind: 'transfer', to: 'key-14', amount: 904 }],
      ['key-4', { id: 'op-14', kind: 'count' }],
      ['key-1', { id: 'op-15', kind: 'timer', delayMs: 1617 }],
      ['key-21', { id: 'op-16', kind: 'count' }],
      ['key-23', { id: 'op-17', kind: 'count' }],
      ['key-5', { id: 'op-18', kind: 'copy', copies: 2 }],
      ['key-14', { id: 'op-19', kind: 'transfer', to: 'key-20', amount: 885 }],
      ['key-15', { id: 'op-20', kind: 'copy', copies: 0 }],
    ]
    const outcome = await runPlan({
      ...plan,
      seed: 15,
      nodes: 2,
      transactionVersion: 1,
      latencyMs: 0.5,
      costMs: 0.005,
      settings: {
        applicationId: 'faults',
        sessionTimeoutMs: 6000,
        heartbeatIntervalMs: 1000,
        rebalanceTimeoutMs: 2000,
        transactionTimeoutMs: 2000,
        requestTimeoutMs: 2000,
        connectionTimeoutMs: 1000,
        commitIntervalMs: 60,
        batchBytes: 4096,
        fetchWaitMs: 100,
        fetchBytesMax: 65536,
        partitionFetchBytesMax: 65536,
        bufferedBytesMax: 65536,
        uncommittedBytesMax: 65536,
        stateDigest: 'off',
        purgeIntervalMs: 1000,
        standbyReplicas: 1,
        standbyLagMax: 0,
      },
      workers: [
        { host: 'w1', startsAtMs: 0 },
        { host: 'w2', startsAtMs: 7 },
      ],
      input: [chunk(817.9706102237105, rows)],
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
    expect(outcome.faults).toBe(2)
  })

  it('a worker that was put out between the offsets of its tasks and the ends of their changelogs', async () => {
    const outcome = await runPlan({
      ...plan,
      seed: 1219,
      nodes: 2,
      partitions: 1,
      latencyMs: 0.5,
      slowRate: 0.05,
      costMs: 0.02,
      wallClockTimers: true,
      settings: {
        ...plan.settings,
        heartbeatIntervalMs: 500,
        rebalanceTimeoutMs: 4000,
        transactionTimeoutMs: 4000,
        requestTimeoutMs: 5000,
        commitIntervalMs: 150,
      },
      workers: [
        { host: 'w1', startsAtMs: 0 },
        { host: 'w2', startsAtMs: 7 },
      ],
      input: [chunk(10_232, [['key-10', { id: 'op-320', kind: 'transfer', to: 'key-12', amount: 411 }]])],
      // Its question for the ends (ListOffsets) is lost; when it asks again its successor has gone on.
      faults: [
        { kind: 'request', effect: 'swallowed', apiKey: 2, host: 'w1', holdMs: 0, atMs: 2390 },
        { kind: 'restart', host: 'w1', leave: false, downMs: 1457, atMs: 4039 },
        { kind: 'silence', host: 'w1', forMs: 11_665, atMs: 8789 },
        { kind: 'put out', host: 'w1', atMs: 9340 },
      ],
    })
    expect(outcome.report).toEqual([])
    expect(outcome.faults).toBe(4)
  })
})
