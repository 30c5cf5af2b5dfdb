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
  readonly settings: WorkerSettings
  readonly #place: DevPlace
  readonly #opened = new Opened()
  #worker: Worker | undefined
  #isClosed = false

  /** @throws MillstreamError MODULE_WITHOUT_TOPOLOGY */
  constructor(module: LoadedModule, settings: WorkerSettings, place: DevPlace) {
    this.module = module
    this.script = readScript(module)
    this.settings = settings
    this.#place = place
  }

  /** Resolves when the worker runs. @throws what stops it before */
  async start(): Promise<void> {
    const { cluster, terminal } = this.#place
    const { topology } = this.module
    const created = await createUserTopics(cluster, topology.graph)
    if (created.length > 0) terminal.info('topics created', { topics: created.join(' ') })
    const worker = createWorker(topology, this.settings, { log: terminal })
    this.#worker = worker
    // Whoever waits for it hears of it; until then it is no unhandled rejection.
    worker.finished.catch(() => undefined)
    const port = await serveWorkers([worker], this.settings, nodePorts, terminal)
    this.#opened.push(() => port.close())
    this.#opened.push(() => worker.close({ leave: true }).catch(() => undefined))
    await this.#show()
    await worker.start()
  }

  /** Rejects with what stopped the worker. */
  get finished(): Promise<void> {
    return this.#worker?.finished ?? Promise.resolve()
  }

  /** Commits, leaves the group and closes, where that was not done yet. @throws what stopped the worker */
  async stop(): Promise<void> {
    const worker = this.#worker
    if (this.#isClosed || worker === undefined) return
    try {
      await worker.close({ leave: true })
      this.#place.terminal.info('stopped', { ...worker.counts })
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
