// When a store is flushed to its engine. A restart reads the changes since then again from the changelog: so not much later
// than 50,000 of them, which takes some 0.15 s (docs/faults.md); and where there are fewer, once a second.
//
// What is written in one commit is a pause of the worker, and its stores would come due together. So they take turns: a commit
// writes 50,000 changes, or one store. Whoever gets no turn goes all the same at twice the changes or the time.
import type { Clock } from '../base/ports.ts'

const changesMax = 50_000
const intervalDefaultMs = 1000
const overdue = 2

/** Of the stores of a worker. Each asks once per commit, so that whoever asks again begins a new round. */
export class FlushTurns {
  readonly #asked = new Set<FlushPace>()
  #changes = 0

  /** So many changes were written in this round. */
  wrote(changes: number): void {
    this.#changes += changes
  }

  /** @returns whether so many changes may be written in this round, too: of the first store any number */
  hasRoom(asking: FlushPace, changes: number): boolean {
    if (this.#asked.has(asking)) {
      this.#asked.clear()
      this.#changes = 0
    }
    this.#asked.add(asking)
    return this.#changes === 0 || this.#changes + changes <= changesMax
  }
}

export class FlushPace {
  readonly #clock: Clock
  readonly #turns: FlushTurns
  readonly #intervalMs: number
  #flushedAtMs: number
  #changes = 0

  constructor(clock: Clock, turns: FlushTurns, intervalMs: number = intervalDefaultMs) {
    this.#clock = clock
    this.#turns = turns
    this.#intervalMs = intervalMs
    this.#flushedAtMs = clock.monotonic()
  }

  /** So many changes were committed. @returns whether the store is to be flushed now */
  committed(changes: number): boolean {
    this.#changes += changes
    const hasRoom = this.#turns.hasRoom(this, this.#changes)
    return this.#isDue(1) && (hasRoom || this.#isDue(overdue))
  }

  #isDue(times: number): boolean {
    const sinceMs = this.#clock.monotonic() - this.#flushedAtMs
    return this.#changes >= changesMax * times || sinceMs >= this.#intervalMs * times
  }

  flushed(): void {
    this.#turns.wrote(this.#changes)
    this.#changes = 0
    this.#flushedAtMs = this.#clock.monotonic()
  }
}
