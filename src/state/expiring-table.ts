// A key-value store whose entries live for a time after their timestamps. What is over is read as absent at once; it is
// deleted later, a few entries with each write, so that no record pays for many.
//
// key of an entry:  81 · key bytes                                    timestamp int64 · value
// key of a place:   time int64 (from 0) · key bytes                   -1 int64
// progress          key FF                                            -2 int64 · swept
//
// A place says that the key may be over when the step of time is that begins there. An entry that is written again keeps
// its place: when the sweep comes to it, it gets a new one. So a key that is written often costs one entry, not three.
import { writeInt64 } from '../record/varint.ts'
import type { Serde } from '../serde/serde.ts'
import type { KeyedRecord, KeyValue, KeyValueStore } from './contracts.ts'
import { withMarks } from './marked-values.ts'
import { prefixBounds, StoreCodec } from './store-codec.ts'
import type { Timestamped } from './timestamped.ts'
import type { TransactionalStore } from './transactional-store.ts'
import { progressKey, timeBytes, timeKey } from './window-entries.ts'

interface Mark {
  /** Places below this key are gone; undefined: it is a place. */
  readonly swept: string | undefined
}

type Entry = Timestamped<unknown> | Mark
export type ExpiringStore = TransactionalStore<string, Entry>

const place: Mark = Object.freeze({ swept: undefined })
const prefix = '\u0081'
const afterEntries = '\u0082'

/** A write makes one place at most, so the sweep catches up with what is due. */
const placesPerWrite = 16
/** Places that are swept together, within the time that an entry lives. */
const stepsPerLife = 16

/** The serde of what lies in such a store. */
export const expiringEntries = (value: Serde<unknown>): Serde<Entry> =>
  withMarks<Mark>('expiring', value, {
    is: (entry): entry is Mark => 'swept' in entry,
    encode({ swept }) {
      const bytes = Buffer.alloc(timeBytes + (swept?.length ?? 0))
      writeInt64(bytes, 0, swept === undefined ? -1 : -2)
      if (swept !== undefined) bytes.write(swept, timeBytes, 'latin1')
      return bytes
    },
    decode: (bytes) => (bytes.length === timeBytes ? place : { swept: bytes.toString('latin1', timeBytes) }),
  })

export class ExpiringTable implements KeyValueStore<unknown, Timestamped<unknown>> {
  readonly #store: ExpiringStore
  readonly #codec: StoreCodec<unknown, unknown>
  readonly #ttlMs: number
  readonly #stepMs: number
  readonly #now: () => number

  /** @param key serde of the keys alone @param value serde of the values alone @param now stream time, ms */
  constructor(
    store: ExpiringStore,
    key: Serde<unknown>,
    value: Serde<unknown>,
    ttlMs: number,
    now: () => number,
  ) {
    this.#store = store
    const noLimit = Number.POSITIVE_INFINITY
    this.#codec = new StoreCodec(store.name, key, value, noLimit, noLimit)
    this.#ttlMs = ttlMs
    this.#stepMs = Math.max(1, Math.floor(ttlMs / stepsPerLife))
    this.#now = now
  }

  get name(): string {
    return this.#store.name
  }

  get(key: unknown): Timestamped<unknown> | undefined {
    return this.#find(this.#codec.key(key))
  }

  has(key: unknown): boolean {
    return this.get(key) !== undefined
  }

  getOf(record: KeyedRecord<unknown>): Timestamped<unknown> | undefined {
    return this.#find(this.#keyOf(record))
  }

  put(key: unknown, entry: Timestamped<unknown>): void {
    this.#put(this.#codec.key(key), entry)
  }

  putOf(record: KeyedRecord<unknown>, entry: Timestamped<unknown>): void {
    this.#put(this.#keyOf(record), entry)
  }

  delete(key: unknown): void {
    this.#store.delete(prefix + this.#codec.key(key))
    this.#sweep()
  }

  deleteOf(record: KeyedRecord<unknown>): void {
    this.#store.delete(prefix + this.#keyOf(record))
    this.#sweep()
  }

  range(
    from: unknown,
    to: unknown,
    options?: { readonly reverse?: boolean },
  ): IterableIterator<KeyValue<unknown, Timestamped<unknown>>> {
    const low = from === undefined ? '' : this.#codec.key(from)
    return this.#within(low, to === undefined ? undefined : this.#codec.key(to), options)
  }

  prefixScan<P>(
    begin: P,
    serde: Serde<P>,
    options?: { readonly reverse?: boolean },
  ): IterableIterator<KeyValue<unknown, Timestamped<unknown>>> {
    const { from, to } = prefixBounds(serde, begin)
    return this.#within(from, to, options)
  }

  *#within(
    from: string,
    to: string | undefined,
    options?: { readonly reverse?: boolean },
  ): IterableIterator<KeyValue<unknown, Timestamped<unknown>>> {
    const high = to === undefined ? afterEntries : prefix + to
    for (const { key, value } of this.#store.range(prefix + from, high, options)) {
      const entry = value as Timestamped<unknown>
      if (!this.#isOver(entry)) yield { key: this.#codec.keyOf(key.slice(prefix.length)), value: entry }
    }
  }

  all(): IterableIterator<KeyValue<unknown, Timestamped<unknown>>> {
    return this.range(undefined, undefined)
  }

  #keyOf(record: KeyedRecord<unknown>): string {
    return this.#codec.rawKeyOf(record) ?? this.#codec.key(record.key)
  }

  #isOver({ timestamp }: Timestamped<unknown>): boolean {
    return timestamp + this.#ttlMs <= this.#now()
  }

  #find(key: string): Timestamped<unknown> | undefined {
    const entry = this.#store.get(prefix + key) as Timestamped<unknown> | undefined
    return entry === undefined || this.#isOver(entry) ? undefined : entry
  }

  #put(key: string, entry: Timestamped<unknown>): void {
    const id = prefix + key
    if (this.#isOver(entry)) this.#store.delete(id)
    else {
      if (!this.#store.has(id)) this.#place(key, entry)
      this.#store.put(id, entry)
    }
    this.#sweep()
  }

  #place(key: string, { timestamp }: Timestamped<unknown>): void {
    const id = timeKey(Math.max(0, Math.floor(timestamp / this.#stepMs) * this.#stepMs)) + key
    if (!this.#store.has(id)) this.#store.put(id, place)
    // Where stream time began anew, places come to lie behind the sweep.
    if (id < this.#swept) this.#store.put(progressKey, { swept: id })
  }

  get #swept(): string {
    return (this.#store.get(progressKey) as Mark | undefined)?.swept ?? ''
  }

  #sweep(): void {
    const due = Math.floor((this.#now() - this.#ttlMs) / this.#stepMs) * this.#stepMs
    if (due <= 0) return
    const swept = this.#swept
    const end = timeKey(due)
    if (swept >= end) return
    const passed: string[] = []
    for (const { key } of this.#store.range(swept, end)) {
      passed.push(key)
      if (passed.length === placesPerWrite) break
    }
    for (const id of passed) this.#pass(id)
    const last = passed.length === placesPerWrite ? `${passed.at(-1)}\u0000` : end
    this.#store.put(progressKey, { swept: last })
  }

  #pass(id: string): void {
    const key = id.slice(timeBytes)
    this.#store.delete(id)
    const entry = this.#store.get(prefix + key) as Timestamped<unknown> | undefined
    if (entry === undefined) return
    if (this.#isOver(entry)) this.#store.delete(prefix + key)
    else this.#place(key, entry)
  }
}
