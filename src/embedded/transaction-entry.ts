// One transactional id and what the coordinator decides about it: the state machine of Kafka 4.3.1 for both versions of
// transactions, without time, network or log. A method either answers an error code and changes nothing, or makes one
// transition.
//
//   Empty ─► Ongoing ─► PrepareCommit ─► CompleteCommit ─► Ongoing | Empty
//                  └──► PrepareAbort ──► CompleteAbort ──► Ongoing | Empty
//
// Prepare is the decision: from then on the markers are on their way, and every request about this transactional id is
// put back with CONCURRENT_TRANSACTIONS. With transactions version 2 (KIP-890) each end raises the epoch, and an abort
// needs no transaction (a client that does not know whether one is open may send it).
import type { TopicPartition } from '../base/topic-partition.ts'
import { partitionId } from '../base/topic-partition.ts'
import { codes } from './codes.ts'

export const transactionStates = [
  'Empty',
  'Ongoing',
  'PrepareCommit',
  'PrepareAbort',
  'CompleteCommit',
  'CompleteAbort',
  // Kafka passes through these two without keeping them: nobody sees a transactional id in them. Filters may name them.
  'Dead',
  'PrepareEpochFence',
] as const

export type TransactionStateName = (typeof transactionStates)[number]

export interface ProducerIdentity {
  readonly producerId: number
  readonly producerEpoch: number
}

/** What the journal keeps of a transactional id. */
export interface TransactionRecord {
  state: TransactionStateName
  producerId: number
  /** The one before the last transition: a repeated EndTxn may still name it (see `retriesRotation`). */
  previousProducerId: number
  /** Takes over when the markers are written: the epochs of this one are used up. */
  nextProducerId: number
  producerEpoch: number
  /** Of the answer before, which may have been lost; -1 where its holder is fenced. */
  lastProducerEpoch: number
  timeoutMs: number
  partitions: [topic: string, partition: number][]
  startMs: number
  updatedMs: number
  /** Whether the last end was one of transactions version 2. */
  raisesEpoch: boolean
}

export const none = -1

export class TransactionEntry {
  readonly transactionalId: string
  /** The very object that is in the journal. */
  readonly record: TransactionRecord
  /** Monotonic time until which the last new partition is joining (`settings.joinDelayMs`). */
  joiningUntilMs = 0
  readonly #epochMax: number
  readonly #partitions = new Set<string>()

  /** @param epochMax the last epoch that a producer id is used with */
  constructor(transactionalId: string, record: TransactionRecord, epochMax: number) {
    this.transactionalId = transactionalId
    this.record = record
    this.#epochMax = epochMax
    for (const [topic, partition] of record.partitions) this.#partitions.add(partitionId(topic, partition))
  }

  static create(
    transactionalId: string,
    producerId: number,
    timeoutMs: number,
    now: number,
    epochMax: number,
  ): TransactionEntry {
    const record: TransactionRecord = {
      state: 'Empty',
      producerId,
      previousProducerId: none,
      nextProducerId: none,
      producerEpoch: none,
      lastProducerEpoch: none,
      timeoutMs,
      partitions: [],
      startMs: none,
      updatedMs: now,
      raisesEpoch: false,
    }
    return new TransactionEntry(transactionalId, record, epochMax)
  }

  /** Its end is decided, and not all markers are written. */
  get isEnding(): boolean {
    return this.record.state === 'PrepareCommit' || this.record.state === 'PrepareAbort'
  }

  get isCommitting(): boolean {
    return this.record.state === 'PrepareCommit'
  }

  get partitions(): TopicPartition[] {
    return this.record.partitions.map(([topic, partition]) => ({ topic, partition }))
  }

  /** Kafka looks at the wall clock here. */
  isTimedOut(now: number): boolean {
    return this.record.state === 'Ongoing' && this.record.startMs + this.record.timeoutMs < now
  }

  /** Nobody has used it for so long that it is forgotten. */
  isExpired(now: number, expirationMs: number): boolean {
    return this.record.state !== 'Ongoing' && !this.isEnding && this.record.updatedMs <= now - expirationMs
  }

