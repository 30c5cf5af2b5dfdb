// The machines of windows. A window takes records until stream time has passed its end by the grace; stream time is that of
// the records which came to this aggregation, kept with the windows.
import type { Serde } from '../serde/serde.ts'
import type { Windowed } from '../serde/windowed.ts'
import type { SessionTable } from '../state/session-table.ts'
import type { TimeWindowTable } from '../state/time-window-table.ts'
import type { Timestamped } from '../state/timestamped.ts'
import type { WindowEntry } from '../state/window-table.ts'
import type { AnyWindowTable, PortionedWork, ProcessorContext, StoreDefinition } from './contracts.ts'
import { type AnyRecord, lateOutput } from './operators.ts'
import { StreamRecord } from './stream-record.ts'
import { type Emission, TableOperator, type TableView } from './table-operators.ts'
import type { Sessions, TimeWindows } from './windows.ts'

/** What a node of windows sends on. Known when the topology is complete. */
export interface WindowEmission extends Emission {
  /** Each window once, when it has closed. */
  readonly onClose: boolean
  /** Records that came too late for a window go to the output `late`. */
  late: boolean
}

/** The next value of a window, given the present one (undefined: none). */
export type WindowFold = (record: AnyRecord, present: unknown) => unknown

/** A table that is kept in a store of windows. */
export const windowView = (store: StoreDefinition): TableView => ({
  stores: [store],
  read(context) {
    const table = context.windowTable(store.name)
    const get = (key: unknown): Timestamped<unknown> | undefined => {
      const { key: plain, start, end } = key as Windowed<unknown>
      return table.getWindow(table.keyBytes(plain), start, end)
    }
    return { get, getOf: (record) => get(record.key) }
  },
})

/** What aggregations by windows have in common: their store, their closing and expiring, what is late. */
abstract class WindowedAggregation<T extends AnyWindowTable> extends TableOperator implements PortionedWork {
  protected readonly emission: WindowEmission
  protected table!: T
  protected wake!: () => void
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
      if (closed.length === entriesMax) return true
    }
    return table.expire(entriesMax)
  }

  /** Windows with this time or an earlier one first in their key have closed. */
  protected abstract lastClosed(time: number): number

  protected isNull(value: unknown): boolean {
    return value === null || value === undefined || this.#serde.encodesNull?.(value) === true
  }

  /** The record missed a window. */
  protected late(record: AnyRecord): void {
    this.context.countLate()
    if (this.emission.late) this.context.forward(record, lateOutput)
  }

  /** Tells a change of a window, unless it is told on close. Undefined: absent. */
  protected update(
    record: AnyRecord,
    start: number,
    end: number,
    before: unknown,
    after: unknown,
    timestamp: number,
  ): void {
    if (this.emission.onClose || (before === undefined && after === undefined)) return
    const windowed: Windowed<unknown> = { key: record.key, start, end }
    const changed = record.withKeyAndValue(windowed, this.changeOf(before, after))
    this.context.forward(timestamp === record.timestamp ? changed : changed.withTimestamp(timestamp))
  }
}

/** Aggregates a stream in tumbling or hopping windows. Records without a key are left out. */
export class TimeWindowAggregation extends WindowedAggregation<TimeWindowTable> {
  readonly #windows: TimeWindows
  readonly #fold: WindowFold

  constructor(definition: StoreDefinition, windows: TimeWindows, emission: WindowEmission, fold: WindowFold) {
    super(definition, emission)
    this.#windows = windows
    this.#fold = fold
  }

  process(record: AnyRecord): void {
    if (record.keyIsNull) return
    const { timestamp } = record
    const { sizeMs, advanceMs, graceMs } = this.#windows
    const { table } = this
    const key = table.keyOf(record)
    const before = table.time
    const time = table.advance(timestamp)
    const first = Math.floor(Math.max(0, timestamp - sizeMs + advanceMs) / advanceMs) * advanceMs
    let isLate = false
    for (let start = first; start <= timestamp; start += advanceMs) {
      if (start + sizeMs + graceMs <= time) isLate = true
      else this.#add(record, key, start)
    }
    if (isLate) this.late(record)
    if (time !== before && this.#passed(time) !== this.#passed(before)) this.wake()
  }

  protected lastClosed(time: number): number {
    return time - this.#windows.graceMs - this.#windows.sizeMs
  }

  #add(record: AnyRecord, key: string, start: number): void {
    const { table } = this
    const old = table.get(key, start)
    const next = this.#fold(record, old?.value)
    const timestamp = old !== undefined && old.timestamp > record.timestamp ? old.timestamp : record.timestamp
    const isNull = this.isNull(next)
    if (isNull) table.delete(key, start)
    else table.put(key, start, next, timestamp)
    const end = start + this.#windows.sizeMs
    this.update(record, start, end, old?.value, isNull ? undefined : next, timestamp)
  }

