// What a worker is doing, as plain data: for metrics, probes and programs that ask.
import type { ErrorCode, Reaction } from '../errors.ts'
import type { GlobalTableStatus } from './globals.ts'
import type { RestoreProgress } from './restore-progress.ts'
import type { StandbyStatus } from './standbys.ts'
import type { WorkerCounts } from './worker-counts.ts'
import type { WorkerState } from './worker-state.ts'

export interface TaskInputStatus {
  readonly topic: string
  readonly partition: number
  /** Next offset to process. */
  readonly position: number
  /** From there to the high watermark as of the last fetch, markers included; undefined before the first one. */
  readonly lag: number | undefined
  /** Fetched and not processed yet. */
  readonly bufferedBytes: number
  /** The task has records of other inputs, and waits for this one (`maxTaskIdleMs`). */
  readonly awaited: boolean
}

/** What a store holds that waits for its time. */
export type StoreStatus =
  | {
      readonly store: string
      /** Changes that `suppress` holds back, and their bytes; those of the open transaction included. */
      readonly held: { readonly changes: number; readonly bytes: number }
    }
  | {
      readonly store: string
      /** Timers that are set, as of the last commit. */
      readonly timers: number
    }

export interface TaskStatus {
  readonly id: string
  /** Highest timestamp seen, ms; -1 before the first record. */
  readonly streamTimeMs: number
  /** Store writes of the open transaction. */
  readonly uncommittedBytes: number
  readonly inputs: readonly TaskInputStatus[]
  /** Calls of asynchronous processors: how many are open, and wait. Undefined where no processor is asynchronous. */
  readonly calls: { readonly open: number; readonly waiting: number } | undefined
  /** Of `suppress`, and of timers where their number is known (`stateDigest`). */
  readonly stores: readonly StoreStatus[]
}

export interface WorkerStatus {
  readonly applicationId: string
  readonly state: WorkerState
  /** When it came into this state, ms since the epoch. */
  readonly stateSinceMs: number
  readonly counts: WorkerCounts
  /** Errors that the worker met, by what they made it do. */
  readonly faults: Readonly<Record<Reaction, number>>
  /** A newer holder of its identity, or the coordinator, shut the worker out. */
  readonly fenced: number
  /** Transactions that workers which are gone left open, and this one aborted as the leader of its group. */
  readonly takenOver: number
  /** The group had gone on without it. */
  readonly membershipsLost: number
  /** How long ago its loop turned, ms, and how long a turn may take; undefined where no loop runs. */
  readonly loop: { readonly idleMs: number; readonly idleMaxMs: number } | undefined
  /** Tasks that the group has assigned; `tasks` are those of them that run. */
  readonly assignedTasks: number
  readonly tasks: readonly TaskStatus[]
  /** Stores that it keeps for tasks that run elsewhere. */
  readonly standbys: readonly StandbyStatus[]
  /** Tables that it holds whole. */
  readonly globals: readonly GlobalTableStatus[]
  /** Outputs of the open transaction that were not sent yet. */
  readonly collectedBytes: number
  /** Sent, and not acknowledged yet. */
  readonly unacknowledgedBytes: number
  /** The restores under way, as one. */
  readonly restore: RestoreProgress | undefined
  /** Of all restores, past and under way. */
  readonly restored: { readonly stores: number; readonly records: number; readonly bytes: number }
  /** Stores that came out of a restore as something else than what was committed. */
  readonly diverged: number
  /** Schemas that its start or its records wait for, because a schema registry has not answered; undefined: none. */
  readonly awaitedSchemas: string | undefined
  /** Requests to schema registries that were not answered as they should be, of this process. */
  readonly schemaRequestFailures: number
  /** What stopped it. */
  readonly failure: ErrorCode | undefined
}

/** How long the parts of a commit took, ms. */
export interface CommitPhases {
  /** The last outputs and changelog records, until all are acknowledged. */
  readonly produceMs: number
  /** The input offsets. */
  readonly offsetsMs: number
  /** EndTxn. */
  readonly endMs: number
}

/** What cannot be asked for later. The methods must be quick. */
export interface WorkerObserver {
  moved?(next: WorkerState, previous: WorkerState): void
  committed?(phases: CommitPhases): void
  /** The worker runs again after the group shared the work out anew; restores included. */
  rebalanced?(durationMs: number): void
  /** At the beginning of a restore, every two seconds, and at its end. */
  restoring?(progress: RestoreProgress): void
}
