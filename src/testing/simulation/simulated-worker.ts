// A worker of the application under test in a simulation: the real StreamWorker on simulated ports, through all its lives.
// It is started again whenever it ends before the simulation is over, as Kubernetes does.
import type { LogFields, Logger, LogLevel } from '../../base/log.ts'
import type { SettingsInput } from '../../config/settings.ts'
import { resolveSettings } from '../../config/settings.ts'
import { asMillstreamError, type ErrorCode, type MillstreamError } from '../../errors.ts'
import { transactionalIdOf } from '../../runtime/transactional-id.ts'
import { StreamWorker } from '../../runtime/worker.ts'
import type { WorkerState } from '../../runtime/worker-state.ts'
import type { Topology } from '../../topology/contracts.ts'
import type { CrashKind } from './fault.ts'
import type { SimulatedProcess } from './simulated-process.ts'
import type { Simulation } from './simulation.ts'

export interface SimulatedWorkerOptions {
  readonly host: string
  /** Called for each life: `<host>.<life>`. */
  readonly topology: (writer: string) => Topology
  readonly settings: SettingsInput
  /** Told of every log line. */
  readonly onLine?:
    | ((worker: SimulatedWorker, level: LogLevel, text: string, fields: LogFields) => void)
    | undefined
}

/** What a worker may stop with through no fault of its own: a late request of its own past took its place in the group. */
const stops: ReadonlySet<ErrorCode> = new Set(['INSTANCE_FENCED'])
/** The same before it has run: no broker answered. It is started again from outside. */
const startStops: ReadonlySet<ErrorCode> = new Set([
  ...stops,
  'BROKER_UNREACHABLE',
  'CONNECTION_LOST',
  'REQUEST_TIMED_OUT',
])

/** Between the end of a process and its next start, where nothing else is said. */
const restartAfterMs = 200

export class SimulatedWorker {
  readonly host: string
  /** Errors that stopped it, and that are none of the world around it. */
  readonly failures: MillstreamError[] = []
  readonly #simulation: Simulation
  readonly #options: SimulatedWorkerOptions
  #life = 0
  #process: SimulatedProcess | undefined
  #worker: StreamWorker | undefined
  #restartAfterMs = restartAfterMs
  /** It is not to start again. */
  #isOver = false

  constructor(simulation: Simulation, options: SimulatedWorkerOptions) {
    this.host = options.host
    this.#simulation = simulation
    this.#options = options
  }

  /** Of its producer, as long as its instance id is the name of its host. */
  get transactionalId(): string {
    return transactionalIdOf(this.#options.settings.applicationId ?? '', this.host)
  }

  get life(): number {
    return this.#life
  }

  get process(): SimulatedProcess | undefined {
    return this.#process
  }

  get isUp(): boolean {
    return this.#process !== undefined && this.#process.state !== 'dead'
  }

  get state(): WorkerState | undefined {
    return this.#worker?.state
  }

  start(): void {
    if (this.isUp || this.#isOver) return
    this.#life++
    const { topology, settings } = this.#options
    const writer = `${this.host}.${this.#life}`
    const { process, ports } = this.#simulation.spawn(this.host, writer)
    this.#process = process
    this.#simulation.trace.add(writer, 'starts')
    process.enter(() => {
      const made = topology(writer)
      const resolved = resolveSettings(
        { given: { brokers: [...this.#simulation.brokers], stateDir: '/state', ...settings } },
        made.name,
      )
      const worker = new StreamWorker(made, resolved, ports, this.#logger())
      this.#worker = worker
      let ran = false
      worker.start().then(
        () => {
          ran = true
        },
        () => {},
      )
      worker.finished.then(
        () => this.#ended(process, undefined),
        (error: unknown) => this.#ended(process, asMillstreamError(error), ran),
      )
    })
  }

  /** As kill -9, or a crash of the machine under it. @returns how many local transactions were lost */
  kill(crash: CrashKind): number {
    if (this.isUp) this.#simulation.trace.add(this.host, `is killed (${crash})`)
    this.#process?.kill()
    return this.#simulation.crash(this.host, crash)
  }

  /** Starts it again after a while, where it does not run by then. */
  startIn(delayMs: number): void {
    this.#simulation.time.schedule(delayMs, undefined, () => this.start())
  }

  /** As SIGTERM; another start so long after its end. */
  close(leave: boolean, downMs: number = restartAfterMs): void {
    const worker = this.#worker
    this.#restartAfterMs = downMs
    this.#process?.enter(() => void worker?.close({ leave }).catch(() => {}))
  }

  /** From now on its end is the end. */
  finish(): void {
    this.#isOver = true
  }

  #ended(process: SimulatedProcess, failure: MillstreamError | undefined, ran = true): void {
    if (process.state === 'dead') return
    this.#simulation.trace.add(process.name, failure === undefined ? 'ended' : `failed: ${failure.message}`)
    if (failure !== undefined && !(ran ? stops : startStops).has(failure.code)) this.failures.push(failure)
    process.kill()
    this.startIn(this.#restartAfterMs)
    this.#restartAfterMs = restartAfterMs
  }

  #logger(): Logger {
    const { trace } = this.#simulation
    const { onLine } = this.#options
    const process = this.#process
    const line =
      (level: LogLevel) =>
      (text: string, fields: LogFields = {}) => {
        if (process?.state === 'dead') return
        if (trace.isKept) trace.add(process?.name ?? this.host, `${level}: ${text} ${JSON.stringify(fields)}`)
        else trace.add(process?.name ?? this.host, text)
        onLine?.(this, level, text, fields)
      }
    return { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') }
  }
}
