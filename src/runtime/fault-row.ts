// Faults that follow each other without a commit in between: how long to pause before the next attempt, and when to give up.
const rowMaxMs = 600_000
/** A worker without input commits nothing: having run for this long ends a row, too. */
const apartMs = 60_000
const pauseMaxMs = 5000

export class FaultRow {
  #count = 0
  #sinceMs = 0
  #lastMs = Number.NEGATIVE_INFINITY

  /** Counts a fault. @returns false when the row has lasted too long: the worker stops with it. */
  add(nowMs: number): boolean {
    if (nowMs - this.#lastMs > apartMs) this.#count = 0
    this.#lastMs = nowMs
    if (this.#count++ === 0) this.#sinceMs = nowMs
    return nowMs - this.#sinceMs <= rowMaxMs
  }

  /** 0 for the first fault, then doubling. */
  get pauseMs(): number {
    return this.#count > 1 ? Math.min(50 * 2 ** Math.min(this.#count, 7), pauseMaxMs) : 0
  }

  /** A commit succeeded. */
  end(): void {
    this.#count = 0
  }
}
