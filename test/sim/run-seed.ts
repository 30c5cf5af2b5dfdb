// One run of a simulation: workers, a broker that is in their process, an input and faults, all from one seed, and the
// verdict over what came of it.
import type { ErrorCode } from '../../src/errors.ts'
import { armFaultPoints } from '../../src/base/fault-point.ts'
import { epochMs, SimulatedProcess } from '../../src/testing/simulation/simulated-process.ts'
import { FaultRunner } from '../../src/testing/simulation/fault-runner.ts'
import { Simulation } from '../../src/testing/simulation/simulation.ts'
import { check, explain, type Snapshot, type Violation } from '../system/faults/checker.ts'
import {
  abortedMark,
  type Effect,
  inputTopic,
  makeProbes,
  nameOf,
  outputTopic,
} from '../system/faults/ops.ts'
import { faultsTopology } from '../system/faults/topology.ts'
import { textOf } from '../system/support/evidence.ts'
import { OffsetHistory } from '../system/support/offset-watch.ts'
import type { WorkerLogLine } from '../system/support/worker-process.ts'
import { changelogs, collect, committedOf, credits, storesOf, transactionsOf } from './evidence.ts'
import { type Mark, Marks } from './marks.ts'
import { applicationId, type Plan } from './plan.ts'

export interface Outcome {
  readonly seed: number
  readonly violations: readonly Violation[]
  /** For a person. */
  readonly report: readonly string[]
  readonly marks: readonly Mark[]
  /** How often a worker ended, was killed, or lost its tasks. */
  readonly failovers: number
  readonly faults: number
  readonly records: number
  readonly events: number
  readonly virtualMs: number
  readonly digest: string
  readonly trace: readonly string[]
}

/** For what each fault may still cost after the heal. */
const patienceMs = 30_000
/**
 * What a worker may stop with where the world around it is broken, to be started again from outside: it found no broker
 * at its start, or a late request of its own past took its place in the group.
 */
const expectedStops: ReadonlySet<ErrorCode> = new Set(['BROKER_UNREACHABLE', 'INSTANCE_FENCED'])
const closingMs = 40_000
const settleMs = 200
const nothingMore = 'nothing more'

class Run {
  readonly #plan: Plan
  readonly #simulation: Simulation
  readonly #runner: FaultRunner
  readonly #marks = new Marks(applicationId, changelogs)
  readonly #history = new OffsetHistory()
  readonly #outputs = new Set<string>()
  readonly #early: Violation[] = []
  readonly #log: WorkerLogLine[] = []
  readonly #snapshots: Snapshot[] = []
  #failovers = 0

