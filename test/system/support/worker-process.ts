// Starts worker processes one after another, reads their common log, and knows how each of them ended.
import fs from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import {
  type GuardedProcess,
  type ProcessEnd,
  spawnGuarded,
} from '../../../src/testing/kafka/guarded-process.ts'
import { type Fault, faultVariable, writeFault } from './faults.ts'
import { fakeTimeLibrary, ProcessClock } from './process-clock.ts'
import type { KillLine, RunnerPlan } from './runner.ts'

export interface WorkerLogLine {
  readonly at: number
  readonly life: number
  readonly level: string
  readonly text: string
  readonly [field: string]: unknown
}

export interface WorkerLife {
  readonly pid: number
  /** True when the worker runs, false when its process ended before. */
  readonly whenRunning: Promise<boolean>
  readonly ended: Promise<ProcessEnd>
}

/** What all lives have in common. */
type SharedPlan = Omit<RunnerPlan, 'life' | 'logFile' | 'flushAlways'>

const runner = path.join(import.meta.dirname, 'runner.ts')

/** The worker processes of one application: at most one at a time. */
export class WorkerLives {
  readonly logFile: string
  readonly #directory: string
  readonly #plan: SharedPlan
  #life = 0
  #process: GuardedProcess | undefined
  #clock: ProcessClock | undefined

  constructor(directory: string, plan: SharedPlan) {
    this.#directory = directory
    this.#plan = plan
    this.logFile = path.join(directory, 'worker.log')
  }

  /** Starts the next process. The one before has ended. */
  async start(fault?: Fault, flushAlways = false): Promise<WorkerLife> {
    const plan: RunnerPlan = { ...this.#plan, logFile: this.logFile, life: ++this.#life, flushAlways }
    const file = path.join(this.#directory, `plan-${plan.life}.json`)
    fs.writeFileSync(file, JSON.stringify(plan))
    const output = fs.openSync(path.join(this.#directory, 'worker.out'), 'a')
    try {
      const env = { ...process.env, ...this.#clock?.environment }
      delete env[faultVariable]
      if (fault !== undefined) env[faultVariable] = writeFault(fault)
      this.#process = await spawnGuarded(
        process.execPath,
        ['--conditions=millstream-source', '--no-memory-protection-keys', runner, file],
        {
          env,
          stdio: ['ignore', output, output, 'ipc'],
        },
      )
    } finally {
      fs.closeSync(output)
    }
    const { child, ended, pid } = this.#process
    const running = new Promise<boolean>((resolve) => child.once('message', () => resolve(true)))
    return { pid, ended, whenRunning: Promise.race([running, ended.then(() => false)]) }
  }

  /** Asks the worker to close (and leave its group) and waits for the end of its process. */
  async close(how: 'close' | 'leave' = 'close'): Promise<ProcessEnd | undefined> {
    if (this.#process?.isRunning() !== true) return undefined
    // A guarded process does not keep us alive by itself, and here there may be nothing else to wait for.
    this.#process.child.ref()
    this.#process.child.send(how)
    return await this.#process.ended
  }

  get isRunning(): boolean {
    return this.#process?.isRunning() === true
  }

  /** Before the first start: `moveClock` is to move the clock of the process. @returns whether it can */
  useProcessClock(): boolean {
    const library = fakeTimeLibrary()
    if (library !== undefined) this.#clock = new ProcessClock(library, this.#directory)
    return library !== undefined
  }

  /** Moves the wall clock of the worker: so far ahead of the true one, or behind it. */
  moveClock(aheadMs: number): void {
    if (this.#clock === undefined) this.#process?.child.send(aheadMs)
    else this.#clock.move(aheadMs)
  }

  /** Has the worker write its time of day into its log: a line `time` with `now`. */
  askTime(): void {
    this.#process?.child.send('time')
  }

  /** Sends a signal and waits for nothing. */
  signal(signal: NodeJS.Signals): void {
    this.#process?.kill(signal)
  }

  /** Kills the process from outside. */
  async kill(): Promise<void> {
    this.#process?.kill('SIGKILL')
    await this.#process?.ended
  }

  /** Ends the process whatever it does. */
  async stop(): Promise<void> {
    await this.#process?.stop(1000)
  }

  log(life?: number): WorkerLogLine[] {
    if (!fs.existsSync(this.logFile)) return []
    const lines = fs.readFileSync(this.logFile, 'utf8').trimEnd().split('\n')
    const all = lines.filter((line) => line !== '').map((line) => JSON.parse(line) as WorkerLogLine)
    return life === undefined ? all : all.filter((line) => line.life === life)
  }

  /** The line that the last life wrote when it sent itself a signal. */
  killLine(): (WorkerLogLine & KillLine) | undefined {
    const isKill = ({ text }: WorkerLogLine): boolean => text === 'kill' || text === 'stop' || text === 'term'
    return this.log(this.#life).find(isKill) as (WorkerLogLine & KillLine) | undefined
  }

  /** The end of the log, and of what the processes said outside of it. */
  logTail(lines = 12): string {
    const tail = this.log()
      .slice(-lines)
      .map((line) => JSON.stringify(line).slice(0, 400))
    const output = path.join(this.#directory, 'worker.out')
    if (fs.existsSync(output)) tail.push(fs.readFileSync(output, 'utf8').slice(-2000))
    return tail.join('\n')
  }
}
