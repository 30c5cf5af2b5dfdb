// One run of a simulation: workers, a broker that is in their process, an input and faults, all from one seed, and the
// verdict over what came of it.
import { epochMs } from '../../src/testing/simulation/simulated-process.ts'
import { type Course, Scenario } from '../../src/testing/simulation/scenario.ts'
import type { NetObserver } from '../../src/testing/simulation/simulated-net.ts'
import type { Simulation } from '../../src/testing/simulation/simulation.ts'
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
import { changelogs, collect, credits, storesOf } from './evidence.ts'
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

const endTxnKey = 26
const nothingMore = 'nothing more'
class Run {
  readonly #plan: Plan
  readonly #scenario: Scenario
  readonly #simulation: Simulation
  readonly #marks = new Marks(applicationId, changelogs)
  readonly #history = new OffsetHistory()
  readonly #outputs = new Set<string>()
  readonly #early: Violation[] = []
  readonly #log: WorkerLogLine[] = []
  readonly #snapshots: Snapshot[] = []

  constructor(plan: Plan, trace: boolean) {
    this.#plan = plan
    this.#scenario = new Scenario({
      ...plan,
      applicationId,
      trace,
      topology: (writer) => faultsTopology(writer, {}, plan.wallClockTimers),
      observer: this.#observer(),
      onLine: (worker, level, text, fields) => {
        this.#marks.line(text)
        if (level !== 'warn' && level !== 'error') return
        this.#log.push({ at: this.#simulation.time.nowMs, life: worker.life, level, text, ...fields })
      },
      onBrokerLine: (text) => this.#marks.brokerLine(text),
      onFault: (fault) => this.#marks.fault(fault),
      onCrash: (host, lost) => {
        if (lost > 0) this.#marks.seen.add('the tail of a store was lost')
        this.#snapshots.push(...storesOf(this.#simulation, host, 'after a crash'))
      },
      isBroken: () => this.#early.length > 0,
    })
    this.#simulation = this.#scenario.simulation
    this.#marks.watch(this.#simulation)
    if (plan.transactionVersion === 1) this.#marks.seen.add('transactions version 1')
  }

  async play(): Promise<Outcome> {
    const { time } = this.#simulation
    const { input, partitions, healAtMs } = this.#plan
    try {
      for (const chunk of input) time.schedule(chunk.atMs, undefined, () => this.#append(chunk))
      const course = await this.#scenario.play(() => {
        this.#append({ atMs: 0, records: makeProbes(partitions, 1, epochMs + healAtMs) })
      })
      return this.#outcome(course)
    } finally {
      await this.#scenario.close()
    }
  }

  #observer(): NetObserver {
    const marks = this.#marks.observer
    return {
      sent: (link, request) => {
        marks.sent?.(link, request)
        const { apiKey, version } = request
        this.#simulation.trace.add(link.owner.name, `> ${apiKey} v${version} to ${link.nodeId}`)
      },
      arrived: (link, request) => marks.arrived?.(link, request),
      answered: (link, request, frame, lost) => {
        marks.answered?.(link, request, frame, lost)
        const text = `< ${request.apiKey} from ${link.nodeId}, ${frame.length} bytes${lost ? ', lost' : ''}`
        this.#simulation.trace.add(link.owner.name, text)
        if (request.apiKey === endTxnKey) this.#look()
      },
    }
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

  /** What has to hold all the time, looked at whenever a transaction has ended. */
  #look(): void {
    const { logs } = this.#simulation
    const committed = [...this.#scenario.committed()].map(([place, offset]) => {
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

  #outcome({ drain, unclosed }: Course): Outcome {
    this.#look()
    const { time, trace, workers } = this.#simulation
    const evidence = collect(this.#simulation, {
      snapshots: this.#snapshots,
      wentBack: this.#history.wentBack,
      log: this.#log,
      committed: this.#scenario.committed(),
      drain,
      transactionVersion: this.#plan.transactionVersion,
    })
    const stopped = workers.flatMap(({ host, failures }) =>
      failures.map(
        ({ code, message }): Violation => ({
          invariant: 'I11',
          key: `errors that stopped ${host}`,
          expected: 'none',
          found: `${code}: ${message}`,
        }),
      ),
    )
    // A run that was ended early has closed nobody.
    for (const host of this.#early.length > 0 ? [] : unclosed)
      stopped.push({ invariant: 'I10', key: `the close of ${host}`, expected: 'an end', found: 'none' })
    // What was wrong on the way ended the run: all the rest follows from that.
    const violations =
      this.#early.length > 0 ? [...this.#early, ...stopped] : [...check(evidence), ...stopped]
    this.#markMoves(evidence.effects.committed)
    return {
      seed: this.#plan.seed,
      violations,
      report: violations.length === 0 ? [] : explain(violations, evidence),
      marks: [...this.#marks.seen],
      failovers: this.#scenario.failovers,
      faults: this.#scenario.faults,
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

export const runPlan = async (plan: Plan, { trace = false } = {}): Promise<Outcome> =>
  await new Run(plan, trace).play()
