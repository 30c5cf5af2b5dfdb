// The outbox of a producer: sealed batches in order, one lane per partition and one request in flight per broker,
// sent again, the same bytes under the same sequence, until the broker has them or the deadline is over.
//
// Why one request per broker: Kafka takes one batch per partition in a request and wants the sequences of a partition
// in order. With several requests in flight the first batch of a new partition is put back (CONCURRENT_TRANSACTIONS or
// NOT_ENOUGH_REPLICAS while the coordinator adds the partition), and everything behind it fails with
// OUT_OF_ORDER_SEQUENCE_NUMBER. With one in flight that cannot happen, and as a request carries a batch for every
// partition that has one, requests grow with the load (docs/decisions/0004-one-produce-in-flight.md).
import { invariant } from '../base/assert.ts'
import { faultPoint } from '../base/fault-point.ts'
import type { Logger } from '../base/log.ts'
import type { Ports, TimerHandle } from '../base/ports.ts'
import { partitionId } from '../base/topic-partition.ts'
import { wrong } from '../base/wrong-builds.ts'
import { ensureError, isMillstreamError, MillstreamError } from '../errors.ts'
import { brokerError, reactionFor } from '../protocol/error-codes.ts'
import {
  type PartitionProduceResponse,
  type ProduceRequest,
  type ProduceResponse,
  produce,
} from '../protocol/produce.ts'
import type { BatchBuilder } from '../record/batch-builder.ts'
import type { Compression } from '../record/compression.ts'
import { nextSequence } from '../record/varint.ts'
import { backoffMs, transactionFailure, byTopic, isRepeatable } from './answers.ts'
import type { Cluster } from './cluster.ts'
import type { Settled } from './marker-guard.ts'

export interface ProducerIdentity {
  readonly transactionalId: string | null
  readonly producerId: number
  readonly producerEpoch: number
}

export interface OutboxSettings {
  readonly requestTimeoutMs: number
  readonly compression: Compression
  /** A produce request carries at most this much, or one batch. */
  readonly requestBytesMax: number
}

/** What the producer that owns the outbox decides. */
export interface OutboxOwner {
  identity(): ProducerIdentity
  /** Before the first request for these partitions in the open transaction (TV1 tells the coordinator of them). */
  beforeProduce(lanes: readonly Lane[]): Promise<void>
  /** A request was not answered and is repeated: it may still arrive later. */
  unanswered(): void
  /** Leaders have to be looked up: a broker may have gone. */
  doubted(): void
  /** When retries end, on the monotonic clock. */
  deadlineMs(): number
  /** Nothing more is sent until the owner resets the outbox. */
  failed(error: MillstreamError): void
}

/** Where a RecordBatch has its first sequence. */
const baseSequenceAt = 53

interface SealedBatch {
  readonly bytes: Buffer
  readonly builder: BatchBuilder
  readonly acknowledged: ((baseOffset: number) => void) | undefined
}

/** One partition: the head of `batches` is in flight or the next one to go. */
export class Lane {
  readonly topic: string
  readonly partition: number
  readonly batches: SealedBatch[] = []
  inFlight = false
  /** TV1: the coordinator knows of this partition in the open transaction. */
  added = false
  nextSequence = 0
  attempts = 0
  /** The open transaction has written to it, or may have. */
  written = false
  /** When nothing of an earlier transaction was seen to be open here: see MarkerGuard. */
  settled: Settled | undefined

  constructor(topic: string, partition: number) {
    this.topic = topic
    this.partition = partition
  }
}

/** The head batches of these lanes, up to `bytesMax` (at least one). */
const takeRequest = (lanes: readonly Lane[], bytesMax: number): Lane[] => {
  const taken: Lane[] = []
  let bytes = 0
  for (const lane of lanes) {
    const size = lane.batches[0]?.bytes.length ?? 0
    if (taken.length > 0 && bytes + size > bytesMax) continue
    taken.push(lane)
    bytes += size
  }
  return taken
}

export class Outbox {
  readonly #cluster: Cluster
  readonly #ports: Ports
  readonly #settings: OutboxSettings
  readonly #log: Logger
  readonly #owner: OutboxOwner
  readonly #lanes = new Map<string, Lane>()
  /** Lanes with a batch to send and none in flight. */
  readonly #waiting = new Set<Lane>()
  readonly #busyNodes = new Set<number>()
  #failure: MillstreamError | undefined
  #settled: PromiseWithResolvers<void> | undefined
  #unacknowledgedBytes = 0
  #notBeforeMs = 0
  #pumpTimer: TimerHandle | undefined

  constructor(cluster: Cluster, ports: Ports, settings: OutboxSettings, log: Logger, owner: OutboxOwner) {
    this.#cluster = cluster
    this.#ports = ports
    this.#settings = settings
    this.#log = log
    this.#owner = owner
  }

  /** Bytes sealed and not acknowledged. */
  get unacknowledgedBytes(): number {
    return this.#unacknowledgedBytes
  }

  get failure(): MillstreamError | undefined {
    return this.#failure
  }

