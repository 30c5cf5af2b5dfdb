// The status of a worker as samples of the metrics that are read when they are asked for. Pure.
import type { Reaction } from '../errors.ts'
import type { GlobalTableStatus } from '../runtime/globals.ts'
import type { WorkerState } from '../runtime/worker-state.ts'
import type { TaskStatus, WorkerStatus } from '../runtime/worker-status.ts'
import type { MetricName } from './metrics-table.ts'
import { readinessOf } from './readiness.ts'

export interface Sample {
  readonly name: MetricName
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

const states: readonly WorkerState[] = [
  'created',
  'starting',
  'running',
  'rebalancing',
  'recovering',
  'closing',
  'closed',
  'failed',
]

const taskSamples = (
  application: string,
  { id, streamTimeMs, uncommittedBytes, inputs, calls, stores }: TaskStatus,
): Sample[] => {
  const labels = { application, task: id }
  const samples: Sample[] = [{ name: 'millstream_task_uncommitted_bytes', labels, value: uncommittedBytes }]
  if (streamTimeMs >= 0)
    samples.push({ name: 'millstream_task_stream_time_seconds', labels, value: streamTimeMs / 1000 })
  for (const { topic, partition, lag, bufferedBytes, awaited } of inputs) {
    const ofInput = { ...labels, topic, partition: String(partition) }
    samples.push({ name: 'millstream_task_buffered_bytes', labels: ofInput, value: bufferedBytes })
    samples.push({ name: 'millstream_task_awaited_input', labels: ofInput, value: awaited ? 1 : 0 })
    if (lag !== undefined) samples.push({ name: 'millstream_task_lag_records', labels: ofInput, value: lag })
  }
  if (calls !== undefined) {
    samples.push({ name: 'millstream_task_open_calls', labels, value: calls.open })
    samples.push({ name: 'millstream_task_waiting_calls', labels, value: calls.waiting })
  }
  for (const status of stores) {
    const ofStore = { ...labels, store: status.store }
    if ('timers' in status) {
      samples.push({ name: 'millstream_task_timers', labels: ofStore, value: status.timers })
      continue
    }
    samples.push({ name: 'millstream_task_held_changes', labels: ofStore, value: status.held.changes })
    samples.push({ name: 'millstream_task_held_bytes', labels: ofStore, value: status.held.bytes })
  }
  return samples
}

const globalSamples = (
  application: string,
  { store, records, skipped, lag }: GlobalTableStatus,
): Sample[] => {
  const labels = { application, store }
  const samples: Sample[] = [
    { name: 'millstream_global_records_total', labels, value: records },
    { name: 'millstream_global_records_skipped_total', labels, value: skipped },
  ]
  if (lag !== undefined) samples.push({ name: 'millstream_global_lag_records', labels, value: lag })
  return samples
}

/** Metrics of the worker itself, which have no label but the application. */
const workerValues = (status: WorkerStatus): Partial<Record<MetricName, number | undefined>> => {
  const { counts, loop, restore, restored } = status
  return {
    millstream_worker_ready: readinessOf(status) === undefined ? 1 : 0,
    millstream_worker_recoveries_total: counts.recovered,
    millstream_worker_loop_idle_seconds: loop === undefined ? undefined : loop.idleMs / 1000,
    millstream_records_processed_total: counts.processed,
    millstream_records_skipped_total: counts.skipped,
    millstream_records_retried_total: counts.retried,
    millstream_records_late_total: counts.late,
    millstream_timers_set_total: counts.timersSet,
    millstream_timers_fired_total: counts.timersFired,
    millstream_calls_timed_out_total: counts.callsTimedOut,
    millstream_transactions_committed_total: counts.committed,
    millstream_transactions_aborted_total: counts.aborted,
    millstream_transaction_collected_bytes: status.collectedBytes,
    millstream_transaction_unacknowledged_bytes: status.unacknowledgedBytes,
    millstream_restore_stores: restore?.stores ?? 0,
    millstream_restore_left_offsets: restore?.offsetsLeft ?? 0,
    millstream_restore_left_seconds: restore === undefined ? 0 : restore.secondsLeft,
    millstream_restored_stores_total: restored.stores,
    millstream_restored_records_total: restored.records,
    millstream_restored_bytes_total: restored.bytes,
    millstream_diverged_stores_total: status.diverged,
    millstream_schemas_awaited: status.awaitedSchemas === undefined ? 0 : 1,
    millstream_schema_requests_failed_total: status.schemaRequestFailures,
    millstream_worker_blocked_total: counts.blocked,
    millstream_worker_blocked_seconds_total: counts.blockedMs / 1000,
    millstream_rebalances_total: counts.rebalanced,
    millstream_assigned_tasks: status.assignedTasks,
    millstream_running_tasks: status.tasks.length,
    millstream_standby_tasks: status.standbys.length,
    millstream_fenced_total: status.fenced,
    millstream_taken_over_transactions_total: status.takenOver,
    millstream_memberships_lost_total: status.membershipsLost,
  }
}

/** One value for each series; a value that is not known has no sample. */
export const samplesOf = (status: WorkerStatus): Sample[] => {
  const application = status.applicationId
  const samples: Sample[] = []
  for (const state of states) {
    const value = state === status.state ? 1 : 0
    samples.push({ name: 'millstream_worker_state', labels: { application, state }, value })
  }
  for (const [reaction, value] of Object.entries(status.faults) as [Reaction, number][])
    samples.push({ name: 'millstream_worker_faults_total', labels: { application, reaction }, value })
  for (const [name, value] of Object.entries(workerValues(status)) as [MetricName, number | undefined][])
    if (value !== undefined) samples.push({ name, labels: { application }, value })
  for (const task of status.tasks) samples.push(...taskSamples(application, task))
  for (const table of status.globals) samples.push(...globalSamples(application, table))
  for (const { id, lag } of status.standbys) {
    if (lag === undefined) continue
    samples.push({ name: 'millstream_standby_lag_records', labels: { application, task: id }, value: lag })
  }
  return samples
}
