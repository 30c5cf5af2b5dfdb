// The producer of at-least-once, and of `createProducer`: idempotent, so that a repeated request does not double
// records, but without transactions. What was sent stays sent: an abort can only forget what was not.
import { invariant } from '../base/assert.ts'
import type { Logger } from '../base/log.ts'
import type { Ports } from '../base/ports.ts'
import { MillstreamError } from '../errors.ts'
import { reactionFor } from '../protocol/error-codes.ts'
import { type InitProducerIdResponse, initProducerId } from '../protocol/init-producer-id.ts'
import type { BatchBuilder } from '../record/batch-builder.ts'
import { backoffMs, transactionFailure } from './answers.ts'
import type { Cluster } from './cluster.ts'
import { commitOffsets } from './offsets.ts'
import { Outbox, type OutboxSettings } from './outbox.ts'
import type { CommittingProducer, MembershipSource, OffsetToCommit } from './producer.ts'
import { unlessAborted } from './unless-aborted.ts'

export interface IdempotentProducerSettings extends OutboxSettings {
  /** How long a batch is tried. */
  readonly deliveryTimeoutMs: number
}

export class IdempotentProducer implements CommittingProducer {
  readonly #cluster: Cluster
  readonly #ports: Ports
  readonly #settings: IdempotentProducerSettings
  readonly #outbox: Outbox
  #producerId = -1
  #epoch = -1
  #deadlineMs = Number.POSITIVE_INFINITY
  #patience = new AbortController()
  #open = false
  #lost = true

  constructor(cluster: Cluster, ports: Ports, settings: IdempotentProducerSettings, log: Logger) {
    this.#cluster = cluster
    this.#ports = ports
    this.#settings = settings
    this.#outbox = new Outbox(cluster, ports, settings, log, {
      identity: () => ({ transactionalId: null, producerId: this.#producerId, producerEpoch: this.#epoch }),
      beforeProduce: () => Promise.resolve(),
      doubted: () => {},
      unanswered: () => {},
      deadlineMs: () => this.#deadlineMs,
      failed: () => {},
    })
  }

  get unacknowledgedBytes(): number {
    return this.#outbox.unacknowledgedBytes
  }

  get inTransaction(): boolean {
    return this.#open
  }

  get lost(): boolean {
    return this.#lost
  }

  get failure(): MillstreamError | undefined {
    return this.#outbox.failure
  }

  get identity(): string {
    return `${this.#producerId}:${this.#epoch}`
  }

  /** Takes a new producer id: sequences restart. @throws AUTHORIZATION_FAILED, CONNECTION_LOST, REQUEST_TIMED_OUT */
  async init(): Promise<void> {
    await this.#outbox.quiesce()
    const response = await this.#newProducerId(
      this.#ports.clock.monotonic() + this.#settings.deliveryTimeoutMs,
    )
    this.#producerId = response.producerId
    this.#epoch = response.producerEpoch
    this.#lost = false
    this.#open = false
    this.#outbox.reset('restart')
  }

  /** A broker that has just started answers COORDINATOR_LOAD_IN_PROGRESS until it has a block of producer ids. */
  async #newProducerId(deadlineMs: number): Promise<InitProducerIdResponse> {
    const request = { transactionalId: null, transactionTimeoutMs: 0, producerId: -1, producerEpoch: -1 }
    for (let attempt = 0; ; attempt++) {
      const response = await this.#cluster.sendToAny(initProducerId, request)
      if (response.errorCode === 0) return response
      const wait =
        reactionFor(response.errorCode, 'InitProducerId') === 'retry' &&
        this.#ports.clock.monotonic() < deadlineMs
      if (!wait) throw transactionFailure('InitProducerId', response.errorCode, {})
      await this.#ports.timers.sleep(backoffMs(attempt))
    }
  }

  begin(): void {
    invariant(!this.#lost, 'a producer is initialised before it sends')
    this.#open = true
    if (this.#patience.signal.aborted) this.#patience = new AbortController()
    this.#deadlineMs = this.#ports.clock.monotonic() + this.#settings.deliveryTimeoutMs
  }

  send(
    topic: string,
    partition: number,
    builder: BatchBuilder,
    acknowledged?: (baseOffset: number) => void,
  ): void {
    invariant(this.#open, 'nothing is produced before begin')
    this.#outbox.send(topic, partition, builder, acknowledged)
  }

  flush(): Promise<void> {
    return this.#outbox.flush()
  }

  progress(): Promise<void> {
    return this.#outbox.progress()
  }

  /** Offsets follow the outputs: a crash in between repeats them, which is what at-least-once means. */
  async commitOffsets(source: MembershipSource, offsets: readonly OffsetToCommit[]): Promise<void> {
    invariant(this.#outbox.unacknowledgedBytes === 0, 'offsets are committed when no produce is outstanding')
    const deadline = this.#ports.clock.monotonic() + this.#settings.deliveryTimeoutMs
    const membership = await source.current({ synced: true })
    const committed = commitOffsets(this.#cluster, this.#ports, membership, offsets, deadline)
    return await unlessAborted(
      this.#patience.signal,
      committed,
      () => this.#outbox.failure as MillstreamError,
    )
  }

  async commit(): Promise<void> {
    this.#open = false
  }

  giveUp(why: string): void {
    if (!this.#open) return
    this.#outbox.giveUp(new MillstreamError('TRANSACTION_ABORTABLE', { what: why }))
    this.#patience.abort()
  }

  /** Forgets what was not sent. A dropped batch leaves a gap in its sequences, so a new producer id follows. */
  async abort(): Promise<void> {
    const dropped = await this.#outbox.quiesce()
    this.#open = false
    if (dropped) this.#lost = true
    else this.#outbox.reset('keep')
  }
}
