// The machines of windows. A window takes records until stream time has passed its end by the grace; stream time is that of
// the records which came to this aggregation, kept with the windows.
import type { Serde } from '../serde/serde.ts'
import type { Windowed } from '../serde/windowed.ts'
import type { CalendarTable } from '../state/calendar-table.ts'
import type { TimeWindowTable } from '../state/time-window-table.ts'
import type { Timestamped } from '../state/timestamped.ts'
import type { UnlimitedTable } from '../state/unlimited-table.ts'
import type { AnyWindowTable, PortionedWork, ProcessorContext, StoreDefinition } from './contracts.ts'
import type { EarlyEmission } from './early.ts'
import type { LateEmission } from './late.ts'
import { type AnyRecord, earlyOutput, lateOutput } from './operators.ts'
import { StreamRecord } from './stream-record.ts'
import { type Emission, TableOperator, type TableView, windowsOf } from './table-operators.ts'
import {
  type AnyWindows,
  type CalendarWindows,
  closesAfterMs,
  type TimeWindows,
  type UnlimitedWindows,
} from './windows.ts'

/** What a node of windows sends on. Known when the topology is complete. */
export interface WindowEmission extends Emission, LateEmission, EarlyEmission {
  /** Each window once, when it has closed. */
  readonly onClose: boolean
}

/** The next value of a window, given the present one (undefined: none). */
export type WindowFold = (record: AnyRecord, present: unknown) => unknown

/** A table that is kept in a store of windows. */
export const windowView = (store: StoreDefinition, windows: AnyWindows): TableView => ({
  stores: [store],
  ...windowsOf({ closesAfterMs: closesAfterMs(windows) }),
  read(context) {
    const table = context.windowTable(store.name) as AnyWindowTable
    const get = (key: unknown): Timestamped<unknown> | undefined => {
      const { key: plain, start, end } = key as Windowed<unknown>
      return table.getWindow(table.keyBytes(plain), start, end)
    }
    return { get, getOf: (record) => get(record.key) }
  },
})

const nextMultiple = (time: number, everyMs: number): number => (Math.floor(time / everyMs) + 1) * everyMs

/** What aggregations by windows have in common: their store, their closing and expiring, what is late. */
abstract class WindowedAggregation<T extends AnyWindowTable> extends TableOperator implements PortionedWork {
  protected readonly emission: WindowEmission
  protected table!: T
  protected wake!: () => void
  /** Stream time before the record in hand. */
  protected before = -1
  /**
   * Windows with an earlier time first in their key take nothing more. By the grace they are late already, unless it was raised
   * since they were told: they would be told a second time, or never, and stay for ever.
   */
  protected passed = 0
  readonly #store: string
  readonly #serde: Serde<unknown>

  constructor(definition: StoreDefinition, emission: WindowEmission) {
    super(emission)
    this.emission = emission
    this.#store = definition.name
    this.#serde = definition.value
  }

