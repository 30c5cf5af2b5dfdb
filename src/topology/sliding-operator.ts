// The machine of sliding windows, which are those of Kafka Streams: one ends with each record, and one begins right after
// each record that is followed by another one within its length. Of these only what has records is kept: a record is added
// to the windows that it falls into, and makes those that nobody made yet, out of the aggregates of their neighbours.
import type { SlidingTable } from '../state/sliding-table.ts'
import type { Timestamped } from '../state/timestamped.ts'
import type { WindowEntry } from '../state/window-table.ts'
import type { StoreDefinition } from './contracts.ts'
import type { AnyRecord } from './operators.ts'
import { UnalignedAggregation, type WindowEmission, type WindowFold } from './window-operators.ts'
import type { SlidingWindows } from './windows.ts'

type Aggregate = Timestamped<unknown>

/** Aggregates a stream in sliding windows. Records without a key or a value are left out, as in Kafka Streams. */
export class SlidingAggregation extends UnalignedAggregation<SlidingTable> {
  readonly #windows: SlidingWindows
  readonly #fold: WindowFold
  // Of the record in hand.
  #record!: AnyRecord
  #key = ''
  #closeTime = 0
  #missed = false

  constructor(
    definition: StoreDefinition,
    windows: SlidingWindows,
    emission: WindowEmission,
    fold: WindowFold,
  ) {
    super(definition, emission)
    this.#windows = windows
    this.#fold = fold
  }

  process(record: AnyRecord): void {
    if (record.keyIsNull || record.valueIsNull) return
    const { timestamp } = record
    const { sizeMs, graceMs } = this.#windows
    const time = this.advance(timestamp)
    this.#record = record
    this.#key = this.table.keyOf(record)
    this.#closeTime = time - graceMs
    this.#missed = false
    if (timestamp + sizeMs < this.#closeTime) this.#missed = true
    else if (timestamp < sizeMs) this.#addEarly(timestamp)
    else this.#addTo(timestamp)
    if (this.#missed) this.late(record)
    this.moved(time)
  }

  protected lastClosed(time: number): number {
    return time - this.#windows.graceMs - this.#windows.sizeMs - 1
  }

  #addTo(timestamp: number): void {
    const { sizeMs } = this.#windows
    const starts = new Set<number>()
    let left: WindowEntry | undefined
    let right: WindowEntry | undefined
    let hasLeft = false
    /** Time of the record before this one, where it may lack the window right after it. */
    let previous: number | undefined
    for (const window of this.table.latest(this.#key, timestamp - 2 * sizeMs, timestamp + 1)) {
      const { start, end } = window
      starts.add(start)
      if (start > timestamp) continue
      if (end < timestamp) {
        left = window
        previous = window.timestamp
        break
      }
      this.#add(start, window, window)
      if (end > timestamp) right ??= window
      else {
        // A record of this very time was here: it has made all the windows that this one needs.
        if (window.timestamp >= timestamp) return
        hasLeft = true
        previous = window.timestamp
      }
    }
    // One that ends with this record is made below.
    if (previous !== undefined && previous + sizeMs >= timestamp) this.#addAfter(previous, starts)
    if (!hasLeft) {
      const filled = previous !== undefined && timestamp - sizeMs <= previous
      this.#add(timestamp - sizeMs, filled && left ? { value: left.value, timestamp } : undefined, undefined)
    }
    this.#begin(timestamp, right, starts)
  }

  /** Of a record whose window would begin before 0: those share the one that begins at 0. */
  #addEarly(timestamp: number): void {
    const starts = new Set<number>()
    let first: WindowEntry | undefined
    let right: WindowEntry | undefined
    for (const window of this.table.latest(this.#key, 0, timestamp + 1)) {
      const { start } = window
      starts.add(start)
      if (start === 0) first = window
      else if (start <= timestamp) {
        right ??= window
        this.#add(start, window, window)
      }
    }
    // Without another window the first one holds nothing but what follows this record.
    if (right === undefined && first !== undefined && first.timestamp > timestamp) right = first
    this.#begin(timestamp, right, starts)
    if (first !== undefined && first.timestamp < timestamp) this.#addAfter(first.timestamp, starts)
    this.#add(0, first, first)
  }

  /** The window right after this record, which holds what follows it. */
  #begin(timestamp: number, following: WindowEntry | undefined, starts: ReadonlySet<number>): void {
    const start = timestamp + 1
    if (following === undefined || following.timestamp <= timestamp || starts.has(start)) return
    const { value } = following
    this.#put(start, value, following.timestamp, undefined)
  }

  /** The window right after an earlier record, in which this one is the first. */
  #addAfter(previous: number, starts: ReadonlySet<number>): void {
    if (!starts.has(previous + 1)) this.#add(previous + 1, undefined, undefined)
  }

  /** Adds the record to what a window holds, or would hold without it. @param present what is in the store */
  #add(start: number, holds: Aggregate | undefined, present: Aggregate | undefined): void {
    if (start + this.#windows.sizeMs < this.#closeTime || start < this.passed) {
      this.#missed = true
      return
    }
    const { timestamp } = this.#record
    const latest = holds !== undefined && holds.timestamp > timestamp ? holds.timestamp : timestamp
    this.#put(start, this.#fold(this.#record, holds?.value), latest, present)
  }

  #put(start: number, value: unknown, timestamp: number, present: Aggregate | undefined): void {
    const isNull = this.isNull(value)
    if (isNull) this.table.delete(this.#key, start)
    else {
      this.table.put(this.#key, start, value, timestamp)
      this.opened(start)
    }
    const end = start + this.#windows.sizeMs
    this.update(this.#record, start, end, present?.value, isNull ? undefined : value, timestamp)
  }
}
