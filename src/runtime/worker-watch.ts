// Looks on while a worker works: what its status is made of beside what its parts know themselves. It outlives a worker
// that is replaced, so that its counts go on.
import type { Logger } from '../base/log.ts'
import type { Clock } from '../base/ports.ts'
import { type ErrorCode, ensureError, type MillstreamError, type Reaction } from '../errors.ts'
import {
  type RestoreMeter,
  type RestoreObserver,
  type RestoreProgress,
  sumProgress,
} from './restore-progress.ts'
import type { SchemaUse } from './schema-use.ts'
import type { WorkerState } from './worker-state.ts'
import type { CommitPhases, WorkerObserver } from './worker-status.ts'

const fencedCodes: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['PRODUCER_FENCED', 'INSTANCE_FENCED'])

export class WorkerWatch implements RestoreObserver {
  readonly faults: Record<Reaction, number> = {
    stop: 0,
    abort: 0,
    recover: 0,
    rejoin: 0,
    policy: 0,
    refuse: 0,
    retry: 0,
  }
  /** Undefined before it is known which schemas the worker needs. */
  schemas: SchemaUse | undefined
  readonly #clock: Clock
  readonly #log: Logger
  readonly #observers = new Set<WorkerObserver>()
  readonly #meters = new Set<RestoreMeter>()
  #fenced = 0
  #takenOver = 0
  #membershipsLost = 0
  #diverged = 0
  /** What stopped the worker. */
  #failure: ErrorCode | undefined
  #stateSinceMs: number
  #turnedAtMs: number
  #rebalancingSinceMs: number | undefined
  /** Of restores that ended. */
  #restored = { stores: 0, records: 0, bytes: 0 }

  constructor(clock: Clock, log: Logger) {
    this.#clock = clock
    this.#log = log
    this.#stateSinceMs = clock.now()
    this.#turnedAtMs = clock.monotonic()
  }

  get fenced(): number {
    return this.#fenced
  }

  get takenOver(): number {
    return this.#takenOver
  }

  get membershipsLost(): number {
    return this.#membershipsLost
  }

  get diverged(): number {
    return this.#diverged
  }

  get failure(): ErrorCode | undefined {
    return this.#failure
  }

  /** ms since the epoch */
  get stateSinceMs(): number {
    return this.#stateSinceMs
  }

  /** Since the loop turned, ms. */
  get idleMs(): number {
    return this.#clock.monotonic() - this.#turnedAtMs
  }

  get restore(): RestoreProgress | undefined {
    return sumProgress([...this.#meters].map((meter) => meter.progress))
  }

  get restored(): { readonly stores: number; readonly records: number; readonly bytes: number } {
    let { stores, records, bytes } = this.#restored
    for (const meter of this.#meters) {
      stores += meter.storesDone
      records += meter.records
      bytes += meter.bytes
    }
    return { stores, records, bytes }
  }

  /** @returns a function that removes the observer. */
  observe(observer: WorkerObserver): () => void {
    this.#observers.add(observer)
    return () => this.#observers.delete(observer)
  }

  moved(next: WorkerState, previous: WorkerState): void {
    this.turned()
    if (next !== previous) this.#stateSinceMs = this.#clock.now()
    if (next === 'starting') this.#failure = undefined
    if (next === 'rebalancing') this.rebalanceBegan()
    else if (next === 'running') this.rebalanceEnded()
    else if (next === 'closing') this.#rebalancingSinceMs = undefined
    this.#tell((observer) => observer.moved?.(next, previous))
  }

  /** The worker joins its group again, and may go on with its tasks meanwhile. */
  rebalanceBegan(): void {
    this.#rebalancingSinceMs ??= this.#clock.monotonic()
  }

  /** All tasks that it was assigned run. */
  rebalanceEnded(): void {
    if (this.#rebalancingSinceMs === undefined) return
    const durationMs = this.#clock.monotonic() - this.#rebalancingSinceMs
    this.#rebalancingSinceMs = undefined
    this.#tell((observer) => observer.rebalanced?.(durationMs))
  }

  turned(): void {
    this.#turnedAtMs = this.#clock.monotonic()
  }

  committed(phases: CommitPhases): void {
    this.#tell((observer) => observer.committed?.(phases))
  }

  fault(error: MillstreamError): void {
    this.faults[error.reaction]++
    if (fencedCodes.has(error.code)) this.#fenced++
  }

  /** A transaction of a worker that is gone was aborted by this one. */
  tookOver(): void {
    this.#takenOver++
  }

  membershipLost(): void {
    this.#membershipsLost++
  }

  failed(error: MillstreamError): void {
    this.#failure = error.code
  }

  storeDiverged(): void {
    this.#diverged++
  }

  restoreBegan(meter: RestoreMeter): void {
    this.#meters.add(meter)
    this.restoreReported()
  }

  restoreReported(): void {
    const progress = this.restore
    if (progress !== undefined) this.#tell((observer) => observer.restoring?.(progress))
  }

  restoreEnded(meter: RestoreMeter): void {
    this.restoreReported()
    this.#meters.delete(meter)
    const { stores, records, bytes } = this.#restored
    this.#restored = {
      stores: stores + meter.storesDone,
      records: records + meter.records,
      bytes: bytes + meter.bytes,
    }
  }

  /** What an observer throws must not stop a worker. */
  #tell(act: (observer: WorkerObserver) => void): void {
    for (const observer of this.#observers) {
      try {
        act(observer)
      } catch (error) {
        this.#log.warn('an observer threw', { cause: ensureError(error).message })
      }
    }
  }
}
