// Time windows in a store. One entry for each window and key, the start first, so that what closes and what expires is a
// walk from the lowest entry; and one entry for how far time and these walks have come. It is part of the store like any
// other, so that an abort, a restart and a restore bring back the time that belongs to the windows.
//
// key of a window:  start int64 (from 0) · key bytes            value: timestamp int64 · value
// key of progress:  FF                                          value: -1 - time int64 · length int32 · closed · expired
import { readInt64, writeInt64 } from '../record/varint.ts'
import type { Serde } from '../serde/serde.ts'
import type { Windowed } from '../serde/windowed.ts'
import type { KeyedRecord } from './contracts.ts'
import { latin1Of, StoreCodec } from './store-codec.ts'
import { type Timestamped, timestamped } from './timestamped.ts'
import type { TransactionalStore } from './transactional-store.ts'

/** Of the windows in a store, ms. */
export interface WindowShape {
  readonly sizeMs: number
  /** From one window to the next. */
  readonly advanceMs: number
  /** How long after its start a window is kept. */
  readonly retentionMs: number
}

/** How far a store of windows has come. */
interface Progress {
  /** Highest timestamp seen, ms. */
  readonly time: number
  /** Windows below this key have been told as closed. */
  readonly closed: string
  /** Windows below this key are gone. */
  readonly expired: string
}

type Entry = Timestamped<unknown> | Progress
export type WindowEntryStore = TransactionalStore<string, Entry>

/** A window as the walks see it. */
export interface WindowEntry {
  readonly id: string
  readonly key: string
  readonly start: number
  readonly value: unknown
  readonly timestamp: number
}

const timeBytes = 8
const headBytes = timeBytes + 4
const progressKey = '\u00ff'
const noProgress: Progress = Object.freeze({ time: -1, closed: '', expired: '' })

const isProgress = (entry: Entry): entry is Progress => 'expired' in entry

const encodeProgress = ({ time, closed, expired }: Progress): Buffer => {
  const bytes = Buffer.allocUnsafe(headBytes + closed.length + expired.length)
  // Below zero, which no timestamp of a value is.
  writeInt64(bytes, 0, -1 - time)
  bytes.writeInt32BE(closed.length, timeBytes)
  bytes.write(closed, headBytes, 'latin1')
  bytes.write(expired, headBytes + closed.length, 'latin1')
  return bytes
}

const decodeProgress = (bytes: Buffer): Progress => {
  const end = headBytes + bytes.readInt32BE(timeBytes)
  if (end < headBytes || end > bytes.length) throw new RangeError('these bytes are no progress of windows')
  return {
    time: -1 - readInt64(bytes, 0),
    closed: bytes.toString('latin1', headBytes, end),
    expired: bytes.toString('latin1', end),
  }
}

/** The serde of what lies in a store of windows. */
export const windowEntries = (value: Serde<unknown>): Serde<Entry> => {
  const values = timestamped(value)
  const decode = (bytes: Buffer): Entry =>
    bytes.length >= headBytes && (bytes[0] as number) > 0x7f ? decodeProgress(bytes) : values.decode(bytes)
  const serde: { -readonly [F in keyof Serde<Entry>]: Serde<Entry>[F] } = {
    name: `windows(${value.name})`,
    primitive: values.primitive === true,
    encode: (entry) => (isProgress(entry) ? encodeProgress(entry) : values.encode(entry)),
    decode: (bytes) => decode(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)),
    check(entry) {
      if (!isProgress(entry)) values.check?.(entry)
    },
  }
  const { encodeInto } = values
  if (encodeInto !== undefined) {
    serde.encodeInto = (entry, target, offset) => {
      if (!isProgress(entry)) return encodeInto(entry, target, offset)
      const bytes = encodeProgress(entry)
      if (target.length - offset < bytes.length) return -1
      target.set(bytes, offset)
      return bytes.length
    }
  }
  return serde
}

const startBytes = Buffer.allocUnsafe(timeBytes)

/** The key below which the windows lie that start before this time. */
const prefixOf = (start: number): string => {
  writeInt64(startBytes, 0, start)
  return latin1Of(startBytes)
}

const startOf = (id: string): number => {
  let start = 0
  for (let index = 0; index < timeBytes; index++) start = start * 256 + id.charCodeAt(index)
  return start
}

export class WindowTable {
  readonly shape: WindowShape
  readonly #store: WindowEntryStore
  readonly #codec: StoreCodec<unknown, unknown>
  // The prefix made last: records that follow each other are mostly of the same window.
  #start = -1
  #prefix = ''

  /** @param key serde of the keys alone @param value serde of the values alone */
  constructor(store: WindowEntryStore, key: Serde<unknown>, value: Serde<unknown>, shape: WindowShape) {
    this.shape = shape
    this.#store = store
    this.#codec = new StoreCodec(store.name, key, value, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY)
  }

  get name(): string {
    return this.#store.name
  }

