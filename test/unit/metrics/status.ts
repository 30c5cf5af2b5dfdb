// A status to change: of a worker that runs with one task and nothing to do.
import type { WorkerStatus } from '../../../src/runtime/worker-status.ts'

export const runningStatus = (changes: Partial<WorkerStatus> = {}): WorkerStatus => ({
  applicationId: 'app',
  state: 'running',
  stateSinceMs: Date.UTC(2026, 0, 2, 3, 4, 5),
  counts: {
    processed: 7,
    skipped: 2,
    retried: 3,
    late: 11,
    committed: 4,
    aborted: 5,
    recovered: 6,
    rebalanced: 8,
    blocked: 10,
    blockedMs: 70_000,
  },
  faults: { stop: 0, abort: 5, recover: 6, rejoin: 1, policy: 0, refuse: 0, retry: 0 },
  fenced: 1,
  takenOver: 3,
  membershipsLost: 9,
  loop: { idleMs: 500, idleMaxMs: 10_000 },
  assignedTasks: 1,
  tasks: [
    {
      id: '0_1',
      streamTimeMs: 1500,
      uncommittedBytes: 64,
      inputs: [{ topic: 'lines', partition: 1, position: 10, lag: 5, bufferedBytes: 128, awaited: true }],
    },
  ],
  standbys: [
    { id: '0_2', lag: 13 },
    { id: '0_3', lag: undefined },
  ],
  collectedBytes: 11,
  unacknowledgedBytes: 12,
  restore: undefined,
  restored: { stores: 1, records: 20, bytes: 300 },
  diverged: 13,
  failure: undefined,
  ...changes,
})