  constructor(plan: Plan, trace: boolean) {
    this.#plan = plan
    const marks = this.#marks.observer
    this.#simulation = new Simulation({
      ...plan,
      trace,
      observer: {
        sent: (link, request) => {
          marks.sent?.(link, request)
          this.#simulation.trace.add(
            link.owner.name,
            `> ${request.apiKey} v${request.version} to ${link.nodeId}`,
          )
        },
        arrived: (link, request) => marks.arrived?.(link, request),
        answered: (link, request, frame, lost) => {
          marks.answered?.(link, request, frame, lost)
          this.#simulation.trace.add(
            link.owner.name,
            `< ${request.apiKey} from ${link.nodeId}, ${frame.length} bytes${lost ? ', lost' : ''}`,
          )
          if (request.apiKey === endTxnKey) this.#look()
        },
      },
    })
    this.#marks.watch(this.#simulation)
    this.#runner = new FaultRunner(this.#simulation, {
      applicationId,
      topics: [inputTopic, outputTopic, credits, ...changelogs],
      onFault: (fault) => {
        this.#marks.fault(fault)
        if (fault.kind === 'kill' || fault.kind === 'restart') this.#failovers++
        if (fault.kind === 'pause' && fault.forMs > Number(plan.settings.sessionTimeoutMs)) this.#failovers++
      },
      onCrash: (host, lost) => {
        if (lost > 0) this.#marks.seen.add('the tail of a store was lost')
        this.#snapshots.push(...storesOf(this.#simulation, host, 'after a crash'))
      },
    })
    if (plan.transactionVersion === 1) this.#marks.seen.add('transactions version 1')
  }

  async play(): Promise<Outcome> {
    const { time } = this.#simulation
    armFaultPoints((point) => {
      const { current } = time
      if (current instanceof SimulatedProcess) this.#runner.reached(current, point)
    })
    try {
      this.#prepare()
      await this.#until(this.#plan.healAtMs + settleMs, () => false)
      const healedMs = time.nowMs
      const boundMs =
        Math.max(
          Number(this.#plan.settings.transactionTimeoutMs),
          Number(this.#plan.settings.sessionTimeoutMs),
        ) + patienceMs
      await this.#until(healedMs + boundMs, () => this.#isDrained())
      const tookMs = this.#isDrained() ? time.nowMs - healedMs : Number.POSITIVE_INFINITY
      await this.#closeWorkers()
      return this.#outcome({ tookMs, boundMs })
    } finally {
      armFaultPoints(undefined)
      await this.#simulation.close()
    }
  }

  #prepare(): void {
    const { time, logs } = this.#simulation
    const { partitions, workers, input, faults, healAtMs, settings } = this.#plan
    logs.createTopic(inputTopic, partitions)
    logs.createTopic(outputTopic, partitions)
    for (const { host, startsAtMs } of workers) {
      const worker = this.#simulation.addWorker({
        host,
        topology: (writer) => faultsTopology(writer),
        settings: { ...settings, instanceId: host },
        onLine: (_worker, level, text, fields) => {
          this.#marks.line(text, fields)
          if (level === 'warn' || level === 'error')
            this.#log.push({ at: time.nowMs, life: worker.life, level, text, ...fields })
        },
      })
      time.schedule(startsAtMs, undefined, () => worker.start())
    }
    for (const chunk of input) time.schedule(chunk.atMs, undefined, () => this.#append(chunk))
    this.#runner.plan(faults)
    time.schedule(healAtMs, undefined, () => {
      this.#runner.heal()
      const probes = makeProbes(partitions, 1, epochMs + healAtMs)
      time.schedule(settleMs / 2, undefined, () => this.#append({ atMs: 0, records: probes }))
    })
  }

  #append({ records, transaction }: Plan['input'][number]): void {
    const { logs, time } = this.#simulation
    const rows = records.map(({ key, value, timestamp, partition }) => ({
      key: Buffer.from(key ?? ''),
      value: Buffer.from(value ?? ''),
      timestamp: timestamp ?? epochMs,
      partition,
    }))
    if (transaction === undefined) return logs.append(inputTopic, rows)
    const begun = logs.beginTransaction()
    logs.append(inputTopic, rows, begun)
    time.schedule(transaction.endsAfterMs, undefined, () => logs.endTransaction(begun, transaction.committed))
  }

  /** Runs until that time, or until then, or until something is wrong. */
  async #until(atMs: number, done: () => boolean): Promise<void> {
    const { time } = this.#simulation
    let asked = 0
    await time.run(() => this.#early.length > 0 || time.nowMs >= atMs || (++asked % 16 === 0 && done()))
  }

  /** What has to hold all the time, looked at whenever a transaction has ended. */
  #look(): void {
    const { logs } = this.#simulation
    const committed = [...committedOf(this.#simulation)].map(([place, offset]) => {
      const at = place.lastIndexOf('/')
      return { topic: place.slice(0, at), partition: Number(place.slice(at + 1)), offset }
    })
    this.#history.take(committed as never)
    for (const { topic, partition, from, to } of this.#history.wentBack)
      this.#early.push({
        invariant: 'I9',
        key: `committed offset of ${topic}-${partition}`,
        expected: `${from} or more`,
        found: to,
      })
    logs.follow(inputTopic)
    logs.follow(credits)
    for (const topic of changelogs) logs.follow(topic)
    logs.follow(outputTopic, (records) => {
      for (const { key, value, partition, offset } of records) {
        const name = nameOf(JSON.parse(textOf(value)) as Effect)
        const place = `output ${name} at ${partition}@${offset}`
        if (this.#outputs.has(name))
          this.#early.push({
            invariant: 'I1',
            key: place,
            expected: 'once',
            found: 'once more',
            op: name.split('/')[0],
          })
        if (textOf(key).includes(abortedMark))
          this.#early.push({ invariant: 'I5', key: place, expected: nothingMore, found: textOf(key) })
        this.#outputs.add(name)
      }
    })
  }

  #isDrained(): boolean {
    const { logs, workers } = this.#simulation
    const committed = committedOf(this.#simulation)
    for (const topic of [inputTopic, credits]) {
      for (const [partition, { endOffset, lastStableOffset }] of logs.logs(topic).entries())
        if (committed.get(`${topic}/${partition}`) !== endOffset || lastStableOffset !== endOffset)
          return false
    }
    if (logs.logs(credits).length === 0) return false
    if (!workers.every(({ state, isUp }) => isUp && state === 'running')) return false
    return transactionsOf(this.#simulation).every(({ state }) => /^(Empty|Complete)/.test(state))
  }

  async #closeWorkers(): Promise<void> {
    const { time, workers } = this.#simulation
    for (const worker of workers) {
      worker.finish()
      worker.close(true)
    }
    await this.#until(time.nowMs + closingMs, () => workers.every(({ isUp }) => !isUp))
    for (const { isUp, host } of workers)
      if (isUp && this.#early.length === 0)
        this.#early.push({ invariant: 'I10', key: `the close of ${host}`, expected: 'an end', found: 'none' })
  }

  #outcome(drain: { readonly tookMs: number; readonly boundMs: number }): Outcome {
    this.#look()
    const { time, trace, workers } = this.#simulation
    const evidence = collect(this.#simulation, {
      snapshots: this.#snapshots,
      wentBack: this.#history.wentBack,
      log: this.#log,
      drain,
      transactionVersion: this.#plan.transactionVersion,
    })
    const stopped = workers.flatMap(({ host, failures }) =>
      failures
        .filter(({ code }) => !expectedStops.has(code))
        .map(
          ({ code, message }): Violation => ({
            invariant: 'I11',
            key: `errors that stopped ${host}`,
            expected: 'none',
            found: `${code}: ${message}`,
          }),
        ),
    )
    // What was wrong on the way ended the run: all the rest follows from that.
    const violations =
      this.#early.length > 0 ? [...this.#early, ...stopped] : [...check(evidence), ...stopped]
    this.#markMoves(evidence.effects.committed)
    return {
      seed: this.#plan.seed,
      violations,
      report: violations.length === 0 ? [] : explain(violations, evidence),
      marks: [...this.#marks.seen],
      failovers: this.#failovers,
      faults: this.#runner.happened,
      records: evidence.ops.all.length,
      events: time.ran,
      virtualMs: time.nowMs,
      digest: trace.digest,
      trace: trace.lines,
    }
  }

  /** A task went on elsewhere: outputs of one input partition by several hosts. */
  #markMoves(effects: readonly { readonly headers: readonly (readonly [string, Buffer | null])[] }[]): void {
    const hosts = new Map<string, Set<string>>()
    for (const { headers } of effects) {
      const [source, writer] = headers
      if (writer === undefined) continue
      const [topic, partition] = textOf(source?.[1] ?? null).split('/')
      const place = `${topic}/${partition}`
      const known = hosts.get(place) ?? new Set<string>()
      hosts.set(place, known)
      known.add(textOf(writer[1]).split('.')[0] ?? '')
    }
    if ([...hosts.values()].some(({ size }) => size > 1))
      this.#marks.seen.add('a task went on on another host')
  }
}

const endTxnKey = 26

export const runPlan = async (plan: Plan, { trace = false } = {}): Promise<Outcome> =>
  await new Run(plan, trace).play()