  /** Nothing is sent before this time of the monotonic clock. */
  holdUntil(monotonicMs: number): void {
    this.#notBeforeMs = monotonicMs
  }

  /** Seals what the builder holds and sends it. After a failure it is dropped: the transaction is lost anyway. */
  send(
    topic: string,
    partition: number,
    builder: BatchBuilder,
    acknowledged?: (baseOffset: number) => void,
  ): void {
    if (this.#failure !== undefined) return
    const lane = this.#lane(topic, partition)
    const count = builder.count
    const { transactionalId, producerId, producerEpoch } = this.#owner.identity()
    const bytes = builder.seal({
      producerId,
      producerEpoch,
      baseSequence: lane.nextSequence,
      transactional: transactionalId !== null,
      compression: this.#settings.compression,
    })
    lane.nextSequence = nextSequence(lane.nextSequence, count)
    lane.batches.push({ bytes, builder, acknowledged })
    this.#unacknowledgedBytes += bytes.length
    if (!lane.inFlight) this.#waiting.add(lane)
    this.#pump()
  }

  /** Resolves when every batch is acknowledged. @throws the failure. */
  async flush(): Promise<void> {
    while (this.#failure === undefined && this.#unacknowledgedBytes > 0) await this.#nextSettlement()
    if (this.#failure !== undefined) throw this.#failure
  }

  /** Resolves when a request was answered, or at once where nothing is under way. */
  async progress(): Promise<void> {
    if (this.#failure === undefined && this.#unacknowledgedBytes > 0) await this.#nextSettlement()
  }

  /** Stops sending; the first failure counts. */
  fail(error: unknown): MillstreamError {
    if (this.#failure !== undefined) return this.#failure
    const cause = ensureError(error)
    if (!isMillstreamError(cause)) {
      this.#failure = new MillstreamError('BROKER_ERROR', {
        what: `a request failed: ${cause.message}`,
        cause,
      })
    } else if (isRepeatable(cause)) {
      this.#failure = new MillstreamError('TRANSACTION_ABORTABLE', {
        what: `a request was not answered: ${cause.message}`,
        cause,
      })
    } else this.#failure = cause
    this.#owner.failed(this.#failure)
    this.#settle()
    return this.#failure
  }

  /** `fail`, and what is in flight is not waited for either. */
  giveUp(error: MillstreamError): void {
    this.fail(error)
    for (const node of this.#busyNodes) if (node >= 0) this.#cluster.interrupt(node, 'produce')
  }

  /**
   * Stops sending, waits until nothing is in flight (each request ends by its own timeout), and drops the rest.
   * @returns whether batches were dropped: their sequences are a gap, or they were sent and given up.
   */
  async quiesce(): Promise<boolean> {
    this.#failure ??= new MillstreamError('TRANSACTION_ABORTABLE', {
      what: 'the transaction is being aborted',
    })
    this.#waiting.clear()
    while (this.#busyNodes.size > 0) await this.#nextSettlement()
    let dropped = false
    for (const lane of this.#lanes.values()) {
      dropped ||= lane.batches.length > 0
      if (wrong('sequence-rolled-back')) rollBackSequence(lane)
      lane.batches.length = 0
    }
    this.#unacknowledgedBytes = 0
    return dropped
  }

  /** Begins anew after the end of a transaction; `sequences`: the epoch is another one, so they restart at 0. */
  reset(sequences: 'restart' | 'keep'): void {
    invariant(
      this.#busyNodes.size === 0 && this.#unacknowledgedBytes === 0,
      'every send is awaited before the end of a transaction',
    )
    for (const lane of this.#lanes.values()) {
      lane.added = false
      lane.written = false
      lane.attempts = 0
      if (sequences === 'restart') lane.nextSequence = 0
    }
    this.#waiting.clear()
    this.#failure = undefined
  }

  #lane(topic: string, partition: number): Lane {
    const id = partitionId(topic, partition)
    let lane = this.#lanes.get(id)
    if (lane === undefined) {
      lane = new Lane(topic, partition)
      this.#lanes.set(id, lane)
    }
    return lane
  }

