// A soak: steady input, workers that are killed at random all the time, one that lives through it, and a judge that
// compares while it runs, so that neither memory nor disk grow with its length.
import { randomBytes } from 'node:crypto'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { SettingsInput } from '../../../src/config/settings.ts'
import type { JvmKafkaHandle } from '../../../src/testing/kafka/start-kafka.ts'
import type { SteadyFeed, SteadyFeedState } from '../../support/judge-streams.ts'
import type { Judge } from '../../support/judge.ts'
import { PackedRecords } from '../../support/packed-records.ts'
import { below, type Random, seededRandom } from '../../support/random.ts'
import { lastCopies, numberOf, readStores } from '../support/evidence.ts'
import { OffsetWatch } from '../support/offset-watch.ts'
import { canSample, type ProcessSample, sampleProcess } from '../support/process-sample.ts'
import { type WorkerLife, WorkerLives } from '../support/worker-process.ts'
import { inputTopic, outputTopic, storeName } from './ops.ts'
import { PartitionSequence } from './sequence.ts'
import type { Kill, SoakEvidence, TopicEnds } from './verdicts.ts'

export interface SoakPlan {
  readonly forMs: number
  /** So many are killed; one more lives through. */
  readonly workers: number
  readonly killEveryMs: number
  /** Committed input records a second. */
  readonly rate: number
  readonly seed: number
}

export interface SoakProgress {
  readonly atMs: number
  readonly fed: number
  readonly checked: number
  readonly kills: number
  readonly open: number
  readonly memoryBytes: number
  readonly handles: number
}

const keys = 10_000
const settings = {
  // So that a transaction has begun at the broker as soon as there is something in it.
  batchBytes: 2048,
  fetchWaitMs: 100,
} satisfies SettingsInput
/** Defaults of the settings. */
const sessionTimeoutMs = 45_000
const drainBoundMs = sessionTimeoutMs + 30_000
const startBoundMs = 120_000
/** Small segments, so that what was compared can be deleted. */
const deletable = { 'segment.bytes': '33554432' }
const forgetEveryMs = 10_000
const aimedShare = 0.75
const haltsMax = 40
const haltEveryMs = 50
const haltedMs = 30
const module = path.join(import.meta.dirname, 'topology.ts')

/** A soak that cannot go on. */
export class SoakFailed extends Error {}

interface Mortal {
  readonly number: number
  readonly lives: WorkerLives
  life: WorkerLife
  isRunning: boolean
}

export class Soak implements AsyncDisposable {
  readonly directory: string
  readonly #plan: SoakPlan
  readonly #judge: Judge
  readonly #kafka: JvmKafkaHandle
  readonly #random: Random
  readonly #applicationId = `soak-${randomBytes(4).toString('hex')}`
  readonly #partitions: number
  readonly #sequences: readonly PartitionSequence[]
  readonly #workers: Mortal[] = []
  readonly #kills: Kill[] = []
  readonly #ends: string[] = []
  readonly #samples: ProcessSample[] = []
  /** Where the followers are: `<topic>/<partition>`. */
  readonly #followed = new Map<string, number>()
  readonly #deleted = new Map<string, number>()
  #beganMs = 0
  #fed: SteadyFeedState = { committed: 0, aborted: 0, behindMs: 0 }
  #closing = false

  constructor(plan: SoakPlan, kafka: JvmKafkaHandle, judge: Judge) {
    this.#plan = plan
    this.#kafka = kafka
    this.#judge = judge
    this.#random = seededRandom(plan.seed)
    this.#partitions = 2 * (plan.workers + 1)
    this.#sequences = Array.from(
      { length: this.#partitions },
      (_, partition) => new PartitionSequence(partition),
    )
    this.directory = fs.mkdtempSync(path.join(os.tmpdir(), 'millstream-soak-'))
  }

