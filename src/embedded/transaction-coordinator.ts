// Producer ids and transactions: which producer holds a transactional id, what its transaction has written to, how it
// ends. Requests and the data plane ask here; transaction-entry.ts decides, transaction-markers.ts carries it out.
//
// The state of each transactional id is in the journal before a request is answered. After a restart decided ends write
// their markers again, open transactions go on or time out. One timer looks for those that are too old, and only while
// one is open. A transactional id that nobody used for long is forgotten when it is next looked at.
import { invariant } from '../base/assert.ts'
import type { TimerHandle } from '../base/ports.ts'
import type { TopicPartition } from '../base/topic-partition.ts'
import type { BrokerState, Transactions } from './broker-state.ts'
import { codes } from './codes.ts'
import {
  none,
  type ProducerIdentity,
  TransactionEntry,
  type TransactionRecord,
  type TransactionStateName,
} from './transaction-entry.ts'
import { type MarkerFilter, TransactionMarkers } from './transaction-markers.ts'

/** With an error id and epoch are -1. */
export interface IdentityAnswer extends ProducerIdentity {
  readonly errorCode: number
}

/** A producer of a transactional id, as requests name it. */
export interface TransactionalProducer extends ProducerIdentity {
  readonly transactionalId: string
}

export interface TransactionDescription extends ProducerIdentity {
  readonly transactionalId: string
  readonly state: TransactionStateName
  readonly timeoutMs: number
  /** Of the open or the last one; -1 where there was none since the producer was initialised. */
  readonly startMs: number
  readonly partitions: readonly TopicPartition[]
}

const journalKind = 'transaction'
const producersKind = 'producer'
const epochKind = 'transaction-coordinator'
/** Producer ids are taken in blocks, so that not each of them has to be kept; a restart begins the next block. */
const blockSize = 1000

const failed = (errorCode: number): IdentityAnswer => ({ errorCode, producerId: none, producerEpoch: none })

export class TransactionCoordinator implements Transactions {
  readonly #broker: BrokerState
  readonly #entries = new Map<string, TransactionEntry>()
  readonly #open = new Set<TransactionEntry>()
  readonly #markers: TransactionMarkers
  #timer: TimerHandle | undefined
  #nextProducerId = 0
  #blockEnd = 0
  /** Added to what `nodes` counts, so that a coordinator after a restart is later than all before. */
  #epochBase = 0
  #epochKept = none
  #isClosed = false

