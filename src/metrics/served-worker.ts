// `createWorker` as programs get it: with a port for probes and scrapes where `httpPort` asks for one.
import { silentLogger } from '../base/log.ts'
import { nodePorts } from '../base/node-ports.ts'
import { resolveSettings, type SettingsInput } from '../config/settings.ts'
import type { WorkerSettings } from '../config/worker-settings.ts'
import {
  createWorker as createPlainWorker,
  type Worker,
  type WorkerOptions,
} from '../runtime/create-worker.ts'
import type { RestoreProgress } from '../runtime/restore-progress.ts'
import type { WorkerCounts } from '../runtime/worker-counts.ts'
import type { WorkerState } from '../runtime/worker-state.ts'
import type { WorkerObserver, WorkerStatus } from '../runtime/worker-status.ts'
import type { Topology } from '../topology/contracts.ts'
import { type ServedPort, serveWorkers } from './serve-workers.ts'

class ServedWorker implements Worker {
  readonly #worker: Worker
  readonly #serve: () => Promise<ServedPort>
  #port: Promise<ServedPort> | undefined

  constructor(worker: Worker, serve: (worker: Worker) => Promise<ServedPort>) {
    this.#worker = worker
    this.#serve = () => serve(worker)
  }

  get state(): WorkerState {
    return this.#worker.state
  }

  get counts(): WorkerCounts {
    return this.#worker.counts
  }

  get finished(): Promise<void> {
    return this.#worker.finished
  }

  /** The port is open before anything else begins, so that a start that takes long can be watched. */
  async start(): Promise<void> {
    this.#port ??= this.#open()
    await this.#port
    await this.#worker.start()
  }

  async close(options?: { readonly leave?: boolean }): Promise<void> {
    try {
      await this.#worker.close(options)
    } finally {
      await (await this.#port)?.close()
    }
  }

  pause(): void {
    this.#worker.pause()
  }

  resume(): void {
    this.#worker.resume()
  }

  onStateChange(listener: (next: WorkerState, previous: WorkerState) => void): () => void {
    return this.#worker.onStateChange(listener)
  }

  status(): WorkerStatus {
    return this.#worker.status()
  }

  onRestoreProgress(listener: (progress: RestoreProgress) => void): () => void {
    return this.#worker.onRestoreProgress(listener)
  }

  observe(observer: WorkerObserver): () => void {
    return this.#worker.observe(observer)
  }

  /** It stays open after a failure, to say what stopped the worker, until `close` is called. */
  async #open(): Promise<ServedPort> {
    try {
      return await this.#serve()
    } catch (error) {
      this.#port = undefined
      throw error
    }
  }
}

/**
 * Makes a worker; `start` runs it.
 * @param settings of the worker; whatever is not given has its default. The application id is the topology's name.
 * @throws MillstreamError SETTING_INVALID with every mistake at once
 */
export const createWorker = (
  topology: Topology,
  settings: SettingsInput | WorkerSettings,
  options: WorkerOptions = {},
): Worker => {
  const resolved = resolveSettings({ given: settings }, topology.name)
  const worker = createPlainWorker(topology, resolved, options)
  if (resolved.httpPort === undefined) return worker
  const { ports = nodePorts, log = silentLogger } = options
  return new ServedWorker(worker, (served) => serveWorkers([served], resolved, ports, log))
}
