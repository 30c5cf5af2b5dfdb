// `createWorker`: a worker inside a user's own program. The command line is built on it.
import type { Logger } from '../base/log.ts'
import { silentLogger } from '../base/log.ts'
import { nodePorts } from '../base/node-ports.ts'
import type { Ports } from '../base/ports.ts'
import { resolveSettings, type SettingsInput } from '../config/settings.ts'
import type { WorkerSettings } from '../config/worker-settings.ts'
import type { Topology } from '../topology/contracts.ts'
import { StreamWorker, type WorkerCounts } from './worker.ts'
import type { WorkerState } from './worker-state.ts'

export interface WorkerOptions {
  /** Where log lines go; default: nowhere. */
  readonly log?: Logger
  /** Clock, timers, randomness, network and disk; default: those of the process. */
  readonly ports?: Ports
}

/** A worker of a topology. See `StreamWorker` for what each call promises. */
export interface Worker {
  readonly state: WorkerState
  readonly counts: WorkerCounts
  /** Resolves when the worker is closed; rejects with the error that stopped it. */
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
): Worker =>
  new StreamWorker(
    topology,
    resolveSettings({ given: settings }, topology.name),
    options.ports ?? nodePorts,
    options.log ?? silentLogger,
  )