  constructor(broker: BrokerState) {
    this.#broker = broker
    this.#markers = new TransactionMarkers(
      broker,
      (id) => this.#coordinatorEpoch(id),
      (entry) => this.#complete(entry),
    )
  }

  /** What the journal knows; then the markers of decided ends are on their way again. */
  load(): void {
    const { journal, settings } = this.#broker
    for (const [, block] of journal.entries(producersKind)) this.#nextProducerId = block as number
    this.#blockEnd = this.#nextProducerId
    for (const [, epoch] of journal.entries(epochKind)) this.#epochKept = epoch as number
    this.#epochBase = this.#epochKept + 1
    for (const [id, value] of journal.entries(journalKind)) {
      const kept = value as TransactionRecord
      const record = { ...kept, partitions: kept.partitions.map((one): [string, number] => [...one]) }
      const entry = new TransactionEntry(id, record, settings.producerEpochMax)
      this.#entries.set(id, entry)
      if (record.state === 'Ongoing') this.#open.add(entry)
    }
    for (const entry of this.#entries.values()) if (entry.isEnding) this.#markers.send(entry)
    this.#watchOpen()
  }

  close(): void {
    this.#isClosed = true
    this.#markers.close()
    if (this.#timer !== undefined) this.#broker.ports.timers.clear(this.#timer)
    this.#timer = undefined
  }

  /** Writes markers that are delayed or held (`settings.markerDelayMs`) at once. */
  releaseMarkers(filter?: MarkerFilter): void {
    this.#markers.release(filter)
  }

  /** Why this node does not answer for the transactional id, or NONE. */
  errorAt(nodeId: number, transactionalId: string): number {
    return this.#broker.nodes.coordinatorError('transaction', transactionalId, nodeId)
  }

  /** An id for a producer without transactions; never given twice. */
  newProducerId(): number {
    if (this.#nextProducerId === this.#blockEnd) {
      this.#blockEnd += blockSize
      this.#broker.journal.put(producersKind, 'next', this.#blockEnd)
    }
    return this.#nextProducerId++
  }

  /** @param shown the id and epoch that the producer holds; undefined for a fresh start */
  init(transactionalId: string, timeoutMs: number, shown: ProducerIdentity | undefined): IdentityAnswer {
    const { settings } = this.#broker
    const now = this.#now()
    const entry =
      this.#find(transactionalId) ??
      TransactionEntry.create(
        transactionalId,
        this.newProducerId(),
        timeoutMs,
        now,
        settings.producerEpochMax,
      )
    this.#entries.set(transactionalId, entry)
    const refusal = entry.admitsInit(shown)
    if (refusal !== codes.NONE) return failed(refusal)
    if (entry.record.state === 'Ongoing') {
      // The transaction is aborted first; the epoch that this takes is never given to a producer.
      this.#fence(entry)
      return failed(codes.CONCURRENT_TRANSACTIONS)
    }
    const code = entry.init(shown, timeoutMs, now, () => this.newProducerId())
    if (code !== codes.NONE) return failed(code)
    this.#keep(entry)
    return { errorCode: codes.NONE, ...entry.afterEnd }
  }

  /** Partitions join the transaction, which begins with the first of them. */
  add(producer: TransactionalProducer, partitions: readonly TopicPartition[]): number {
    const entry = this.#find(producer.transactionalId)
    if (entry === undefined) return codes.INVALID_PRODUCER_ID_MAPPING
    const refusal = entry.admitsAdding(producer)
    if (refusal !== codes.NONE) return refusal
    if (!entry.add(partitions, this.#now())) return codes.NONE
    this.#open.add(entry)
    this.#watchOpen()
    this.#keep(entry)
    return codes.NONE
  }

  /** @param raisesEpoch EndTxn v5: transactions version 2 */
  end(producer: TransactionalProducer, committed: boolean, raisesEpoch: boolean): IdentityAnswer {
    const entry = this.#find(producer.transactionalId)
    if (entry === undefined) return failed(codes.INVALID_PRODUCER_ID_MAPPING)
    const answer = raisesEpoch
      ? entry.admitsEndV2(producer, committed)
      : entry.admitsEndV1(producer, committed)
    if (answer !== undefined && answer !== codes.NONE) return failed(answer)
    if (answer === undefined) {
      entry.prepare(committed, raisesEpoch, this.#now(), () => this.newProducerId())
      this.#decided(entry)
    }
    return { errorCode: codes.NONE, ...entry.afterEnd }
  }

  admit(
    transactionalId: string,
    producerId: number,
    producerEpoch: number,
    partitions: readonly TopicPartition[],
    add: boolean,
  ): number {
    if (transactionalId === '') return codes.INVALID_REQUEST
    const coordinator = this.#broker.nodes.coordinator('transaction', transactionalId)
    if (coordinator < 0) return codes.COORDINATOR_NOT_AVAILABLE
    const error = this.errorAt(coordinator, transactionalId)
    if (error !== codes.NONE) return error
    const producer = { transactionalId, producerId, producerEpoch }
    const answer = add ? this.#join(producer, partitions) : this.#verify(producer, partitions)
    // The name that this has in answers to produce and TxnOffsetCommit.
    return answer === codes.PRODUCER_FENCED ? codes.INVALID_PRODUCER_EPOCH : answer
  }

  describe(transactionalId: string): TransactionDescription | undefined {
    const entry = this.#find(transactionalId)
    return entry && this.#describe(entry)
  }

  /** All that this node coordinates, or why it cannot tell. */
  list(nodeId: number): { readonly errorCode: number; readonly transactions: TransactionDescription[] } {
    const transactions: TransactionDescription[] = []
    for (const id of [...this.#entries.keys()]) {
      const error = this.errorAt(nodeId, id)
      if (error === codes.COORDINATOR_LOAD_IN_PROGRESS) return { errorCode: error, transactions: [] }
      const entry = error === codes.NONE ? this.#find(id) : undefined
      if (entry !== undefined) transactions.push(this.#describe(entry))
    }
    return { errorCode: codes.NONE, transactions }
  }

  /** As `add`, where it takes its time. */
  #join(producer: TransactionalProducer, partitions: readonly TopicPartition[]): number {
    const { settings, ports } = this.#broker
    const entry = this.#find(producer.transactionalId)
    const takesTime = settings.joinDelayMs > 0 && entry !== undefined && entry.isNew(partitions)
    if (!takesTime) return this.add(producer, partitions)
    const refusal = entry.admitsAdding(producer)
    if (refusal !== codes.NONE) return refusal
    const now = ports.clock.monotonic()
    if (now < entry.joiningUntilMs) return codes.NETWORK_EXCEPTION
    entry.joiningUntilMs = now + settings.joinDelayMs
    return this.add(producer, partitions)
  }

  #verify(producer: TransactionalProducer, partitions: readonly TopicPartition[]): number {
    const entry = this.#find(producer.transactionalId)
    return entry === undefined ? codes.INVALID_PRODUCER_ID_MAPPING : entry.verify(producer, partitions)
  }

  #describe(entry: TransactionEntry): TransactionDescription {
    const { transactionalId, record } = entry
    const { producerId, producerEpoch, state, timeoutMs, startMs } = record
    const partitions = entry.isEnding ? this.#markers.outstanding(entry) : entry.partitions
    return { transactionalId, producerId, producerEpoch, state, timeoutMs, startMs, partitions }
  }

  #find(transactionalId: string): TransactionEntry | undefined {
    const entry = this.#entries.get(transactionalId)
    if (!entry?.isExpired(this.#now(), this.#broker.settings.transactionalIdExpirationMs)) return entry
    this.#entries.delete(transactionalId)
    this.#broker.journal.put(journalKind, transactionalId, null)
    return undefined
  }

  #fence(entry: TransactionEntry): void {
    const raisesEpoch = this.#broker.settings.transactionVersion === 2
    entry.fence(raisesEpoch, this.#now(), () => this.newProducerId())
    this.#decided(entry)
  }

  #decided(entry: TransactionEntry): void {
    this.#open.delete(entry)
    this.#keep(entry)
    this.#markers.send(entry)
  }

  #complete(entry: TransactionEntry): void {
    entry.complete(this.#now())
    this.#keep(entry)
  }

  #keep({ transactionalId, record }: TransactionEntry): void {
    this.#broker.journal.put(journalKind, transactionalId, record)
  }

  #coordinatorEpoch(transactionalId: string): number {
    const { nodes, journal } = this.#broker
    const epoch = this.#epochBase + nodes.coordinatorEpoch('transaction', transactionalId)
    if (epoch > this.#epochKept) {
      this.#epochKept = epoch
      journal.put(epochKind, 'epoch', epoch)
    }
    return epoch
  }

  #watchOpen(): void {
    if (this.#timer !== undefined || this.#open.size === 0 || this.#isClosed) return
    const { ports, settings } = this.#broker
    this.#timer = ports.timers.set(() => this.#abortOld(), settings.transactionCleanupIntervalMs)
  }

  #abortOld(): void {
    this.#timer = undefined
    const { nodes, log } = this.#broker
    const now = this.#now()
    for (const entry of [...this.#open]) {
      const { transactionalId } = entry
      const node = nodes.coordinator('transaction', transactionalId)
      if (node < 0 || this.errorAt(node, transactionalId) !== codes.NONE || !entry.isTimedOut(now)) continue
      log.info('a transaction is aborted: it has been open for longer than its timeout', {
        transactionalId,
        timeoutMs: entry.record.timeoutMs,
      })
      this.#fence(entry)
    }
    this.#watchOpen()
  }

  #now(): number {
    return this.#broker.ports.clock.now()
  }
}

/** The requests of this part know the class. */
export const transactionsOf = ({ transactions }: BrokerState): TransactionCoordinator => {
  invariant(
    transactions instanceof TransactionCoordinator,
    'the transactions of a broker are its coordinator',
  )
  return transactions
}
