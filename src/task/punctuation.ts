// When the punctuators of a task are due. Ticks lie on multiples of their interval, counted from the epoch or from an anchor,
// so that after a restart or an abort the next one follows from the time alone; ticks that were missed collapse into one.
import { MillstreamError } from '../errors.ts'
import type { Cancellable, Punctuator, ScheduleOptions } from '../topology/contracts.ts'

interface Entry {
  readonly intervalMs: number
  readonly anchorMs: number
  readonly punctuator: Punctuator
  dueMs: number
  /** As of the last commit. */
  committedDueMs: number
}

type Ticks = Pick<Entry, 'intervalMs' | 'anchorMs'>

/** @param timeMs -1 (no stream time yet) makes the first tick due with the first record from the anchor on */
const nextTick = (timeMs: number, { intervalMs, anchorMs }: Ticks): number =>
  timeMs < anchorMs ? anchorMs : anchorMs + (Math.floor((timeMs - anchorMs) / intervalMs) + 1) * intervalMs

const refuse = (what: string, fix: string): never => {
  throw new MillstreamError('TOPOLOGY_INVALID', { what, fix })
}

/** What rings once, when its time has come; whoever set it finds out again what it is set to after an abort. */
interface Alarm {
  readonly ring: () => void
  dueMs: number
}

export class PunctuationSchedule {
  readonly #entries = new Set<Entry>()
  readonly #alarms: Alarm[] = []
  #earliestMs = Number.POSITIVE_INFINITY

  /** @param nowMs the time of this schedule's kind; -1: no stream time yet */
  add(
    intervalMs: number,
    punctuator: Punctuator,
    nowMs: number,
    { anchorMs = 0 }: ScheduleOptions = {},
  ): Cancellable {
    if (!(intervalMs >= 1)) refuse(`a punctuator has the interval ${intervalMs} ms`, 'Use 1 ms or more.')
    if (!Number.isSafeInteger(anchorMs) || anchorMs < 0)
      refuse(`a punctuator has the anchor ${anchorMs}`, 'Use whole milliseconds since the epoch.')
    const dueMs = nextTick(nowMs, { intervalMs, anchorMs })
    const entry: Entry = { intervalMs, anchorMs, punctuator, dueMs, committedDueMs: dueMs }
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
      entry.dueMs = nextTick(timeMs, entry)
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
      entry.dueMs = nextTick(timeMs, entry)
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