  override init(context: ProcessorContext): void {
    super.init(context)
    this.table = context.windowTable(this.#store) as T
    this.wake = context.inPortions(this)
  }

  portion(entriesMax: number, drop: boolean): boolean {
    const { table } = this
    this.passed = table.passedBefore(this.emission.onClose)
    if (table.time < 0) return false
    if (this.emission.onClose) {
      const closed = table.takeClosed(this.lastClosed(table.time), entriesMax)
      if (!drop) {
        for (const entry of closed) {
          const value = this.changeOf(undefined, entry.value)
          this.context.forward(
            StreamRecord.of({ key: table.windowed(entry), value, timestamp: entry.timestamp }),
          )
        }
      }
      if (closed.length === entriesMax || this.#tellEarly(entriesMax, drop)) return true
    }
    const more = table.expire(entriesMax)
    this.passed = table.passedBefore(this.emission.onClose)
    return more
  }

  /** @returns whether there may be more */
  #tellEarly(entriesMax: number, drop: boolean): boolean {
    if (this.emission.earlyEveryMs === 0) return false
    const { table } = this
    const { windows, more } = table.takeEarly(this.lastClosed(table.time), entriesMax)
    if (!drop) {
      for (const entry of windows) {
        const { value = null, timestamp } = entry
        this.context.forward(StreamRecord.of({ key: table.windowed(entry), value, timestamp }), earlyOutput)
      }
    }
    return more
  }

  /** Windows with this time or an earlier one first in their key have closed. */
  protected abstract lastClosed(time: number): number

  /** The time of the record in hand is seen. @returns stream time by now */
  protected advance(timestamp: number): number {
    const { table } = this
    const before = table.time
    this.before = before
    const time = table.advance(timestamp)
    const { earlyEveryMs } = this.emission
    if (earlyEveryMs > 0 && time >= nextMultiple(before, earlyEveryMs)) this.wake()
    return time
  }

  protected isNull(value: unknown): boolean {
    return value === null || value === undefined || this.#serde.encodesNull?.(value) === true
  }

  /** The record missed a window. */
  protected late(record: AnyRecord): void {
    this.context.countLate()
    if (this.emission.late) this.context.forward(record, lateOutput)
  }

  /** Tells a change of a window, or notes it where windows are told on close, and early. Undefined: absent. */
  protected update(
    record: AnyRecord,
    start: number,
    end: number,
    before: unknown,
    after: unknown,
    timestamp: number,
  ): void {
    if (before === undefined && after === undefined) return
    const { onClose, earlyEveryMs } = this.emission
    if (onClose) {
      if (earlyEveryMs > 0) {
        const { table } = this
        const due = nextMultiple(this.before, earlyEveryMs)
        table.changed(table.keyOf(record), { start, end }, due, before !== undefined, after !== undefined)
      }
      return
    }
    const windowed: Windowed<unknown> = { key: record.key, start, end }
    const changed = record.withKeyAndValue(windowed, this.changeOf(before, after))
    this.context.forward(timestamp === record.timestamp ? changed : changed.withTimestamp(timestamp))
  }
}

/** What aggregations have in common whose windows begin where time says. */
abstract class AlignedAggregation<T extends TimeWindowTable> extends WindowedAggregation<T> {
  readonly #fold: WindowFold

  constructor(definition: StoreDefinition, emission: WindowEmission, fold: WindowFold) {
    super(definition, emission)
    this.#fold = fold
  }

  protected add(record: AnyRecord, key: string, start: number, end: number): void {
    const { table } = this
    const old = table.get(key, start)
    const next = this.#fold(record, old?.value)
    const timestamp = old !== undefined && old.timestamp > record.timestamp ? old.timestamp : record.timestamp
    const isNull = this.isNull(next)
    if (isNull) table.delete(key, start)
    else table.put(key, start, next, timestamp)
    this.update(record, start, end, old?.value, isNull ? undefined : next, timestamp)
  }
}

/** Aggregates a stream in windows of the calendar. Records without a key are left out. */
export class CalendarAggregation extends AlignedAggregation<CalendarTable> {
  readonly #graceMs: number

  constructor(
    definition: StoreDefinition,
    { graceMs }: CalendarWindows,
    emission: WindowEmission,
    fold: WindowFold,
  ) {
    super(definition, emission, fold)
    this.#graceMs = graceMs
  }