  /**
   * InitProducerId, whether or not a transaction is open.
   * @param shown the id and epoch that the producer holds; undefined for a fresh start, which fences every holder
   */
  admitsInit(shown: ProducerIdentity | undefined): number {
    const { producerEpoch, producerId, previousProducerId } = this.record
    if (this.isEnding) return codes.CONCURRENT_TRANSACTIONS
    if (shown === undefined || producerEpoch === none || shown.producerId === producerId) return codes.NONE
    // The answer that rotated the producer id was lost: its holder comes with the last epoch of the old one.
    const retriesRotation = shown.producerId === previousProducerId && this.#isUsedUp(shown.producerEpoch)
    return retriesRotation ? codes.NONE : codes.PRODUCER_FENCED
  }

  /** InitProducerId after `admitsInit`, where no transaction is open: the epoch is raised, or the producer id is new. */
  init(
    shown: ProducerIdentity | undefined,
    timeoutMs: number,
    now: number,
    newProducerId: () => number,
  ): number {
    const { record } = this
    const { producerEpoch, lastProducerEpoch } = record
    const mayRotate = shown === undefined || shown.producerEpoch === producerEpoch
    if (this.#isUsedUp(producerEpoch) && mayRotate) {
      this.#moveTo('Empty', now)
      record.producerId = newProducerId()
      record.producerEpoch = 0
      record.lastProducerEpoch = shown === undefined ? none : producerEpoch
    } else if (this.#isUsedUp(producerEpoch)) {
      // As the broker does: it fails at an assertion of its own.
      return codes.UNKNOWN_SERVER_ERROR
    } else if (shown === undefined || producerEpoch === none || shown.producerEpoch === producerEpoch) {
      this.#moveTo('Empty', now)
      record.producerEpoch = producerEpoch + 1
      record.lastProducerEpoch = shown === undefined ? none : producerEpoch
    } else if (shown.producerEpoch === lastProducerEpoch) {
      // The answer was lost. Nobody else was initialised in between: that would have taken the last epoch away.
      this.#moveTo('Empty', now)
    } else {
      return codes.PRODUCER_FENCED
    }
    this.#clear()
    record.timeoutMs = timeoutMs
    record.startMs = none
    return codes.NONE
  }

  /** Adding partitions to the transaction, which begins with the first of them. */
  admitsAdding({ producerId, producerEpoch }: ProducerIdentity): number {
    if (this.isEnding) return codes.CONCURRENT_TRANSACTIONS
    if (producerId !== this.record.producerId) return codes.INVALID_PRODUCER_ID_MAPPING
    return producerEpoch === this.record.producerEpoch ? codes.NONE : codes.PRODUCER_FENCED
  }

  /** @returns whether `add` would change anything */
  isNew(partitions: readonly TopicPartition[]): boolean {
    const areIn = partitions.every(({ topic, partition }) => this.has(topic, partition))
    return this.record.state !== 'Ongoing' || !areIn
  }

  /** @returns whether anything is new */
  add(partitions: readonly TopicPartition[], now: number): boolean {
    const { record } = this
    if (!this.isNew(partitions)) return false
    const fresh = partitions.filter(({ topic, partition }) => !this.has(topic, partition))
    if (record.state !== 'Ongoing') record.startMs = now
    this.#moveTo('Ongoing', now)
    for (const { topic, partition } of fresh) {
      this.#partitions.add(partitionId(topic, partition))
      record.partitions.push([topic, partition])
    }
    return true
  }

  has(topic: string, partition: number): boolean {
    return this.#partitions.has(partitionId(topic, partition))
  }

  /** Transactions version 1: whether these partitions were added before. */
  verify({ producerId, producerEpoch }: ProducerIdentity, partitions: readonly TopicPartition[]): number {
    if (producerId !== this.record.producerId) return codes.INVALID_PRODUCER_ID_MAPPING
    if (producerEpoch !== this.record.producerEpoch) return codes.PRODUCER_FENCED
    if (this.isEnding) return codes.CONCURRENT_TRANSACTIONS
    const areIn = partitions.every(({ topic, partition }) => this.has(topic, partition))
    return areIn ? codes.NONE : codes.INVALID_TXN_STATE
  }

