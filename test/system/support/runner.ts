// A worker as a process of its own, for tests that end it without a word: started by worker-process.ts with the path of
// a plan. Everything it says is written to its log at once, so that the last line before a kill is there to be read.
import fs from 'node:fs'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { armFaultPoints, type FaultPoint } from '../../../src/base/fault-point.ts'
import type { LogFields, Logger, LogLevel } from '../../../src/base/log.ts'
import { nodePorts } from '../../../src/base/node-ports.ts'
import type { Clock } from '../../../src/base/ports.ts'
import { resolveSettings, type SettingsInput } from '../../../src/config/settings.ts'
import { ensureError, MillstreamError } from '../../../src/errors.ts'
import { StreamWorker } from '../../../src/runtime/worker.ts'
import { TransactionalStore } from '../../../src/state/transactional-store.ts'
import type { Topology } from '../../../src/topology/contracts.ts'
import { type Fault, faultVariable, readFault, type Throwing } from './faults.ts'
import { withOwnTopics, withThrowing } from './topologies.ts'

export interface RunnerPlan {
  /** Path of the module that exports the topology. */
  readonly module: string
  readonly settings: SettingsInput & { readonly applicationId: string }
  readonly logFile: string
  /** Which start on this log this is, from 1. */
  readonly life: number
  readonly throwing?: Throwing | undefined
  /** Set in the environment before the module is loaded. */
  readonly environment?: Readonly<Record<string, string>> | undefined
  /**
   * Stores are written to the disk with every commit instead of once a second, so that a kill finds on the disk what the
   * store had taken for committed.
   */
  readonly flushAlways?: boolean | undefined
}

/** What a signal to oneself writes before it strikes. */
export interface KillLine {
  readonly text: 'kill' | 'stop' | 'term'
  readonly life: number
  readonly point: FaultPoint
  /** open: the broker has records or offsets of a transaction; ending: EndTxn is on its way and not answered. */
  readonly transaction: 'none' | 'open' | 'ending'
  readonly ranMs: number
}

const plan = JSON.parse(fs.readFileSync(process.argv[2] as string, 'utf8')) as RunnerPlan
const logDescriptor = fs.openSync(plan.logFile, 'a')

const write = (level: LogLevel, text: string, fields: LogFields = {}): void => {
  fs.writeSync(
    logDescriptor,
    `${JSON.stringify({ at: Date.now(), life: plan.life, level, text, ...fields })}\n`,
  )
}

const log: Logger = {
  debug: (text, fields) => write('debug', text, fields),
  info: (text, fields) => write('info', text, fields),
  warn: (text, fields) => write('warn', text, fields),
  error: (text, fields) => write('error', text, fields),
}

const signalOf = { kill: 'SIGKILL', stop: 'SIGSTOP', term: 'SIGTERM' } as const

/** Passed also while the broker knows of no transaction (yet); a hit there is no test of one. */
const insideOnly: ReadonlySet<FaultPoint> = new Set([
  'mid-batch',
  'before-offset-commit',
  'offset-commit-sent',
])

/** A worker with little to do commits before it is ever found inside: from then on each passage is a hit. */
const insidePatienceMs = 20_000

const transactionAfter: Partial<Record<FaultPoint, KillLine['transaction']>> = {
  'after-produce': 'open',
  'after-offset-commit': 'open',
  'end-txn-sent': 'ending',
  'end-txn-acked': 'none',
}

/** Carries out a fault. Also without one it keeps an eye on the transaction, for the log. */
class FaultyPoints {
  readonly #fault: Fault | undefined
  #hits = 0
  #transaction: KillLine['transaction'] = 'none'
  #runningSince = Number.POSITIVE_INFINITY
  #firstPassedMs: number | undefined

  constructor(fault: Fault | undefined) {
    this.#fault = fault
  }

  started(): void {
    this.#runningSince = performance.now()
  }

  /** Whether the fault is still to come. */
  get waitsInBatch(): boolean {
    return this.#fault?.point === 'mid-batch' && this.#hits < this.#fault.hit
  }

