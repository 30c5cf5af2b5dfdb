// Requests of a transactional producer to its coordinators: repeated until they are answered, their deadline is over, or
// the transaction is given up.
import type { Logger } from '../base/log.ts'
import type { Ports, TimerHandle } from '../base/ports.ts'
import type { Api } from '../protocol/api.ts'
import { reactionFor } from '../protocol/error-codes.ts'
import { backoffMs, givenUp, isRepeatable } from './answers.ts'
import type { Cluster, CoordinatorType } from './cluster.ts'
import { unlessAborted } from './unless-aborted.ts'

export interface Question<Request, Response> {
  readonly type: CoordinatorType
  /** The transactional id, or the group. */
  readonly key: string
  readonly api: Api<Request, Response>
  readonly request: Request
  /** The error code of an answer that decides. */
  readonly errorOf: (response: Response) => number
  /** When repeating ends, on the monotonic clock. */
  readonly deadlineMs: number
  /** Awaited before each attempt. */
  readonly before?: () => Promise<void>
  /** Called each time that it was sent. */
  readonly sent?: () => void
  /** When it is given up; by default with the transaction. */
  readonly signal?: AbortSignal
}

export class TransactionRequests {
  readonly #cluster: Cluster
  readonly #ports: Ports
  readonly #log: Logger
  readonly #unanswered: () => void
  #patience = new AbortController()
  #grace = new AbortController()
  #endsGrace: TimerHandle | undefined

  /** @param unanswered called when a request is repeated or left alone that may still arrive */
  constructor(cluster: Cluster, ports: Ports, log: Logger, unanswered: () => void) {
    this.#cluster = cluster
    this.#ports = ports
    this.#log = log
    this.#unanswered = unanswered
  }

  /**
   * Repeats a request until its answer is neither "wait" nor "ask another broker", or the deadline is over.
   * @throws MillstreamError REQUEST_TIMED_OUT when it is given up, and what Cluster.send and Cluster.coordinator throw
   */
  async ask<Request, Response>(question: Question<Request, Response>): Promise<Response> {
    const { type, key, api, request, errorOf, deadlineMs, before, sent } = question
    const signal = question.signal ?? this.#patience.signal
    for (let attempt = 0; ; attempt++) {
      const over = this.#ports.clock.monotonic() >= deadlineMs
      await before?.()
      try {
        const node = await unlessAborted(signal, this.#cluster.coordinator(type, key), givenUp)
        const answer = this.#cluster.send(node, 'coordinator', api, request)
        sent?.()
        const response = await unlessAborted(signal, answer, givenUp)
        const reaction = reactionFor(errorOf(response), api.name)
        if (over || (reaction !== 'retry' && reaction !== 'find-coordinator')) return response
        if (reaction === 'find-coordinator') this.#cluster.forgetCoordinator(type, key)
      } catch (error) {
        if (isRepeatable(error)) this.#unanswered()
        if (over || signal.aborted || !isRepeatable(error)) throw error
        this.#cluster.forgetCoordinator(type, key)
        this.#log.warn(`${api.name} was not answered and is repeated`, { cause: error.message })
      }
      await this.#ports.timers.sleep(backoffMs(attempt))
    }
  }

  /** For what a transaction waits for beside: it ends with REQUEST_TIMED_OUT when the transaction is given up. */
  wait<T>(work: Promise<T>): Promise<T> {
    return unlessAborted(this.#patience.signal, work, givenUp)
  }

  /** Until what is asked for at the end of a transaction that was given up is given up, too. */
  get grace(): AbortSignal {
    return this.#grace.signal
  }

  /** Ends what is waited for, and until `renew` whatever is asked; the grace ends after `graceMs`. */
  giveUp(graceMs: number): void {
    this.#endsGrace ??= this.#ports.timers.set(() => this.#grace.abort(), graceMs)
    this.#patience.abort()
  }

  /** For the next transaction. */
  renew(): void {
    if (this.#endsGrace === undefined) return
    this.#ports.timers.clear(this.#endsGrace)
    this.#endsGrace = undefined
    this.#patience = new AbortController()
    this.#grace = new AbortController()
  }
}
