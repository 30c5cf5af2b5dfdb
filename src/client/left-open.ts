// Ends what a coordinator has left open (KAFKA-20734, see marker-guard.ts) where somebody waits for its end: stable offsets,
// or the last stable offset of a changelog. The producer's own guard looks only before it writes, and
//
//   the marker was left out ──> the worker recovers ──> it waits for its offsets or its changelogs ──> so it never writes
//
// Nor does a worker that is gone write again, and whoever has its tasks now would wait for ever. So whoever waits asks who
// holds it up, and where that is a worker of this application whose coordinator has decided, the marker is written here.
import type { LogFields, Logger } from '../base/log.ts'
import type { Ports } from '../base/ports.ts'
import { ensureError, isMillstreamError } from '../errors.ts'
import { type ActiveProducer, describeProducers } from '../protocol/describe-producers.ts'
import { listTransactions } from '../protocol/list-transactions.ts'
import { byTopic, isRepeatable } from './answers.ts'
import type { Cluster } from './cluster.ts'
import {
  type Endings,
  type GuardedPartition,
  MarkerGuard,
  offsetsPartition,
  offsetsTopic,
} from './marker-guard.ts'

/** Markers mostly come within milliseconds: nobody is asked before, ms. */
const patienceMs = 1000
const NONE = 0
/** From one look to the next, ms. */
const pauseMs = 2000

export interface LeftOpenSettings {
  readonly requestTimeoutMs: number
  /** Whether a transactional id is that of a worker of this application: those of others are not ours to end. */
  readonly isOurs: (transactionalId: string) => boolean
}

type Awaitable<T> = T | Promise<T>

interface OpenProducer extends GuardedPartition, ActiveProducer {}

export class LeftOpen {
  readonly #cluster: Cluster
  readonly #ports: Ports
  readonly #settings: LeftOpenSettings
  readonly #endings: Endings
  readonly #log: Logger
  /** What was said of whose end nobody knows, or that could not be ended: once each. */
  readonly #said = new Set<string>()
  #looking = false
  #lookedMs = Number.NEGATIVE_INFINITY
  #closed = false

  /** @param endings of the transactions of this worker */
  constructor(cluster: Cluster, ports: Ports, settings: LeftOpenSettings, endings: Endings, log: Logger) {
    this.#cluster = cluster
    this.#ports = ports
    this.#settings = settings
    this.#endings = endings
    this.#log = log
  }

  /**
   * Called again and again by whoever waits for a transaction to end in these partitions. Looks in the background now and
   * then; what it ends is seen by what is waited for.
   * @param sinceMs since when, on the monotonic clock
   */
  suspect(partitions: readonly GuardedPartition[], sinceMs: number): void {
    this.#suspect(() => partitions, sinceMs)
  }