  /**
   * EndTxn of a client below v5: id and epoch stay, so that a repeated one is told by the state alone.
   * @returns an error code, NONE where it has ended like that before, or undefined where it is to be ended
   */
  admitsEndV1({ producerId, producerEpoch }: ProducerIdentity, committed: boolean): number | undefined {
    const { record } = this
    if (producerId !== record.producerId) return codes.INVALID_PRODUCER_ID_MAPPING
    if (producerEpoch !== record.producerEpoch) return codes.PRODUCER_FENCED
    if (this.isEnding) return codes.CONCURRENT_TRANSACTIONS
    if (record.state === 'Ongoing') return undefined
    const before = committed ? 'CompleteCommit' : 'CompleteAbort'
    return record.state === before ? codes.NONE : codes.INVALID_TXN_STATE
  }

  /**
   * EndTxn v5: the epoch tells a repeated one (it is the one before) from the end of the next transaction.
   * @returns as `admitsEndV1`
   */
  admitsEndV2({ producerId, producerEpoch }: ProducerIdentity, committed: boolean): number | undefined {
    const { record } = this
    if (this.isEnding) return codes.CONCURRENT_TRANSACTIONS
    const retriesRotation =
      record.previousProducerId === producerId &&
      producerEpoch === this.#epochMax &&
      record.producerEpoch === 0
    if (producerId !== record.producerId && !retriesRotation) return codes.INVALID_PRODUCER_ID_MAPPING
    const hasEnded = record.state === 'CompleteCommit' || record.state === 'CompleteAbort'
    const isRetry = retriesRotation || record.producerEpoch === producerEpoch + 1
    if (producerEpoch !== record.producerEpoch && !(hasEnded && isRetry)) return codes.PRODUCER_FENCED
    if (record.state === 'Ongoing') return undefined
    if (hasEnded && isRetry) {
      const before = committed ? 'CompleteCommit' : 'CompleteAbort'
      return record.state === before ? codes.NONE : codes.INVALID_TXN_STATE
    }
    return committed ? codes.INVALID_TXN_STATE : undefined
  }

  /** The decision, after `admitsEndV1` or `admitsEndV2`. */
  prepare(committed: boolean, raisesEpoch: boolean, now: number, newProducerId: () => number): void {
    const { record } = this
    if (record.state !== 'Ongoing') record.startMs = now
    this.joiningUntilMs = 0
    this.#moveTo(committed ? 'PrepareCommit' : 'PrepareAbort', now)
    record.raisesEpoch = raisesEpoch
    if (raisesEpoch) this.#raise(newProducerId)
  }

  /**
   * Aborts the open transaction over the head of its producer, which is fenced by it.
   * @param raisesEpoch of the cluster: with transactions version 2 the producer itself may still learn of it by its
   * old epoch, with version 1 it is fenced for good.
   */
  fence(raisesEpoch: boolean, now: number, newProducerId: () => number): void {
    const { record } = this
    this.prepare(false, raisesEpoch, now, newProducerId)
    if (raisesEpoch) return
    record.producerEpoch++
    record.lastProducerEpoch = none
  }

  /** All markers are written. */
  complete(now: number): void {
    const { record } = this
    const { producerId, producerEpoch } = this.afterEnd
    this.#moveTo(this.isCommitting ? 'CompleteCommit' : 'CompleteAbort', now)
    record.producerId = producerId
    record.producerEpoch = producerEpoch
    record.nextProducerId = none
    this.#clear()
  }

  /** Whom the next transaction belongs to, also while the markers of this one are on their way. */
  get afterEnd(): ProducerIdentity {
    const { producerId, producerEpoch, nextProducerId } = this.record
    return nextProducerId === none
      ? { producerId, producerEpoch }
      : { producerId: nextProducerId, producerEpoch: 0 }
  }

  #raise(newProducerId: () => number): void {
    const { record } = this
    if (this.#isUsedUp(record.producerEpoch)) record.nextProducerId = newProducerId()
    record.lastProducerEpoch = record.producerEpoch
    // The markers have an epoch that no producer ever had; there is one left for that.
    if (record.producerEpoch <= this.#epochMax) record.producerEpoch++
  }

  #moveTo(state: TransactionStateName, now: number): void {
    this.record.previousProducerId = this.record.producerId
    this.record.state = state
    this.record.updatedMs = now
  }

  #clear(): void {
    this.record.partitions.length = 0
    this.#partitions.clear()
  }

  #isUsedUp(producerEpoch: number): boolean {
    return producerEpoch >= this.#epochMax
  }
}
