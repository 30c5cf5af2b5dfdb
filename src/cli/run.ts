// `millstream run`: one worker per topology, until a signal or the first worker that fails.
import { nodePorts } from '../base/node-ports.ts'
import { type ServedPort, serveWorkers } from '../metrics/serve-workers.ts'
import { createWorker, type Worker } from '../runtime/create-worker.ts'
import type { CommandLine } from './arguments.ts'
import { jobsOf, logOf } from './jobs.ts'
import { loadModules } from './load-module.ts'
import { loadSettings } from './load-settings.ts'
import { listenForStop } from './stop-signals.ts'
import type { Terminal } from './terminal.ts'

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
  const jobs = jobsOf(modules, (topology) => loadSettings(line, topology))
  const signals = listenForStop((name) =>
    terminal.info('stopping: what is processed is committed', { signal: name }),
  )
  const workers = jobs.map((job) => {
    const { topology, settings } = job
    const log = logOf(terminal, job, jobs)
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