  /** The bytes of the record's key. @throws SERIALIZATION_FAILED */
  keyOf(record: KeyedRecord<unknown>): string {
    return this.#codec.rawKeyOf(record) ?? this.#codec.key(record.key)
  }

  /** @throws SERIALIZATION_FAILED */
  keyBytes(key: unknown): string {
    return this.#codec.key(key)
  }

  windowed({ key, start }: WindowEntry): Windowed<unknown> {
    return { key: this.#codec.keyOf(key), start, end: start + this.shape.sizeMs }
  }

  /** Highest timestamp that was seen, ms; -1 before the first. */
  get time(): number {
    return this.#progress.time
  }

  /** A record of this time is seen. @returns the highest timestamp seen by now */
  advance(timestamp: number): number {
    const progress = this.#progress
    if (timestamp <= progress.time) return progress.time
    this.#store.put(progressKey, { ...progress, time: timestamp })
    return timestamp
  }

  get(key: string, start: number): Timestamped<unknown> | undefined {
    return this.#store.get(this.#idOf(key, start)) as Timestamped<unknown> | undefined
  }

  put(key: string, start: number, value: unknown, timestamp: number): void {
    this.#store.put(this.#idOf(key, start), { value, timestamp })
  }

  delete(key: string, start: number): void {
    this.#store.delete(this.#idOf(key, start))
  }

  /** Whether a window is past its retention: it is gone, or about to go. */
  isExpired(start: number): boolean {
    return start + this.shape.retentionMs <= this.time
  }

  /**
   * The next windows with start <= `lastStart` that were not told as closed yet, in the order of their starts, and marks
   * them as told. Fewer than `entriesMax`: these were the last.
   */
  takeClosed(lastStart: number, entriesMax: number): WindowEntry[] {
    const progress = this.#progress
    const end = prefixOf(Math.max(0, lastStart + 1))
    const taken = this.#walk(progress.closed, end, entriesMax)
    this.#mark({ ...progress, closed: afterWalk(progress.closed, taken, end, entriesMax) })
    return taken
  }

  /** Removes the next windows that are past their retention. @returns whether there may be more */
  expire(entriesMax: number): boolean {
    const progress = this.#progress
    const end = prefixOf(Math.max(0, progress.time - this.shape.retentionMs + 1))
    const taken = this.#walk(progress.expired, end, entriesMax)
    for (const { id } of taken) this.#store.delete(id)
    this.#mark({ ...progress, expired: afterWalk(progress.expired, taken, end, entriesMax) })
    return taken.length === entriesMax
  }

  /** Windows with from <= start < to, ordered by start and then by key; those past their retention are left out. */
  *between(from: number, to: number): IterableIterator<WindowEntry> {
    const first = Math.max(0, from, this.time - this.shape.retentionMs + 1)
    if (first >= to) return
    const end = to > Number.MAX_SAFE_INTEGER ? progressKey : prefixOf(to)
    for (const { key: id, value } of this.#store.range(prefixOf(first), end)) yield windowOf(id, value)
  }

  /** Windows of a key with from <= start < to, ordered by start; those past their retention are left out. */
  *ofKey(key: string, from: number, to: number): IterableIterator<WindowEntry> {
    const { advanceMs, retentionMs } = this.shape
    const { time } = this
    const first = Math.max(0, from, time - retentionMs + 1)
    for (
      let start = Math.ceil(first / advanceMs) * advanceMs;
      start < to && start <= time;
      start += advanceMs
    ) {
      const entry = this.get(key, start)
      if (entry !== undefined) yield { id: this.#idOf(key, start), key, start, ...entry }
    }
  }

  get #progress(): Progress {
    return (this.#store.get(progressKey) as Progress | undefined) ?? noProgress
  }

  #mark(progress: Progress): void {
    const { closed, expired } = this.#progress
    if (progress.closed !== closed || progress.expired !== expired) this.#store.put(progressKey, progress)
  }

  #walk(from: string, end: string, entriesMax: number): WindowEntry[] {
    const found: WindowEntry[] = []
    if (from >= end) return found
    for (const { key: id, value } of this.#store.range(from, end)) {
      found.push(windowOf(id, value))
      if (found.length === entriesMax) break
    }
    return found
  }

  #idOf(key: string, start: number): string {
    if (start !== this.#start) {
      this.#prefix = prefixOf(start)
      this.#start = start
    }
    return this.#prefix + key
  }
}

const windowOf = (id: string, entry: Entry): WindowEntry => {
  const { value, timestamp } = entry as Timestamped<unknown>
  return { id, key: id.slice(timeBytes), start: startOf(id), value, timestamp }
}

/** Where a walk goes on that begins at `from` and ends at `end`. */
const afterWalk = (from: string, taken: readonly WindowEntry[], end: string, entriesMax: number): string => {
  const last = taken.length === entriesMax ? taken.at(-1) : undefined
  if (last !== undefined) return `${last.id}\u0000`
  return from > end ? from : end
}
