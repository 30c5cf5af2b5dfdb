// Reads partitions: one loop per broker keeps one Fetch in flight, so that the next records travel while the last ones
// are processed; what arrived waits for take().
//
// A partition is in one of four conditions:
//   fetching   it is part of every request to its leader
//   paused     nothing more is asked for; what had arrived or was on its way is still given out
//   stale      its leader moved or did not answer: it waits, the metadata are asked anew, and it is fetching again
//   failed     take() throws its error until it is removed or sought elsewhere
//
// seek() and remove() raise the epoch of a partition; an answer to a request of an older epoch is thrown away.
import type { Logger } from '../base/log.ts'
import type { Ports, TimerHandle } from '../base/ports.ts'
import { partitionId } from '../base/topic-partition.ts'
import { wrong } from '../base/wrong-builds.ts'
import { ensureError, isMillstreamError, MillstreamError } from '../errors.ts'
import { reactionFor } from '../protocol/error-codes.ts'
import {
  type FetchedPartition as FetchAnswer,
  type FetchRequest,
  type FetchResponse,
  fetch,
  memoryOf,
} from '../protocol/fetch.ts'
import type { IsolationLevel } from '../protocol/list-offsets.ts'
import type { BatchView } from '../record/batch-view.ts'
import { byTopic, isRepeatable } from './answers.ts'
import { brokerFailure } from './broker-failure.ts'
import type { Cluster } from './cluster.ts'
import { markStale, type Source, sourceAt } from './fetch-source.ts'
import type { FrameLease } from './frame-pool.ts'
import { acceptBatches } from './fetched-records.ts'
import { listOffsets } from './offsets.ts'
import { SourceRepair } from './source-repair.ts'

export interface FetchedPartition {
  readonly topic: string
  readonly partition: number
  /**
   * Data batches only, CRC checked; under read_committed none that was aborted. The first may begin below the position
   * that was asked for (inside a compressed batch): the consumer skips records below its own position.
   */
  readonly batches: BatchView[]
  /** Position after everything seen, markers and aborted batches included; may lie past the last batch. */
  readonly nextOffset: number
  readonly highWatermark: number
  readonly lastStableOffset: number
  readonly logStartOffset: number
  /** Bytes received for this entry. */
  readonly bytes: number
}

export interface FetcherOptions {
  /**
   * Restoring has connections of its own, so that it does not hold up the input. Two fetchers of one Cluster and role
   * would hold up each other.
   */
  readonly role: 'fetch' | 'restore' | 'standby' | 'global'
  readonly isolation: IsolationLevel
  /** Of one response. One batch that is larger comes all the same (KIP-74). */
  readonly maxBytes: number
  /** Of one partition in a response. */
  readonly partitionMaxBytes: number
  /** How long the broker may wait for the first byte. */
  readonly maxWaitMs: number
  /** No further request to a broker while more than this of its bytes are not taken yet. */
  readonly bufferedBytesMax: number
  readonly log: Logger
  /** Called when take() has something to give or to throw; it must not throw. */
  readonly onData: () => void
}

/** Where a partition stands, as of its last answer; -1 for what is not known yet. */
export interface FetchProgress {
  /** Offset of the next request. */
  readonly position: number
  readonly highWatermark: number
  readonly lastStableOffset: number
  readonly logStartOffset: number
  /** Wall-clock time of that answer. */
  readonly answeredAtMs: number
}

/** One broker and the request in flight to it. */
interface Lane {
  readonly node: number
  /** Monotonic time of the request in flight. */
  sentAt: number | undefined
  /** What the request in flight asks for. */
  asked: Set<Source>
  /** The request in flight was broken off by us. */
  interrupted: boolean
  running: boolean
  bufferedBytes: number
  wake: (() => void) | undefined
  /** Turns the order of partitions, since the broker fills a response from the front. */
  turn: number
}

interface Arrived {
  readonly lane: Lane
  readonly source: Source
  readonly fetched: FetchedPartition
}

/** While a partition of the broker is paused, it may come back at any moment: a long poll would keep it waiting. */
const SHORT_WAIT_MS = 20
/** A request in flight for longer than this is waiting at the broker for data. */
const POLLING_AFTER_MS = 10

export class Fetcher {
  readonly #cluster: Cluster
  readonly #ports: Ports
  readonly #options: FetcherOptions
  readonly #sources = new Map<string, Source>()
  readonly #lanes = new Map<number, Lane>()
  readonly #running = new Set<Promise<void>>()
  readonly #repair: SourceRepair
  #arrived: Arrived[] = []
  #failureAnnounced = false
  #fatal: MillstreamError | undefined
  #scheduled = false
  #lookAgainTimer: TimerHandle | undefined
  #closed = false

