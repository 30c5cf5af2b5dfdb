// Sends the heartbeats of one membership, one at a time, and reports each answer. It decides when, and never what an
// answer means for the member: that is the main thread's. It runs in whichever thread `Heartbeats` carries it to.
import type { Clock, TimerHandle, Timers } from '../base/ports.ts'
import { ensureError, isMillstreamError } from '../errors.ts'
import { reactionFor } from '../protocol/error-codes.ts'
import { heartbeat } from '../protocol/heartbeat.ts'
import type { Cluster } from './cluster.ts'

/** For whom heartbeats are sent, and how often. */
export interface Membership {
  readonly groupId: string
  readonly memberId: string
  readonly generationId: number
  readonly instanceId: string | undefined
  readonly heartbeatIntervalMs: number
  readonly sessionTimeoutMs: number
}

export interface BeatOrder {
  /** Reports carry it: one with another number than that of the last order is of the past. */
  readonly id: number
  readonly membership: Membership
  /** The first heartbeat is sent now, instead of after one interval. */
  readonly atOnce: boolean
}

export interface HeartbeatReports {
  /** @param sentAtMs wall-clock time at which the heartbeat was sent, or shortly before */
  answered(id: number, errorCode: number, sentAtMs: number): void
  unanswered(id: number, cause: string): void
}

/** What the loop needs of a Cluster. */
export type HeartbeatCluster = Pick<
  Cluster,
  'coordinator' | 'forgetCoordinator' | 'refreshMetadata' | 'requestTimeoutMs' | 'send'
>

/** After a heartbeat that got no answer; an answer is waited for longer than this anyway. */
const retryIntervalMs = 500

/** Heartbeats of which none is answered are asked for this often within a session. */
const attemptsPerSession = 3

/** How long an answer is waited for, so that one that is lost leaves time for others before the session is over. */
export const answerTimeoutMs = (requestTimeoutMs: number, sessionTimeoutMs: number): number =>
  Math.min(requestTimeoutMs, sessionTimeoutMs / attemptsPerSession)

/** Another heartbeat of the same membership makes sense. */
const goesOn = (errorCode: number): boolean => {
  const reaction = reactionFor(errorCode, 'Heartbeat')
  return ['none', 'rebalance', 'find-coordinator', 'retry'].includes(reaction)
}

export class HeartbeatLoop {
  readonly #cluster: () => Promise<HeartbeatCluster>
  readonly #clock: Clock
  readonly #timers: Timers
  readonly #reports: HeartbeatReports
  #order: BeatOrder | undefined
  #timer: TimerHandle | undefined

  /** @param cluster asked before each heartbeat; it may reject, which counts as no answer */
  constructor(
    cluster: () => Promise<HeartbeatCluster>,
    ports: { readonly clock: Clock; readonly timers: Timers },
    reports: HeartbeatReports,
  ) {
    this.#cluster = cluster
    this.#clock = ports.clock
    this.#timers = ports.timers
    this.#reports = reports
  }

  /** The order that is carried out. */
  get order(): BeatOrder | undefined {
    return this.#order
  }

  /** Instead of the order before: nothing more is reported of that. */
  beat(order: BeatOrder): void {
    this.stop()
    this.#order = order
    if (order.atOnce) void this.#send(order)
    else this.#schedule(order, order.membership.heartbeatIntervalMs)
  }

  stop(): void {
    this.#order = undefined
    if (this.#timer !== undefined) this.#timers.clear(this.#timer)
    this.#timer = undefined
  }

  #schedule(order: BeatOrder, delayMs: number): void {
    this.#timer = this.#timers.set(() => {
      this.#timer = undefined
      void this.#send(order)
    }, delayMs)
  }

  /** One heartbeat, and the timer for the next one. Never rejects. */
  async #send(order: BeatOrder): Promise<void> {
    const { id, membership } = order
    const startedAt = this.#clock.monotonic()
    const sentAtMs = this.#clock.now()
    let intervalMs = membership.heartbeatIntervalMs
    try {
      const errorCode = await this.#ask(membership)
      if (order !== this.#order) return
      if (!goesOn(errorCode)) this.#order = undefined
      this.#reports.answered(id, errorCode, sentAtMs)
    } catch (error) {
      if (order !== this.#order || (isMillstreamError(error) && error.code === 'CLOSED')) return
      this.#reports.unanswered(id, ensureError(error).message)
      intervalMs = Math.min(intervalMs, retryIntervalMs)
    }
    // A report may have brought another order.
    if (order !== this.#order) return
    // The interval is counted from the sending, so that a slow answer does not stretch it.
    this.#schedule(order, Math.max(0, intervalMs - (this.#clock.monotonic() - startedAt)))
  }

  async #ask({ groupId, memberId, generationId, instanceId, sessionTimeoutMs }: Membership): Promise<number> {
    const cluster = await this.#cluster()
    const node = await this.#coordinator(cluster, groupId)
    const request = { groupId, generationId, memberId, groupInstanceId: instanceId ?? null }
    const timeoutMs = answerTimeoutMs(cluster.requestTimeoutMs, sessionTimeoutMs)
    try {
      const { errorCode } = await cluster.send(node, 'group', heartbeat, request, { timeoutMs })
      if (reactionFor(errorCode, 'Heartbeat') === 'find-coordinator')
        cluster.forgetCoordinator('group', groupId)
      return errorCode
    } catch (error) {
      cluster.forgetCoordinator('group', groupId)
      throw error
    }
  }

  async #coordinator(cluster: HeartbeatCluster, groupId: string): Promise<number> {
    try {
      return await cluster.coordinator('group', groupId)
    } catch (error) {
      // All brokers may have moved, and in a thread of its own nobody else would find out where to.
      await cluster.refreshMetadata([]).catch(() => {})
      throw error
    }
  }
}
