// The transactional producer: its identity (producer id and epoch), the open transaction, its offsets and its end. It
// repeats what is safe to repeat and otherwise fails with an error whose code says what must happen next; it never
// guesses an outcome. One per worker.
//
//   uninitialised --init--> ready --begin--> open --commit, abort--> ending --answered--> ready
//                             ^               |                        |
//                             |               +-- request failed --> failed --abort--> ending
//                             +---- init ---- lost <--- no answer, or the epoch is no longer current
//
// `lost` is left through init alone: after an EndTxn without an answer the transaction may still be open under the
// same epoch, and whatever were produced then would join it and be published by its late commit (KIP-890).
import { invariant } from '../base/assert.ts'
import { faultPoint } from '../base/fault-point.ts'
import type { Logger } from '../base/log.ts'
import type { Ports } from '../base/ports.ts'
import { createStateMachine, type StateMachine } from '../base/state-machine.ts'
import { wrong } from '../base/wrong-builds.ts'
import { isMillstreamError, MillstreamError } from '../errors.ts'
import { addOffsetsToTxn } from '../protocol/add-offsets-to-txn.ts'
import { addPartitionsToTxn } from '../protocol/add-partitions-to-txn.ts'
import { type EndTxnResponse, endTxn } from '../protocol/end-txn.ts'
import { brokerError } from '../protocol/error-codes.ts'
import { type InitProducerIdResponse, initProducerId } from '../protocol/init-producer-id.ts'
import { txnOffsetCommit } from '../protocol/txn-offset-commit.ts'
import type { BatchBuilder } from '../record/batch-builder.ts'
import { transactionFailure, byTopic, firstError, initErrorOf } from './answers.ts'
import type { Cluster } from './cluster.ts'
import { Endings } from './marker-guard.ts'
import { type Lane, Outbox, type OutboxSettings, type ProducerIdentity } from './outbox.ts'
import type { CommittingProducer, Membership, MembershipSource, OffsetToCommit } from './producer.ts'
import { Settling } from './settling.ts'
import { TransactionRequests } from './transaction-requests.ts'

type ProducerState = 'uninitialised' | 'ready' | 'open' | 'failed' | 'ending' | 'lost'

const transitions: Readonly<Record<ProducerState, readonly ProducerState[]>> = {
  uninitialised: ['ready'],
  ready: ['open', 'lost'],
  open: ['failed', 'ending', 'lost'],
  failed: ['ending', 'lost'],
  ending: ['ready', 'lost'],
  lost: ['ready', 'lost'],
}

export interface TransactionalProducerSettings extends OutboxSettings {
  readonly transactionalId: string
  readonly transactionTimeoutMs: number
  /** From the answer to EndTxn to the next produce: the markers land in about that time (design section 6). */
  readonly markerWaitMs: number
}

export class TransactionalProducer implements CommittingProducer {
  readonly #cluster: Cluster
  readonly #ports: Ports
  readonly #settings: TransactionalProducerSettings
  readonly #log: Logger
  readonly #state: StateMachine<ProducerState>
  readonly #outbox: Outbox
  readonly #requests: TransactionRequests
  readonly #settling: Settling
  #producerId = -1
  #epoch = -1
  /** When the open transaction times out at the coordinator, on the monotonic clock. */
  #deadlineMs = 0
  /** Whether the coordinator may know of the open transaction: only then is there something to end. */
  #registered = false
  /**
   * A request of this transaction may still be on its way although we went on: it was repeated, or given up. With TV2
   * the next epoch refuses it; with TV1 it would land in the next transaction, so the epoch is bumped first.
   */
  #ghostPossible = false
  #offsetsCommitted = false
  #initialising = false

