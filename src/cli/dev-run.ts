// One module at work under `millstream dev`: its worker, its view and its port for probes, from the creation of its topics
// to the close in order. A change of the module ends one of these and begins the next on the same broker and state.
import type { Logger } from '../base/log.ts'
import { nodePorts } from '../base/node-ports.ts'
import type { Cluster } from '../client/cluster.ts'
import type { WorkerSettings } from '../config/worker-settings.ts'
import { ensureError, MillstreamError } from '../errors.ts'
import { serveWorkers } from '../metrics/serve-workers.ts'
import { createWorker, type Worker } from '../runtime/create-worker.ts'
import type { DevScript } from './dev-contract.ts'
import { createUserTopics } from './dev-topics.ts'
import { type Job, logOf } from './jobs.ts'
import type { LoadedModule } from './load-module.ts'
import type { Screen } from './screen.ts'
import type { Terminal } from './terminal.ts'
import { followTopic } from './topic-tail.ts'

const drawEveryMs = 200
/** A log gets a line with the counts this often, and only when they changed. */
const summaryEveryMs = 5000

/** What was opened, closed in the opposite order whatever happens. */
export class Opened {
  readonly #steps: (() => unknown)[] = []

  push(close: () => unknown): void {
    this.#steps.push(close)
  }

  /** A step that fails does not keep the others from being done. */
  async close(log: Logger): Promise<void> {
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      try {
        await step()
      } catch (error) {
        log.warn('closing', { cause: ensureError(error).message })
      }
    }
  }
}

/** The export `dev` of a module. @throws MillstreamError MODULE_WITHOUT_TOPOLOGY */
export const readScript = ({ exports, path: file }: LoadedModule): DevScript => {
  const { dev: script } = exports
  if (script === undefined) return {}
  const entries = Object.entries(script ?? {})
  const wrong = entries.find(
    ([name, part]) => !['feed', 'view', 'verify'].includes(name) || typeof part !== 'function',
  )
  if (typeof script === 'object' && script !== null && wrong === undefined) return script as DevScript
  throw new MillstreamError('MODULE_WITHOUT_TOPOLOGY', {
    what: `its export dev is no dev script${wrong === undefined ? '' : ` (${wrong[0]})`}`,
    where: { module: file },
    fix: 'It is an object of the functions feed, view and verify, each of which may be left out.',
  })
}

/** What every run on this broker has in common. */
export interface DevPlace {
  readonly cluster: Cluster
  readonly terminal: Terminal
  readonly screen: Screen
}

export class DevRun {
  readonly module: LoadedModule
  readonly script: DevScript
  /** One per topology. */
  readonly jobs: readonly Job[]
  readonly #place: DevPlace
  readonly #opened = new Opened()
  #workers: readonly Worker[] = []
  #isClosed = false

  /** @throws MillstreamError MODULE_WITHOUT_TOPOLOGY */
  constructor(module: LoadedModule, jobs: readonly Job[], place: DevPlace) {
    this.module = module
    this.script = readScript(module)
    this.jobs = jobs
    this.#place = place
  }

  /** Those that all jobs have alike: everything but the application id. */
  get settings(): WorkerSettings {
    return (this.jobs[0] as Job).settings
  }

  /** Resolves when all workers run. @throws what stops one before */
  async start(): Promise<void> {
    const { cluster, terminal } = this.#place
    for (const { topology } of this.jobs) {
      const created = await createUserTopics(cluster, topology.graph)
      if (created.length > 0) terminal.info('topics created', { topics: created.join(' ') })
    }
    this.#workers = this.jobs.map((job) =>
      createWorker(job.topology, job.settings, { log: logOf(terminal, job, this.jobs) }),
    )
    // Whoever waits for them hears of it; until then it is no unhandled rejection.
    for (const worker of this.#workers) worker.finished.catch(() => undefined)
    const port = await serveWorkers(this.#workers, this.settings, nodePorts, terminal)
    this.#opened.push(() => port.close())
    for (const worker of this.#workers)
      this.#opened.push(() => worker.close({ leave: true }).catch(() => undefined))
    await this.#show()
    await Promise.all(this.#workers.map((worker) => worker.start()))
  }

  /** Rejects with what stopped a worker; resolves when all are closed. */
  get finished(): Promise<void> {
    return Promise.all(this.#workers.map((worker) => worker.finished)).then(() => undefined)
  }

  /** Commits, leaves the groups and closes, where that was not done yet. @throws what stopped a worker */
  async stop(): Promise<void> {
    if (this.#isClosed || this.#workers.length === 0) return
    try {
      const closed = await Promise.allSettled(this.#workers.map((worker) => worker.close({ leave: true })))
      for (const end of closed) if (end.status === 'rejected') throw end.reason
      for (const [index, job] of this.jobs.entries())
        logOf(this.#place.terminal, job, this.jobs).info('stopped', { ...this.#workers[index]?.counts })
    } finally {
      await this.close()
    }
  }

  /** As stop, where it does not matter any more how it ends. */
  close(): Promise<void> {
    this.#isClosed = true
    return this.#opened.close(this.#place.terminal)
  }

  /** Shows the view of the script until it is closed. */
  async #show(): Promise<void> {
    const { cluster, terminal, screen } = this.#place
    const view = this.script.view?.()
    if (view === undefined) return
    const tail = await followTopic(cluster, view, terminal)
    this.#opened.push(() => tail.close())
    let last = ''
    const draw = (): void => {
      if (screen.drawn) return screen.draw(view.table())
      const summary = view.summary()
      if (summary !== last) terminal.info(summary)
      last = summary
    }
    const timer = setInterval(draw, screen.drawn ? drawEveryMs : summaryEveryMs)
    this.#opened.push(() => {
      clearInterval(timer)
      draw()
    })
  }
}
