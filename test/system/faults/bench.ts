// One application on the bench: its topics, its input, its worker processes, what they leave behind, and the verdict.
import { randomBytes } from 'node:crypto'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { SettingsInput } from '../../../src/config/settings.ts'
import type { JvmKafkaHandle } from '../../../src/testing/kafka/start-kafka.ts'
import type { Judge } from '../../support/judge.ts'
import type { KafkaProxy } from '../../support/proxy.ts'
import { type Random, seededRandom } from '../../support/random.ts'
import { readStores, textOf } from '../support/evidence.ts'
import type { Fault } from '../support/faults.ts'
import { Feeder } from '../support/feeder.ts'
import { readLogBatches } from '../support/log-batches.ts'
import { OffsetWatch } from '../support/offset-watch.ts'
import { type WorkerLife, WorkerLives, type WorkerLogLine } from '../support/worker-process.ts'
import { check, type Evidence, explain, type Predicted, type Snapshot, type TopicDump } from './checker.ts'
import type { Grounds } from './grounds.ts'
import { creditsTopic, inputTopic, makeOp, makeProbes, outputTopic, storeNames } from './ops.ts'
import { changelogVariable } from './topology.ts'
import { type TornTransaction, tornTransactions } from './transactions.ts'

export type BenchSettings = Omit<SettingsInput, 'applicationId' | 'stateDir' | 'instanceId'>

export interface BenchOptions {
  readonly row: string
  readonly seed: number
  /** Fewer faults, for the short form. */
  readonly short: boolean
  readonly settings?: BenchSettings | undefined
  readonly changelog?: Readonly<Record<string, string>> | undefined
  /** Between two chunks of input, ms. */
  readonly pauseMs?: number | undefined
  readonly recordsPerChunk?: number | undefined
}

export const partitions = 4
/** Short times, so that what waits for them costs little; each still far above what a step takes. */
const fastSettings: BenchSettings = {
  commitIntervalMs: 40,
  // Small, so that a transaction has many produces and they go out while it is processed.
  batchBytes: 4096,
  fetchWaitMs: 50,
  requestTimeoutMs: 10_000,
  // The repartition topic stays whole, as evidence.
  purgeIntervalMs: 3_600_000,
  heartbeatIntervalMs: 1000,
  rebalanceTimeoutMs: 8000,
  transactionTimeoutMs: 3000,
  sessionTimeoutMs: 13_500,
}

const offsetsTopic = '__consumer_offsets'
const module = path.join(import.meta.dirname, 'topology.ts')

/** The verdict of a scenario that failed, with everything that a person needs to look into it. */
export class Failed extends Error {}

export class Bench implements AsyncDisposable {
  readonly seed: number
  readonly short: boolean
  readonly random: Random
  readonly judge: Judge
  readonly kafkas: readonly JvmKafkaHandle[]
  /** Between the brokers, in their order; empty where the row has not asked for it. */
  readonly between: readonly KafkaProxy[]
  readonly applicationId: string
  readonly directory: string
  readonly feeder: Feeder
  readonly #options: BenchOptions
  readonly #workers = new Map<number, WorkerLives>()
  /** Where it is not the usual place. */
  readonly #stateDirs = new Map<number, string>()
  readonly #snapshots: Snapshot[] = []
  readonly #watch: OffsetWatch
  #probes = 0
  #failed = false

  private constructor({ kafkas, judge, between }: Grounds, options: BenchOptions) {
    this.kafkas = kafkas
    this.between = between
    this.judge = judge
    this.#options = options
    this.seed = options.seed
    this.short = options.short
    this.random = seededRandom(options.seed)
    this.applicationId = `${options.row.toLowerCase()}-${randomBytes(4).toString('hex')}`
    this.directory = fs.mkdtempSync(path.join(os.tmpdir(), `millstream-faults-${options.row}-`))
    this.#watch = new OffsetWatch(() => judge.groupOffsets(this.applicationId))
    let number = 0
    this.feeder = new Feeder({
      judge,
      topic: this.input,
      transactionalId: `feeder-of-${this.applicationId}`,
      recordsPerChunk: options.recordsPerChunk ?? 30,
      pauseMs: options.pauseMs ?? 30,
      make: (aborted) => makeOp(this.random, ++number, aborted),
    })
  }

  /** Makes the topics and opens the feeder. */
  static async open(grounds: Grounds, options: BenchOptions): Promise<Bench> {
    const bench = new Bench(grounds, options)
    const replicationFactor = bench.kafkas.length
    const topics = [bench.input, bench.output].map((name) => ({ name, partitions, replicationFactor }))
    await bench.judge.createTopics(...topics)
    await bench.feeder.open()
    return bench
  }

  get input(): string {
    return `${this.applicationId}-${inputTopic}`
  }

  get output(): string {
    return `${this.applicationId}-${outputTopic}`
  }