  /** @param endings where it notes how its transactions ended */
  constructor(
    cluster: Cluster,
    ports: Ports,
    settings: TransactionalProducerSettings,
    log: Logger,
    endings: Endings = new Endings(),
  ) {
    this.#cluster = cluster
    this.#ports = ports
    this.#settings = settings
    this.#log = log
    this.#state = createStateMachine<ProducerState>('transactional producer', 'uninitialised', transitions)
    this.#requests = new TransactionRequests(cluster, ports, log, () => {
      this.#ghostPossible = true
    })
    this.#settling = new Settling(cluster, ports, settings, log, this.#requests, endings)
    this.#outbox = new Outbox(cluster, ports, settings, log, {
      identity: () => this.#identity(),
      beforeProduce: (lanes) => this.#beforeProduce(lanes),
      unanswered: () => {
        this.#ghostPossible = true
      },
      doubted: () => this.#settling.doubted(),
      deadlineMs: () => this.#deadlineMs,
      failed: () => {
        if (this.#state.current === 'open') this.#state.transitionTo('failed')
      },
    })
  }

  get unacknowledgedBytes(): number {
    return this.#outbox.unacknowledgedBytes
  }

  get inTransaction(): boolean {
    return this.#state.current === 'open' || this.#state.current === 'failed'
  }

  get lost(): boolean {
    return this.#state.current === 'lost' || this.#state.current === 'uninitialised'
  }

  get failure(): MillstreamError | undefined {
    return this.#state.current === 'failed' ? this.#outbox.failure : undefined
  }

  /** `producerId:epoch`, for the log. */
  get identity(): string {
    return `${this.#producerId}:${this.#epoch}`
  }

  /**
   * InitProducerId aborts whatever transaction of this transactional id is open, fences older holders of the id, and
   * restarts the sequences. A weapon: only the rightful owner calls it, after it joined the group.
   * @param fresh do not show the id and epoch held before; only right after a fresh join. With them the broker refuses
   * a holder that was overtaken meanwhile.
   * @throws MillstreamError PRODUCER_FENCED when there is a newer holder, AUTHORIZATION_FAILED, CONNECTION_LOST,
   * REQUEST_TIMED_OUT also when it is given up
   */
  async init(fresh: boolean): Promise<void> {
    this.#requests.renew()
    if (this.#state.current !== 'uninitialised') this.#state.transitionTo('lost')
    this.#initialising = true
    try {
      await this.#initialise(fresh)
    } finally {
      this.#initialising = false
      this.#requests.renew()
    }
  }

  async #initialise(fresh: boolean): Promise<void> {
    await this.#outbox.quiesce()
    const known = !fresh && this.#producerId >= 0
    this.#settling.doubted()
    const codeOf = ({ errorCode }: InitProducerIdResponse): number => initErrorOf(errorCode, known)
    const { transactionalId, transactionTimeoutMs, requestTimeoutMs } = this.#settings
    const response = await this.#requests.ask({
      type: 'transaction',
      key: transactionalId,
      api: initProducerId,
      request: {
        transactionalId,
        transactionTimeoutMs,
        producerId: known ? this.#producerId : -1,
        producerEpoch: known ? this.#epoch : -1,
      },
      errorOf: codeOf,
      // An open transaction is aborted first, which takes the coordinator as long as its markers take.
      deadlineMs: this.#ports.clock.monotonic() + transactionTimeoutMs + 2 * requestTimeoutMs,
      // Each time: what is open is decided by the first attempt, and forgotten by the one that succeeds.
      before: () => this.#settling.findLast(),
    })
    const errorCode = codeOf(response)
    if (errorCode !== 0) throw transactionFailure('InitProducerId', errorCode, this.#place())
    this.#becomeReady(response.producerId, response.producerEpoch)
    this.#log.debug('producer initialised', { ...this.#place() })
  }

  begin(): void {
    this.#state.transitionTo('open')
    this.#deadlineMs = this.#ports.clock.monotonic() + this.#settings.transactionTimeoutMs
  }

  send(
    topic: string,
    partition: number,
    builder: BatchBuilder,
    acknowledged?: (baseOffset: number) => void,
  ): void {
    invariant(this.inTransaction, 'nothing is produced outside an open transaction', {
      state: this.#state.current,
    })
    invariant(!this.#offsetsCommitted, 'nothing is produced after the offsets of the transaction')
    this.#outbox.send(topic, partition, builder, acknowledged)
  }

  flush(): Promise<void> {
    return this.#outbox.flush()
  }

  progress(): Promise<void> {
    return this.#outbox.progress()
  }

  /**
   * TxnOffsetCommit. Every produce of the transaction is acknowledged before: EndTxn and Produce are not fenced by
   * generation, so with the offsets sent earlier a successor could see them pending, ask for the high watermark of a
   * changelog meanwhile, and restore too little.
   */
  async commitOffsets(source: MembershipSource, offsets: readonly OffsetToCommit[]): Promise<void> {
    invariant(this.#state.current === 'open', 'offsets are committed inside an open transaction')
    invariant(this.#outbox.unacknowledgedBytes === 0, 'offsets are committed when no produce is outstanding')
    invariant(offsets.length > 0, 'a transaction commits at least one offset')
    try {
      this.#registered = true
      let membership = await source.current()
      await this.#settling.settleOffsets(membership.groupId, this.#guarded(), this.#deadlineMs)
      if (this.#cluster.transactionVersion === 1) await this.#addOffsets(membership.groupId)
      faultPoint('before-offset-commit')
      // A join may be answered while the request is under way: the transaction then belongs to the next generation.
      while (!(await this.#commitOffsets(membership, offsets, source))) membership = await source.current()
      faultPoint('after-offset-commit')
    } catch (error) {
      throw this.#outbox.fail(error)
    }
    this.#offsetsCommitted = true
  }

  /**
   * EndTxn(commit); returns when the commit is certain.
   * @throws MillstreamError OUTCOME_UNKNOWN when it may or may not be committed: init, then read what is committed.
   * Never to be answered by an abort.
   */
  async commit(): Promise<void> {
    invariant(
      this.#state.current === 'open' && this.#offsetsCommitted,
      'only a whole transaction is committed',
    )
    this.#state.transitionTo('ending')
    faultPoint('before-end-txn')
    const response = await this.#endTxn(true).catch((error: unknown) => {
      if (wrong('abort-on-unknown-outcome')) return this.#takeForAborted(error)
      throw error
    })
    if (response.errorCode !== 0) {
      // INVALID_TXN_STATE: the coordinator aborted it by its own timeout, or a repeated EndTxn met its own success.
      this.#lose()
      throw this.#outcomeUnknown(`EndTxn was answered ${brokerError(response.errorCode).name}`, undefined)
    }
    faultPoint('end-txn-acked')
    await this.#ended(response, true)
  }

  /** EndTxn(abort). Where that does not reach the coordinator the producer is `lost`, and init aborts instead. */
  async abort(): Promise<void> {
    if (!this.inTransaction) return
    this.#settling.doubted()
    // A dropped batch leaves a gap in its sequences (TV1), or was sent and given up: the epoch must change.
    if (await this.#outbox.quiesce()) this.#ghostPossible = !wrong('sequence-rolled-back')
    if (!this.#registered) {
      if (this.#ghostPossible) return this.#lose()
      this.#state.transitionTo('ending')
      this.#becomeReady(this.#producerId, this.#epoch, 'keep')
      return
    }
    this.#state.transitionTo('ending')
    try {
      const response = await this.#endTxn(false)
      if (response.errorCode === 0) return await this.#ended(response, false)
      this.#log.warn('the abort was refused: the producer is initialised anew', {
        error: brokerError(response.errorCode).name,
      })
      this.#lose()
    } catch (error) {
      if (!isMillstreamError(error) || error.code !== 'OUTCOME_UNKNOWN') throw error
      this.#log.warn('the abort was not answered: the producer is initialised anew', { cause: error.message })
    }
  }

  /**
   * The time for the open transaction is over: whatever it waits for fails now, so that it can be aborted, for which
   * there are `graceMs` more. Where EndTxn is on its way its outcome is unknown. So does an init, which has to be repeated.
   * Does nothing between transactions.
   */
  giveUp(why: string, graceMs: number): void {
    if (!this.inTransaction && this.#state.current !== 'ending' && !this.#initialising) return
    this.#requests.giveUp(graceMs)
    // With an init something may still be in flight of the transaction before.
    if (this.inTransaction || this.#initialising)
      this.#outbox.giveUp(new MillstreamError('TRANSACTION_ABORTABLE', { what: why }))
  }

  /** @returns false when the generation was over and there is a later one to commit under. */
  async #commitOffsets(
    membership: Membership,
    offsets: readonly OffsetToCommit[],
    source: MembershipSource,
  ): Promise<boolean> {
    const response = await this.#requests.ask({
      type: 'group',
      key: membership.groupId,
      api: txnOffsetCommit,
      request: {
        transactionalId: this.#settings.transactionalId,
        groupId: membership.groupId,
        producerId: this.#producerId,
        producerEpoch: this.#epoch,
        generationId: membership.generationId,
        memberId: membership.memberId,
        groupInstanceId: membership.instanceId ?? null,
        topics: byTopic(offsets.map((one) => ({ ...one, leaderEpoch: -1 }))),
      },
      errorOf: (answer) =>
        firstError(answer.topics.flatMap((topic) => topic.partitions.map(({ errorCode }) => errorCode))),
      deadlineMs: this.#deadlineMs,
      sent: () => faultPoint('offset-commit-sent'),
    })
    for (const { topic, partitions } of response.topics) {
      for (const { partition, errorCode } of partitions) {
        if (errorCode === 0) continue
        if (brokerError(errorCode).name === 'ILLEGAL_GENERATION' && (await source.outlives(membership)))
          return false
        throw transactionFailure('TxnOffsetCommit', errorCode, {
          topic,
          partition,
          group: membership.groupId,
        })
      }
    }
    return true
  }

  /** The answer to EndTxn. @throws OUTCOME_UNKNOWN, in state `lost`, when there is none. */
  async #endTxn(commit: boolean): Promise<EndTxnResponse> {
    try {
      return await this.#requests.ask({
        type: 'transaction',
        key: this.#settings.transactionalId,
        api: endTxn,
        request: {
          transactionalId: this.#settings.transactionalId,
          producerId: this.#producerId,
          producerEpoch: this.#epoch,
          committed: commit,
        },
        errorOf: (answer) => answer.errorCode,
        deadlineMs: this.#ports.clock.monotonic() + 2 * this.#settings.requestTimeoutMs,
        ...(commit ? { sent: () => faultPoint('end-txn-sent') } : { signal: this.#requests.grace }),
      })
    } catch (error) {
      this.#lose()
      throw this.#outcomeUnknown('EndTxn was not answered', error)
    }
  }

  #lose(): void {
    this.#requests.renew()
    this.#state.transitionTo('lost')
  }

  async #ended(response: EndTxnResponse, committed: boolean): Promise<void> {
    this.#settling.ended({ ...this.#guarded(), committed })
    this.#outbox.holdUntil(this.#ports.clock.monotonic() + this.#settings.markerWaitMs)
    if (this.#cluster.transactionVersion === 2) {
      // KIP-890: each EndTxn answers the next epoch, near its end a new producer id; the sequences restart.
      this.#becomeReady(response.producerId, response.producerEpoch)
      return
    }
    const ghostPossible = this.#ghostPossible
    if (ghostPossible && !committed) {
      // InitProducerId waits for the markers: after a transaction that was given up others wait for this worker to join.
      this.#log.debug(
        'a request of the transaction may still arrive: the producer is to be initialised',
        this.#place(),
      )
      return this.#lose()
    }
    this.#becomeReady(this.#producerId, this.#epoch, 'keep')
    if (!ghostPossible) return
    this.#log.debug('a request of the transaction was repeated: the epoch is bumped', this.#place())
    await this.init(false)
  }

  #becomeReady(producerId: number, epoch: number, sequences: 'restart' | 'keep' = 'restart'): void {
    this.#producerId = producerId
    this.#epoch = epoch
    this.#registered = false
    this.#ghostPossible = false
    this.#offsetsCommitted = false
    this.#requests.renew()
    this.#outbox.reset(sequences)
    this.#state.transitionTo('ready')
  }

  async #beforeProduce(lanes: readonly Lane[]): Promise<void> {
    await this.#settling.settle(lanes, this.#guarded(), this.#deadlineMs)
    this.#registered = true
    // TV2 (KIP-890 part 2): the first produce to a partition tells the coordinator itself.
    if (this.#cluster.transactionVersion === 2) return
    const missing = lanes.filter((lane) => !lane.added)
    if (missing.length === 0) return
    const response = await this.#requests.ask({
      type: 'transaction',
      key: this.#settings.transactionalId,
      api: addPartitionsToTxn,
      request: {
        transactionalId: this.#settings.transactionalId,
        producerId: this.#producerId,
        producerEpoch: this.#epoch,
        topics: byTopic(missing).map(({ topic, partitions }) => ({
          topic,
          partitions: partitions.map((lane) => lane.partition),
        })),
      },
      errorOf: (answer) =>
        firstError(answer.topics.flatMap((topic) => topic.partitions.map(({ errorCode }) => errorCode))),
      deadlineMs: this.#deadlineMs,
    })
    const decisive = firstError(
      response.topics.flatMap(({ partitions }) => partitions.map(({ errorCode }) => errorCode)),
    )
    for (const { topic, partitions } of response.topics) {
      for (const { partition, errorCode } of partitions) {
        if (errorCode !== 0 && errorCode === decisive)
          throw transactionFailure('AddPartitionsToTxn', errorCode, { topic, partition })
      }
    }
    for (const lane of missing) lane.added = true
  }

  async #addOffsets(groupId: string): Promise<void> {
    const response = await this.#requests.ask({
      type: 'transaction',
      key: this.#settings.transactionalId,
      api: addOffsetsToTxn,
      request: {
        transactionalId: this.#settings.transactionalId,
        producerId: this.#producerId,
        producerEpoch: this.#epoch,
        groupId,
      },
      errorOf: (answer) => answer.errorCode,
      deadlineMs: this.#deadlineMs,
    })
    if (response.errorCode !== 0)
      throw transactionFailure('AddOffsetsToTxn', response.errorCode, { group: groupId })
  }

  #guarded(): { producerId: number; epoch: number } {
    return { producerId: this.#producerId, epoch: this.#epoch }
  }

  #identity(): ProducerIdentity {
    return {
      transactionalId: this.#settings.transactionalId,
      producerId: this.#producerId,
      producerEpoch: this.#epoch,
    }
  }

  #place(): { transactionalId: string; producer: string } {
    return { transactionalId: this.#settings.transactionalId, producer: this.identity }
  }

  /** Of a wrong build: after this the worker goes back to its last commit, whatever became of this one. */
  async #takeForAborted(cause: unknown): Promise<never> {
    await this.init(true)
    throw new MillstreamError('TRANSACTION_ABORTABLE', { what: 'EndTxn was not answered', cause })
  }

  #outcomeUnknown(what: string, cause: unknown): MillstreamError {
    return new MillstreamError('OUTCOME_UNKNOWN', {
      what: `${what}: the transaction may or may not be committed`,
      where: this.#place(),
      fix: 'The worker initialises its producer and reads what is committed; nothing is to be done unless this repeats.',
      cause,
    })
  }
}
