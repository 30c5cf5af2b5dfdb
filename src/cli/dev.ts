// `millstream dev`: runs one module against a broker that it finds or starts, with its topics created, its input fed and
// its output shown. With --for it ends by itself and lets the module check the result.
import { mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import process from 'node:process'
import type { Logger } from '../base/log.ts'
import { nodePorts } from '../base/node-ports.ts'
import { Cluster } from '../client/cluster.ts'
import type { WorkerSettings } from '../config/worker-settings.ts'
import { ensureError, MillstreamError } from '../errors.ts'
import { serveWorkers } from '../metrics/serve-workers.ts'
import { createProducer } from '../runtime/create-producer.ts'
import { createWorker, type Worker } from '../runtime/create-worker.ts'
import { startKafka } from '../testing/kafka/start-kafka.ts'
import { readWithKafkaJs } from '../testing/plain-reader.ts'
import type { CommandLine } from './arguments.ts'
import type { DevInput, DevScript, DevVerdict } from './dev-contract.ts'
import { createUserTopics, waitUntilProcessed } from './dev-topics.ts'
import { type LoadedModule, loadModules } from './load-module.ts'
import { loadSettings } from './load-settings.ts'
import { createScreen, type Screen } from './screen.ts'
import { listenForStop, type StopSignals } from './stop-signals.ts'
import type { Terminal } from './terminal.ts'
import { linesOf } from './text-files.ts'
import { followTopic } from './topic-tail.ts'

/** Records on their way to the broker. */
const unsentMax = 1000
const drawEveryMs = 200
/** A log gets a line with the counts this often, and only when they changed. */
const summaryEveryMs = 5000
const processedWithinMs = 60_000
/** Static: a run that follows one that was killed takes its place in the group at once. */
const instanceId = 'dev'

const readScript = ({ exports, path: file }: LoadedModule): DevScript => {
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

interface Broker {
  readonly brokers: readonly string[]
  readonly how: string
  /** It was started for this run and goes with it. */
  readonly ours: boolean
  stop(): Promise<void>
}

const findBroker = async (given: readonly string[], say: (text: string) => void): Promise<Broker> => {
  if (given.length > 0) {
    const how = `Kafka at ${given.join(',')}, because the setting brokers says so`
    return { brokers: given, how, ours: false, stop: () => Promise.resolve() }
  }
  const kafka = await startKafka({ onProgress: say })
  return { brokers: kafka.brokers, how: kafka.how, ours: kafka.backend !== 'env', stop: () => kafka.stop() }
}

/** What a run has opened, closed in the opposite order whatever happens. */
class Opened {
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

interface Stage {
  readonly line: CommandLine
  readonly module: LoadedModule
  readonly script: DevScript
  readonly settings: WorkerSettings
  readonly cluster: Cluster
  readonly terminal: Terminal
  readonly screen: Screen
  readonly opened: Opened
  readonly signals: StopSignals
}

/** Sends what the script feeds, a bounded number of records at a time. @throws what could not be delivered. */
const feed = async ({ script, settings, terminal, screen }: Stage, stopping: AbortSignal): Promise<void> => {
  if (script.feed === undefined) return
  const producer = createProducer(settings, { log: terminal })
  const unsent = new Set<Promise<unknown>>()
  let failure: unknown
  const input: DevInput = {
    stopping,
    linesOf: (pattern) => linesOf(process.cwd(), pattern, stopping),
    typedLines: () => screen.typedLines(),
    pause: (durationMs) => nodePorts.timers.sleep(durationMs, stopping),
    send: async (topic, record) => {
      const sent = producer
        .send(topic, record)
        .catch((error: unknown) => {
          failure ??= error
        })
        .finally(() => unsent.delete(sent))
      unsent.add(sent)
      while (unsent.size >= unsentMax) await Promise.race(unsent)
      if (failure !== undefined) throw failure
    },
  }
  try {
    await script.feed(input)
    await Promise.all(unsent)
    if (failure !== undefined) throw failure
  } finally {
    await producer.close()
  }
}

/** Shows the view of the script until it is closed. */
const show = async ({ script, cluster, terminal, screen, opened }: Stage): Promise<void> => {
  const view = script.view?.()
  if (view === undefined) return
  const tail = await followTopic(cluster, view, terminal)
  opened.push(() => tail.close())
  let last = ''
  const draw = (): void => {
    if (screen.drawn) return screen.draw(view.table())
    const summary = view.summary()
    if (summary !== last) terminal.info(summary)
    last = summary
  }
  const timer = setInterval(draw, screen.drawn ? drawEveryMs : summaryEveryMs)
  opened.push(() => {
    clearInterval(timer)
    draw()
  })
}

const work = async (stage: Stage, worker: Worker): Promise<'interrupted' | 'time is up'> => {
  const { line, signals, terminal, screen } = stage
  const stopping = new AbortController()
  const interrupted = new Promise<'interrupted'>((resolve) => {
    if (signals.signal.aborted) resolve('interrupted')
    signals.signal.addEventListener('abort', () => resolve('interrupted'), { once: true })
  })
  const failed = worker.finished.then(() => interrupted)
  await Promise.race([worker.start(), interrupted])
  if (signals.signal.aborted) return 'interrupted'
  terminal.info('running; Ctrl-C ends it')
  // Not sooner: a start that takes long would leave no time to feed anything.
  const time = new Promise<'time is up'>((resolve) => {
    if (line.forMs !== undefined) setTimeout(() => resolve('time is up'), line.forMs)
  })
  const feeding = feed(stage, stopping.signal)
  try {
    return await Promise.race([
      interrupted,
      time,
      failed,
      feeding.then(() => Promise.race([interrupted, time, failed])),
    ])
  } finally {
    stopping.abort()
    screen.endInput()
    await feeding.catch(() => undefined)
  }
}

const verdictLine = (name: string, { recordsIn, counted, lost, duplicated }: DevVerdict): string =>
  `${name}: ${recordsIn} records in, ${counted} counted, ${lost} lost, ${duplicated} duplicated\n`

const isGood = ({ recordsIn, counted, lost, duplicated }: DevVerdict): boolean =>
  lost === 0 && duplicated === 0 && counted === recordsIn

/** Runs on an open broker. @returns what the script found, where it was asked. */
const runOn = async (stage: Stage): Promise<DevVerdict | 'interrupted' | undefined> => {
  const { module, script, settings, cluster, terminal, opened } = stage
  const created = await createUserTopics(cluster, module.topology.graph)
  if (created.length > 0) terminal.info('topics created', { topics: created.join(' ') })
  const worker = createWorker(module.topology, settings, { log: terminal })
  const port = await serveWorkers([worker], settings, nodePorts, terminal)
  opened.push(() => port.close())
  opened.push(() => worker.close({ leave: true }).catch(() => undefined))
  await show(stage)
  const end = await work(stage, worker)
  if (end === 'time is up')
    await waitUntilProcessed(cluster, module.topology.graph, settings.applicationId, processedWithinMs)
  await worker.close({ leave: true })
  terminal.info('stopped', { ...worker.counts })
  if (end === 'interrupted') return 'interrupted'
  if (script.verify === undefined) return undefined
  terminal.info('counting again, from the raw bytes that another client (kafkajs) reads')
  return await script.verify((topic) => readWithKafkaJs(settings, topic))
}

const openStage = async (
  line: CommandLine,
  terminal: Terminal,
  screen: Screen,
  opened: Opened,
  signals: StopSignals,
): Promise<Stage> => {
  const [module] = await loadModules(line.modules)
  if (module === undefined) throw new MillstreamError('MODULE_NOT_FOUND', { what: 'no module was given' })
  const script = readScript(module)
  const { name } = module.topology
  // Mistakes in the settings are told before a broker is started for them.
  const { brokers } = loadSettings({ ...line, withoutBrokers: true }, name)
  const broker = await findBroker(brokers, (text) => terminal.info(text))
  opened.push(() => broker.stop())
  terminal.info(broker.how)
  const settingsWith = (stateDir: string | undefined): WorkerSettings =>
    loadSettings({ ...line, given: { brokers: broker.brokers, instanceId, stateDir } }, name)
  const cluster = await Cluster.connect({ ...settingsWith(undefined) }, nodePorts, terminal)
  opened.push(() => cluster.close())
  let stateDir = path.join('.millstream', 'dev', cluster.clusterId)
  if (broker.ours) {
    const temporary = mkdtempSync(path.join(os.tmpdir(), 'millstream-dev-'))
    // The state of a cluster that ends with this process is of no use to anybody, however it ends.
    process.once('exit', () => rmSync(temporary, { recursive: true, force: true }))
    stateDir = temporary
  }
  return {
    line,
    module,
    script,
    settings: settingsWith(stateDir),
    cluster,
    terminal,
    screen,
    opened,
    signals,
  }
}

/**
 * @returns the exit code: 1 where the recount differs, 130 where a run with --for was interrupted before it
 * @throws MillstreamError whatever stops the broker, the worker or the input
 */
export const dev = async (
  line: CommandLine,
  createLog: (write: (text: string) => void) => Terminal,
  print: (text: string) => void,
): Promise<number> => {
  const screen = createScreen()
  const terminal = createLog((text) => screen.print(text))
  const opened = new Opened()
  let ready = false
  const signals = listenForStop((name) => {
    // Nothing can be lost yet, and a download may take minutes; exit hooks stop a broker that is starting.
    if (!ready) process.exit(130)
    terminal.info('stopping', { signal: name })
  })
  let outcome: DevVerdict | 'interrupted' | undefined
  let name = ''
  try {
    const stage = await openStage(line, terminal, screen, opened, signals)
    name = stage.module.topology.name
    ready = true
    outcome = await runOn(stage)
  } finally {
    await opened.close(terminal)
    screen.close()
    signals.release()
  }
  if (outcome === 'interrupted') return line.forMs === undefined ? 0 : 130
  if (outcome === undefined) return 0
  for (const difference of outcome.differences?.slice(0, 10) ?? []) print(`${difference}\n`)
  print(verdictLine(name, outcome))
  return isGood(outcome) ? 0 : 1
}