  get credits(): string {
    return `${this.applicationId}-${creditsTopic}-repartition`
  }

  changelogOf(store: string): string {
    return `${this.applicationId}-${store}-changelog`
  }

  instanceOf(number: number): string {
    return `w${number}`
  }

  transactionalIdOf(number: number): string {
    return `${this.applicationId}.${this.instanceOf(number)}.0`
  }

  stateDirOf(number: number): string {
    return this.#stateDirs.get(number) ?? path.join(this.directory, `worker-${number}`, 'state')
  }

  /** The processes of a worker, by its number from 1. The first call decides its settings. */
  worker(number: number, settings: SettingsInput = {}): WorkerLives {
    const known = this.#workers.get(number)
    if (known !== undefined) return known
    const directory = path.join(this.directory, `worker-${number}`)
    fs.mkdirSync(directory, { recursive: true })
    const { changelog } = this.#options
    if (settings.stateDir !== undefined) this.#stateDirs.set(number, settings.stateDir)
    const lives = new WorkerLives(directory, {
      module,
      environment: changelog === undefined ? undefined : { [changelogVariable]: JSON.stringify(changelog) },
      settings: {
        ...fastSettings,
        brokers: this.kafkas.flatMap((kafka) => kafka.brokers),
        instanceId: this.instanceOf(number),
        stateDir: this.stateDirOf(number),
        ...this.#options.settings,
        ...settings,
        applicationId: this.applicationId,
      },
    })
    this.#workers.set(number, lives)
    return lives
  }

  /** Starts a worker and waits until it runs. */
  async start(number: number, fault?: Fault): Promise<WorkerLife> {
    const life = await this.worker(number).start(fault, this.random() < 0.5)
    const runs = await this.within(`the start of worker ${number}`, 60_000, life.whenRunning)
    this.expect(runs, `start of worker ${number}`, 'a running worker', 'an end')
    return life
  }

  /** Waits for a promise, or fails. */
  async within<T>(what: string, timeoutMs: number, promise: Promise<T>): Promise<T> {
    const controller = new AbortController()
    const late = sleep(timeoutMs, 'late' as const, { signal: controller.signal }).catch(() => 'late' as const)
    const outcome = await Promise.race([promise.then((value) => ({ value })), late])
    controller.abort()
    return outcome === 'late' ? this.fail([`${what} took longer than ${timeoutMs} ms`]) : outcome.value
  }

  /** Waits until it is so, or fails. */
  async until(what: string, isSo: () => boolean | Promise<boolean>, timeoutMs = 30_000): Promise<void> {
    const deadline = performance.now() + timeoutMs
    while (!(await isSo())) {
      if (performance.now() > deadline) this.fail([`not within ${timeoutMs} ms: ${what}`])
      await sleep(50)
    }
  }

