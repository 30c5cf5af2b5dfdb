// When the punctuators of a task are due. Ticks lie on multiples of their interval, so that after a restart or an abort
// the next one follows from the time alone; ticks that were missed collapse into one.
import { MillstreamError } from '../errors.ts'
import type { Cancellable, Punctuator } from '../topology/contracts.ts'

interface Entry {
  readonly intervalMs: number
  readonly punctuator: Punctuator
  dueMs: number
  /** As of the last commit. */
  committedDueMs: number
}

const nextTick = (timeMs: number, intervalMs: number): number =>
  (Math.floor(timeMs / intervalMs) + 1) * intervalMs

/** What rings once, when its time has come; whoever set it finds out again what it is set to after an abort. */
interface Alarm {
  readonly ring: () => void
  dueMs: number
}

export class PunctuationSchedule {
  readonly #entries = new Set<Entry>()
  readonly #alarms: Alarm[] = []
  #earliestMs = Number.POSITIVE_INFINITY

  /** @param nowMs the time of this schedule's kind; -1 (no stream time yet) makes the first tick due with the first record. */
  add(intervalMs: number, punctuator: Punctuator, nowMs: number): Cancellable {
    if (!(intervalMs >= 1)) {
      throw new MillstreamError('TOPOLOGY_INVALID', {
        what: `a punctuator has the interval ${intervalMs} ms`,
        fix: 'Use 1 ms or more.',
      })
    }
    const dueMs = nowMs < 0 ? 0 : nextTick(nowMs, intervalMs)
    const entry: Entry = { intervalMs, punctuator, dueMs, committedDueMs: dueMs }
    this.#entries.add(entry)
    this.#findEarliest()
    return {
      cancel: () => {
        this.#entries.delete(entry)
        this.#findEarliest()
      },
    }
  }

  /** @returns what sets it */
  addAlarm(ring: () => void): (dueMs: number) => void {
    const alarm: Alarm = { ring, dueMs: Number.POSITIVE_INFINITY }
    this.#alarms.push(alarm)
    return (dueMs) => {
      alarm.dueMs = dueMs
      this.#findEarliest()
    }
  }

  /** When the next punctuator or alarm is due, ms; infinity without one. */
  get dueMs(): number {
    return this.#earliestMs
  }

  /** The punctuators due at this time, each moved to its next tick. Alarms that are due ring. */
  takeDue(timeMs: number): Punctuator[] {
    const due: Punctuator[] = []
    for (const entry of this.#entries) {
      if (entry.dueMs > timeMs) continue
      due.push(entry.punctuator)
      entry.dueMs = nextTick(timeMs, entry.intervalMs)
    }
    for (const alarm of this.#alarms) {
      if (alarm.dueMs > timeMs) continue
      alarm.dueMs = Number.POSITIVE_INFINITY
      alarm.ring()
    }
    this.#findEarliest()
    return due
  }

  /** What fired is committed. */
  settle(): void {
    for (const entry of this.#entries) entry.committedDueMs = entry.dueMs
  }

  /** The transaction is aborted: ticks that fired in it fire again. */
  rewind(): void {
    for (const entry of this.#entries) entry.dueMs = entry.committedDueMs
    this.#findEarliest()
  }

  /** Goes to a time that was read back from the broker. */
  moveTo(timeMs: number): void {
    for (const entry of this.#entries) {
      entry.dueMs = timeMs < 0 ? 0 : nextTick(timeMs, entry.intervalMs)
      entry.committedDueMs = entry.dueMs
    }
    this.#findEarliest()
  }

  clear(): void {
    this.#entries.clear()
    this.#alarms.length = 0
    this.#findEarliest()
  }

  #findEarliest(): void {
    this.#earliestMs = Number.POSITIVE_INFINITY
    for (const { dueMs } of this.#entries) if (dueMs < this.#earliestMs) this.#earliestMs = dueMs
    for (const { dueMs } of this.#alarms) if (dueMs < this.#earliestMs) this.#earliestMs = dueMs
  }
}
