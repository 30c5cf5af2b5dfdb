// Brings stale partitions of a fetcher back: waits, asks for fresh metadata, and clears them for the next request; or
// finds that their topic is gone.
import type { Logger } from '../base/log.ts'
import type { Ports } from '../base/ports.ts'
import { ensureError, isMillstreamError, MillstreamError } from '../errors.ts'
import { isRepeatable } from './answers.ts'
import type { Cluster } from './cluster.ts'
import { markStale, type Source } from './fetch-source.ts'

export interface RepairCallbacks {
  /** Some partitions have a leader again. */
  readonly repaired: () => void
  readonly failed: (source: Source, error: MillstreamError) => void
}

/** A topic that was just created may be unknown to some broker for a moment. */
const MISSING_AFTER_MS = 5000
/** A partition that becomes stale while another one waits for its turn is looked at after this time at the latest. */
const LOOK_AGAIN_MS = 50

export class SourceRepair {
  readonly #cluster: Cluster
  readonly #ports: Ports
  readonly #log: Logger
  readonly #sources: ReadonlyMap<string, Source>
  readonly #callbacks: RepairCallbacks
  readonly #closing = new AbortController()
  #running: Promise<void> | undefined

  constructor(
    cluster: Cluster,
    ports: Ports,
    log: Logger,
    sources: ReadonlyMap<string, Source>,
    callbacks: RepairCallbacks,
  ) {
    this.#cluster = cluster
    this.#ports = ports
    this.#log = log
    this.#sources = sources
    this.#callbacks = callbacks
  }

  /** Runs until nothing is stale. Does nothing when it runs already. */
  start(): void {
    if (this.#running !== undefined || this.#closing.signal.aborted || this.#stale().length === 0) return
    this.#running = this.#run().finally(() => {
      this.#running = undefined
      // One that became stale after the last look.
      this.start()
    })
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing
    for (let stale = this.#stale(); stale.length > 0 && !signal.aborted; stale = this.#stale()) {
      const now = this.#ports.clock.monotonic()
      const due = stale.filter(({ retryAt }) => retryAt <= now)
      if (due.length === 0) {
        const waitMs = Math.min(...stale.map(({ retryAt }) => retryAt - now), LOOK_AGAIN_MS)
        await this.#ports.timers.sleep(waitMs, signal)
        continue
      }
      await this.#refresh(due)
      for (const source of due) if (source.stale && source.failure === undefined) this.#look(source)
      this.#callbacks.repaired()
    }
  }

  /** Those with an endless wait are being looked after by the fetcher itself. */
  #stale(): Source[] {
    return [...this.#sources.values()].filter(
      ({ stale, failure, retryAt }) => stale && failure === undefined && Number.isFinite(retryAt),
    )
  }

  async #refresh(due: readonly Source[]): Promise<void> {
    const topics = [...new Set(due.map(({ topic }) => topic))]
    try {
      await this.#cluster.refreshMetadata(topics)
    } catch (error) {
      if (isRepeatable(error)) {
        this.#log.warn('the leaders of partitions cannot be looked up', {
          topics: topics.join(', '),
          cause: error.message,
        })
        return
      }
      // One topic that may not be read must not stop the others: ask for each alone.
      if (topics.length > 1) {
        for (const topic of topics) await this.#refresh(due.filter((source) => source.topic === topic))
        return
      }
      const failure = isMillstreamError(error)
        ? error
        : new MillstreamError('BROKER_ERROR', {
            what: ensureError(error).message,
            where: { topic: topics[0] },
            cause: error,
          })
      if (failure.code === 'CLOSED') this.#closing.abort()
      else for (const source of due) this.#callbacks.failed(source, failure)
    }
  }

  #look(source: Source): void {
    const { topic, partition } = source
    const now = this.#ports.clock.monotonic()
    const known = this.#cluster.topic(topic)
    if (known !== undefined && source.topicId !== '' && known.topicId !== source.topicId) {
      return this.#callbacks.failed(source, createdAnew(source))
    }
    if (known !== undefined) source.topicId = known.topicId
    if (this.#cluster.partition(topic, partition) !== undefined) {
      source.stale = false
      return
    }
    // Not stale for the first time, so that the next look comes later.
    source.attempts = Math.max(source.attempts, 1)
    source.stale = false
    markStale(source, now)
    if (known !== undefined && partition < known.partitions) {
      source.missingSince = undefined
      return
    }
    source.missingSince ??= now
    if (now - source.missingSince >= MISSING_AFTER_MS)
      this.#callbacks.failed(source, missing(source, known?.partitions))
  }
}

const createdAnew = ({ topic, partition, position }: Source): MillstreamError =>
  new MillstreamError('TOPIC_MISMATCH', {
    what: 'the topic was deleted and created again while it was read, so its offsets mean something else now',
    where: { topic, partition, offset: position },
    fix: 'Reset the offsets of the group for this topic, then restart.',
  })

const missing = ({ topic, partition, position }: Source, partitions: number | undefined): MillstreamError =>
  new MillstreamError('TOPIC_MISSING', {
    what:
      partitions === undefined
        ? 'the topic does not exist any more'
        : `the topic has ${partitions} partitions only`,
    where: { topic, partition, offset: position },
    fix: 'Create the topic, or correct its name.',
  })