  get #input(): string {
    return `${this.#applicationId}-${inputTopic}`
  }

  get #output(): string {
    return `${this.#applicationId}-${outputTopic}`
  }

  get #changelog(): string {
    return `${this.#applicationId}-${storeName}-changelog`
  }

  get #nowMs(): number {
    return performance.now() - this.#beganMs
  }

  /**
   * Runs it and gathers what is to be judged.
   * @param stop ends the input early; all is judged as it is then
   */
  async run(stop: AbortSignal, onProgress: (progress: SoakProgress) => void): Promise<SoakEvidence> {
    const { rate, seed } = this.#plan
    const topics = [this.#input, this.#output].map((name) => ({
      name,
      partitions: this.#partitions,
      settings: deletable,
    }))
    await this.#judge.createTopics(...topics)
    await this.#startAll()
    const watch = new OffsetWatch(() => this.#judge.groupOffsets(this.#applicationId))
    const inputs = this.#follow(this.#input, (sequence, packed) => sequence.pushInput(packed))
    const outputs = this.#follow(this.#output, (sequence, packed) => sequence.pushOutput(packed))
    const feed = await this.#judge.feedSteadily({
      name: `feeder-of-${this.#applicationId}`,
      topic: this.#input,
      rate,
      seed,
      keys,
      producers: 4,
      chunkMs: 100,
    })
    this.#beganMs = performance.now()
    await this.#disturb(feed, stop, onProgress)
    const fedSeconds = this.#nowMs / 1000 - 1
    const fed = await feed.stop()
    this.#fed = fed
    const drain = { tookMs: await this.#drain(), boundMs: drainBoundMs }
    await this.#closeAll()
    await watch.stop()
    await Promise.all([inputs.stop(), outputs.stop()])
    const { looks, wentBack } = watch.history
    return { ...(await this.#gather()), rate, fed, fedSeconds, drain, looks, wentBack }
  }

  /** All at once, and then until each has tasks. */
  async #startAll(): Promise<void> {
    const { workers } = this.#plan
    // The last one is never killed.
    for (let number = 1; number <= workers + 1; number++) {
      const directory = path.join(this.directory, `worker-${number}`)
      fs.mkdirSync(directory, { recursive: true })
      const lives = new WorkerLives(directory, {
        module,
        settings: {
          ...settings,
          brokers: this.#kafka.brokers,
          applicationId: this.#applicationId,
          instanceId: `w${number}`,
          stateDir: path.join(directory, 'state'),
        },
      })
      const mortal: Mortal = { number, lives, life: await lives.start(), isRunning: false }
      this.#workers.push(mortal)
      this.#watchOver(mortal)
    }
    await this.#until('every worker has tasks', startBoundMs, async () => {
      if (this.#ends.length > 0) throw new SoakFailed(this.#ends.join('\n'))
      // Before the first one has joined there is no group to ask for.
      if (!this.#workers.every(({ isRunning }) => isRunning)) return false
      const { members } = await this.#judge.describeGroup(this.#applicationId)
      const busy = members.filter(({ partitions }) => partitions.length > 0)
      return busy.length === workers + 1
    })
  }

  /** Notes when this life runs, and how it ends when nobody killed it. */
  #watchOver(worker: Mortal): void {
    const { life, number } = worker
    void life.whenRunning.then((runs) => {
      if (worker.life === life) worker.isRunning = runs
    })
    void life.ended.then(({ code, signal }) => {
      worker.isRunning = false
      if (signal === 'SIGKILL' || (this.#closing && code === 0)) return
      this.#ends.push(
        `worker ${number} ended by itself: ${signal ?? `exit code ${code}`}\n${worker.lives.logTail(3)}`,
      )
    })
  }

  #follow(
    topic: string,
    push: (sequence: PartitionSequence, packed: Buffer) => void,
  ): ReturnType<Judge['follow']> {
    const following = this.#judge.follow(topic, (partition, position, packed) => {
      push(this.#sequences[partition] as PartitionSequence, packed)
      this.#followed.set(`${topic}/${partition}`, position)
    })
    following.ended.catch((error: unknown) =>
      this.#ends.push(`${topic} cannot be followed: ${String(error)}`),
    )
    return following
  }

  /** Kills, samples and forgets until the time is over, somebody stops it, or something is wrong. */
  async #disturb(
    feed: SteadyFeed,
    stop: AbortSignal,
    onProgress: (progress: SoakProgress) => void,
  ): Promise<void> {
    const { forMs, killEveryMs } = this.#plan
    const pauseMs = (): number => killEveryMs * (0.5 + this.#random())
    let killAtMs = pauseMs()
    let forgetAtMs = forgetEveryMs
    while (!stop.aborted && this.#nowMs < forMs && !this.#isWrong()) {
      await sleep(Math.min(1000, Math.max(0, killAtMs - this.#nowMs)))
      if (this.#nowMs >= killAtMs) {
        await this.#killOne()
        killAtMs = Math.max(this.#nowMs, killAtMs + pauseMs())
      }
      if (this.#nowMs - (this.#samples.at(-1)?.atMs ?? -1000) < 1000) continue
      this.#sample()
      this.#fed = await feed.state()
      if (this.#nowMs >= forgetAtMs) {
        forgetAtMs = this.#nowMs + forgetEveryMs
        await this.#forget()
      }
      onProgress(this.#progress())
    }
  }

  #isWrong(): boolean {
    const { error } = this.#fed
    return error !== undefined || this.#ends.length > 0 || this.#sequences.some(({ violation }) => violation)
  }

  /** One of those that run. What the broker says of its transaction after the kill is what the kill has hit. */
  async #killOne(): Promise<void> {
    const running = this.#workers.slice(0, -1).filter(({ isRunning }) => isRunning)
    const victim = running[below(this.#random, running.length)]
    if (victim === undefined) return
    if (this.#random() < aimedShare) await this.#haltInside(victim)
    await victim.lives.kill()
    // Asked before the next life begins: that one ends the transaction of this one.
    this.#kills.push({ worker: victim.number, transaction: await this.#transactionOf(victim) })
    // Half of them write their stores to the disk with every commit: a kill then finds what they took for committed.
    victim.life = await victim.lives.start(undefined, this.#random() < 0.5)
    this.#watchOver(victim)
  }

  /**
   * Halts a worker at random moments until one lies inside a transaction. By chance alone the share of such kills would be
   * that of the time with an open transaction, which a quick machine makes small.
   */
  async #haltInside(victim: Mortal): Promise<void> {
    for (let attempt = 0; attempt < haltsMax && victim.isRunning; attempt++) {
      victim.lives.signal('SIGSTOP')
      const isOpen = (await this.#transactionOf(victim)) === 'Ongoing'
      // Its EndTxn may be on the way.
      if (isOpen) await sleep(haltedMs)
      if (isOpen && (await this.#transactionOf(victim)) === 'Ongoing') return
      victim.lives.signal('SIGCONT')
      await sleep(this.#random() * haltEveryMs)
    }
  }

  async #transactionOf(worker: Mortal): Promise<string> {
    const [found] = await this.#judge.describeTransactions(this.#transactionalIdOf(worker))
    return found?.state ?? '(none)'
  }

  #transactionalIdOf({ number }: Mortal): string {
    return `${this.#applicationId}.w${number}.0`
  }

  #sample(): void {
    const survivor = this.#workers.at(-1)
    if (survivor === undefined || !canSample()) return
    const sample = sampleProcess(survivor.life.pid, this.#nowMs)
    if (sample !== undefined) this.#samples.push(sample)
  }

  #progress(): SoakProgress {
    const sample = this.#samples.at(-1)
    return {
      atMs: this.#nowMs,
      fed: this.#fed.committed,
      checked: this.#sequences.reduce((total, { inputs }) => total + inputs, 0),
      kills: this.#kills.length,
      open: this.#kills.filter(({ transaction }) => transaction === 'Ongoing').length,
      memoryBytes: sample?.memoryBytes ?? 0,
      handles: sample?.handles ?? 0,
    }
  }

  /** Deletes what was compared: outputs that are committed stand for positions that are. */
  async #forget(): Promise<void> {
    for (const [partition, { inputChecked, outputChecked }] of this.#sequences.entries()) {
      await this.#forgetBefore(this.#input, partition, inputChecked)
      await this.#forgetBefore(this.#output, partition, outputChecked)
    }
  }

  async #forgetBefore(topic: string, partition: number, offset: number): Promise<void> {
    const id = `${topic}/${partition}`
    if (offset <= (this.#deleted.get(id) ?? 0)) return
    await this.#judge.deleteRecords(topic, partition, offset)
    this.#deleted.set(id, offset)
  }

  /** Until all is processed and compared, or the time is over. @returns how long that took, ms */
  async #drain(): Promise<number> {
    const startedMs = performance.now()
    const tookMs = (): number => Math.round(performance.now() - startedMs)
    while (!this.#isWrong() && tookMs() <= drainBoundMs && !(await this.#isDrained())) await sleep(200)
    return tookMs()
  }

  async #isDrained(): Promise<boolean> {
    const committed = await this.#committed()
    const [input, output] = [await this.#judge.offsets(this.#input), await this.#judge.offsets(this.#output)]
    const isFollowed = (topic: string, partition: number, end: number): boolean =>
      end === 0 || this.#followed.get(`${topic}/${partition}`) === end
    return (
      input.every(
        ({ partition, highWatermark }) =>
          committed.get(partition) === highWatermark && isFollowed(this.#input, partition, highWatermark),
      ) &&
      output.every(
        ({ partition, highWatermark, lastStable }) =>
          lastStable === highWatermark && isFollowed(this.#output, partition, highWatermark),
      )
    )
  }

  async #committed(): Promise<Map<number, number>> {
    const offsets = await this.#judge.groupOffsets(this.#applicationId)
    return new Map(offsets.map(({ partition, offset }) => [partition, offset]))
  }

  async #closeAll(): Promise<void> {
    await this.#until('every worker runs', startBoundMs, () =>
      Promise.resolve(this.#ends.length > 0 || this.#workers.every(({ isRunning }) => isRunning)),
    )
    this.#closing = true
    await Promise.all(this.#workers.map(({ lives }) => lives.close()))
  }

  async #gather(): Promise<
    Omit<SoakEvidence, 'rate' | 'fed' | 'fedSeconds' | 'drain' | 'looks' | 'wentBack'>
  > {
    const judge = this.#judge
    const ends = async (topic: string): Promise<TopicEnds> => ({ topic, offsets: await judge.offsets(topic) })
    for (const sequence of this.#sequences) sequence.end()
    const changelog = new Map<string, number>()
    const read = (_partition: number, _position: number, packed: Buffer): void => {
      const records = new PackedRecords()
      records.push(packed)
      while (records.next()) changelog.set(records.key, numberOf(records.value))
    }
    await judge.follow(this.#changelog, read, { untilEnd: true }).ended
    const stored = this.#workers.flatMap(({ number }) =>
      readStores(path.join(this.directory, `worker-${number}`, 'state'), this.#applicationId, numberOf),
    )
    const transactions = await judge.listTransactions()
    return {
      sequences: this.#sequences,
      input: await ends(this.#input),
      others: [await ends(this.#output), await ends(this.#changelog)],
      committed: await this.#committed(),
      changelog,
      stores: new Map(lastCopies(stored).flatMap(({ values }) => [...values])),
      transactions: transactions.filter(({ transactionalId }) =>
        transactionalId.startsWith(`${this.#applicationId}.`),
      ),
      workers: this.#workers.length,
      kills: this.#kills,
      ends: this.#ends,
      log: this.#workers.flatMap(({ lives }) => lives.log()),
      samples: this.#samples,
    }
  }

  async #until(what: string, boundMs: number, isSo: () => Promise<boolean>): Promise<void> {
    const deadline = performance.now() + boundMs
    while (!(await isSo())) {
      if (performance.now() > deadline) throw new SoakFailed(`not within ${boundMs} ms: ${what}`)
      await sleep(100)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing = true
    for (const { lives } of this.#workers) await lives.stop()
  }
}
