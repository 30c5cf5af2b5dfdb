// Timers in a store. Each is two entries: one with its time first in the key, so that what is due is a walk from the lowest
// entry, and one by which it is found again by its key and name.
//
// due      kind (0 stream time, 1 wall clock) · at int64 · key · name · length of the name int32
// place    80 · length of the key int32 · key · name
// Both hold an int64: the time, or -1 - time where it is one of the wall clock.
import type { Serde } from '../serde/serde.ts'
import { latin1Of, StoreCodec } from './store-codec.ts'
import type { TransactionalStore } from './transactional-store.ts'
import { timeBytes, timeIn, timeKey } from './window-entries.ts'
import { byKey, lastTimeKey } from './window-table.ts'

/** What a timer goes by. */
export type TimerType = 'stream-time' | 'wall-clock'

/** A timer as it lies in the store. */
export interface TimerEntry {
  /** Its key among those that are due; in the order of time, then of keys and names. */
  readonly id: string
  /** The bytes of the key. */
  readonly key: string
  /** The bytes of the name. */
  readonly name: string
  readonly at: number
}

export type TimerEntryStore = TransactionalStore<string, number>

const kinds: Readonly<Record<TimerType, string>> = { 'stream-time': '\u0000', 'wall-clock': '\u0001' }
const lengthBytes = 4

const lengthKey = (length: number): string =>
  String.fromCharCode(length >>> 24, (length >>> 16) & 255, (length >>> 8) & 255, length & 255)

const lengthIn = (key: string, at: number): number =>
  ((key.charCodeAt(at) << 24) |
    (key.charCodeAt(at + 1) << 16) |
    (key.charCodeAt(at + 2) << 8) |
    key.charCodeAt(at + 3)) >>>
  0

const dueKey = (type: TimerType, at: number, key: string, name: string): string =>
  `${kinds[type]}${timeKey(at)}${key}${name}${lengthKey(name.length)}`

const entryOf = (id: string): TimerEntry => {
  const end = id.length - lengthBytes
  const nameStart = end - lengthIn(id, end)
  return {
    id,
    key: id.slice(1 + timeBytes, nameStart),
    name: id.slice(nameStart, end),
    at: timeIn(id, 1),
  }
}

/** Which of two timers at the same place it is: the time, and what it goes by. */
const heldOf = (type: TimerType, at: number): number => (type === 'stream-time' ? at : -1 - at)

const dueOf = (held: number, key: string, name: string): string =>
  held >= 0 ? dueKey('stream-time', held, key, name) : dueKey('wall-clock', -1 - held, key, name)

export class TimerTable {
  readonly #store: TimerEntryStore
  readonly #codec: StoreCodec<unknown, number>

  /** @param key serde of the keys alone */
  constructor(store: TimerEntryStore, key: Serde<unknown>, value: Serde<number>) {
    this.#store = store
    this.#codec = new StoreCodec(store.name, key, value, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY)
  }

  /** The bytes of a key. @throws SERIALIZATION_FAILED */
  keyBytes(key: unknown): string {
    return this.#codec.key(key)
  }

  /** @throws DESERIALIZATION_FAILED */
  keyOf({ key }: TimerEntry): unknown {
    return this.#codec.keyOf(key)
  }

  nameOf({ name }: TimerEntry): string {
    return Buffer.from(name, 'latin1').toString()
  }

  /** Sets the timer of this key and name, in the place of the one that is there. @returns its id */
  set(key: string, name: string, type: TimerType, at: number): string {
    const bytes = latin1Of(Buffer.from(name))
    const place = byKey(key) + bytes
    const before = this.#store.get(place)
    const held = heldOf(type, at)
    const id = dueKey(type, at, key, bytes)
    if (before === held) return id
    if (before !== undefined) this.#store.delete(dueOf(before, key, bytes))
    this.#store.put(place, held)
    this.#store.put(id, held)
    return id
  }

  /** @returns whether there was one */
  cancel(key: string, name: string): boolean {
    const bytes = latin1Of(Buffer.from(name))
    const place = byKey(key) + bytes
    const before = this.#store.get(place)
    if (before === undefined) return false
    this.#store.delete(place)
    this.#store.delete(dueOf(before, key, bytes))
    return true
  }

  /** When the timer of this key and name is due, ms since the epoch. */
  at(key: string, name: string): number | undefined {
    const held = this.#store.get(byKey(key) + latin1Of(Buffer.from(name)))
    return held === undefined || held >= 0 ? held : -1 - held
  }

  has({ id }: TimerEntry): boolean {
    return this.#store.has(id)
  }

  remove({ id, key, name }: TimerEntry): void {
    this.#store.delete(id)
    this.#store.delete(byKey(key) + name)
  }

  /** The next timers of this type, in order. @param from no id below it @param until the last time */
  *upTo(type: TimerType, from: string, until: number): IterableIterator<TimerEntry> {
    const first = kinds[type]
    const end =
      until >= Number.MAX_SAFE_INTEGER
        ? type === 'stream-time'
          ? kinds['wall-clock']
          : lastTimeKey
        : first + timeKey(Math.max(0, until + 1))
    const low = from > first ? from : first
    if (low >= end) return
    for (const { key } of this.#store.range(low, end)) yield entryOf(key)
  }
}
