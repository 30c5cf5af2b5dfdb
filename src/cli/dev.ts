// `millstream dev`: runs one module on a broker, with its topics created, its input fed and its output shown. When the
// module changes, its worker is closed in order and the new topology goes on where the old one stood. With --for it ends
// by itself and lets the module check the result.
import process from 'node:process'
import { nodePorts } from '../base/node-ports.ts'
import { Cluster } from '../client/cluster.ts'
import type { WorkerSettings } from '../config/worker-settings.ts'
import { createProducer } from '../runtime/create-producer.ts'
import { readWithKafkaJs } from '../testing/plain-reader.ts'
import type { CommandLine } from './arguments.ts'
import { openDevBroker } from './dev-broker.ts'
import type { DevInput, DevVerdict } from './dev-contract.ts'
import { type DevPlace, DevRun, Opened, readScript } from './dev-run.ts'
import { waitUntilProcessed } from './dev-topics.ts'
import { type Job, jobsOf } from './jobs.ts'
import type { LoadedModule } from './load-module.ts'
import { loadSettings } from './load-settings.ts'
import { ModuleWatch } from './module-watch.ts'
import { createScreen } from './screen.ts'
import { listenForStop, type StopSignals } from './stop-signals.ts'
import type { Terminal } from './terminal.ts'
import { linesOf } from './text-files.ts'

/** Records on their way to the broker. */
const unsentMax = 1000
const processedWithinMs = 60_000
/** Static: a run that follows one that was killed takes its place in the group at once. */
const instanceId = 'dev'

interface Stage extends DevPlace {
  readonly line: CommandLine
  readonly watch: ModuleWatch
  readonly jobsOf: (module: LoadedModule) => readonly Job[]
  readonly opened: Opened
  readonly signals: StopSignals
}

