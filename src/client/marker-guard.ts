// Sees to it that a transaction begins where the one before it has ended, in every partition.
//
// A coordinator ends a transaction by a marker in each of its partitions. Kafka 4.0 to 4.3 skips a partition that has no
// leader at that moment, as if it had been deleted (KAFKA-20734): a broker that comes back after a crash is enough. There
// the records stay open, and the marker of the producer's NEXT transaction ends them, whatever their own end was: what
// was aborted is published by the next commit and counts twice, what was committed vanishes with the next abort.
//
// So before a producer writes to a partition of whose past it is not sure, it asks the leader (DescribeProducers,
// KIP-664) whether something of its own is still open there. If so, and the coordinator is done, nobody else will ever
// write that marker: it is written here, where the end of that transaction is known, and else the worker stops.
import type { Logger } from '../base/log.ts'
import type { Ports } from '../base/ports.ts'
import { isMillstreamError, MillstreamError } from '../errors.ts'
import { type ActiveProducer, describeProducers } from '../protocol/describe-producers.ts'
import { type DescribedTransaction, describeTransactions } from '../protocol/describe-transactions.ts'
import { brokerError, reactionFor } from '../protocol/error-codes.ts'
import { writeTxnMarkers } from '../protocol/write-txn-markers.ts'
import { backoffMs, byTopic, isRepeatable } from './answers.ts'
import { brokerFailure } from './broker-failure.ts'
import type { Cluster } from './cluster.ts'
import { withCoordinator } from './coordinator.ts'

/** A transaction of ours, and how it ended. */
export interface EndedTransaction {
  readonly producerId: number
  readonly epoch: number
  readonly committed: boolean
}

/** More than lie between two looks at a partition that is written now and then would be forgotten: then a worker stops. */
const endingsMax = 10_000

/** How the last transactions of a producer ended, as far as that is known. */
export class Endings {
  readonly #committed = new Map<string, boolean>()

