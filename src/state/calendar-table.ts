// Windows of the calendar in a store: as time windows, but where one ends is up to the calendar.
import { Calendar, type CalendarUnit, longestMs } from '../base/calendar.ts'
import type { Serde } from '../serde/serde.ts'
import { TimeWindowTable } from './time-window-table.ts'
import { type Entry, timeIn, timeKey, type WindowEntryStore } from './window-entries.ts'
import { type WindowEntry, windowFrom } from './window-table.ts'

export interface CalendarShape {
  readonly kind: 'calendar'
  readonly every: CalendarUnit
  /** Name of the IANA. */
  readonly timeZone: string
  /** How long after its start a window is kept. */
  readonly retentionMs: number
}

export class CalendarTable extends TimeWindowTable {
  readonly calendar: Calendar

  constructor(store: WindowEntryStore, key: Serde<unknown>, value: Serde<unknown>, shape: CalendarShape) {
    const { every, timeZone, retentionMs } = shape
    const sizeMs = longestMs[every]
    super(store, key, value, { kind: 'time', sizeMs, advanceMs: sizeMs, retentionMs })
    this.calendar = new Calendar(every, timeZone)
  }

  /** A look-up for each start that a window can have. */
  override *ofKey(key: string, from: number, to: number): IterableIterator<WindowEntry> {
    const { calendar, time } = this
    const first = Math.max(0, from, this.lastExpired + 1)
    let start = calendar.startOf(Math.min(first, Math.max(0, time)))
    if (start < first) start = calendar.endOf(start)
    for (; start < to && start <= time; start = calendar.endOf(start)) {
      const entry = this.get(key, start)
      if (entry !== undefined) yield this.entryOf(timeKey(start) + key, entry)
    }
  }

  protected override entryOf(id: string, entry: Entry): WindowEntry {
    const start = timeIn(id, 0)
    return windowFrom(id, entry, this.calendar.endOf(start) - start)
  }
}
