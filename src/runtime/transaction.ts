// THE commit: one transaction holds the output records, the changelog records and the input offsets of every task of
// the worker, in this order:
//
//   1. every task prepares: at a record boundary, its store changes go to the changelog batches
//   2. every produce is acknowledged, changelogs included
//   3. TxnOffsetCommit for every task that moved, wrote or fired a timer, with the membership and the witness
//   4. EndTxn
//   5. the local stores take over what is now committed, with the changelog offset behind it
//
// A transaction commits with the offsets of every task that contributed to it, or not at all. It is bound to the member
// id under which its first record was processed: a member that was thrown out and joined again must not commit what it
// did before, since the broker checks the generation and never who owned the partition. It may end in the generation
// after the one it began in, if its tasks are still held by then (worker-membership.ts).
import { invariant } from '../base/assert.ts'
import { faultPoint } from '../base/fault-point.ts'
import type { Ports } from '../base/ports.ts'
import { partitionId } from '../base/topic-partition.ts'
import { wrong } from '../base/wrong-builds.ts'
import type { CommittingProducer, MembershipSource, OffsetToCommit } from '../client/producer.ts'
import type { BatchBuilder } from '../record/batch-builder.ts'
import { RecordCollector } from '../task/record-collector.ts'
import type { StreamTask } from '../task/stream-task.ts'
import { encodeWitness } from './witness.ts'
import type { WorkerMembership } from './worker-membership.ts'
import type { CommitPhases } from './worker-status.ts'

/** Sealed and not acknowledged. */
const unacknowledgedBytesMax = 16 << 20

export interface TransactionOptions {
  readonly ports: Ports
  readonly producer: CommittingProducer
  readonly membership: WorkerMembership
  readonly transactionalId: string
  readonly batchBytes: number
  /** Called after each commit. */
  readonly onCommitted: (phases: CommitPhases) => void
}

export class Transaction {
  readonly collector: RecordCollector
  readonly #ports: Ports
  readonly #producer: CommittingProducer
  readonly #membership: WorkerMembership
  readonly #transactionalId: string
  readonly #incarnation: string
  readonly #onCommitted: (phases: CommitPhases) => void
  #number = 0
  /** Member id of the open transaction. */
  #boundTo: string | undefined
  #preparing = false
  #lastEndMs = Number.NEGATIVE_INFINITY
  #lastDurationMs = 0

  constructor(options: TransactionOptions) {
    this.#ports = options.ports
    this.#producer = options.producer
    this.#membership = options.membership
    this.#transactionalId = options.transactionalId
    this.#onCommitted = options.onCommitted
    this.#incarnation = options.ports.random.uuid().slice(0, 8)
    this.collector = new RecordCollector(
      (topic, partition, builder, acknowledged) => this.#send(topic, partition, builder, acknowledged),
      { batchBytes: options.batchBytes },
    )
  }

  /** Transactions committed by this incarnation. */
  get committed(): number {
    return this.#number
  }

  /** How long the last commit took, ms. */
  get lastDurationMs(): number {
    return this.#lastDurationMs
  }

  /** Since the last commit ended, ms. */
  get sinceLastMs(): number {
    return this.#ports.clock.monotonic() - this.#lastEndMs
  }

  /** So much is on its way to the brokers that processing is to wait for them. */
  get isCongested(): boolean {
    return this.#producer.unacknowledgedBytes > unacknowledgedBytesMax
  }

  /** Binds what is processed from now on to the present membership, once per transaction. */
  bind(): void {
    this.#boundTo ??= this.#membership.memberId
  }