  #pump(): void {
    if (this.#failure !== undefined || this.#waiting.size === 0) return
    const waitMs = this.#notBeforeMs - this.#ports.clock.monotonic()
    if (waitMs > 0) {
      this.#pumpTimer ??= this.#ports.timers.set(() => {
        this.#pumpTimer = undefined
        this.#pump()
      }, waitMs)
      return
    }
    const byNode = new Map<number, Lane[]>()
    for (const lane of this.#waiting) {
      const node = this.#cluster.partition(lane.topic, lane.partition)?.leader ?? -1
      if (this.#busyNodes.has(node)) continue
      const lanes = byNode.get(node)
      if (lanes === undefined) byNode.set(node, [lane])
      else lanes.push(lane)
    }
    for (const [node, lanes] of byNode)
      void this.#deliver(node, takeRequest(lanes, this.#settings.requestBytesMax))
  }

  /** Never rejects: what goes wrong becomes the failure of the outbox. */
  async #deliver(node: number, lanes: readonly Lane[]): Promise<void> {
    this.#busyNodes.add(node)
    for (const lane of lanes) {
      lane.inFlight = true
      this.#waiting.delete(lane)
    }
    try {
      const waitMs = node < 0 ? await this.#findLeaders(lanes) : await this.#produce(node, lanes)
      if (waitMs > 0 && this.#failure === undefined) await this.#ports.timers.sleep(waitMs)
    } catch (error) {
      this.fail(error)
    }
    for (const lane of lanes) {
      lane.inFlight = false
      if (lane.batches.length > 0 && this.#failure === undefined) this.#waiting.add(lane)
    }
    this.#busyNodes.delete(node)
    this.#settle()
    this.#pump()
  }

  /** @returns how long to wait before the next request to this node, ms. */
  async #produce(node: number, lanes: readonly Lane[]): Promise<number> {
    await this.#owner.beforeProduce(lanes)
    faultPoint('before-produce')
    for (const lane of lanes) lane.written = true
    const request: ProduceRequest = {
      transactionalId: this.#owner.identity().transactionalId,
      acks: -1,
      timeoutMs: this.#settings.requestTimeoutMs,
      topics: byTopic(
        lanes.map((lane) => ({ topic: lane.topic, partition: lane.partition, records: headOf(lane).bytes })),
      ),
    }
    let response: ProduceResponse
    try {
      response = await this.#cluster.send(node, 'produce', produce, request)
    } catch (error) {
      if (!isRepeatable(error)) throw error
      // The broker may have appended the batches: the same bytes under the same sequences are recognised as such.
      this.#owner.unanswered()
      if (this.#failure !== undefined) throw error
      this.#log.warn('a produce was not answered and is repeated', {
        cause: error.message,
        partitions: lanes.length,
      })
      return await this.#findLeaders(lanes)
    }
    let waitMs = 0
    const moved: Lane[] = []
    for (const topic of response.topics) {
      for (const answer of topic.partitions) {
        const lane = lanes.find((one) => one.partition === answer.partition && one.topic === topic.topic)
        if (lane === undefined || this.#taken(lane, answer)) continue
        if (reactionFor(answer.errorCode, 'Produce') === 'refresh-metadata') moved.push(lane)
        waitMs = Math.max(waitMs, backoffMs(lane.attempts))
      }
    }
    faultPoint('after-produce')
    return moved.length > 0 ? await this.#findLeaders(moved) : waitMs
  }

  /** Whether the broker has the head batch. @throws the failure when it never will. */
  #taken(lane: Lane, answer: PartitionProduceResponse): boolean {
    const reaction = reactionFor(answer.errorCode, 'Produce')
    if (reaction === 'none') {
      const head = lane.batches.shift()
      invariant(head !== undefined, 'an answer belongs to a batch in flight')
      lane.attempts = 0
      this.#unacknowledgedBytes -= head.bytes.length
      head.acknowledged?.(answer.errorCode === 0 ? answer.baseOffset : -1)
      head.builder.recycle(head.bytes)
      return true
    }
    const where = { topic: lane.topic, partition: lane.partition }
    if (reaction !== 'retry' && reaction !== 'refresh-metadata') {
      throw transactionFailure('Produce', answer.errorCode, where, answer.errorMessage)
    }
    lane.attempts++
    this.#checkDeadline(`the broker kept answering ${brokerError(answer.errorCode).name}`, lane)
    return false
  }

  async #findLeaders(lanes: readonly Lane[]): Promise<number> {
    this.#owner.doubted()
    for (const lane of lanes) {
      lane.attempts++
      this.#checkDeadline('no leader took the records', lane)
    }
    await this.#cluster
      .refreshMetadata([...new Set(lanes.map((lane) => lane.topic))])
      .catch((error: unknown) => {
        this.#log.warn('the leaders could not be looked up', { cause: ensureError(error).message })
      })
    return backoffMs(lanes[0]?.attempts ?? 0)
  }

  #checkDeadline(what: string, lane: Lane): void {
    if (this.#ports.clock.monotonic() < this.#owner.deadlineMs()) return
    throw new MillstreamError('TRANSACTION_ABORTABLE', {
      what: `${what} until the deadline of the transaction`,
      where: { topic: lane.topic, partition: lane.partition },
      fix: 'The transaction is aborted and its records are processed again.',
    })
  }

  #nextSettlement(): Promise<void> {
    this.#settled ??= Promise.withResolvers<void>()
    return this.#settled.promise
  }

  #settle(): void {
    const settled = this.#settled
    this.#settled = undefined
    settled?.resolve()
  }
}

/** What no producer may do: the broker takes the next batch of the same range for the one that it has. */
const rollBackSequence = (lane: Lane): void => {
  const head = lane.batches[0]
  if (head !== undefined) lane.nextSequence = head.bytes.readInt32BE(baseSequenceAt)
}

const headOf = (lane: Lane): SealedBatch => {
  const head = lane.batches[0]
  invariant(head !== undefined, 'a lane in a request has a batch')
  return head
}