  /** What the workers logged, in the order of time. */
  log(number?: number): WorkerLogLine[] {
    const lines = [...this.#workers]
      .filter(([one]) => number === undefined || one === number)
      .flatMap(([one, lives]) => lives.log().map((line) => ({ ...line, worker: one })))
    return lines.sort((one, other) => one.at - other.at)
  }

  /** How often a text stands in the log. */
  logged(text: string, number?: number): number {
    return this.log(number).filter((line) => line.text === text).length
  }

  /** Remembers what lies on the disk of a dead worker; judged at the end, when the changelogs can be read to theirs. */
  keepSnapshot(number: number, when: string): void {
    for (const stored of readStores(this.stateDirOf(number), this.applicationId, textOf))
      this.#snapshots.push({ when: `of worker ${number} ${when}`, stored })
  }

  loseDisk(number: number): void {
    fs.rmSync(this.stateDirOf(number), { recursive: true, force: true })
  }

  async transactionState(number: number): Promise<string> {
    const [found] = await this.judge.describeTransactions(this.transactionalIdOf(number))
    return found?.state ?? '(none)'
  }

  /** Feeds a last record into each partition, and waits until all inputs are processed. @returns how long that took */
  async drain(timeoutMs: number): Promise<number> {
    await this.feeder.stop()
    await this.judge.produce(this.input, makeProbes(partitions, ++this.#probes), {
      transactionalId: `prober-of-${this.applicationId}`,
    })
    const startedMs = performance.now()
    for (;;) {
      const behind = await this.#behind()
      const tookMs = Math.round(performance.now() - startedMs)
      if (behind.length === 0) return tookMs
      if (tookMs > timeoutMs)
        this.fail([`I10: the inputs were not processed within ${timeoutMs} ms`, ...behind])
      if (![...this.#workers.values()].some(({ isRunning }) => isRunning))
        this.fail(['I10: no worker runs any more', ...behind])
      await sleep(100)
    }
  }

  async #behind(): Promise<string[]> {
    const committed = await this.judge.groupOffsets(this.applicationId)
    const behind: string[] = []
    for (const topic of [this.input, this.credits]) {
      for (const { partition, lastStable, highWatermark } of await this.judge.offsets(topic)) {
        const offset = committed.find((one) => one.topic === topic && one.partition === partition)?.offset
        if (lastStable !== highWatermark || offset !== highWatermark)
          behind.push(
            `  ${topic}-${partition}: ${offset} of ${highWatermark} committed, stable to ${lastStable}`,
          )
      }
    }
    return behind
  }

  /** Heals: feeds to the end, closes every worker in good order, and judges. */
  async finish(predicted: Partial<Predicted> = {}): Promise<void> {
    const { transactionTimeoutMs = 0, sessionTimeoutMs = 0 } = { ...fastSettings, ...this.#options.settings }
    const boundMs = Math.max(Number(transactionTimeoutMs), Number(sessionTimeoutMs)) + 30_000
    const tookMs = await this.drain(boundMs)
    for (const [number, lives] of this.#workers) {
      const end = await this.within(`the close of worker ${number}`, 30_000, lives.close())
      if (end !== undefined && end.code !== 0)
        this.fail([`worker ${number} did not close in good order: ${JSON.stringify(end)}`])
    }
    const evidence = await this.#gather({ tookMs, boundMs }, { rebuilt: [0, 0], ...predicted })
    const violations = check(evidence)
    if (violations.length > 0) this.fail(explain(violations, evidence))
    // Else a filter that lets everything through would have passed.
    if (this.feeder.aborted * 8 < this.feeder.committed)
      this.fail([
        `only ${this.feeder.aborted} of the inputs were aborted, ${this.feeder.committed} committed`,
      ])
  }

  async #gather(drain: Evidence['drain'], predicted: Predicted): Promise<Evidence> {
    const { judge, applicationId } = this
    const dump = async (topic: string): Promise<TopicDump> => ({
      topic,
      committed: (await judge.dump(topic)).records,
      all: (await judge.dump(topic, { isolation: 'read_uncommitted' })).records,
      offsets: await judge.offsets(topic),
    })
    const changelogs = new Map<string, TopicDump>()
    for (const store of storeNames) changelogs.set(store, await dump(this.changelogOf(store)))
    const stores = [...this.#workers.keys()].flatMap((number) =>
      readStores(this.stateDirOf(number), applicationId, textOf).map((stored) => ({
        when: `of worker ${number} at the end`,
        stored,
      })),
    )
    const committed = await judge.groupOffsets(applicationId)
    const transactions = await judge.listTransactions()
    return {
      ops: await dump(this.input),
      effects: await dump(this.output),
      credits: await dump(this.credits),
      changelogs,
      stores,
      snapshots: this.#snapshots,
      committed: new Map(
        committed.map(({ topic, partition, offset }) => [`${topic}/${partition}`, offset] as const),
      ),
      transactions: transactions.filter(({ transactionalId }) =>
        transactionalId.startsWith(`${applicationId}.`),
      ),
      torn: this.#torn(predicted),
      wentBack: this.#watch.history.wentBack,
      log: this.log(),
      drain,
      predicted,
    }
  }

  #torn({ epochs, changelogs }: Predicted): TornTransaction[] {
    if (epochs === 'shared') return []
    // Compaction keeps the last batch of a producer, without its records, and may take its marker away.
    const whole = changelogs === 'compacted' ? [] : storeNames.map((store) => this.changelogOf(store))
    const topics = [this.output, this.credits, offsetsTopic, ...whole]
    const [kafka] = this.kafkas
    const batches = readLogBatches(kafka?.dataDirectory ?? '', topics)
    // Else a reader that finds nothing would have passed.
    if (!batches.some(({ marker }) => marker === 'commit'))
      this.fail(['the logs of the broker hold no commit'])
    return tornTransactions(batches, offsetsTopic)
  }

  /** @throws Failed with the report, the seed and the end of the logs. */
  fail(report: readonly string[]): never {
    this.#failed = true
    throw new Failed(
      [
        ...report,
        `fed ${this.feeder.committed} committed, ${this.feeder.aborted} aborted; everything is kept in ${this.directory}; the end of its logs:`,
        ...this.log()
          .slice(-14)
          .map((line) => `  ${JSON.stringify(line).slice(0, 400)}`),
        ...[...this.#workers.values()].map((lives) => lives.logTail(1)).filter((text) => text !== ''),
      ].join('\n'),
    )
  }

  /** `fail` unless it is so. */
  expect(isSo: boolean, what: string, expected: unknown, found: unknown): void {
    if (isSo) return
    this.fail([
      `the scenario did not go as planned: ${what}: expected ${String(expected)}, found ${String(found)}`,
    ])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#watch.stop()
    for (const lives of this.#workers.values()) {
      lives.signal('SIGCONT')
      await lives.stop()
    }
    await this.feeder.close()
    if (!this.#failed) fs.rmSync(this.directory, { recursive: true, force: true, maxRetries: 5 })
  }
}
