import { describe, expect, it } from 'vitest'
import { metricNames, metricRow } from '../../../src/metrics/metrics-table.ts'
import { samplesOf } from '../../../src/metrics/samples.ts'
import type { WorkerStatus } from '../../../src/runtime/worker-status.ts'
import { runningStatus } from './status.ts'

const byName = (status: WorkerStatus): Record<string, unknown> =>
  Object.fromEntries(
    samplesOf(status)
      .filter(({ labels }) => !('state' in labels) && !('reaction' in labels))
      .map(({ name, value }) => [name.replace('millstream_', ''), value]),
  )

describe('samplesOf', () => {
  it('has each number of the status once, in base units', () => {
    expect(byName(runningStatus())).toEqual({
      worker_ready: 1,
      worker_recoveries_total: 6,
      standby_tasks: 2,
      standby_lag_records: 13,
      worker_blocked_total: 10,
      worker_blocked_seconds_total: 70,
      worker_loop_idle_seconds: 0.5,
      records_processed_total: 7,
      records_skipped_total: 2,
      records_retried_total: 3,
      records_late_total: 11,
      timers_set_total: 15,
      timers_fired_total: 16,
      calls_timed_out_total: 17,
      task_open_calls: 18,
      task_waiting_calls: 19,
      task_timers: 20,
      task_held_changes: 21,
      task_held_bytes: 22,
      global_records_total: 23,
      global_records_skipped_total: 24,
      global_lag_records: 14,
      transactions_committed_total: 4,
      transactions_aborted_total: 5,
      transaction_collected_bytes: 11,
      transaction_unacknowledged_bytes: 12,
      restore_stores: 0,
      restore_left_offsets: 0,
      restore_left_seconds: 0,
      restored_stores_total: 1,
      restored_records_total: 20,
      restored_bytes_total: 300,
      diverged_stores_total: 13,
      schemas_awaited: 1,
      schema_requests_failed_total: 14,
      rebalances_total: 8,
      assigned_tasks: 1,
      running_tasks: 1,
      fenced_total: 1,
      taken_over_transactions_total: 3,
      memberships_lost_total: 9,
      task_uncommitted_bytes: 64,
      task_stream_time_seconds: 1.5,
      task_awaited_input: 1,
      task_buffered_bytes: 128,
      task_lag_records: 5,
    })
  })

  it('has one state, and a series for each reaction from the start', () => {
    const samples = samplesOf(runningStatus({ state: 'recovering' }))
    const states = samples.filter(({ name }) => name === 'millstream_worker_state')
    expect(states.filter(({ value }) => value === 1).map(({ labels }) => labels['state'])).toEqual([
      'recovering',
    ])
    expect(states).toHaveLength(8)
    const faults = samples.filter(({ name }) => name === 'millstream_worker_faults_total')
    expect(Object.fromEntries(faults.map(({ labels, value }) => [labels['reaction'], value]))).toEqual({
      ...runningStatus().faults,
    })
  })

  it('says nothing where nothing is known', () => {
    const [task] = runningStatus().tasks
    const status = runningStatus({
      loop: undefined,
      tasks: [
        {
          ...(task as NonNullable<typeof task>),
          streamTimeMs: -1,
          inputs: [
            { topic: 'lines', partition: 0, position: 0, lag: undefined, bufferedBytes: 0, awaited: false },
          ],
        },
      ],
      restore: {
        stores: 1,
        storesTotal: 1,
        records: 0,
        bytes: 0,
        offsetsLeft: 9,
        offsetsTotal: 9,
        secondsLeft: undefined,
      },
    })
    const values = byName(status)
    expect(values).toMatchObject({ restore_stores: 1, restore_left_offsets: 9, worker_ready: 0 })
    for (const name of [
      'task_lag_records',
      'task_stream_time_seconds',
      'restore_left_seconds',
      'worker_loop_idle_seconds',
    ])
      expect(values).not.toHaveProperty(name)
  })

  it('gives each sample the labels that the table has', () => {
    for (const { name, labels } of samplesOf(runningStatus()))
      expect(Object.keys(labels).sort(), name).toEqual([...metricRow(name).labels].sort())
  })
})

describe('the table of metrics', () => {
  it('names them as Prometheus asks', () => {
    for (const name of metricNames) {
      const { type, text, buckets, labels } = metricRow(name)
      expect(name).toMatch(/^(millstream|process)_[a-z]+(_[a-z]+)+$/)
      expect(name.endsWith('_total'), name).toBe(type === 'counter')
      expect(name, 'base units').not.toMatch(/_(ms|millis|milliseconds|kb|mb|count|sum|bucket|info)(_|$)/)
      if (type === 'histogram') expect(name).toMatch(/_seconds$/)
      expect(buckets !== undefined, name).toBe(type === 'histogram')
      expect(text, name).toMatch(/\.$/)
      expect(labels.length, name).toBeLessThanOrEqual(4)
    }
  })
})
