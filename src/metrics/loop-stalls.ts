// Counts how often, and for how long, the event loop of the process stood still: user code that blocks, a long garbage
// collection, a process that was halted.
import type { Clock, TimerHandle, Timers } from '../base/ports.ts'

const lookEveryMs = 100
/** Later than this is a stall. */
const stallMs = 200

export class LoopStalls {
  readonly #clock: Clock
  readonly #timers: Timers
  #timer: TimerHandle | undefined
  #count = 0
  #stalledMs = 0

  constructor(clock: Clock, timers: Timers) {
    this.#clock = clock
    this.#timers = timers
    this.#look(clock.monotonic())
  }

  get count(): number {
    return this.#count
  }

  get stalledSeconds(): number {
    return this.#stalledMs / 1000
  }

  stop(): void {
    if (this.#timer !== undefined) this.#timers.clear(this.#timer)
  }

  #look(lookedMs: number): void {
    const timer = this.#timers.set(() => {
      const now = this.#clock.monotonic()
      const lateMs = now - lookedMs - lookEveryMs
      if (lateMs > stallMs) {
        this.#count++
        this.#stalledMs += lateMs
      }
      this.#look(now)
    }, lookEveryMs)
    // Who only looks on must not keep a process alive.
    if ('unref' in timer && typeof timer.unref === 'function') timer.unref()
    this.#timer = timer
  }
}