/** Sends what the script feeds, a bounded number of records at a time. @throws what could not be delivered. */
const feed = async (
  { script, settings }: DevRun,
  { terminal, screen }: Stage,
  stopping: AbortSignal,
): Promise<void> => {
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

/** The module as it is now, where it can be run. What is wrong with it is said, and undefined answered. */
const reload = async ({ watch, jobsOf: jobs, terminal, ...place }: Stage): Promise<DevRun | undefined> => {
  try {
    const module = await watch.load()
    return new DevRun(module, jobs(module), { ...place, terminal })
  } catch (error) {
    terminal.failure(error)
    terminal.warn('the module cannot be loaded: what ran before goes on; waiting for the next change')
    return undefined
  }
}

type End = 'interrupted' | 'time is up'

/** Ends the old run and starts the next one. @returns whether the next one runs; what keeps it from that is said */
const replace = async (old: DevRun, next: DevRun, { terminal, opened }: Stage): Promise<boolean> => {
  terminal.info('the module has changed: closing the worker, starting the new one')
  await old.stop().catch((error: unknown) => terminal.failure(error))
  opened.push(() => next.close())
  try {
    await next.start()
    terminal.info('running the changed module')
    return true
  } catch (error) {
    terminal.failure(error)
    terminal.warn('the changed module does not run; waiting for the next change')
    return false
  }
}

/**
 * Runs the module, and each that it becomes, until the end.
 * @returns the run that was the last
 * @throws what stopped the worker, where nobody is there to change the module
 */
const runUntilEnd = async (first: DevRun, stage: Stage, ended: Promise<End>): Promise<[End, DevRun]> => {
  const { line, watch, terminal } = stage
  let current = first
  let runs = true
  for (;;) {
    const looking = new AbortController()
    const changed = watch.changed(looking.signal).then((): 'changed' => 'changed')
    const stopped = runs ? current.finished.then(() => ended) : ended
    try {
      const event = await Promise.race([ended, stopped, changed])
      if (event !== 'changed') return [event, current]
      const next = await reload(stage)
      if (next === undefined) continue
      runs = await replace(current, next, stage)
      current = next
    } catch (error) {
      if (line.forMs !== undefined) throw error
      terminal.failure(error)
      terminal.warn('the worker has stopped; waiting for a change of the module')
      await current.close()
      runs = false
    } finally {
      looking.abort()
    }
  }
}

const work = async (run: DevRun, stage: Stage): Promise<[End, DevRun]> => {
  const { line, signals, terminal, screen } = stage
  const stopping = new AbortController()
  const interrupted = new Promise<'interrupted'>((resolve) => {
    if (signals.signal.aborted) resolve('interrupted')
    signals.signal.addEventListener('abort', () => resolve('interrupted'), { once: true })
  })
  await Promise.race([run.start(), interrupted])
  if (signals.signal.aborted) return ['interrupted', run]
  terminal.info('running; Ctrl-C ends it')
  // Not sooner: a start that takes long would leave no time to feed anything.
  const time = new Promise<'time is up'>((resolve) => {
    if (line.forMs !== undefined) setTimeout(() => resolve('time is up'), line.forMs)
  })
  // Input comes once, from the module as it was: a change of the topology is to meet the same records.
  const feeding = feed(run, stage, stopping.signal)
  const ended = Promise.race([interrupted, time])
  const failed = new Promise<never>((_, reject) => void feeding.catch(reject))
  try {
    return await Promise.race([runUntilEnd(run, stage, ended), failed])
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

/** As often as there are topologies, since each may make input for another, whatever their order. */
const untilProcessed = async (cluster: Cluster, jobs: readonly Job[]): Promise<void> => {
  for (let passes = 0; passes < jobs.length; passes++) {
    for (const { topology, settings } of jobs)
      await waitUntilProcessed(cluster, topology.graph, settings.applicationId, processedWithinMs)
  }
}

/** Runs on an open broker. @returns what the script found, where it was asked. */
const runOn = async (first: DevRun, stage: Stage): Promise<DevVerdict | 'interrupted' | undefined> => {
  const { cluster, terminal, opened } = stage
  opened.push(() => first.close())
  const [end, run] = await work(first, stage)
  const { script, settings } = run
  if (end === 'time is up') await untilProcessed(cluster, run.jobs)
  await run.stop()
  if (end === 'interrupted') return 'interrupted'
  if (script.verify === undefined) return undefined
  terminal.info('counting again, from the raw bytes that another client (kafkajs) reads')
  return await script.verify((topic) => readWithKafkaJs(settings, topic))
}

const openStage = async (
  line: CommandLine,
  module: LoadedModule,
  stage: Pick<Stage, 'watch' | 'terminal' | 'screen' | 'opened' | 'signals'>,
): Promise<Stage> => {
  const { terminal, opened } = stage
  // Mistakes in the settings are told before a broker is started for them.
  const planned = jobsOf([module], (topology) => loadSettings({ ...line, withoutBrokers: true }, topology))
  const { topology, settings } = planned[0] as Job
  const { brokers } = settings
  const broker = await openDevBroker(line, brokers, terminal)
  opened.push(() => broker.stop())
  terminal.info(broker.how)
  const settingsWith = (name: string, stateDir: string | undefined): WorkerSettings =>
    loadSettings({ ...line, given: { brokers: broker.brokers, instanceId, stateDir } }, name)
  const cluster = await Cluster.connect({ ...settingsWith(topology.name, undefined) }, nodePorts, terminal)
  opened.push(() => cluster.close())
  const stateDir = broker.stateDirectory(cluster.clusterId)
  return {
    ...stage,
    line,
    cluster,
    jobsOf: (loaded) => jobsOf([loaded], (one) => settingsWith(one, stateDir)),
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
  const watch = new ModuleWatch(line.modules[0] ?? '')
  let outcome: DevVerdict | 'interrupted' | undefined
  let name = ''
  try {
    const module = await watch.load()
    name = module.topologies.map((topology) => topology.name).join(', ')
    readScript(module)
    const stage = await openStage(line, module, { watch, terminal, screen, opened, signals })
    const run = new DevRun(module, stage.jobsOf(module), stage)
    ready = true
    outcome = await runOn(run, stage)
  } finally {
    await opened.close(terminal)
    watch.close()
    screen.close()
    signals.release()
  }
  if (outcome === 'interrupted') return line.forMs === undefined ? 0 : 130
  if (outcome === undefined) return 0
  for (const difference of outcome.differences?.slice(0, 10) ?? []) print(`${difference}\n`)
  print(verdictLine(name, outcome))
  return isGood(outcome) ? 0 : 1
}