  note({ producerId, epoch, committed }: EndedTransaction): void {
    this.#committed.set(`${producerId}:${epoch}`, committed)
    if (this.#committed.size <= endingsMax) return
    for (const oldest of this.#committed.keys()) return void this.#committed.delete(oldest)
  }

  /** Undefined: nobody told us. */
  of(producerId: number, epoch: number): boolean | undefined {
    return this.#committed.get(`${producerId}:${epoch}`)
  }
}

/** When a partition was seen to be settled. What happened since may have left a transaction open there. */
export interface Settled {
  /** The connection to its leader: while that holds, the leader has not gone. */
  readonly over: object | undefined
  /** Number of other reasons to look again, until then. */
  readonly doubts: number
}

export interface GuardedPartition {
  readonly topic: string
  readonly partition: number
}

/** Whose transactions are looked for. */
export interface GuardedProducer {
  readonly producerId: number
  /** Of its open transaction, where that has an epoch of its own; it may have written to a partition already. */
  readonly epoch: number | undefined
}

/** Whether what was seen then still holds now. */
export const isSettled = (then: Settled | undefined, now: Settled): boolean =>
  then !== undefined && now.over !== undefined && then.over === now.over && then.doubts === now.doubts

export const offsetsTopic = '__consumer_offsets'

/** The partition with the offsets of a group, which is in a transaction like any other; undefined where it is not shown. */
export const offsetsPartition = async (cluster: Cluster, groupId: string): Promise<number | undefined> => {
  if (cluster.topic(offsetsTopic) === undefined)
    await cluster.refreshMetadata([offsetsTopic]).catch((error: unknown) => {
      if (!isMillstreamError(error)) throw error
    })
  const partitions = cluster.topic(offsetsTopic)?.partitions
  if (partitions === undefined) return undefined
  // As Kafka does: String.hashCode of Java, without its sign.
  let hash = 0
  for (let index = 0; index < groupId.length; index++) hash = (31 * hash + groupId.charCodeAt(index)) | 0
  return (hash === -2_147_483_648 ? 0 : Math.abs(hash)) % partitions
}

/** What a coordinator knows of a transactional id. */
export interface Known {
  readonly state: string
  readonly producerId: number
  readonly producerEpoch: number
  /** Its last transaction; undefined while it is open, and with transactions version 1, where one epoch has many of them. */
  readonly last: EndedTransaction | undefined
}

interface OpenPartition extends GuardedPartition {
  readonly producer: ActiveProducer
}

const NONE = 0

export interface MarkerGuardSettings {
  readonly transactionalId: string
  readonly requestTimeoutMs: number
}

export class MarkerGuard {
  readonly #cluster: Cluster
  readonly #ports: Ports
  readonly #settings: MarkerGuardSettings
  readonly #log: Logger
  /** Topics that we may not ask about: said once each. */
  readonly #denied = new Set<string>()

  constructor(cluster: Cluster, ports: Ports, settings: MarkerGuardSettings, log: Logger) {
    this.#cluster = cluster
    this.#ports = ports
    this.#settings = settings
    this.#log = log
  }

  /**
   * Returns when nothing of an earlier transaction of this producer id is open in these partitions.
   * @param own the producer; without an epoch its open transaction has not written to them
   * @param endings of this producer's transactions
   * @param deadlineMs on the monotonic clock
   * @throws TRANSACTION_HANGING; TRANSACTION_ABORTABLE when the deadline was over first
   */
  async settle(
    partitions: readonly GuardedPartition[],
    own: GuardedProducer,
    endings: Endings,
    deadlineMs: number,
  ): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      let open = await this.#open(partitions, own, deadlineMs)
      if (open.length === 0) return
      // In this order: what is open after the coordinator has said that it is done stays open.
      if (await this.#coordinatorIsDone(deadlineMs)) {
        open = await this.#open(open, own, deadlineMs)
        for (const one of open) await this.#end(one, endings)
      }
      if (this.#ports.clock.monotonic() >= deadlineMs) throw late(open)
      await this.#ports.timers.sleep(backoffMs(attempt))
    }
  }

  /** What the coordinator knows of our transactional id; undefined where it does not tell. */
  async look(): Promise<Known | undefined> {
    const found = await this.#describe(this.#ports.clock.monotonic() + 2 * this.#settings.requestTimeoutMs)
    if (found === undefined) return undefined
    const { state, producerId, producerEpoch } = found
    const isOver = /^(Prepare|Complete)(Commit|Abort)$/.test(state) && this.#cluster.transactionVersion === 2
    // KIP-890: the end of a transaction takes the next epoch.
    const last = { producerId, epoch: producerEpoch - 1, committed: state.endsWith('Commit') }
    return { state, producerId, producerEpoch, last: isOver ? last : undefined }
  }

  /** What the coordinator knows of our transactional id; undefined where it knows nothing, or does not tell us. */
  async #describe(deadlineMs: number): Promise<DescribedTransaction | undefined> {
    const id = this.#settings.transactionalId
    const found = await withCoordinator(
      this.#cluster,
      this.#ports,
      'transaction',
      id,
      async (node) => {
        const request = { transactionalIds: [id] }
        const { transactions } = await this.#cluster.send(node, 'admin', describeTransactions, request)
        return transactions[0] ?? { ...unknown, transactionalId: id }
      },
      deadlineMs,
      'DescribeTransactions',
    )
    return found.errorCode === NONE ? found : undefined
  }

