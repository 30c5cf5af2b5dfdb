// When a store is flushed to its engine. A restart reads the changes since then again from the changelog: so not much later
// than 50,000 of them, which takes some 0.15 s (docs/faults.md); and where there are fewer, once a second: what is written at
// once by all stores of a worker is a pause, which grows with it.
import type { Clock } from '../base/ports.ts'

const changesMax = 50_000

export class FlushPace {
  readonly #clock: Clock
  readonly #intervalMs: number
  #flushedAtMs: number
  #changes = 0

  constructor(clock: Clock, intervalMs: number = 1000) {
    this.#clock = clock
    this.#intervalMs = intervalMs
    this.#flushedAtMs = clock.monotonic()
  }

  /** So many changes were committed. */
  committed(changes: number): void {
    this.#changes += changes
  }

  get isDue(): boolean {
    return this.#changes >= changesMax || this.#clock.monotonic() - this.#flushedAtMs >= this.#intervalMs
  }

  flushed(): void {
    this.#changes = 0
    this.#flushedAtMs = this.#clock.monotonic()
  }
}
