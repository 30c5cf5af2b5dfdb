// The producer of at-least-once, and of `createProducer`: idempotent, so that a repeated request does not double
// records, but without transactions. What was sent stays sent: an abort can only forget what was not.
import { invariant } from '../base/assert.ts'
import type { Logger } from '../base/log.ts'
import type { Ports } from '../base/ports.ts'
import { isMillstreamError, MillstreamError } from '../errors.ts'
import { reactionFor } from '../protocol/error-codes.ts'
import { type InitProducerIdResponse, initProducerId } from '../protocol/init-producer-id.ts'
import type { BatchBuilder } from '../record/batch-builder.ts'
import { backoffMs, givenUp, transactionFailure } from './answers.ts'
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
  #initialising = false
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
    const { signal } = this.#renew()
    this.#initialising = true
    this.#lost = true
    let response: InitProducerIdResponse
    try {
      await this.#outbox.quiesce()
      response = await unlessAborted(signal, this.#newProducerId(signal), givenUp)
    } finally {
      this.#initialising = false
    }
    this.#producerId = response.producerId
    this.#epoch = response.producerEpoch
    this.#lost = false
    this.#open = false
    this.#outbox.reset('restart')
  }

  /** A broker that has just started answers COORDINATOR_LOAD_IN_PROGRESS until it has a block of producer ids. */
  async #newProducerId(signal: AbortSignal): Promise<InitProducerIdResponse> {
    const deadlineMs = this.#ports.clock.monotonic() + this.#settings.deliveryTimeoutMs
    const request = { transactionalId: null, transactionTimeoutMs: 0, producerId: -1, producerEpoch: -1 }
    for (let attempt = 0; ; attempt++) {
      const response = await this.#cluster.sendToAny(initProducerId, request)
      if (response.errorCode === 0) return response
      const wait =
        reactionFor(response.errorCode, 'InitProducerId') === 'retry' &&
        this.#ports.clock.monotonic() < deadlineMs &&
        !signal.aborted
      if (!wait) throw transactionFailure('InitProducerId', response.errorCode, {})
      await this.#ports.timers.sleep(backoffMs(attempt))
    }
  }

  begin(): void {
    invariant(!this.#lost, 'a producer is initialised before it sends')
    this.#open = true
    this.#renew()
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

  /**
   * Offsets follow the outputs: a crash in between repeats them, which is what at-least-once means.
   * @throws MillstreamError TRANSACTION_ABORTABLE when it was given up before anything was sent; REQUEST_TIMED_OUT when it is
   * not known what the broker has: it may take the offsets later, and whoever had gone back to the commit before, and
   * written older states behind the newer ones, would then continue behind what its stores have.
   */
  async commitOffsets(source: MembershipSource, offsets: readonly OffsetToCommit[]): Promise<void> {
    invariant(this.#outbox.unacknowledgedBytes === 0, 'offsets are committed when no produce is outstanding')
    const deadline = this.#ports.clock.monotonic() + this.#settings.deliveryTimeoutMs
    const { signal } = this.#patience
    let sent = false
    const failure = (): MillstreamError => (sent ? givenUp() : (this.#outbox.failure as MillstreamError))
    for (;;) {
      const membership = await unlessAborted(signal, source.current({ synced: true }), failure)
      sent = true
      const asked = commitOffsets(this.#cluster, this.#ports, membership, offsets, deadline, signal)
      try {
        return await unlessAborted(signal, asked, failure)
      } catch (error) {
        if (!isMillstreamError(error) || error.code !== 'MEMBERSHIP_LOST') throw error
        // A join was answered while the request was under way: they belong to the next generation.
        if (!(await unlessAborted(signal, source.outlives(membership), failure))) throw error
      }
    }
  }

  async commit(): Promise<void> {
    this.#open = false
  }

  giveUp(why: string): void {
    if (!this.#open && !this.#initialising) return
    this.#outbox.giveUp(new MillstreamError('TRANSACTION_ABORTABLE', { what: why }))
    this.#patience.abort()
  }

  #renew(): AbortController {
    if (this.#patience.signal.aborted) this.#patience = new AbortController()
    return this.#patience
  }

  /** Forgets what was not sent. A dropped batch leaves a gap in its sequences, so a new producer id follows. */
  async abort(): Promise<void> {
    const dropped = await this.#outbox.quiesce()
    this.#open = false
    if (dropped) this.#lost = true
    else this.#outbox.reset('keep')
  }
}
