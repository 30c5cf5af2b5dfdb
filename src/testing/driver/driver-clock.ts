// The clock of the test driver: it moves when the test says so.
import type { Clock } from '../../base/ports.ts'
import { misused } from './misused.ts'

/** A plain date, so that what a test prints can be read; a fixed one, so that it prints the same tomorrow. */
const startMs = Date.UTC(2026, 0, 1)

export class DriverClock implements Clock {
  #nowMs: number

  constructor(nowMs: number = startMs) {
    if (!Number.isSafeInteger(nowMs) || nowMs < 0) throw misused(`the wall clock cannot stand at ${nowMs}`)
    this.#nowMs = nowMs
  }

  now(): number {
    return this.#nowMs
  }

  monotonic(): number {
    return this.#nowMs
  }

  moveTo(ms: number): void {
    this.#nowMs = ms
  }
}