  /**
   * Commits what these tasks did. `starting`: tasks whose start positions are committed although nothing moved.
   * @returns whether there was anything to commit.
   * @throws MillstreamError whose reaction says what the worker does: abort, recover, rejoin, stop.
   */
  async commit(
    tasks: readonly StreamTask[],
    starting: ReadonlySet<StreamTask> = new Set(),
  ): Promise<boolean> {
    const contributors = tasks.filter((task) => task.dirty || starting.has(task))
    if (contributors.length === 0) return false
    const { clock } = this.#ports
    const startedMs = clock.monotonic()
    let producedMs = startedMs
    let offsetsMs = startedMs
    this.bind()
    for (const task of contributors) task.prepareCommit()
    this.collector.flush()
    if (!this.#producer.inTransaction) this.#producer.begin()
    this.#preparing = true
    try {
      if (!wrong('offsets-before-last-produce')) await this.#producer.flush()
      producedMs = clock.monotonic()
      if (wrong('local-flush-before-commit'))
        for (const task of contributors) task.commitStores(this.#ports.clock.now())
      if (
        !wrong('timer-without-offsets') ||
        contributors.some((task) => starting.has(task) || hasMoved(task))
      )
        await this.#producer.commitOffsets(this.#membershipFor(contributors), this.#offsets(contributors))
      offsetsMs = clock.monotonic()
      if (wrong('offsets-before-last-produce')) await this.#producer.flush()
      await this.#producer.commit()
    } finally {
      this.#preparing = false
    }
    const endedMs = clock.monotonic()
    this.#number++
    faultPoint('before-local-commit')
    for (const task of contributors) task.postCommit(this.#ports.clock.now())
    faultPoint('after-local-commit')
    this.collector.forgetOffsets()
    this.#boundTo = undefined
    this.#lastEndMs = this.#ports.clock.monotonic()
    this.#lastDurationMs = this.#lastEndMs - startedMs
    this.#onCommitted({
      produceMs: producedMs - startedMs,
      offsetsMs: offsetsMs - producedMs,
      endMs: endedMs - offsetsMs,
    })
    return true
  }

  /** Aborts at the broker and forgets what is collected; the tasks are rewound by the caller. */
  async abort(): Promise<void> {
    await this.#producer.abort()
    this.forget()
  }

  /** Forgets what is collected, without a word to the broker: the outcome of the transaction is found out by recovery. */
  forget(): void {
    this.collector.reset()
    this.#boundTo = undefined
    this.#lastEndMs = this.#ports.clock.monotonic()
  }

  #send(
    topic: string,
    partition: number,
    builder: BatchBuilder,
    acknowledged: (baseOffset: number) => void,
  ): void {
    invariant(!this.#preparing, 'nothing is produced after prepareCommit ended and before EndTxn is answered')
    if (!this.#producer.inTransaction) this.#producer.begin()
    this.#producer.send(topic, partition, builder, acknowledged)
  }

  /** The membership under which these tasks may be committed, looked at again whenever it is asked for. */
  #membershipFor(tasks: readonly StreamTask[]): MembershipSource {
    const ids = tasks.map(({ id }) => id)
    const membership = this.#membership
    return {
      current: async (options) => {
        // The wrong build joins in the middle of a transaction, and takes the new membership for the old one.
        const unchecked = wrong('old-transaction-after-rejoin')
        if (unchecked && membership.isOver) await membership.join()
        const current = await membership.current(options)
        if (!unchecked) membership.check(this.#boundTo, ids)
        return wrong('no-generation')
          ? { ...current, memberId: '', generationId: -1, instanceId: undefined }
          : current
      },
      outlives: (refused) => membership.outlives(refused),
    }
  }

  #offsets(tasks: readonly StreamTask[]): OffsetToCommit[] {
    return tasks.flatMap((task) => {
      const witness = {
        transactionalId: this.#transactionalId,
        incarnation: this.#incarnation,
        transaction: this.#number + 1,
        streamTime: task.streamTime,
        stores: task.storeStates(),
      }
      return task.positions().map(({ topic, partition, offset, partitionTime }) => ({
        topic,
        partition,
        offset,
        metadata: encodeWitness({ ...witness, partitionTime }),
      }))
    })
  }
}

const hasMoved = (task: StreamTask): boolean =>
  task
    .positions()
    .some(
      ({ topic, partition, offset }) =>
        task.committedPositions.get(partitionId(topic, partition))?.offset !== offset,
    )
