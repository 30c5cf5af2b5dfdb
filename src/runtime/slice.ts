// A slice of synchronous processing: the tasks in turn, until its time is over or nothing is left. The pulse shows which
// of them has the thread.
import type { Clock } from '../base/ports.ts'
import type { Pulse } from '../base/pulse.ts'
import type { StreamTask } from '../task/stream-task.ts'

/** A slice ends after this, so that answers of the brokers are not held up. */
const sliceMs = 1
/** One task in one turn. */
const recordsPerTurnMax = 256
/** A turn that takes longer is followed by shorter ones: a record of a slow processor may take as long as a slice of many. */
const turnMsMax = 20

export class Slicer {
  readonly #clock: Clock
  readonly #pulse: Pulse
  /** Grows from one record, so that a slow processor is noticed before it has the thread for 256 of them. */
  #recordsPerTurn = 1

  constructor(clock: Clock, pulse: Pulse) {
    this.#clock = clock
    this.#pulse = pulse
  }

  /** @returns how many records were processed. @throws what StreamTask.process throws */
  run(tasks: readonly StreamTask[]): number {
    this.#pulse.begin()
    try {
      return this.#run(tasks)
    } finally {
      this.#pulse.end()
    }
  }

  #run(tasks: readonly StreamTask[]): number {
    const clock = this.#clock
    let turnedMs = clock.monotonic()
    const endMs = turnedMs + sliceMs
    let total = 0
    for (let busy = true; busy && clock.monotonic() < endMs; ) {
      busy = false
      for (const task of tasks) {
        this.#pulse.enter(task.id)
        if (task.punctuateWallClock(clock.now())) busy = true
        const done = task.process(this.#recordsPerTurn)
        if (done === 0) continue
        const nowMs = clock.monotonic()
        this.#adapt(nowMs - turnedMs)
        turnedMs = nowMs
        total += done
        busy = true
      }
    }
    return total
  }

  #adapt(tookMs: number): void {
    const now = this.#recordsPerTurn
    if (tookMs > turnMsMax) this.#recordsPerTurn = Math.max(1, Math.floor((now * turnMsMax) / tookMs))
    else if (tookMs < turnMsMax / 4) this.#recordsPerTurn = Math.min(recordsPerTurnMax, now * 2)
  }
}
