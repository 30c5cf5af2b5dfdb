// How long a record waits for its next try. By the monotonic clock: a wall clock that is set back must not hold it up.
import type { Clock } from '../base/ports.ts'

export class RetryPause {
  readonly #clock: Clock
  /** In monotonic ms; 0: nothing waits. */
  #untilMs = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  begin(ms: number): void {
    this.#untilMs = this.#clock.monotonic() + ms
  }

  end(): void {
    this.#untilMs = 0
  }

  /** Whether something still waits. */
  get lasts(): boolean {
    return this.#untilMs !== 0 && this.#stillLasts()
  }

  #stillLasts(): boolean {
    if (this.#clock.monotonic() < this.#untilMs) return true
    this.#untilMs = 0
    return false
  }

  /** When it is over, ms since the epoch; infinity where nothing waits. */
  get wakeAtMs(): number {
    if (this.#untilMs === 0) return Number.POSITIVE_INFINITY
    const clock = this.#clock
    return clock.now() + Math.max(0, this.#untilMs - clock.monotonic())
  }
}
