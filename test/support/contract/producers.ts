// Transactional producers for the cases of the contract, made of single requests. In version 2 of transactions (KIP-890)
// partitions join by Produce and TxnOffsetCommit themselves; in version 1 the case adds them first.
import { addOffsetsToTxn } from '../../../src/protocol/add-offsets-to-txn.ts'
import { addPartitionsToTxn } from '../../../src/protocol/add-partitions-to-txn.ts'
import {
  type DescribedTransaction,
  describeTransactions,
} from '../../../src/protocol/describe-transactions.ts'
import { endTxn } from '../../../src/protocol/end-txn.ts'
import { initProducerId } from '../../../src/protocol/init-producer-id.ts'
import { txnOffsetCommit } from '../../../src/protocol/txn-offset-commit.ts'
import type { Broker } from './contract.ts'
import { batchOf, type Produced, produceBytes, type RecordToSend } from './log.ts'
import { nameOf, unique } from './names.ts'
import { settled } from './waits.ts'
import type { Wire } from './wire.ts'

export interface Identity {
  readonly producerId: number
  readonly producerEpoch: number
}

export interface Answer extends Identity {
  readonly error: string
}

export const noIdentity: Identity = { producerId: -1, producerEpoch: -1 }

/** Answers that pass by themselves: a client asks again. */
const passing = new Set([
  'CONCURRENT_TRANSACTIONS',
  'COORDINATOR_LOAD_IN_PROGRESS',
  'COORDINATOR_NOT_AVAILABLE',
  // Another request of the same transaction was being verified.
  'NETWORK_EXCEPTION',
  'NOT_COORDINATOR',
  'NOT_ENOUGH_REPLICAS',
])

export const passed = ({ error }: { readonly error: string }): boolean => !passing.has(error)

const versions = {
  1: { produce: 11, offsets: 4, end: 4 },
  2: { produce: 12, offsets: 5, end: 5 },
} as const

export type TransactionVersion = keyof typeof versions

export interface ProducerOptions {
  readonly transactionalId?: string
  readonly timeoutMs?: number
  readonly version?: TransactionVersion
}

export interface OffsetsMember {
  readonly generationId: number
  readonly memberId: string
  readonly instanceId?: string | null
}

export const initOnce = async (
  wire: Wire,
  transactionalId: string | null,
  shown: Identity = noIdentity,
  transactionTimeoutMs = 60_000,
  version = 5,
): Promise<Answer> => {
  const request = { transactionalId, transactionTimeoutMs, ...shown }
  const { errorCode, producerId, producerEpoch } = await wire.ask(initProducerId, request, version)
  return { error: nameOf(errorCode), producerId, producerEpoch }
}

export const endOnce = async (
  wire: Wire,
  transactionalId: string,
  identity: Identity,
  committed: boolean,
  version = 5,
): Promise<Answer> => {
  const { producerId, producerEpoch } = identity
  const request = { transactionalId, producerId, producerEpoch, committed }
  const answer = await wire.ask(endTxn, request, version)
  return {
    error: nameOf(answer.errorCode),
    producerId: answer.producerId,
    producerEpoch: answer.producerEpoch,
  }
}

export class Producer {
  readonly wire: Wire
  readonly transactionalId: string
  readonly #timeoutMs: number
  readonly #versions: (typeof versions)[TransactionVersion]
  readonly #sequences = new Map<string, number>()
  identity: Identity = noIdentity

  private constructor(wire: Wire, options: ProducerOptions) {
    this.wire = wire
    this.transactionalId = options.transactionalId ?? unique('producer')
    this.#timeoutMs = options.timeoutMs ?? 60_000
    this.#versions = versions[options.version ?? 2]
  }

  static async open(broker: Broker, options: ProducerOptions = {}): Promise<Producer> {
    const producer = new Producer(await broker.connect(), options)
    const { error } = await producer.init()
    if (error !== 'NONE') throw new Error(`InitProducerId was answered ${error}`)
    return producer
  }

  /** Without InitProducerId. */
  static async unopened(broker: Broker, options: ProducerOptions = {}): Promise<Producer> {
    return new Producer(await broker.connect(), options)
  }

