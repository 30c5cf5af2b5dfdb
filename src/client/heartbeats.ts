// The heartbeats of a member as the main thread sees them: started, stopped, asked for at once, and each answer told once
// and only while it still concerns the membership. The loop that sends them is carried out here (`localHeartbeats`) or in
// a thread that no user code can delay (heartbeat-carrier.ts).
import type { Clock, Timers } from '../base/ports.ts'
import type { MillstreamError } from '../errors.ts'
import {
  type BeatOrder,
  type HeartbeatCluster,
  HeartbeatLoop,
  type HeartbeatReports,
  type Membership,
} from './heartbeat-loop.ts'

/** What a member is told. */
export interface HeartbeatListener {
  /** @param sentAtMs wall-clock time at which the heartbeat was sent, or shortly before */
  answered(errorCode: number, sentAtMs: number): void
  unanswered(cause: string): void
  /** No heartbeat is sent any more, and not because of a `stop`: the session runs out. */
  ended(): void
}

/** Reports of a carrier, which runs the loop somewhere. */
export interface CarrierReports extends HeartbeatReports {
  /** The main thread had stood still for too long, so the heartbeats of this order ended. */
  gaveUp(id: number): void
  /** Nothing is carried any more. */
  failed(error: MillstreamError): void
}

/** Runs a HeartbeatLoop. */
export interface HeartbeatCarrier {
  beat(order: BeatOrder): void
  stop(): void
  /** Ends for good. */
  close(): Promise<void>
}

export class Heartbeats {
  readonly #carrier: HeartbeatCarrier
  #listener: HeartbeatListener | undefined
  /** Of the last order, raised when heartbeats stop: a report of an older one changes nothing. */
  #id = 0
  #verifying: ((answered: boolean) => void) | undefined
  #failure: MillstreamError | undefined

  /** @param carry begins to carry, and reports from then on; not before it has returned */
  constructor(carry: (reports: CarrierReports) => HeartbeatCarrier) {
    this.#carrier = carry({
      answered: (id, errorCode, sentAtMs) => {
        if (id !== this.#id) return
        const settle = this.#takeVerifying()
        this.#listener?.answered(errorCode, sentAtMs)
        settle?.(true)
      },
      unanswered: (id, cause) => {
        if (id !== this.#id) return
        const settle = this.#takeVerifying()
        this.#listener?.unanswered(cause)
        settle?.(false)
      },
      gaveUp: (id) => {
        if (id === this.#id) this.#end()
      },
      failed: (error) => {
        this.#failure = error
        this.#end()
      },
    })
  }

  /** Why none can be sent any more. */
  get failure(): MillstreamError | undefined {
    return this.#failure
  }

  /** Of the one member that these heartbeats are for. */
  listen(listener: HeartbeatListener): void {
    this.#listener = listener
  }

  /** Heartbeats for this membership from now on, the first after one interval. */
  start(membership: Membership): void {
    this.#order(membership, false)
  }

  /**
   * Sends a heartbeat now, and goes on with this membership. @returns whether that heartbeat was answered; the listener
   * was told before.
   */
  verify(membership: Membership): Promise<boolean> {
    return new Promise((resolve) => {
      this.stop()
      this.#verifying = resolve
      this.#order(membership, true)
    })
  }

  stop(): void {
    this.#id++
    this.#takeVerifying()?.(false)
    this.#carrier.stop()
  }

  /** Stops, and ends the thread where there is one. */
  async close(): Promise<void> {
    this.stop()
    await this.#carrier.close()
  }

  #order(membership: Membership, atOnce: boolean): void {
    if (this.#failure === undefined) this.#carrier.beat({ id: ++this.#id, membership, atOnce })
    else this.#end()
  }

  #end(): void {
    this.stop()
    this.#listener?.ended()
  }

  #takeVerifying(): ((answered: boolean) => void) | undefined {
    const settle = this.#verifying
    this.#verifying = undefined
    return settle
  }
}

/** Carries the loop in this thread, over the connections of the caller. */
export const localCarrier = (
  cluster: HeartbeatCluster,
  ports: { readonly clock: Clock; readonly timers: Timers },
  reports: HeartbeatReports,
): HeartbeatCarrier => {
  const loop = new HeartbeatLoop(() => Promise.resolve(cluster), ports, reports)
  return {
    beat: (order) => loop.beat(order),
    stop: () => loop.stop(),
    close: () => Promise.resolve(),
  }
}

/** Heartbeats from this thread. */
export const localHeartbeats = (
  cluster: HeartbeatCluster,
  ports: { readonly clock: Clock; readonly timers: Timers },
): Heartbeats => new Heartbeats((reports) => localCarrier(cluster, ports, reports))
