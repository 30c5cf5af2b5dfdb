// Every metric once: the registry and docs/metrics.md are made from this table. Labels are few and bounded: an
// application has as many series as it has tasks, their stores and input partitions.

export interface MetricRow {
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly labels: readonly string[]
  /** What it counts or shows: a full sentence. */
  readonly text: string
  /** Upper bounds of a histogram. */
  readonly buckets?: readonly number[]
}

export const metricsTable = {
  millstream_worker_state: {
    type: 'gauge',
    labels: ['application', 'state'],
    text: '1 for the state that the worker is in, else 0.',
  },
  millstream_worker_ready: {
    type: 'gauge',
    labels: ['application'],
    text: '1 while /ready answers 200 for the worker, else 0.',
  },
  millstream_worker_faults_total: {
    type: 'counter',
    labels: ['application', 'reaction'],
    text: 'Errors that the worker met, by what they made it do (see errors.md).',
  },
  millstream_worker_recoveries_total: {
    type: 'counter',
    labels: ['application'],
    text: 'Times that the worker had to read back what is committed before it went on.',
  },
  millstream_worker_loop_idle_seconds: {
    type: 'gauge',
    labels: ['application'],
    text: 'Time since the loop of the worker turned.',
  },
  millstream_worker_blocked_total: {
    type: 'counter',
    labels: ['application'],
    text: 'Times that the main thread stood still for 5 s or longer while the worker had it; the log names the processor.',
  },
  millstream_worker_blocked_seconds_total: {
    type: 'counter',
    labels: ['application'],
    text: 'Time that it stood still in these times.',
  },
  millstream_records_processed_total: {
    type: 'counter',
    labels: ['application'],
    text: 'Records that were processed, those of aborted transactions included.',
  },
  millstream_records_skipped_total: {
    type: 'counter',
    labels: ['application'],
    text: 'Records that failed and were left out.',
  },
  millstream_records_retried_total: {
    type: 'counter',
    labels: ['application'],
    text: 'Further tries of records that failed.',
  },
  millstream_records_late_total: {
    type: 'counter',
    labels: ['application'],
    text: 'Records that came after a window of theirs had closed. An aggregation leaves them out of it; a join of streams joins them with what it keeps still.',
  },

  millstream_timers_set_total: {
    type: 'counter',
    labels: ['application'],
    text: 'Timers that were set, those of aborted transactions included.',
  },
  millstream_timers_fired_total: {
    type: 'counter',
    labels: ['application'],
    text: 'Timers that fired, those of aborted transactions included.',
  },
  millstream_calls_timed_out_total: {
    type: 'counter',
    labels: ['application'],
    text: 'Calls of asynchronous processors that had no answer within their `timeoutMs`.',
  },

  millstream_schemas_awaited: {
    type: 'gauge',
    labels: ['application'],
    text: '1 while the start of the worker or records wait for schemas because a schema registry has not answered, else 0; the log names them.',
  },
  millstream_schema_requests_failed_total: {
    type: 'counter',
    labels: ['application'],
    text: 'Requests to schema registries that were not answered, or with an error that may pass; they are repeated.',
  },

  millstream_task_lag_records: {
    type: 'gauge',
    labels: ['application', 'task', 'topic', 'partition'],
    text: 'Offsets from the position of the task to the high watermark as of the last fetch; markers of transactions count.',
  },
  millstream_task_buffered_bytes: {
    type: 'gauge',
    labels: ['application', 'task', 'topic', 'partition'],
    text: 'Fetched and not processed yet.',
  },
  millstream_task_awaited_input: {
    type: 'gauge',
    labels: ['application', 'task', 'topic', 'partition'],
    text: '1 while the task has records of other inputs and waits for this one (`maxTaskIdleMs`), else 0.',
  },
  millstream_task_stream_time_seconds: {
    type: 'gauge',
    labels: ['application', 'task'],
    text: 'Highest timestamp that the task has seen, since the epoch; absent before the first record.',
  },
  millstream_task_uncommitted_bytes: {
    type: 'gauge',
    labels: ['application', 'task'],
    text: 'Store writes of the open transaction.',
  },
  millstream_task_open_calls: {
    type: 'gauge',
    labels: ['application', 'task'],
    text: 'Calls of asynchronous processors whose answers are waited for.',
  },
  millstream_task_waiting_calls: {
    type: 'gauge',
    labels: ['application', 'task'],
    text: 'Calls that cannot begin yet: too many are open, one of their key is, or they wait for their next try.',
  },
  millstream_task_timers: {
    type: 'gauge',
    labels: ['application', 'task', 'store'],
    text: 'Timers that are set, as of the last commit; absent without `stateDigest`.',
  },
  millstream_task_held_changes: {
    type: 'gauge',
    labels: ['application', 'task', 'store'],
    text: 'Keys whose changes `suppress` holds back.',
  },
  millstream_task_held_bytes: {
    type: 'gauge',
    labels: ['application', 'task', 'store'],
    text: 'Bytes of these changes in their store.',
  },

  millstream_global_records_total: {
    type: 'counter',
    labels: ['application', 'store'],
    text: 'Records that a global table or store went through without an error.',
  },
  millstream_global_records_skipped_total: {
    type: 'counter',
    labels: ['application', 'store'],
    text: 'Records that failed, or had no key, and were left out of it.',
  },
  millstream_global_lag_records: {
    type: 'gauge',
    labels: ['application', 'store'],
    text: 'Offsets that it still lacks as of the last fetch; markers of transactions count.',
  },

  millstream_transactions_committed_total: {
    type: 'counter',
    labels: ['application'],
    text: 'Transactions that were committed.',
  },
  millstream_transactions_aborted_total: {
    type: 'counter',
    labels: ['application'],
    text: 'Transactions that the worker aborted.',
  },
  millstream_commit_duration_seconds: {
    type: 'histogram',
    labels: ['application', 'phase'],
    text: 'Time that a commit took, by phase: produce (until all outputs and changes are acknowledged), offsets, end.',
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
  },
  millstream_transaction_collected_bytes: {
    type: 'gauge',
    labels: ['application'],
    text: 'Outputs of the open transaction that were not sent yet.',
  },
  millstream_transaction_unacknowledged_bytes: {
    type: 'gauge',
    labels: ['application'],
    text: 'Outputs of the open transaction that were sent and are not acknowledged yet.',
  },

  millstream_restore_stores: {
    type: 'gauge',
    labels: ['application'],
    text: 'Stores that are being restored and not at their end yet.',
  },
  millstream_restore_left_offsets: {
    type: 'gauge',
    labels: ['application'],
    text: 'Offsets that these stores still have to read.',
  },
  millstream_restore_left_seconds: {
    type: 'gauge',
    labels: ['application'],
    text: 'How long that will take, by the rate of the last ten seconds; absent while nothing moves.',
  },
  millstream_restored_stores_total: {
    type: 'counter',
    labels: ['application'],
    text: 'Stores that were restored.',
  },
  millstream_restored_records_total: {
    type: 'counter',
    labels: ['application'],
    text: 'Changelog records that were put into stores.',
  },
  millstream_restored_bytes_total: {
    type: 'counter',
    labels: ['application'],
    text: 'Bytes of changelogs that were read.',
  },
  millstream_diverged_stores_total: {
    type: 'counter',
    labels: ['application'],
    text: 'Stores that came out of a restore as something else than what was committed; the log names them.',
  },

  millstream_rebalances_total: {
    type: 'counter',
    labels: ['application'],
    text: 'Times that the group shared the work out anew.',
  },
  millstream_rebalance_duration_seconds: {
    type: 'histogram',
    labels: ['application'],
    text: 'From the beginning of a join until all assigned tasks run, restores included; tasks that stay run on meanwhile.',
    buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800],
  },
  millstream_assigned_tasks: {
    type: 'gauge',
    labels: ['application'],
    text: 'Tasks that the group has assigned to the worker.',
  },
  millstream_running_tasks: {
    type: 'gauge',
    labels: ['application'],
    text: 'Those of them that run.',
  },

  millstream_standby_tasks: {
    type: 'gauge',
    labels: ['application'],
    text: 'Tasks of other workers whose stores this one keeps close behind their changelogs.',
  },
  millstream_standby_lag_records: {
    type: 'gauge',
    labels: ['application', 'task'],
    text: 'Changelog offsets that the standby of a task still lacks as of the last fetch; markers of transactions count.',
  },

  millstream_fenced_total: {
    type: 'counter',
    labels: ['application'],
    text: 'Times that the worker was fenced: its producer id or its instance id was taken over, or its transaction timed out.',
  },
  millstream_taken_over_transactions_total: {
    type: 'counter',
    labels: ['application'],
    text: 'Transactions that workers which are gone had left open, and that this worker aborted as the leader of its group; the log names them.',
  },
  millstream_memberships_lost_total: {
    type: 'counter',
    labels: ['application'],
    text: 'Times that the group had gone on without the worker.',
  },

  millstream_event_loop_stalls_total: {
    type: 'counter',
    labels: [],
    text: 'Times that the event loop of the process stood still for longer than 0.2 s.',
  },
  millstream_event_loop_stalled_seconds_total: {
    type: 'counter',
    labels: [],
    text: 'Time that it stood still in these stalls.',
  },
  process_cpu_seconds_total: {
    type: 'counter',
    labels: [],
    text: 'CPU time of the process, user and system.',
  },
  process_resident_memory_bytes: {
    type: 'gauge',
    labels: [],
    text: 'Resident memory of the process.',
  },
  process_start_time_seconds: {
    type: 'gauge',
    labels: [],
    text: 'Start of the process, since the epoch.',
  },
} as const

export type MetricName = keyof typeof metricsTable

export const metricNames: readonly MetricName[] = Object.keys(metricsTable) as MetricName[]

export const metricRow = (name: MetricName): MetricRow => metricsTable[name]