  constructor(cluster: Cluster, ports: Ports, options: FetcherOptions) {
    this.#cluster = cluster
    this.#ports = ports
    this.#options = options
    this.#repair = new SourceRepair(cluster, ports, options.log, this.#sources, {
      repaired: () => this.#schedule(),
      failed: (source, error) => this.#fail(source, error),
    })
  }

  /** Begins to read a partition at `offset`. A partition that is read already is sought there. */
  add(topic: string, partition: number, offset: number): void {
    const id = partitionId(topic, partition)
    if (this.#sources.has(id)) return this.seek(topic, partition, offset)
    this.#sources.set(id, sourceAt(topic, partition, offset))
    this.#schedule()
  }

  /** Ends reading; what arrived or is in flight is thrown away. */
  remove(topic: string, partition: number): void {
    const source = this.#sources.get(partitionId(topic, partition))
    if (source === undefined) return
    this.#sources.delete(source.id)
    this.#drop(source)
    this.#schedule()
  }

  /** Goes on at `offset`; what arrived or is in flight is thrown away, and a failure is forgotten. */
  seek(topic: string, partition: number, offset: number): void {
    const source = this.#sources.get(partitionId(topic, partition))
    if (source === undefined) return
    this.#drop(source)
    source.position = offset
    source.told = false
    source.failure = undefined
    this.#schedule()
  }

  /** Asks for nothing more; take() still gives what had arrived or was on its way. */
  pause(topic: string, partition: number): void {
    const source = this.#sources.get(partitionId(topic, partition))
    if (source !== undefined) source.paused = true
  }

  resume(topic: string, partition: number): void {
    const source = this.#sources.get(partitionId(topic, partition))
    if (source === undefined || !source.paused) return
    source.paused = false
    this.#schedule()
  }

  progress(topic: string, partition: number): FetchProgress | undefined {
    return this.#sources.get(partitionId(topic, partition))
  }

  /** Bytes that arrived and were not taken yet. */
  get bufferedBytes(): number {
    let bytes = 0
    for (const { fetched } of this.#arrived) bytes += fetched.bytes
    return bytes
  }

  /**
   * Everything that arrived since the last call, in order per partition.
   * @throws MillstreamError the failure of a partition, after what arrived before it was taken: BATCH_CORRUPT,
   * OFFSET_OUT_OF_RANGE, AUTHORIZATION_FAILED, TOPIC_MISSING, …; again at each call until that partition is removed or
   * sought
   */
  take(): FetchedPartition[] {
    const failure = this.#fatal ?? this.#firstFailure()
    if (failure !== undefined) {
      if (this.#failureAnnounced || this.#arrived.length === 0) throw failure
      // What came before the failure is given first, and the failure at the next call.
      this.#failureAnnounced = true
    } else this.#failureAnnounced = false
    const taken = this.#arrived
    this.#arrived = []
    for (const { lane, fetched } of taken) lane.bufferedBytes -= fetched.bytes
    for (const lane of this.#lanes.values()) lane.wake?.()
    return taken.map(({ fetched }) => fetched)
  }

  /** Ends all loops. Nothing arrives afterwards. */
  async close(): Promise<void> {
    this.#closed = true
    this.#arrived = []
    if (this.#lookAgainTimer !== undefined) this.#ports.timers.clear(this.#lookAgainTimer)
    for (const lane of this.#lanes.values()) {
      lane.wake?.()
      if (lane.sentAt !== undefined) this.#interrupt(lane)
    }
    await Promise.allSettled([...this.#running, this.#repair.close()])
  }

  // Loops

  /** Several changes in one go (add, seek of many partitions) are planned once. */
  #schedule(): void {
    if (this.#scheduled || this.#closed) return
    this.#scheduled = true
    queueMicrotask(() => {
      this.#scheduled = false
      if (!this.#closed) this.#plan()
    })
  }

  #plan(): void {
    const now = this.#ports.clock.monotonic()
    for (const source of this.#sources.values()) {
      if (source.paused || source.stale || source.failure !== undefined) continue
      const node = this.#cluster.partition(source.topic, source.partition)?.leader
      if (node === undefined) {
        markStale(source, now)
        continue
      }
      if (source.topicId === '') source.topicId = this.#cluster.topic(source.topic)?.topicId ?? ''
      const lane = this.#laneTo(node)
      if (lane.sentAt === undefined || lane.asked.has(source)) continue
      const agoMs = now - lane.sentAt
      if (agoMs > POLLING_AFTER_MS) this.#interrupt(lane)
      else this.#lookAgain(POLLING_AFTER_MS - agoMs + 1)
    }
    for (const lane of this.#lanes.values()) lane.wake?.()
    this.#repair.start()
  }

  /** The request in flight may be answered in a moment; if not, it is a long poll that has to be broken off. */
  #lookAgain(afterMs: number): void {
    this.#lookAgainTimer ??= this.#ports.timers.set(() => {
      this.#lookAgainTimer = undefined
      this.#schedule()
    }, afterMs)
  }

  #interrupt(lane: Lane): void {
    lane.interrupted = true
    this.#cluster.interrupt(lane.node, this.#options.role)
  }

  #laneTo(node: number): Lane {
    let lane = this.#lanes.get(node)
    if (lane === undefined) {
      lane = {
        node,
        sentAt: undefined,
        asked: new Set(),
        interrupted: false,
        running: false,
        bufferedBytes: 0,
        wake: undefined,
        turn: 0,
      }
      this.#lanes.set(node, lane)
    }
    if (!lane.running) {
      lane.running = true
      const running = this.#run(lane)
        .catch((error: unknown) => this.#stop(ensureError(error)))
        .finally(() => this.#running.delete(running))
      this.#running.add(running)
    }
    return lane
  }

  /** Ends when the broker leads nothing of ours any more. */
  async #run(lane: Lane): Promise<void> {
    while (!this.#closed) {
      const mine = this.#sourcesOf(lane.node)
      if (mine.length === 0) break
      const fetchable = mine.filter((source) => !source.paused)
      if (fetchable.length === 0 || lane.bufferedBytes > this.#options.bufferedBytesMax) {
        await new Promise<void>((resolve) => {
          lane.wake = resolve
        })
        lane.wake = undefined
        continue
      }
      await this.#fetch(lane, fetchable, fetchable.length < mine.length)
    }
    lane.running = false
  }

  #sourcesOf(node: number): Source[] {
    const mine: Source[] = []
    for (const source of this.#sources.values()) {
      if (source.stale || source.failure !== undefined) continue
      if (this.#cluster.partition(source.topic, source.partition)?.leader === node) mine.push(source)
    }
    return mine
  }

  async #fetch(lane: Lane, sources: readonly Source[], somePaused: boolean): Promise<void> {
    const { isolation, maxBytes, maxWaitMs: longWaitMs, role } = this.#options
    const maxWaitMs = somePaused ? Math.min(SHORT_WAIT_MS, longWaitMs) : longWaitMs
    const first = lane.turn++ % sources.length
    const inTurn = [...sources.slice(first), ...sources.slice(0, first)]
    const request = {
      maxWaitMs,
      minBytes: 1,
      maxBytes,
      isolationLevel: isolation,
      topics: this.#topicsOf(inTurn),
    }
    const epochs = new Map(sources.map((source) => [source.id, { source, epoch: source.epoch }]))
    lane.sentAt = this.#ports.clock.monotonic()
    lane.asked = new Set(sources)
    let response: FetchResponse
    try {
      const timeoutMs = maxWaitMs + this.#cluster.requestTimeoutMs
      response = await this.#cluster.send(lane.node, role, fetch, request, { timeoutMs })
    } catch (error) {
      if (!lane.interrupted) this.#unanswered(lane, epochs, ensureError(error))
      return
    } finally {
      lane.sentAt = undefined
      lane.interrupted = false
    }
    const lease = this.#cluster.frames.lease(memoryOf(response))
    lease?.hold()
    let somethingNew = false
    for (const { topic, partitions } of response.topics) {
      for (const answer of partitions) {
        const asked = epochs.get(partitionId(topic, answer.partition))
        if (asked === undefined || !this.#isCurrent(asked.source, asked.epoch)) continue
        if (this.#accept(lane, asked.source, answer, lease)) somethingNew = true
      }
    }
    lease?.release()
    if (response.errorCode !== 0) {
      const now = this.#ports.clock.monotonic()
      for (const source of sources) markStale(source, now)
    }
    this.#repair.start()
    if (somethingNew && !this.#closed) this.#options.onData()
  }

  #topicsOf(sources: readonly Source[]): FetchRequest['topics'] {
    const { partitionMaxBytes: maxBytes } = this.#options
    return byTopic(sources).map(({ topic, partitions }) => ({
      topic,
      partitions: partitions.map(({ partition, position: fetchOffset }) => {
        const currentLeaderEpoch = this.#cluster.partition(topic, partition)?.leaderEpoch ?? -1
        return { partition, currentLeaderEpoch, fetchOffset, maxBytes }
      }),
    }))
  }

  // Answers

  #isCurrent(source: Source, epoch: number): boolean {
    return !this.#closed && this.#sources.get(source.id) === source && source.epoch === epoch
  }

  /** @returns whether take() has more to give than before. */
  #accept(lane: Lane, source: Source, answer: FetchAnswer, lease: FrameLease | undefined): boolean {
    if (answer.errorCode !== 0) {
      this.#refused(source, answer.errorCode)
      return false
    }
    source.attempts = 0
    source.missingSince = undefined
    const { highWatermark, lastStableOffset, logStartOffset, records } = answer
    source.highWatermark = highWatermark
    source.lastStableOffset = lastStableOffset
    source.logStartOffset = logStartOffset
    source.answeredAtMs = this.#ports.clock.now()
    if (records.length === 0 && source.told) return false
    const { topic, partition, position } = source
    const { isolation } = this.#options
    const accepted = acceptBatches(records, source, position, isolation, answer.abortedTransactions)
    if (accepted.failure !== undefined) this.#fail(source, accepted.failure)
    // An empty answer is news where it is the first: who reads several partitions in the order of their timestamps waits
    // until it knows that this one has nothing older.
    if (accepted.nextOffset === position && (source.told || accepted.failure !== undefined)) return false
    source.told = true
    source.position = accepted.nextOffset
    const { batches, nextOffset } = accepted
    lease?.lendTo(batches)
    const bytes = records.length
    lane.bufferedBytes += bytes
    this.#arrived.push({
      lane,
      source,
      fetched: {
        topic,
        partition,
        batches,
        nextOffset,
        highWatermark,
        lastStableOffset,
        logStartOffset,
        bytes,
      },
    })
    return true
  }

  #refused(source: Source, errorCode: number): void {
    const { topic, partition, position } = source
    const reaction = reactionFor(errorCode, 'Fetch')
    if (reaction === 'reset-position') {
      // Not asked for again while its range is looked up.
      markStale(source, Number.POSITIVE_INFINITY)
      void this.#outOfRange(source, source.epoch)
    } else if (reaction === 'retry' || reaction === 'refresh-metadata') {
      markStale(source, this.#ports.clock.monotonic())
    } else this.#fail(source, brokerFailure('Fetch', errorCode, { topic, partition, offset: position }))
  }

  async #outOfRange(source: Source, epoch: number): Promise<void> {
    const { topic, partition, position } = source
    const deadline = this.#ports.clock.monotonic() + this.#cluster.requestTimeoutMs
    const ends = (['earliest', 'latest'] as const).map((end) =>
      listOffsets(this.#cluster, this.#ports, [source], end, 'read_uncommitted', deadline).then(
        ([found]) => found?.offset,
        () => undefined,
      ),
    )
    const [first, next] = await Promise.all(ends)
    if (!this.#isCurrent(source, epoch)) return
    source.stale = false
    const error = new MillstreamError('OFFSET_OUT_OF_RANGE', {
      what: `the position ${position} lies outside of what the partition holds: ${first ?? '?'} to ${next ?? '?'}`,
      where: { topic, partition, offset: position, logStartOffset: first, highWatermark: next },
      fix: 'Records were removed (retention, DeleteRecords) before they were read, or the topic was created anew. Decide where to go on and reset the offset of the group there.',
    })
    this.#fail(source, error)
  }

  #unanswered(lane: Lane, asked: ReadonlyMap<string, { source: Source; epoch: number }>, error: Error): void {
    if (this.#closed) return
    if (!isRepeatable(error)) return this.#stop(error)
    this.#options.log.debug('a fetch was not answered', { broker: lane.node, cause: error.message })
    const now = this.#ports.clock.monotonic()
    for (const { source, epoch } of asked.values()) if (this.#isCurrent(source, epoch)) markStale(source, now)
    this.#repair.start()
  }

  // Failures

  #fail(source: Source, error: MillstreamError): void {
    source.failure = error
    if (!this.#closed) this.#options.onData()
  }

  /** What no partition can be blamed for, and no repetition mends: wrong credentials, an invariant. */
  #stop(error: Error): void {
    if (isMillstreamError(error) && error.code === 'CLOSED') {
      // Its connections are gone for good: a lane that went on asking would never let anything else have its turn.
      this.#closed = true
      return
    }
    this.#fatal = isMillstreamError(error)
      ? error
      : new MillstreamError('BROKER_ERROR', { what: `fetching failed: ${error.message}`, cause: error })
    this.#options.onData()
  }

  #firstFailure(): MillstreamError | undefined {
    for (const { failure } of this.#sources.values()) if (failure !== undefined) return failure
    return undefined
  }

  #drop(source: Source): void {
    if (wrong('prefetch-kept-after-seek')) return
    source.epoch++
    source.stale = false
    this.#arrived = this.#arrived.filter((entry) => {
      if (entry.source !== source) return true
      entry.lane.bufferedBytes -= entry.fetched.bytes
      return false
    })
    // What is in flight does not ask for the new position, so a long poll would keep it waiting.
    for (const lane of this.#lanes.values()) lane.asked.delete(source)
  }
}
