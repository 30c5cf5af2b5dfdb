// `millstream run`: one worker per module, until a signal or the first worker that fails.
import { nodePorts } from '../base/node-ports.ts'
import type { WorkerSettings } from '../config/worker-settings.ts'
import { MillstreamError } from '../errors.ts'
import { type ServedPort, serveWorkers } from '../metrics/serve-workers.ts'
import { createWorker, type Worker } from '../runtime/create-worker.ts'
import type { Topology } from '../topology/contracts.ts'
import type { CommandLine } from './arguments.ts'
import { loadModules } from './load-module.ts'
import { loadSettings } from './load-settings.ts'
import { listenForStop } from './stop-signals.ts'
import type { Terminal } from './terminal.ts'

/** Log lines of one of several workers say which one it is. */
const labelled = (log: Terminal, label: string | undefined): Terminal => {
  if (label === undefined) return log
  const name = { topology: label }
  return {
    ...log,
    debug: (text, fields) => log.debug(text, { ...name, ...fields }),
    info: (text, fields) => log.info(text, { ...name, ...fields }),
    warn: (text, fields) => log.warn(text, { ...name, ...fields }),
    error: (text, fields) => log.error(text, { ...name, ...fields }),
  }
}

interface Job {
  readonly topology: Topology
  readonly settings: WorkerSettings
}

const refuseSharedId = (jobs: readonly Job[]): void => {
  const ids = jobs.map(({ settings }) => settings.applicationId)
  const shared = ids.find((id, index) => ids.indexOf(id) !== index)
  if (shared === undefined) return
  throw new MillstreamError('SETTING_INVALID', {
    what: `several topologies would run as the application ${shared}`,
    where: { setting: 'applicationId' },
    fix: 'An application id belongs to one topology: run them apart, or leave it out, so that each uses its own name.',
  })
}

/** Runs workers until `stop` or the first failure, and closes all of them. @throws the first failure. */
const runWorkers = async (workers: readonly Worker[], stop: AbortSignal): Promise<void> => {
  const stopped = Promise.withResolvers<void>()
  stop.addEventListener('abort', () => stopped.resolve(), { once: true })
  if (stop.aborted) stopped.resolve()
  try {
    for (const worker of workers) worker.start().catch(() => undefined)
    await Promise.race([stopped.promise, ...workers.map((worker) => worker.finished)])
  } finally {
    // Each closes its own; the failure that is thrown is the one that came first.
    await Promise.allSettled(workers.map((worker) => worker.close()))
  }
  for (const worker of workers) await worker.finished
}

/** @throws MillstreamError whatever stops a worker or its start */
export const run = async (line: CommandLine, terminal: Terminal): Promise<void> => {
  const modules = await loadModules(line.modules)
  const jobs = modules.map(({ topology }) => ({ topology, settings: loadSettings(line, topology.name) }))
  refuseSharedId(jobs)
  const signals = listenForStop((name) =>
    terminal.info('stopping: what is processed is committed', { signal: name }),
  )
  const workers = jobs.map(({ topology, settings }) => {
    const log = labelled(terminal, jobs.length > 1 ? topology.name : undefined)
    log.info('starting', {
      topology: topology.name,
      applicationId: settings.applicationId,
      guarantee: settings.guarantee,
      brokers: settings.brokers.join(','),
    })
    return { name: topology.name, log, worker: createWorker(topology, settings, { log }) }
  })
  const running = workers.map(({ worker }) => worker)
  let port: ServedPort | undefined
  try {
    // One process, one port: every job has the same settings but for its application id.
    if (jobs[0] !== undefined) port = await serveWorkers(running, jobs[0].settings, nodePorts, terminal)
    await runWorkers(running, signals.signal)
  } finally {
    await port?.close()
    signals.release()
    for (const { log, worker } of workers) log.info('stopped', { state: worker.state, ...worker.counts })
  }
}
