// A slice of synchronous processing: the tasks in turn, until its time is over or nothing is left; which of them begins goes
// round. The pulse shows which of them has the thread.
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
  /** Which task of the list a slice begins with. */
  #first = 0

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
    const first = this.#first
    let total = 0
    for (let busy = true; busy && clock.monotonic() < endMs; ) {
      busy = false
      for (let turn = 0; turn < tasks.length; turn++) {
        const place = (first + turn) % tasks.length
        const task = tasks[place] as StreamTask
        this.#pulse.enter(task.id)
        if (task.punctuateWallClock(clock.now())) busy = true
        const done = task.process(this.#recordsPerTurn)
        if (done === 0) continue
        const nowMs = clock.monotonic()
        this.#adapt(nowMs - turnedMs)
        turnedMs = nowMs
        // The next slice begins behind the first task that had something to do, so that each gets what all of them share (the
        // calls of the worker) before the others in its turn. A slice that found nothing moves nothing: an answer is often
        // followed by one, and a turn that moved with each slice would then come to the same task every time.
        if (total === 0) this.#first = place + 1
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