  process(record: AnyRecord): void {
    if (record.keyIsNull) return
    const { timestamp } = record
    const { table } = this
    const key = table.keyOf(record)
    const time = this.advance(timestamp)
    const start = table.calendar.startOf(timestamp)
    const end = table.calendar.endOf(timestamp)
    if (end + this.#graceMs <= time || start < this.passed) this.late(record)
    else this.add(record, key, start, end)
    // What is past its retention is removed with what closes.
    if (time !== this.before && this.lastClosed(time) !== this.lastClosed(this.before)) this.wake()
  }

  protected lastClosed(time: number): number {
    return this.table.calendar.startOf(Math.max(0, time - this.#graceMs)) - 1
  }
}

/**
 * Aggregates a stream in windows without an end. Records without a key, or before the start, are left out; nothing is late, so
 * that no time is kept.
 */
export class UnlimitedAggregation extends AlignedAggregation<UnlimitedTable> {
  readonly #startMs: number

  constructor(
    definition: StoreDefinition,
    { startMs }: UnlimitedWindows,
    emission: WindowEmission,
    fold: WindowFold,
  ) {
    super(definition, emission, fold)
    this.#startMs = startMs
  }

  process(record: AnyRecord): void {
    if (record.keyIsNull || record.timestamp < this.#startMs) return
    this.add(record, this.table.keyOf(record), this.#startMs, Number.POSITIVE_INFINITY)
  }

  protected lastClosed(): number {
    return Number.NEGATIVE_INFINITY
  }
}

/** Aggregates a stream in tumbling or hopping windows. Records without a key are left out. */
export class TimeWindowAggregation extends AlignedAggregation<TimeWindowTable> {
  readonly #windows: TimeWindows

  constructor(definition: StoreDefinition, windows: TimeWindows, emission: WindowEmission, fold: WindowFold) {
    super(definition, emission, fold)
    this.#windows = windows
  }

  process(record: AnyRecord): void {
    if (record.keyIsNull) return
    const { timestamp } = record
    const { sizeMs, advanceMs, graceMs } = this.#windows
    const { table } = this
    const key = table.keyOf(record)
    const time = this.advance(timestamp)
    const first = Math.floor(Math.max(0, timestamp - sizeMs + advanceMs) / advanceMs) * advanceMs
    let isLate = false
    for (let start = first; start <= timestamp; start += advanceMs) {
      if (start + sizeMs + graceMs <= time || start < this.passed) isLate = true
      else this.add(record, key, start, start + sizeMs)
    }
    if (isLate) this.late(record)
    if (time !== this.before && this.#passed(time) !== this.#passed(this.before)) this.wake()
  }

  protected lastClosed(time: number): number {
    return time - this.#windows.graceMs - this.#windows.sizeMs
  }

  /** Changes when, in time, a window has closed or expired. */
  #passed(time: number): number {
    const { advanceMs } = this.#windows
    const expired = time - this.table.shape.retentionMs
    return Math.floor(this.lastClosed(time) / advanceMs) + Math.floor(expired / advanceMs)
  }
}

/** How often, within the retention, what is past it is removed. */
const expiriesPerRetention = 8

/** What aggregations have in common whose windows begin and end with records, so that one may close at any time. */
export abstract class UnalignedAggregation<T extends AnyWindowTable> extends WindowedAggregation<T> {
  /** No window with a lower time first in its key was not told as closed. */
  #lowestOpen = Number.NEGATIVE_INFINITY

  override portion(entriesMax: number, drop: boolean): boolean {
    const more = super.portion(entriesMax, drop)
    const { table } = this
    this.#lowestOpen =
      more || !this.emission.onClose
        ? Number.NEGATIVE_INFINITY
        : table.lowest(this.lastClosed(table.time) + 1)
    return more
  }

  /** A window is put with this time first in its key. */
  protected opened(time: number): void {
    if (time < this.#lowestOpen) this.#lowestOpen = time
  }

  /** Time has moved: what has closed is told, and now and then it is looked for what is past its retention. */
  protected moved(time: number): void {
    const { before } = this
    if (time === before) return
    const stepMs = Math.max(1, Math.floor(this.table.shape.retentionMs / expiriesPerRetention))
    const closes = this.emission.onClose && this.lastClosed(time) >= this.#lowestOpen
    if (closes || Math.floor(time / stepMs) !== Math.floor(before / stepMs)) this.wake()
  }
}
