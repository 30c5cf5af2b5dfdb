// One application under test: its topics, its feeder, its worker processes, and what is left of them at the end.
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { SettingsInput } from '../../../src/config/settings.ts'
import type { Judge } from '../../support/judge.ts'
import { kafkaBrokers, uniqueTopic } from '../../support/kafka.ts'
import { type Random, runSeed, seededRandom } from '../../support/random.ts'
import { type Finding, numberOf, readStores, type StoredTask, storeFindings } from './evidence.ts'
import { type Throwing, throwsAt } from './faults.ts'
import { Feeder } from './feeder.ts'
import type { SkippedAt, Subject } from './subject.ts'
import { renamed } from './topologies.ts'
import { WorkerLives } from './worker-process.ts'

const partitions = 4
const instanceId = 'worker-1'

const fastSettings = {
  instanceId,
  commitIntervalMs: 40,
  // Small, so that a transaction has many produces and they go out while it is processed.
  batchBytes: 4096,
  fetchWaitMs: 50,
  requestTimeoutMs: 10_000,
}

export interface ScenarioOptions {
  readonly judge: Judge
  readonly subject: Subject
  readonly title: string
  readonly settings?: Omit<SettingsInput, 'applicationId' | 'stateDir'>
  readonly throwing?: Omit<Throwing, 'seed'>
}

/** A store on the disk of a worker that was killed. */
interface Snapshot {
  readonly when: string
  readonly stored: StoredTask
}

export class Scenario implements AsyncDisposable {
  readonly seed: number = runSeed()
  readonly random: Random = seededRandom(this.seed)
  readonly applicationId: string
  readonly lives: WorkerLives
  readonly feeder: Feeder
  readonly directory: string
  readonly #options: ScenarioOptions
  readonly #skipping: Throwing | undefined
  readonly #snapshots: Snapshot[] = []
  #failed = false

  private constructor(options: ScenarioOptions) {
    const { subject, judge } = options
    this.#options = options
    this.applicationId = uniqueTopic(subject.name)
    this.directory = fs.mkdtempSync(path.join(os.tmpdir(), `millstream-system-`))
    const throwing = options.throwing && { ...options.throwing, seed: this.seed }
    this.#skipping = throwing?.at === 'records' ? throwing : undefined
    this.lives = new WorkerLives(this.directory, {
      module: subject.module,
      throwing,
      settings: {
        ...fastSettings,
        brokers: kafkaBrokers(),
        applicationId: this.applicationId,
        stateDir: this.stateDir,
        ...options.settings,
      },
    })
    let number = 0
    this.feeder = new Feeder({
      judge,
      topic: renamed(this.applicationId, subject.input),
      transactionalId: `${this.applicationId}-feeder`,
      recordsPerChunk: subject.recordsPerChunk,
      pauseMs: 20,
      make: (aborted) => subject.make(this.random, ++number, aborted),
    })
  }

  /** Makes the topics and opens the feeder. */
  static async open(options: ScenarioOptions): Promise<Scenario> {
    const scenario = new Scenario(options)
    const { judge, subject } = options
    const topics = [subject.input, ...subject.outputs].map((topic) => renamed(scenario.applicationId, topic))
    await judge.createTopics(...topics.map((name) => ({ name, partitions })))
    await scenario.feeder.open(subject.first(scenario.random))
    return scenario
  }

  get stateDir(): string {
    return path.join(this.directory, 'state')
  }

  get transactionalId(): string {
    return `${this.applicationId}.${instanceId}.0`
  }