  /** Changes when, in time, a window has closed or expired. */
  #passed(time: number): number {
    const { advanceMs } = this.#windows
    const expired = time - this.table.shape.retentionMs
    return Math.floor(this.lastClosed(time) / advanceMs) + Math.floor(expired / advanceMs)
  }
}

/** How the records of sessions, and sessions that become one, are put together. */
export interface SessionFold {
  /** Undefined: there is nothing to begin with. */
  initial(): unknown
  add(record: AnyRecord, aggregate: unknown): unknown
  merge(aggregate: unknown, other: unknown): unknown
}

/** How often, within the retention, what is past it is removed. */
const expiriesPerRetention = 8

/**
 * Aggregates a stream in sessions. A record that joins sessions takes them out and puts the one in that they become; it is
 * late where that one has closed. Records without a key are left out. A session is as late as its end.
 */
export class SessionAggregation extends WindowedAggregation<SessionTable> {
  readonly #windows: Sessions
  readonly #fold: SessionFold
  /** No session that ends before was not told as closed. */
  #lowestOpen = Number.NEGATIVE_INFINITY

  constructor(definition: StoreDefinition, windows: Sessions, emission: WindowEmission, fold: SessionFold) {
    super(definition, emission)
    this.#windows = windows
    this.#fold = fold
  }

  process(record: AnyRecord): void {
    if (record.keyIsNull) return
    const { timestamp } = record
    const { gapMs } = this.#windows
    const { table } = this
    const key = table.keyOf(record)
    const before = table.time
    const time = table.advance(timestamp)
    const visibleFrom = table.visibleFrom(before)
    const found = table.find(key, Math.max(timestamp - gapMs, visibleFrom), timestamp + gapMs)
    let start = timestamp
    let end = timestamp
    for (const session of found) {
      if (session.start < start) start = session.start
      if (session.end > end) end = session.end
    }
    if (end <= this.lastClosed(time)) this.late(record)
    else {
      this.#join(record, key, found, start, end)
      if (end < this.#lowestOpen) this.#lowestOpen = end
    }
    if (time !== before && this.#passed(time, before)) this.wake()
  }

  override portion(entriesMax: number, drop: boolean): boolean {
    const more = super.portion(entriesMax, drop)
    const { table } = this
    this.#lowestOpen =
      more || !this.emission.onClose
        ? Number.NEGATIVE_INFINITY
        : table.lowest(this.lastClosed(table.time) + 1)
    return more
  }

  protected lastClosed(time: number): number {
    return time - this.#windows.graceMs - this.#windows.gapMs - 1
  }

  #join(record: AnyRecord, key: string, found: readonly WindowEntry[], start: number, end: number): void {
    const { table } = this
    const fold = this.#fold
    let aggregate = fold.initial()
    for (const { value } of found) aggregate = fold.merge(aggregate, value)
    // Of one moment and no longer now: it can only be the session of just this moment that was there.
    const before = start === end ? found[0] : undefined
    if (before === undefined) {
      for (const session of found) {
        table.remove(session)
        this.update(record, session.start, session.end, session.value, undefined, session.end)
      }
    }
    const after = fold.add(record, aggregate)
    const isNull = this.isNull(after)
    if (!isNull) table.put(key, start, end, after)
    else if (before !== undefined) table.remove(before)
    this.update(record, start, end, before?.value, isNull ? undefined : after, end)
  }

  /** Whether, in time, something has closed, or it is time again to look for what is past its retention. */
  #passed(time: number, before: number): boolean {
    if (this.emission.onClose && this.lastClosed(time) >= this.#lowestOpen) return true
    const stepMs = Math.max(1, Math.floor(this.table.shape.retentionMs / expiriesPerRetention))
    return Math.floor(time / stepMs) !== Math.floor(before / stepMs)
  }
}
