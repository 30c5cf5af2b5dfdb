// The changes that a suppressed table holds back, in a store whose keys and bytes are laid out here: ordered by the time at
// which each is due, so that what is told is a walk from the lowest entry. How far stream time has come and how much is
// held are an entry, too: an abort, a restart and a restore bring them back with the changes.
//
// a change      time int64 (from 0) · key bytes   ->  timestamp int64 · length of headers int32 · headers · change
// where it is   80 · key bytes                    ->  time int64; only where the key does not say the time
// progress      FF                                ->  stream time int64 · changes int64 · bytes int64 · the lowest change
import type { RecordHeader } from '../record/record-cursor.ts'
import { readInt64, writeInt64 } from '../record/varint.ts'
import { bufferOver, bytes } from '../serde/text.ts'
import type { KeyedRecord, KeyValueStore } from '../state/contracts.ts'
import { rawKeys, StoreCodec } from '../state/store-codec.ts'
import { progressKey, timeBytes, timeIn, timeKey } from '../state/window-entries.ts'
import { lastTimeKey } from '../state/window-table.ts'
import { Change, changeSerde } from './change.ts'
import type { HeldUntil, ProcessorContext, StoreDefinition } from './contracts.ts'
import { heldHeaders, readHeldHeaders } from '../state/held-headers.ts'

type RawStore = KeyValueStore<string, Uint8Array>

/** How much is held, and up to which stream time. */
export interface HeldProgress {
  /** Highest timestamp seen, ms; -1 before the first. */
  readonly time: number
  readonly changes: number
  readonly bytes: number
  /**
   * No change lies below it: a walk begins here, and does not pass again over what was removed before (removed keys stay
   * in the overlay and in what is not flushed).
   */
  readonly first: string
}

export interface HeldChange {
  readonly change: Change<unknown>
  /** Of the last change, ms since the epoch. */
  readonly timestamp: number
  /** Of the record that brought the last change. */
  readonly headers: readonly RecordHeader[]
}

/** A change as the walk sees it. */
export interface HeldEntry extends HeldChange {
  readonly id: string
  /** The bytes of the key alone. */
  readonly key: string
}

/** Where a walk came to. */
export interface Walk {
  readonly entries: readonly HeldEntry[]
  /** What is held when they are told. */
  readonly after: HeldProgress
}

/** How much may be held. */
export interface HeldLimits {
  readonly recordsMax: number
  readonly bytesMax: number
}

const noProgress: HeldProgress = Object.freeze({ time: -1, changes: 0, bytes: 0, first: lastTimeKey })
const noBytes = Buffer.alloc(0)
const headBytes = timeBytes + 4
const progressBytes = 3 * timeBytes

const encodeProgress = ({ time, changes, bytes: held, first }: HeldProgress): Buffer => {
  const target = Buffer.allocUnsafe(progressBytes + first.length)
  writeInt64(target, 0, time)
  writeInt64(target, timeBytes, changes)
  writeInt64(target, 2 * timeBytes, held)
  target.write(first, progressBytes, 'latin1')
  return target
}

const dueBytes = (time: number): Buffer => {
  const target = Buffer.allocUnsafe(timeBytes)
  writeInt64(target, 0, time)
  return target
}

/** How much such a store holds. */
export const heldIn = (store: Pick<RawStore, 'get'>): HeldProgress => {
  const found = store.get(progressKey)
  if (found === undefined) return noProgress
  const source = bufferOver(found)
  return {
    time: readInt64(source, 0),
    changes: readInt64(source, timeBytes),
    bytes: readInt64(source, 2 * timeBytes),
    first: source.toString('latin1', progressBytes),
  }
}

/** When the lowest change is due, or infinity. */
export const firstDue = ({ first }: HeldProgress): number =>
  first === lastTimeKey ? Number.POSITIVE_INFINITY : timeIn(first, 0)

export const isOver = ({ changes, bytes: held }: HeldProgress, limits: HeldLimits): boolean =>
  changes > limits.recordsMax || held > limits.bytesMax

/** The store that holds the changes of a table back. */
export const heldStore = (
  { name, key, value, engine, changelogSettings }: StoreDefinition,
  until: HeldUntil,
): StoreDefinition =>
  Object.freeze({
    name,
    key: rawKeys as never,
    plainKey: key,
    value: bytes as never,
    plainValue: value,
    holdsChanges: until,
    engine,
    changelogSettings,
  })

export class HeldChanges {
  readonly #store: RawStore
  readonly #indexed: boolean
  readonly #codec: StoreCodec<unknown, Change<unknown>>