  get #topics(): string[] {
    const { subject } = this.#options
    return [
      renamed(this.applicationId, subject.input),
      ...subject.repartitions.map((name) => `${this.applicationId}-${name}-repartition`),
    ]
  }

  get changelog(): string {
    return `${this.applicationId}-${this.#options.subject.store}-changelog`
  }

  /** Remembers what a dead worker left on its disk; judged at the end, when the changelog can be read to its end. */
  keepSnapshot(when: string): void {
    for (const stored of readStores(this.stateDir, this.applicationId, numberOf))
      this.#snapshots.push({ when, stored })
  }

  loseDisk(): void {
    fs.rmSync(this.stateDir, { recursive: true, force: true })
  }

  /** State of the worker's transaction as the coordinator knows it. */
  async transactionState(): Promise<string> {
    const [found] = await this.#options.judge.describeTransactions(this.transactionalId)
    return found?.state ?? '(none)'
  }

  /** Waits until the group has committed the end of every input, markers included. */
  async drain(timeoutMs = 40_000): Promise<void> {
    const deadline = performance.now() + timeoutMs
    for (;;) {
      const behind = await this.#behind()
      if (behind.length === 0) return
      if (performance.now() > deadline) this.fail('the worker did not reach the end of its inputs', behind)
      await sleep(100)
    }
  }

  /** Partitions whose committed offset is not the end; the end is past the last marker. */
  async #behind(): Promise<Finding[]> {
    const { judge } = this.#options
    const committed = await judge.groupOffsets(this.applicationId)
    const findings: Finding[] = []
    for (const topic of this.#topics) {
      for (const { partition, lastStable, highWatermark } of await judge.offsets(topic)) {
        const offset = committed.find((one) => one.topic === topic && one.partition === partition)?.offset
        if (lastStable === highWatermark && offset === highWatermark) continue
        findings.push({
          key: `${topic}-${partition}, stable to ${lastStable}`,
          expected: highWatermark,
          found: offset,
        })
      }
    }
    return findings
  }

  /** Closes the worker in good order, and holds outputs, state and offsets against a recount. */
  async judgeAll(): Promise<void> {
    const { judge, subject } = this.#options
    const end = await this.lives.close()
    if (end?.code !== 0)
      this.fail('the last worker did not close', [{ key: 'exit', expected: 0, found: JSON.stringify(end) }])
    const skippedAt: SkippedAt = (topic, partition, offset) =>
      this.#skipping && throwsAt(this.#skipping, topic, partition, offset)
    const stores = readStores(this.stateDir, this.applicationId, numberOf)
    const changelog = (await judge.dump(this.changelog)).records
    const findings = await subject.findings({
      judge,
      applicationId: this.applicationId,
      stores,
      skippedAt,
      fed: this.feeder.committed,
    })
    findings.push(...(await this.#behind()))
    for (const { stored, when } of this.#snapshots)
      findings.push(...storeFindings(stored, changelog, when, numberOf))
    if (stores.length !== partitions)
      findings.push({ key: 'stores', expected: partitions, found: stores.length })
    for (const stored of stores) findings.push(...storeFindings(stored, changelog, 'at the end', numberOf))
    const state = await this.transactionState()
    if (state === 'Ongoing')
      findings.push({ key: this.transactionalId, expected: 'no open transaction', found: state })
    // Else the test of reading only what is committed would prove nothing.
    if (this.feeder.aborted * 8 < this.feeder.committed) {
      findings.push({ key: 'aborted input', expected: this.feeder.committed / 8, found: this.feeder.aborted })
    }
    if (findings.length > 0) this.fail('outputs, state and offsets are not those of a recount', findings)
  }

  /** @throws an error that says what was found, and how to repeat and where to read on */
  fail(what: string, findings: readonly Finding[]): never {
    this.#failed = true
    const lines = findings
      .slice(0, 12)
      .map(({ key, expected, found }) => `  ${key}: expected ${String(expected)}, found ${String(found)}`)
    if (findings.length > lines.length) lines.push(`  and ${findings.length - lines.length} more`)
    const { title, subject } = this.#options
    throw new Error(
      [
        `${subject.name}, ${title}: ${what}`,
        ...lines,
        `seed ${this.seed} (MILLSTREAM_SEED); fed ${this.feeder.committed} committed, ${this.feeder.aborted} aborted`,
        `log of the worker: ${this.lives.logFile}; its end:`,
        this.lives.logTail(),
      ].join('\n'),
    )
  }

  /** `fail` unless it is so. */
  expect(isSo: boolean, key: string, expected: unknown, found: unknown): void {
    if (!isSo) this.fail('the scenario did not go as planned', [{ key, expected, found }])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.lives.stop()
    await this.feeder.close()
    if (!this.#failed) fs.rmSync(this.directory, { recursive: true, force: true, maxRetries: 5 })
  }
}
