// Feeds the input of a test with Java producers, in transactions, while workers live and die: seven chunks of eight are
// committed, the others aborted while committed ones lie around and between their records.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Judge, JudgeProducer, RecordToWrite } from '../../support/judge.ts'

export interface FeedOptions {
  readonly judge: Judge
  readonly topic: string
  readonly transactionalId: string
  readonly recordsPerChunk: number
  /** Between two committed chunks. */
  readonly pauseMs: number
  /** Makes one record; those that will be aborted carry ABORTED in all they can be known by. */
  readonly make: (aborted: boolean) => RecordToWrite
}

export class Feeder {
  committed = 0
  aborted = 0
  readonly #options: FeedOptions
  #stopped = false
  #running: Promise<void> = Promise.resolve()
  #committing: JudgeProducer | undefined
  #aborting: JudgeProducer | undefined

  constructor(options: FeedOptions) {
    this.#options = options
  }

  /** Opens the producers and commits the first records. May be called again after `close`. */
  async open(first: readonly RecordToWrite[] = []): Promise<void> {
    const { judge, transactionalId } = this.#options
    const open = (name: string): Promise<JudgeProducer> =>
      judge.openProducer({ transactionalId: `${transactionalId}-${name}` })
    ;[this.#committing, this.#aborting] = await Promise.all([open('commits'), open('aborts')])
    if (first.length > 0) await this.#commit(first)
  }

  /** Feeds in the background until `stop`. */
  start(): void {
    this.#stopped = false
    this.#running = this.#feed()
    this.#running.catch(() => undefined)
  }

  /** @throws what went wrong in the background */
  async stop(): Promise<void> {
    this.#stopped = true
    await this.#running
  }

  async close(): Promise<void> {
    this.#stopped = true
    await this.#running.catch(() => undefined)
    await Promise.all([this.#committing?.close(), this.#aborting?.close()])
  }

  /** Seven committed chunks, and one aborted one that is open meanwhile. */
  async feedRound(): Promise<void> {
    const { topic, pauseMs, recordsPerChunk } = this.#options
    const aborting = this.#aborting as JudgeProducer
    const half = Math.ceil(recordsPerChunk / 2)
    for (let chunk = 0; chunk < 7; chunk++) {
      if (chunk === 1) {
        await aborting.begin()
        await aborting.send(topic, this.#chunk(half, true))
      }
      await this.#commit(this.#chunk(recordsPerChunk, false))
      // Its first record holds back all readers until here.
      if (chunk === 3) {
        await aborting.send(topic, this.#chunk(half, true))
        await aborting.abort()
        this.aborted += 2 * half
      }
      await sleep(pauseMs)
    }
  }

  async #feed(): Promise<void> {
    while (!this.#stopped) await this.feedRound()
  }

  async #commit(records: readonly RecordToWrite[]): Promise<void> {
    const committing = this.#committing as JudgeProducer
    await committing.begin()
    await committing.send(this.#options.topic, records)
    await committing.commit()
    this.committed += records.length
  }

  #chunk(size: number, aborted: boolean): RecordToWrite[] {
    return Array.from({ length: size }, () => this.#options.make(aborted))
  }
}
