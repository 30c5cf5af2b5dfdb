// `createWorker`: a worker inside a user's own program. The command line is built on it.
import { type Logger, silentLogger } from '../base/log.ts'
import { nodePorts } from '../base/node-ports.ts'
import type { Ports } from '../base/ports.ts'
import { resolveSettings, type SettingsInput } from '../config/settings.ts'
import type { WorkerSettings } from '../config/worker-settings.ts'
import { ensureError, type MillstreamError } from '../errors.ts'
import type { Topology } from '../topology/contracts.ts'
import { type WrapProcessor, wrapProcessors } from '../topology/wrap.ts'
import type { RestoreProgress } from './restore-progress.ts'
import { StreamWorker } from './worker.ts'
import type { WorkerCounts } from './worker-counts.ts'
import type { WorkerState } from './worker-state.ts'
import type { WorkerObserver, WorkerStatus } from './worker-status.ts'
import { WorkerWatch } from './worker-watch.ts'

/**
 * What follows an error that stopped a worker: `stop` this worker, `replace` it by a new one (which restores its stores
 * and goes on where it was committed), or `stop-all` workers of this program.
 */
export type UncaughtErrorVerdict = 'stop' | 'replace' | 'stop-all'

export interface WorkerOptions {
  /** Where log lines go; default: nowhere. */
  readonly log?: Logger
  /** Clock, timers, randomness, network and disk; default: those of the process. */
  readonly ports?: Ports
  /** Decides about an error that stopped the running worker; default: `stop`. A start that fails is not replaced. */
  readonly onUncaughtError?: (error: MillstreamError) => UncaughtErrorVerdict
  /** Wraps every processor of the topology, for tracing and metrics. */
  readonly wrapProcessor?: WrapProcessor
}

/** A worker of a topology. */
export interface Worker {
  readonly state: WorkerState
  readonly counts: WorkerCounts
  /** Resolves when the worker is closed; rejects with the error that stopped it for good. */
  readonly finished: Promise<void>
  /** Resolves when the worker runs. @throws MillstreamError what stopped the start */
  start(): Promise<void>
  /** Commits what is processed and closes. `leave`: leave the group at once (default: only without an instance id). */
  close(options?: { readonly leave?: boolean }): Promise<void>
  /** Stops taking records; membership and state stay. */
  pause(): void
  resume(): void
  /** @returns a function that removes the listener */
  onStateChange(listener: (next: WorkerState, previous: WorkerState) => void): () => void
  /** What it is doing, as plain data. */
  status(): WorkerStatus
  /** Called when a restore begins, every two seconds, and when it ends. @returns a function that removes the listener */
  onRestoreProgress(listener: (progress: RestoreProgress) => void): () => void
  /** Told of what `status` cannot say later: how long things took. @returns a function that removes the observer */
  observe(observer: WorkerObserver): () => void
}

/** Between the end of a worker and its replacement: an error that comes at once again must not spin. */
const replaceAfterMs = 1000

/** The workers of this program, for `stop-all`. */
const workers = new Set<SupervisedWorker>()

class SupervisedWorker implements Worker {
  readonly #make: (watch: WorkerWatch) => StreamWorker
  readonly #watch: WorkerWatch
  readonly #ports: Ports
  readonly #log: Logger
  readonly #verdict: (error: MillstreamError) => UncaughtErrorVerdict
  readonly #finished = Promise.withResolvers<void>()
  readonly #closing = new AbortController()
  #worker: StreamWorker
  #paused = false
  /** It ran once: what stops it now is no failed start. */
  #ran = false

  constructor(
    make: (watch: WorkerWatch) => StreamWorker,
    ports: Ports,
    log: Logger,
    verdict: (error: MillstreamError) => UncaughtErrorVerdict,
  ) {
    this.#make = make
    this.#watch = new WorkerWatch(ports.clock, log)
    this.#ports = ports
    this.#log = log
    this.#verdict = verdict
    this.#worker = this.#next()
    // Who does not look at `finished` learns of a failure from `start`, `close` and the state.
    this.#finished.promise.catch(() => {})
  }

  get state(): WorkerState {
    return this.#worker.state
  }

  get counts(): WorkerCounts {
    return this.#worker.counts
  }

  get finished(): Promise<void> {
    return this.#finished.promise
  }

  async start(): Promise<void> {
    if (workers.has(this) || this.state !== 'created') return await this.#worker.start()
    workers.add(this)
    void this.#supervise()
    await this.#worker.start()
  }

  async close(options?: { readonly leave?: boolean }): Promise<void> {
    this.#closing.abort()
    const unsupervised = !workers.has(this)
    await this.#worker.close(options)
    if (unsupervised) this.#finished.resolve()
    await this.#finished.promise
  }

  pause(): void {
    this.#paused = true
    this.#worker.pause()
  }

  resume(): void {
    this.#paused = false
    this.#worker.resume()
  }

  onStateChange(listener: (next: WorkerState, previous: WorkerState) => void): () => void {
    return this.#watch.observe({ moved: listener })
  }

  status(): WorkerStatus {
    return this.#worker.status()
  }

  onRestoreProgress(listener: (progress: RestoreProgress) => void): () => void {
    return this.#watch.observe({ restoring: listener })
  }

  observe(observer: WorkerObserver): () => void {
    return this.#watch.observe(observer)
  }

  #next(): StreamWorker {
    const worker = this.#make(this.#watch)
    if (this.#paused) worker.pause()
    return worker
  }

  /** Follows the worker, and those that replace it, to the end. Never rejects. */
  async #supervise(): Promise<void> {
    let failure: unknown
    for (;;) {
      failure = await this.#endOf(this.#worker)
      if (failure === undefined || this.#closing.signal.aborted) break
      const verdict = this.#ran ? this.#verdict(failure as MillstreamError) : 'stop'
      if (verdict === 'stop-all')
        for (const other of workers) if (other !== this) void other.close().catch(() => {})
      if (verdict !== 'replace') break
      this.#log.warn('the worker is replaced', { cause: ensureError(failure).message })
      await this.#ports.timers.sleep(replaceAfterMs, this.#closing.signal)
      if (this.#closing.signal.aborted) break
      this.#worker = this.#next()
      this.#worker.start().catch(() => {})
    }
    workers.delete(this)
    if (failure === undefined) this.#finished.resolve()
    else this.#finished.reject(failure)
  }

  /** @returns the error that stopped it, or undefined after a clean close */
  async #endOf(worker: StreamWorker): Promise<unknown> {
    worker.start().then(
      () => {
        this.#ran = true
      },
      () => {},
    )
    return await worker.finished.then(
      () => undefined,
      (error: unknown) => error,
    )
  }
}

/**
 * Makes a worker; `start` runs it.
 * @param settings of the worker; whatever is not given has its default. The application id is the topology's name.
 * @throws MillstreamError SETTING_INVALID with every mistake at once; TOPOLOGY_INVALID for a wrapper that is none
 */
export const createWorker = (
  topology: Topology,
  settings: SettingsInput | WorkerSettings,
  options: WorkerOptions = {},
): Worker => {
  const resolved = resolveSettings({ given: settings }, topology.name)
  const ports = options.ports ?? nodePorts
  const log = options.log ?? silentLogger
  const wrapped = wrapProcessors(topology, options.wrapProcessor)
  const make = (watch: WorkerWatch): StreamWorker => new StreamWorker(wrapped, resolved, ports, log, watch)
  return new SupervisedWorker(make, ports, log, options.onUncaughtError ?? (() => 'stop'))
}