  /** InitProducerId until its answer is none that passes; goes on with the identity that it answers. */
  async init(shown: Identity = noIdentity): Promise<Answer> {
    const ask = (): Promise<Answer> => initOnce(this.wire, this.transactionalId, shown, this.#timeoutMs)
    return this.#take(await settled(ask, passed))
  }

  /** One batch in the open transaction, with the next sequence; asks again while the answer passes. */
  async produce(
    topic: string,
    records: readonly (string | RecordToSend)[],
    options: {
      partition?: number
      identity?: Identity
      sequence?: number
      once?: boolean
      version?: number
    } = {},
  ): Promise<Produced> {
    const {
      partition = 0,
      identity = this.identity,
      once = false,
      version = this.#versions.produce,
    } = options
    const place = `${topic}/${partition}`
    const baseSequence = options.sequence ?? this.#sequences.get(place) ?? 0
    const bytes = batchOf(records, {
      producerId: identity.producerId,
      producerEpoch: identity.producerEpoch,
      baseSequence,
      transactional: true,
    })
    const { transactionalId } = this
    const ask = (): Promise<Produced> =>
      produceBytes(this.wire, topic, bytes, { partition, version, transactionalId })
    const answer = await (once ? ask() : settled(ask, passed))
    if (answer.error === 'NONE') this.#sequences.set(place, baseSequence + records.length)
    return answer
  }

  /** AddPartitionsToTxn. @returns the name of each partition's error */
  async addPartitions(
    topic: string,
    partitions: readonly number[],
    { identity = this.identity, once = false }: { identity?: Identity; once?: boolean } = {},
  ): Promise<string[]> {
    const { producerId, producerEpoch } = identity
    const topics = [{ topic, partitions }]
    const request = { transactionalId: this.transactionalId, producerId, producerEpoch, topics }
    const ask = async (): Promise<string[]> => {
      const answer = await this.wire.ask(addPartitionsToTxn, request)
      return answer.topics.flatMap((one) => one.partitions.map(({ errorCode }) => nameOf(errorCode)))
    }
    return await (once ? ask() : settled(ask, (names) => names.every((error) => passed({ error }))))
  }

  async addOffsets(groupId: string, identity: Identity = this.identity): Promise<string> {
    const { producerId, producerEpoch } = identity
    const request = { transactionalId: this.transactionalId, producerId, producerEpoch, groupId }
    const ask = async (): Promise<{ error: string }> => ({
      error: nameOf((await this.wire.ask(addOffsetsToTxn, request)).errorCode),
    })
    return (await settled(ask, passed)).error
  }

  /** TxnOffsetCommit of these offsets by partition. @returns the name of the first error */
  async commitOffsets(
    groupId: string,
    topic: string,
    offsets: Readonly<Record<number, number>>,
    options: {
      member?: OffsetsMember
      metadata?: string
      identity?: Identity
      once?: boolean
      version?: number
    } = {},
  ): Promise<string> {
    const { member = { generationId: -1, memberId: '' }, metadata = '', identity = this.identity } = options
    const partitions = Object.entries(offsets).map(([partition, offset]) => {
      return { partition: Number(partition), offset, leaderEpoch: -1, metadata }
    })
    const request = {
      transactionalId: this.transactionalId,
      groupId,
      producerId: identity.producerId,
      producerEpoch: identity.producerEpoch,
      generationId: member.generationId,
      memberId: member.memberId,
      groupInstanceId: member.instanceId ?? null,
      topics: [{ topic, partitions }],
    }
    const ask = async (): Promise<{ error: string }> => {
      const answer = await this.wire.ask(txnOffsetCommit, request, options.version ?? this.#versions.offsets)
      const codes = answer.topics.flatMap((one) => one.partitions.map(({ errorCode }) => errorCode))
      return { error: nameOf(codes.find((code) => code !== 0) ?? 0) }
    }
    return (await (options.once === true ? ask() : settled(ask, passed))).error
  }

  /** EndTxn until its answer is none that passes; goes on with the identity that it answers. */
  async end(committed: boolean): Promise<Answer> {
    const { identity, transactionalId } = this
    const ask = (): Promise<Answer> =>
      endOnce(this.wire, transactionalId, identity, committed, this.#versions.end)
    return this.#take(await settled(ask, passed))
  }

  /** One EndTxn, after which nothing here is different. */
  endOnce(committed: boolean, identity: Identity = this.identity, version?: number): Promise<Answer> {
    return endOnce(this.wire, this.transactionalId, identity, committed, version ?? this.#versions.end)
  }

  async describe(): Promise<DescribedTransaction & { readonly error: string }> {
    const request = { transactionalIds: [this.transactionalId] }
    const found = (await this.wire.ask(describeTransactions, request)).transactions[0]
    if (found === undefined) throw new Error('DescribeTransactions was answered without the transaction')
    return { ...found, error: nameOf(found.errorCode) }
  }

  /** Waits until the coordinator is done with the transaction. */
  async complete(): Promise<string> {
    const isDone = ({ state }: { state: string }): boolean => state.startsWith('Complete')
    return (await settled(() => this.describe(), isDone)).state
  }

  /** The same producer on another connection, with sequences of its own. */
  over(wire: Wire): Producer {
    const other = new Producer(wire, { transactionalId: this.transactionalId, timeoutMs: this.#timeoutMs })
    other.identity = this.identity
    return other
  }

  /** For an epoch that somebody else has got for it. */
  forgetSequences(): void {
    this.#sequences.clear()
  }

  #take(answer: Answer): Answer {
    if (answer.error !== 'NONE') return answer
    if (answer.producerId >= 0) {
      this.identity = { producerId: answer.producerId, producerEpoch: answer.producerEpoch }
      this.#sequences.clear()
    }
    return answer
  }
}

/**
 * What is not part of the transaction is refused, in one of two words by the version of the request; but Kafka asks the
 * coordinator for several producers at once, and answers all in the words of one. Asked again it finds its own.
 */
export const refusedAs = async (ask: () => Promise<string>, error: string): Promise<string> =>
  await settled(ask, (found) => found === error || !unverified.has(found))

const unverified = new Set(['INVALID_TXN_STATE', 'TRANSACTION_ABORTABLE'])
