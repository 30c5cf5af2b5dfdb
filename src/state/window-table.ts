// Windows in a store. The time that decides about the end of a window stands first in its key, so that what closes and
// what expires is a walk from the lowest entry. How far time and the walks have come is an entry of the store, too.
import type { Serde } from '../serde/serde.ts'
import type { Windowed } from '../serde/windowed.ts'
import type { CalendarShape } from './calendar-table.ts'
import type { KeyedRecord } from './contracts.ts'
import { EarlyMarks } from './early-marks.ts'
import type { HotEntry } from './hot-entry.ts'
import type { JoinShape } from './join-table.ts'
import { StoreCodec } from './store-codec.ts'
import type { Timestamped } from './timestamped.ts'
import type { UnlimitedShape } from './unlimited-table.ts'
import {
  type Entry,
  noProgress,
  type Progress,
  progressBytes,
  progressKey,
  removeLowest,
  timeBytes,
  timeIn,
  timeKey,
  type WindowEntryStore,
} from './window-entries.ts'

/** Windows of one length, ms. */
export interface TimeWindowShape {
  readonly kind: 'time'
  readonly sizeMs: number
  /** From one window to the next. */
  readonly advanceMs: number
  /** How long after its start a window is kept. */
  readonly retentionMs: number
}

export interface SessionShape {
  readonly kind: 'sessions'
  /** How long after its end a session is kept. */
  readonly retentionMs: number
}

export interface SlidingShape {
  readonly kind: 'sliding'
  /** From the first to the last moment of a window. */
  readonly sizeMs: number
  /** How long after its start a window is kept. */
  readonly retentionMs: number
}

export type WindowShape =
  | TimeWindowShape
  | CalendarShape
  | UnlimitedShape
  | SessionShape
  | SlidingShape
  | JoinShape

/** A window as the walks see it. */
export interface WindowEntry {
  readonly id: string
  /** The bytes of the key alone. */
  readonly key: string
  readonly start: number
  readonly end: number
  readonly value: unknown
  readonly timestamp: number
}

/** The window of a fixed length whose entry has its start first. */
export const windowFrom = (id: string, entry: Entry, sizeMs: number): WindowEntry => {
  const { value, timestamp } = entry as Timestamped<unknown>
  const start = timeIn(id, 0)
  return { id, key: id.slice(timeBytes), start, end: start + sizeMs, value, timestamp }
}

export abstract class WindowTable {
  protected readonly store: WindowEntryStore
  readonly #codec: StoreCodec<unknown, unknown>
  readonly #early: EarlyMarks
  readonly #progress: HotEntry<Entry>

  /** @param key serde of the keys alone @param value serde of the values alone */
  constructor(store: WindowEntryStore, key: Serde<unknown>, value: Serde<unknown>) {
    this.store = store
    this.#early = new EarlyMarks(store)
    this.#progress = store.hotEntry(progressKey, progressBytes)
    const noLimit = Number.POSITIVE_INFINITY
    this.#codec = new StoreCodec(store.name, key, value, noLimit, noLimit)
  }

  get name(): string {
    return this.store.name
  }

  /** The bytes of the record's key. @throws SERIALIZATION_FAILED */
  keyOf(record: KeyedRecord<unknown>): string {
    return this.#codec.rawKeyOf(record) ?? this.#codec.key(record.key)
  }

  /** @throws SERIALIZATION_FAILED */
  keyBytes(key: unknown): string {
    return this.#codec.key(key)
  }