  reach(point: FaultPoint): void {
    this.#transaction = transactionAfter[point] ?? this.#transaction
    const fault = this.#fault
    if (fault?.point !== point) return
    if (fault.afterMs !== undefined && performance.now() - this.#runningSince < fault.afterMs) return
    this.#firstPassedMs ??= performance.now()
    const isPatient = performance.now() - this.#firstPassedMs < insidePatienceMs
    if (insideOnly.has(point) && this.#transaction !== 'open' && isPatient) return
    this.#hits++
    if (fault.action === 'abort') {
      if (this.#hits % fault.hit === 0)
        throw new MillstreamError('TRANSACTION_ABORTABLE', { what: 'planned by the test' })
    } else if (this.#hits === fault.hit) {
      if (fault.delayMs !== undefined)
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, fault.delayMs)
      this.#strike(fault.point, fault.action)
    }
  }

  #strike(point: FaultPoint, action: KillLine['text']): void {
    const line: Omit<KillLine, 'text' | 'life'> = {
      point,
      transaction: this.#transaction,
      ranMs: Math.max(0, Math.round(performance.now() - this.#runningSince)),
    }
    write('info', action, { ...line })
    // The signal is there when the call returns: after SIGKILL nothing runs, after SIGSTOP not before SIGCONT.
    process.kill(process.pid, signalOf[action])
  }
}

const faults = new FaultyPoints(readFault(process.env[faultVariable]))

/** How far the wall clock of the worker is ahead of the true one, ms; a test moves it. */
let clockAheadMs = 0
const clock: Clock = { ...nodePorts.clock, now: () => nodePorts.clock.now() + clockAheadMs }

const topologyOf = async (one: RunnerPlan): Promise<Topology> => {
  const { module, settings, throwing, life } = one
  Object.assign(process.env, one.environment)
  process.env['MILLSTREAM_WRITER'] = `${settings.instanceId ?? 'dynamic'}.${life}`
  const loaded = (await import(pathToFileURL(module).href)) as { default: Topology }
  const own = withOwnTopics(loaded.default, settings.applicationId)
  return throwing === undefined ? own : withThrowing(own, throwing)
}

const flushAlways = (): void => {
  const store = TransactionalStore.prototype
  const { commitOverlay } = store
  store.commitOverlay = function (checkpoint) {
    commitOverlay.call(this, checkpoint)
    this.flush()
  }
}

/**
 * A worker that is never behind commits each of its small batches as one: then no record is processed while the
 * transaction is open at the broker already. So the input piles up, until the fault has come.
 */
const pileUp = async (worker: StreamWorker): Promise<void> => {
  while (faults.waitsInBatch) {
    worker.pause()
    await sleep(1500, undefined, { ref: false })
    worker.resume()
    await sleep(500, undefined, { ref: false })
  }
}

const main = async (): Promise<void> => {
  if (plan.flushAlways === true) flushAlways()
  const topology = await topologyOf(plan)
  const worker = new StreamWorker(
    topology,
    resolveSettings({ given: plan.settings }, topology.name),
    { ...nodePorts, clock },
    log,
  )
  const close = (leave?: boolean): void =>
    void worker.close(leave === undefined ? {} : { leave }).catch(() => undefined)
  process.on('message', (message) => {
    if (message === 'close') close()
    if (message === 'leave') close(true)
    if (message === 'time') write('info', 'time', { now: clock.now() })
    if (typeof message === 'number') clockAheadMs = message
  })
  process.on('SIGTERM', () => close())
  armFaultPoints((point) => faults.reach(point))
  await worker.start()
  faults.started()
  process.send?.('running')
  void pileUp(worker)
  await worker.finished
  write('info', 'ended', { counts: worker.counts })
  process.disconnect?.()
}

main().catch((thrown: unknown) => {
  const error = ensureError(thrown)
  write('error', 'the worker failed', { message: error.message, stack: error.stack })
  process.exit(1)
})