  /** @param indexed the key does not say when it is due: the first change does */
  constructor(context: ProcessorContext, definition: StoreDefinition, indexed: boolean) {
    this.#store = context.tableStore(definition.name) as unknown as RawStore
    this.#indexed = indexed
    const noLimit = Number.POSITIVE_INFINITY
    const value = changeSerde(definition.plainValue as NonNullable<typeof definition.plainValue>)
    this.#codec = new StoreCodec(
      definition.name,
      definition.plainKey as NonNullable<typeof definition.plainKey>,
      value as never,
      noLimit,
      noLimit,
    )
  }

  get progress(): HeldProgress {
    return heldIn(this.#store)
  }

  /** The bytes of the record's key. @throws SERIALIZATION_FAILED */
  keyOf(record: KeyedRecord<unknown>): string {
    return this.#codec.rawKeyOf(record) ?? this.#codec.key(record.key)
  }

  /** @throws SERIALIZATION_FAILED */
  keyBytes(key: unknown): string {
    return this.#codec.key(key)
  }

  keyFrom(key: string): unknown {
    return this.#codec.keyOf(key)
  }

  /** What is held for a key. @param time when it is due; of no matter where the first change says that */
  find(key: string, time: number): HeldChange | undefined {
    const due = this.#timeOf(key, time)
    const found = due === undefined ? undefined : this.#store.get(timeKey(due) + key)
    return found && this.#read(found)
  }

  /** A change of this time is seen. @returns how much is held */
  advance(timestamp: number): HeldProgress {
    const { progress } = this
    return timestamp <= progress.time ? progress : this.#mark({ ...progress, time: timestamp })
  }

  /**
   * Holds a change back. A key that is held already keeps its place, and what was there before its first change.
   * @returns how much is held then
   */
  hold(key: string, time: number, { change, timestamp, headers }: HeldChange): HeldProgress {
    const { progress } = this
    const known = this.#timeOf(key, time)
    const id = timeKey(known ?? time) + key
    const old = known === undefined ? undefined : this.#store.get(id)
    const before = old === undefined ? change.before : this.#read(old).change.before
    const value = this.#encode({ change: new Change(before, change.after), timestamp, headers })
    this.#store.put(id, value)
    if (known === undefined) this.#store.put(lastTimeKey + key, dueBytes(time))
    const isLowest = id < progress.first
    return this.#mark({
      time: progress.time,
      changes: progress.changes + (old === undefined ? 1 : 0),
      bytes: progress.bytes + (old === undefined ? id.length : -old.length) + value.length,
      first: isLowest ? id : progress.first,
    })
  }

  /** The next changes up to a time, in the order of time and key; beyond the limits later ones as well. */
  due(last: number, limits: HeldLimits, entriesMax: number): Walk {
    const entries: HeldEntry[] = []
    let after = this.progress
    if (firstDue(after) > last && !isOver(after, limits)) return { entries, after }
    for (const { key: id, value } of this.#store.range(after.first, lastTimeKey)) {
      const isDue = entries.length < entriesMax && (timeIn(id, 0) <= last || isOver(after, limits))
      if (!isDue) return { entries, after: { ...after, first: id } }
      const size = id.length + value.length
      after = { ...after, changes: after.changes - 1, bytes: after.bytes - size }
      entries.push({ ...this.#read(value), id, key: id.slice(timeBytes) })
    }
    return { entries, after: { ...after, first: lastTimeKey } }
  }

  /** It is held no longer. */
  release({ id, key }: HeldEntry): void {
    this.#store.delete(id)
    if (this.#indexed) this.#store.delete(lastTimeKey + key)
  }

  /** What a walk came to was told. */
  settle({ after }: Walk): void {
    this.#mark(after)
  }

  /** When a key that is held is due. */
  #timeOf(key: string, time: number): number | undefined {
    if (!this.#indexed) return time
    const found = this.#store.get(lastTimeKey + key)
    return found && readInt64(bufferOver(found), 0)
  }

  #mark(progress: HeldProgress): HeldProgress {
    this.#store.put(progressKey, encodeProgress(progress))
    return progress
  }

  #encode({ change, timestamp, headers }: HeldChange): Buffer {
    const encoded = this.#codec.valueBytes(change)
    const carried = headers.length === 0 ? noBytes : heldHeaders(headers)
    const target = Buffer.allocUnsafe(headBytes + carried.length + encoded.length)
    writeInt64(target, 0, timestamp)
    target.writeInt32BE(carried.length, timeBytes)
    target.set(carried, headBytes)
    target.set(encoded, headBytes + carried.length)
    return target
  }

  #read(given: Uint8Array): HeldChange {
    const source = bufferOver(given)
    const end = headBytes + source.readInt32BE(timeBytes)
    return {
      timestamp: readInt64(source, 0),
      headers: readHeldHeaders(source.subarray(headBytes, end)),
      change: this.#codec.value(source.subarray(end)),
    }
  }
}
