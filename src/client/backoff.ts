// Waiting between attempts: doubled each time with a random part, and never beyond a deadline.
import type { Ports } from '../base/ports.ts'

export interface BackoffOptions {
  /** The first wait. Default 20 ms, as Kafka's own broker waits for a transaction marker. */
  readonly firstMs?: number
  /** No wait is longer. Default 1000 ms. */
  readonly maxMs?: number
}

export class Backoff {
  readonly #ports: Ports
  readonly #firstMs: number
  readonly #maxMs: number
  #nextMs: number

  constructor(ports: Ports, { firstMs = 20, maxMs = 1000 }: BackoffOptions = {}) {
    this.#ports = ports
    this.#firstMs = firstMs
    this.#maxMs = maxMs
    this.#nextMs = firstMs
  }

  /** The next wait in milliseconds: between the half and the whole of the current step, so that peers spread. */
  next(): number {
    const step = this.#nextMs
    this.#nextMs = Math.min(step * 2, this.#maxMs)
    return step * (0.5 + this.#ports.random.next() / 2)
  }

  reset(): void {
    this.#nextMs = this.#firstMs
  }

  /**
   * Waits for the next step, at most until the deadline (on the monotonic clock).
   * @returns false, without waiting, when the deadline has passed.
   */
  async wait(deadline: number, signal?: AbortSignal): Promise<boolean> {
    const left = deadline - this.#ports.clock.monotonic()
    if (left <= 0) return false
    await this.#ports.timers.sleep(Math.min(this.next(), left), signal)
    return true
  }
}