  /** `suspect` for the partition with the offsets of a group. */
  suspectOffsets(groupId: string, sinceMs: number): void {
    this.#suspect(async () => {
      const partition = await offsetsPartition(this.#cluster, groupId)
      return partition === undefined ? [] : [{ topic: offsetsTopic, partition }]
    }, sinceMs)
  }

  /**
   * Looks in the background once at all of these: after a producer began anew, who alone may know how its last transaction
   * ended, while somebody else waits for that.
   */
  sweep(partitions: readonly GuardedPartition[]): void {
    if (!this.#closed && !this.#looking) this.#look(() => partitions)
  }

  close(): void {
    this.#closed = true
  }

  #suspect(find: () => Awaitable<readonly GuardedPartition[]>, sinceMs: number): void {
    const now = this.#ports.clock.monotonic()
    if (this.#closed || this.#looking || now < sinceMs + patienceMs || now < this.#lookedMs + pauseMs) return
    this.#look(find)
  }

  #look(find: () => Awaitable<readonly GuardedPartition[]>): void {
    this.#looking = true
    void this.#end(find)
      .catch((error: unknown) => this.#sayOnce(ensureError(error).message, notEnded, {}))
      .finally(() => {
        this.#looking = false
        this.#lookedMs = this.#ports.clock.monotonic()
      })
  }

  async #end(find: () => Awaitable<readonly GuardedPartition[]>): Promise<void> {
    const open = await this.#open(await find())
    if (open.length === 0) return
    for (const [producerId, transactionalId] of await this.#holders(open))
      await this.#endOf(
        transactionalId,
        open.filter((one) => one.producerId === producerId),
      )
  }

  #sayOnce(id: string, text: string, fields: LogFields): void {
    if (this.#closed || this.#said.has(id)) return
    this.#said.add(id)
    this.#log.warn(text, { ...fields, cause: id })
  }

  /** What is open, as far as the leaders say so: whoever does not, or is none any more, is looked up for the next time. */
  async #open(partitions: readonly GuardedPartition[]): Promise<OpenProducer[]> {
    const byLeader = Map.groupBy(
      partitions,
      ({ topic, partition }) => this.#cluster.partition(topic, partition)?.leader ?? -1,
    )
    const stale = new Set(byLeader.get(-1)?.map(({ topic }) => topic))
    byLeader.delete(-1)
    const open: OpenProducer[] = []
    for (const [node, asked] of byLeader) {
      const topics = byTopic(asked).map((one) => ({
        topic: one.topic,
        partitions: one.partitions.map(({ partition }) => partition),
      }))
      const response = await this.#answered(this.#cluster.send(node, 'admin', describeProducers, { topics }))
      if (response === undefined) for (const { topic } of asked) stale.add(topic)
      for (const { topic, partitions: answers } of response?.topics ?? [])
        for (const { partition, producers, errorCode } of answers) {
          if (errorCode !== NONE) stale.add(topic)
          for (const producer of producers)
            if (producer.currentTransactionStart >= 0) open.push({ topic, partition, ...producer })
        }
    }
    if (stale.size > 0) await this.#answered(this.#cluster.refreshMetadata([...stale]))
    return open
  }

  /** The transactional ids of our application that these producers have. */
  async #holders(open: readonly OpenProducer[]): Promise<ReadonlyMap<number, string>> {
    const producerIds = [...new Set(open.map(({ producerId }) => producerId))]
    const found = new Map<number, string>()
    for (const { nodeId } of this.#cluster.brokers()) {
      const request = { states: [], producerIds }
      const response = await this.#answered(this.#cluster.send(nodeId, 'admin', listTransactions, request))
      for (const { transactionalId, producerId } of response?.transactions ?? [])
        if (this.#settings.isOurs(transactionalId)) found.set(producerId, transactionalId)
    }
    return found
  }

  /** Undefined where a broker does not answer: the next look comes soon. */
  async #answered<T>(answer: Promise<T>): Promise<T | undefined> {
    try {
      return await answer
    } catch (error) {
      if (isMillstreamError(error) && isRepeatable(error)) return undefined
      throw error
    }
  }

  async #endOf(transactionalId: string, open: readonly OpenProducer[]): Promise<void> {
    const { requestTimeoutMs } = this.#settings
    const guard = new MarkerGuard(
      this.#cluster,
      this.#ports,
      { transactionalId, requestTimeoutMs },
      this.#log,
    )
    const found = await guard.look()
    // Being decided: the markers are on their way.
    if (found === undefined || found.state.startsWith('Prepare')) return
    if (found.last !== undefined) this.#endings.note(found.last)
    for (const one of open) {
      const { topic, partition, producerId, producerEpoch, currentTransactionStart: offset } = one
      const where = { topic, partition, offset, producer: `${producerId}:${producerEpoch}`, transactionalId }
      if (this.#endings.of(producerId, producerEpoch) === undefined) {
        // Its own worker may know; with version 1 an epoch goes on after its transaction.
        if (found.producerId === producerId && producerEpoch < found.producerEpoch)
          this.#sayOnce(
            `${topic}-${partition} ${where.producer}: nobody here knows how it ended`,
            notEnded,
            where,
          )
        continue
      }
      const deadlineMs = this.#ports.clock.monotonic() + 2 * requestTimeoutMs
      const producer = { producerId, epoch: producerEpoch + 1 }
      // One that cannot be ended does not hold up the others.
      await guard
        .settle([one], producer, this.#endings, deadlineMs)
        .catch((error: unknown) => this.#sayOnce(ensureError(error).message, notEnded, where))
    }
  }
}

const notEnded =
  'a transaction that others may wait for is open in a partition although it is over; kafka-transactions.sh find-hanging shows it, and abort ends it'
