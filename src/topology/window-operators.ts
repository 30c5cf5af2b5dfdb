// The machines of windows. A window takes records until stream time has passed its end by the grace; stream time is that of
// the records which came to this aggregation, kept with the windows.
import type { Serde } from '../serde/serde.ts'
import type { Windowed } from '../serde/windowed.ts'
import type { WindowTable } from '../state/window-table.ts'
import type { PortionedWork, ProcessorContext, StoreDefinition } from './contracts.ts'
import { type AnyRecord, lateOutput } from './operators.ts'
import { StreamRecord } from './stream-record.ts'
import { type Emission, TableOperator, type TableView } from './table-operators.ts'
import type { TimeWindows } from './windows.ts'

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
    const get = (key: unknown): ReturnType<WindowTable['get']> => {
      const { key: plain, start } = key as Windowed<unknown>
      return table.get(table.keyBytes(plain), start)
    }
    return { get, getOf: (record) => get(record.key) }
  },
})

/** Aggregates a stream in tumbling or hopping windows. Records without a key are left out. */
export class WindowAggregation extends TableOperator implements PortionedWork {
  readonly #store: string
  readonly #serde: Serde<unknown>
  readonly #windows: TimeWindows
  readonly #emission: WindowEmission
  readonly #fold: WindowFold
  #table!: WindowTable
  #wake!: () => void

  constructor(definition: StoreDefinition, windows: TimeWindows, emission: WindowEmission, fold: WindowFold) {
    super(emission)
    this.#store = definition.name
    this.#serde = definition.value
    this.#windows = windows
    this.#emission = emission
    this.#fold = fold
  }

  override init(context: ProcessorContext): void {
    super.init(context)
    this.#table = context.windowTable(this.#store)
    this.#wake = context.inPortions(this)
  }

  process(record: AnyRecord): void {
    if (record.keyIsNull) return
    const { timestamp } = record
    const { sizeMs, advanceMs, graceMs } = this.#windows
    const table = this.#table
    const key = table.keyOf(record)
    const before = table.time
    const time = table.advance(timestamp)
    const first = Math.floor(Math.max(0, timestamp - sizeMs + advanceMs) / advanceMs) * advanceMs
    let late = false
    for (let start = first; start <= timestamp; start += advanceMs) {
      if (start + sizeMs + graceMs <= time) late = true
      else this.#update(record, key, start)
    }
    if (late) {
      this.context.countLate()
      if (this.#emission.late) this.context.forward(record, lateOutput)
    }
    if (time !== before && this.#passed(time) !== this.#passed(before)) this.#wake()
  }

  portion(entriesMax: number, drop: boolean): boolean {
    const table = this.#table
    const { time } = table
    if (time < 0) return false
    if (this.#emission.onClose) {
      const { sizeMs, graceMs } = this.#windows
      const closed = table.takeClosed(time - graceMs - sizeMs, entriesMax)
      if (!drop) {
        for (const entry of closed) {
          const change = this.changeOf(undefined, entry.value)
          const { timestamp } = entry
          this.context.forward(StreamRecord.of({ key: table.windowed(entry), value: change, timestamp }))
        }
      }
      if (closed.length === entriesMax) return true
    }
    return table.expire(entriesMax)
  }

  #update(record: AnyRecord, key: string, start: number): void {
    const table = this.#table
    const old = table.get(key, start)
    const next = this.#fold(record, old?.value) ?? null
    const timestamp = old !== undefined && old.timestamp > record.timestamp ? old.timestamp : record.timestamp
    const isNull = next === null || this.#serde.encodesNull?.(next) === true
    if (isNull) table.delete(key, start)
    else table.put(key, start, next, timestamp)
    if (this.#emission.onClose || (isNull && old === undefined)) return
    const value = this.changeOf(old?.value, isNull ? undefined : next)
    const windowed: Windowed<unknown> = { key: record.key, start, end: start + this.#windows.sizeMs }
    const changed = record.withKeyAndValue(windowed, value)
    this.context.forward(timestamp === record.timestamp ? changed : changed.withTimestamp(timestamp))
  }

  /** Changes when, in time, a window has closed or expired. */
  #passed(time: number): number {
    const { sizeMs, advanceMs, graceMs } = this.#windows
    const { retentionMs } = this.#table.shape
    return Math.floor((time - sizeMs - graceMs) / advanceMs) + Math.floor((time - retentionMs) / advanceMs)
  }
}
