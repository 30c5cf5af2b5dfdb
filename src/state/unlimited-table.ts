// Windows without an end in a store: as time windows, but there is one for each key, and none of them is over.
import type { Serde } from '../serde/serde.ts'
import { TimeWindowTable } from './time-window-table.ts'
import { timeKey, type WindowEntryStore } from './window-entries.ts'
import type { WindowEntry } from './window-table.ts'

export interface UnlimitedShape {
  readonly kind: 'unlimited'
  /** Where all windows begin, ms since the epoch. */
  readonly startMs: number
}

const always = Number.POSITIVE_INFINITY

export class UnlimitedTable extends TimeWindowTable {
  readonly #startMs: number

  constructor(
    store: WindowEntryStore,
    key: Serde<unknown>,
    value: Serde<unknown>,
    { startMs }: UnlimitedShape,
  ) {
    super(store, key, value, { kind: 'time', sizeMs: always, advanceMs: always, retentionMs: always })
    this.#startMs = startMs
  }

  /** One look-up. */
  override *ofKey(key: string, from: number, to: number): IterableIterator<WindowEntry> {
    const start = this.#startMs
    if (start < from || start >= to) return
    const entry = this.get(key, start)
    if (entry !== undefined) yield this.entryOf(timeKey(start) + key, entry)
  }
}