  windowed({ key, start, end }: WindowEntry): Windowed<unknown> {
    return { key: this.#codec.keyOf(key), start, end }
  }

  /** Highest timestamp that was seen, ms; -1 before the first. */
  get time(): number {
    return this.progress.time
  }

  /** A record of this time is seen. @returns the highest timestamp seen by now */
  advance(timestamp: number): number {
    const { progress } = this
    if (timestamp <= progress.time) return progress.time
    this.#progress.set({ ...progress, time: timestamp })
    return timestamp
  }

  /** The window, or undefined. */
  abstract getWindow(key: string, start: number, end: number): Timestamped<unknown> | undefined

  /** Windows with from <= start < to; those past their retention are left out. */
  abstract between(from: number, to: number): Iterable<WindowEntry>

  /** Windows of a key with from <= start < to, ordered by start; those past their retention are left out. */
  abstract ofKey(key: string, from: number, to: number): Iterable<WindowEntry>

  /**
   * The next windows up to `last` (the time that stands first in the key) that were not told as closed yet, in the order
   * of their keys, and marks them as told. Fewer than `entriesMax`: these were the last.
   */
  takeClosed(last: number, entriesMax: number): WindowEntry[] {
    const { progress } = this
    const end = timeKey(Math.max(0, last + 1))
    const taken = this.#walk(progress.closed, end, entriesMax)
    const ids = taken.map(({ id }) => id)
    this.#mark({ ...progress, closed: afterWalk(progress.closed, ids, end, entriesMax) })
    return taken
  }

  /**
   * What began before this time was passed by the walks that tell and remove windows. It would be met by neither again.
   * @param onClose whether windows are told as closed
   */
  passedBefore(onClose: boolean): number {
    const { closed, expired } = this.progress
    const last = onClose && closed > expired ? closed : expired
    if (last === '') return 0
    // A walk that was broken off stands among the windows of one time.
    return timeIn(last, 0) + (last.length > timeBytes ? 1 : 0)
  }

  /**
   * A window has changed, and is told early when time comes to `due`, once.
   * @param wasThere whether it was there before @param isThere whether it is now
   */
  changed(
    key: string,
    { start, end }: { readonly start: number; readonly end: number },
    due: number,
    wasThere: boolean,
    isThere: boolean,
  ): void {
    this.#early.add(this.idOf(key, start, end), due, wasThere, isThere)
  }

  /**
   * The next windows that are due to be told early, as they are now, unless they have closed: with a time up to `lastClosed`
   * first in their key. Without a value: it was told, and was taken out.
   */
  takeEarly(
    lastClosed: number,
    entriesMax: number,
  ): { readonly windows: readonly WindowEntry[]; readonly more: boolean } {
    const { time } = this
    const marks = this.#early.take(time, entriesMax)
    const windows = marks.flatMap(({ id, gone }) => {
      if (gone) return [this.entryOf(id, { value: undefined, timestamp: time })]
      const entry = timeIn(id, 0) <= lastClosed ? undefined : this.store.get(id)
      return entry === undefined ? [] : [this.entryOf(id, entry)]
    })
    return { windows, more: marks.length === entriesMax }
  }

  /** Removes the next windows that are past their retention. @returns whether there may be more */
  expire(entriesMax: number): boolean {
    const { progress } = this
    const end = timeKey(Math.max(0, this.lastExpired + 1))
    const removed = removeLowest(this.store, progress.expired, end, entriesMax)
    for (const id of removed) this.removePlace(id)
    this.#mark({ ...progress, expired: afterWalk(progress.expired, removed, end, entriesMax) })
    return removed.length === entriesMax
  }

  /** The time that stands first in the key of the lowest window from there on, or infinity. */
  lowest(from: number): number {
    for (const { key, value } of this.store.range(timeKey(Math.max(0, from)), lastTimeKey))
      return this.firstTime(this.entryOf(key, value))
    return Number.POSITIVE_INFINITY
  }

  /** Windows whose key begins with this time, or with an earlier one, are removed. */
  protected abstract get lastExpired(): number
  protected abstract firstTime(entry: WindowEntry): number
  /** The key of a window in the store. */
  protected abstract idOf(key: string, start: number, end: number): string
  protected abstract entryOf(id: string, entry: Entry): WindowEntry

  /** What else says where the window is that had this key in the store. */
  protected removePlace(_id: string): void {}

  protected get progress(): Progress {
    return (this.#progress.get() as Progress | undefined) ?? noProgress
  }

  #mark(progress: Progress): void {
    const { closed, expired } = this.progress
    if (progress.closed !== closed || progress.expired !== expired) this.#progress.set(progress)
  }

  #walk(from: string, end: string, entriesMax: number): WindowEntry[] {
    const found: WindowEntry[] = []
    if (from >= end) return found
    for (const { key, value } of this.store.range(from, end)) {
      found.push(this.entryOf(key, value))
      if (found.length === entriesMax) break
    }
    return found
  }
}

/** Above every key that begins with a time. */
export const lastTimeKey = '\u0080'

/** With the length before it, so that the places of a key are together, and those of no other key among them. */
export const byKey = (key: string): string => {
  const { length } = key
  const bytes = String.fromCharCode(length >>> 24, (length >>> 16) & 255, (length >>> 8) & 255, length & 255)
  return `${lastTimeKey}${bytes}${key}`
}

/** Where a walk goes on that began at `from`, passed these keys, and ends at `end`. */
const afterWalk = (from: string, passed: readonly string[], end: string, entriesMax: number): string => {
  if (passed.length === entriesMax) return `${passed.at(-1)}\u0000`
  return from > end ? from : end
}