  async #coordinatorIsDone(deadlineMs: number): Promise<boolean> {
    const found = await this.#describe(deadlineMs)
    return found !== undefined && !found.state.startsWith('Prepare')
  }

  async #open(
    partitions: readonly GuardedPartition[],
    own: GuardedProducer,
    deadlineMs: number,
  ): Promise<OpenPartition[]> {
    const open: OpenPartition[] = []
    let left = partitions.filter(({ topic }) => !this.#denied.has(topic))
    for (let attempt = 0; left.length > 0; attempt++) {
      if (attempt > 0) {
        if (this.#ports.clock.monotonic() >= deadlineMs) throw late(left)
        await this.#ports.timers.sleep(backoffMs(attempt))
        await this.#cluster.refreshMetadata([...new Set(left.map(({ topic }) => topic))]).catch(() => {})
      }
      const again: GuardedPartition[] = []
      for (const [node, asked] of this.#byLeader(left))
        again.push(...(await this.#ask(node, asked, own, open)))
      left = again
    }
    return open
  }

  #byLeader(partitions: readonly GuardedPartition[]): ReadonlyMap<number, GuardedPartition[]> {
    const result = new Map<number, GuardedPartition[]>()
    for (const one of partitions) {
      const node = this.#cluster.partition(one.topic, one.partition)?.leader ?? -1
      const list = result.get(node)
      if (list === undefined) result.set(node, [one])
      else list.push(one)
    }
    return result
  }

  /** Adds what is open. @returns the partitions that have to be asked for once more */
  async #ask(
    node: number,
    asked: readonly GuardedPartition[],
    own: GuardedProducer,
    open: OpenPartition[],
  ): Promise<readonly GuardedPartition[]> {
    if (node < 0) return asked
    const topics = byTopic(asked).map(({ topic, partitions }) => ({
      topic,
      partitions: partitions.map(({ partition }) => partition),
    }))
    const response = await this.#cluster
      .send(node, 'admin', describeProducers, { topics })
      .catch((error: unknown) => {
        if (isRepeatable(error)) return undefined
        throw error
      })
    const again: GuardedPartition[] = []
    for (const one of asked) {
      const answer = response?.topics
        .find(({ topic }) => topic === one.topic)
        ?.partitions.find(({ partition }) => partition === one.partition)
      const producer = answer?.producers.find((active) => active.producerId === own.producerId)
      if (answer === undefined || this.#mayPass(answer.errorCode)) again.push(one)
      else if (answer.errorCode !== NONE) this.#unknowable(one, answer.errorCode)
      else if (producer === undefined || producer.currentTransactionStart < 0) continue
      // KIP-890: an epoch has one transaction, and ours is the open one. That of a newer epoch is a successor's, which is
      // at work: no marker was left out, and the broker refuses our produce.
      else if (own.epoch === undefined || producer.producerEpoch < own.epoch) open.push({ ...one, producer })
    }
    return again
  }

  #mayPass(errorCode: number): boolean {
    const reaction = reactionFor(errorCode, 'DescribeProducers')
    return reaction === 'retry' || reaction === 'refresh-metadata'
  }

  /** Without the right to ask the producer goes on as all others do. @throws what no right would change */
  #unknowable({ topic, partition }: GuardedPartition, errorCode: number): void {
    if (reactionFor(errorCode, 'DescribeProducers') !== 'denied')
      throw brokerFailure('DescribeProducers', errorCode, { topic, partition })
    this.#denied.add(topic)
    this.#log.info(
      'it cannot be seen whether an old transaction is open: the right Read on the topic is missing',
      {
        topic,
      },
    )
  }

  /** Writes the marker that the coordinator has left out. */
  async #end(open: OpenPartition, endings: Endings): Promise<void> {
    const { topic, partition, producer } = open
    const { producerId, producerEpoch, coordinatorEpoch } = producer
    const committed = endings.of(producerId, producerEpoch)
    if (committed === undefined) throw hanging(open, undefined, 'it is not known how it ended')
    const node = this.#cluster.partition(topic, partition)?.leader ?? -1
    if (node < 0) return
    const marker = {
      producerId,
      producerEpoch,
      committed,
      topics: [{ topic, partitions: [partition] }],
      // None yet: the epoch of the first coordinator.
      coordinatorEpoch: Math.max(0, coordinatorEpoch),
    }
    try {
      const answer = await this.#cluster.send(node, 'admin', writeTxnMarkers, { markers: [marker] })
      const errorCode = answer.markers[0]?.topics[0]?.partitions[0]?.errorCode ?? NONE
      if (this.#mayPass(errorCode)) return
      if (errorCode !== NONE)
        throw hanging(open, committed, `WriteTxnMarkers was answered ${brokerError(errorCode).name}`)
    } catch (error) {
      if (isMillstreamError(error) && isRepeatable(error)) return
      throw error
    }
    this.#log.warn('the coordinator had left a transaction open in a partition; it was ended now', {
      topic,
      partition,
      producer: `${producerId}:${producerEpoch}`,
      from: producer.currentTransactionStart,
      as: committed ? 'committed' : 'aborted',
    })
  }
}

const unknown: DescribedTransaction = {
  errorCode: NONE,
  transactionalId: '',
  state: 'Dead',
  timeoutMs: 0,
  startTimeMs: -1,
  producerId: -1,
  producerEpoch: -1,
  topics: [],
}

const late = (partitions: readonly GuardedPartition[]): MillstreamError =>
  new MillstreamError('TRANSACTION_ABORTABLE', {
    what: 'until the deadline of the transaction it could not be seen whether the one before it had ended',
    where: { topic: partitions[0]?.topic, partition: partitions[0]?.partition },
  })

const hanging = (open: OpenPartition, committed: boolean | undefined, why: string): MillstreamError => {
  const { topic, partition, producer } = open
  const { producerId, producerEpoch, currentTransactionStart: offset } = producer
  const known = committed === undefined ? '' : `, and was ${committed ? 'committed' : 'aborted'} elsewhere`
  return new MillstreamError('TRANSACTION_HANGING', {
    what: `a transaction of this worker is still open in a partition although the coordinator has ended it${known}; ${why}`,
    where: { topic, partition, offset, producer: `${producerId}:${producerEpoch}` },
    fix: `Find out whether its records count (are the offsets behind them committed?). If not: kafka-transactions.sh --bootstrap-server … abort --topic ${topic} --partition ${partition} --start-offset ${offset}; then start the worker again.`,
  })
}
