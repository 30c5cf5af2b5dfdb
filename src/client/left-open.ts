// Ends what a coordinator has left open (KAFKA-20734, see marker-guard.ts) where somebody waits for its end: stable offsets,
// or the last stable offset of a changelog. The producer's own guard looks only before it writes, and
//
//   the marker was left out ──> the worker recovers ──> it waits for its offsets or its changelogs ──> so it never writes
//
// Nor does a worker that is gone write again, and whoever has its tasks now would wait for ever. So whoever waits asks who
// holds it up, and where that is a worker of this application whose coordinator has decided, the marker is written here.
import type { Logger } from '../base/log.ts'
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

  close(): void {
    this.#closed = true
  }

  #suspect(find: () => Awaitable<readonly GuardedPartition[]>, sinceMs: number): void {
    const now = this.#ports.clock.monotonic()
    if (this.#closed || this.#looking || now < sinceMs + patienceMs || now < this.#lookedMs + pauseMs) return
    this.#looking = true
    void this.#end(find)
      .catch((error: unknown) => {
        const cause = ensureError(error).message
        if (!this.#closed) this.#log.warn('a transaction that others wait for could not be ended', { cause })
      })
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

  /** What is open, as far as the leaders say so: whoever does not is asked the next time. */
  async #open(partitions: readonly GuardedPartition[]): Promise<OpenProducer[]> {
    const byLeader = Map.groupBy(
      partitions,
      ({ topic, partition }) => this.#cluster.partition(topic, partition)?.leader ?? -1,
    )
    byLeader.delete(-1)
    const open: OpenProducer[] = []
    for (const [node, asked] of byLeader) {
      const topics = byTopic(asked).map((one) => ({
        topic: one.topic,
        partitions: one.partitions.map(({ partition }) => partition),
      }))
      const response = await this.#answered(this.#cluster.send(node, 'admin', describeProducers, { topics }))
      for (const { topic, partitions: answers } of response?.topics ?? [])
        for (const { partition, producers } of answers)
          for (const producer of producers)
            if (producer.currentTransactionStart >= 0) open.push({ topic, partition, ...producer })
    }
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
    const last = await guard.lastTransaction()
    if (last !== undefined) this.#endings.note(last)
    for (const { topic, partition, producerId, producerEpoch } of open) {
      // Undecided, or nobody tells how it ended: its own worker may know.
      if (this.#endings.of(producerId, producerEpoch) === undefined) continue
      const deadlineMs = this.#ports.clock.monotonic() + 2 * requestTimeoutMs
      const producer = { producerId, epoch: producerEpoch + 1 }
      await guard.settle([{ topic, partition }], producer, this.#endings, deadlineMs)
    }
  }
}
