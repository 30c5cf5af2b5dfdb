// Records that wait in a store until time has passed theirs: in the order of time, those of one time by key, those of one
// key as they came. How far time has come is an entry of the store, too.
//
// key of a record:  timestamp int64 (from 0) · key bytes · number int64
// a record          timestamp int64 · headers int32 · (length int32 · name · length int32, -1 for null · value)* · value
// progress          key FF; -1 - time int64 · next number int64
import { readInt64, writeInt64 } from '../record/varint.ts'
import type { RecordHeader } from '../record/record-cursor.ts'
import type { Serde } from '../serde/serde.ts'
import type { KeyedRecord } from './contracts.ts'
import type { HotEntry } from './hot-entry.ts'
import { withMarks } from './marked-values.ts'
import { StoreCodec } from './store-codec.ts'
import type { Timestamped } from './timestamped.ts'
import type { TransactionalStore } from './transactional-store.ts'
import { progressKey, timeBytes, timeKey } from './window-entries.ts'
import { lastTimeKey } from './window-table.ts'

interface Contents {
  readonly value: unknown
  readonly headers: readonly RecordHeader[]
}

interface Progress {
  /** Highest timestamp seen, ms; -1 before the first. */
  readonly time: number
  /** Of the next record. */
  readonly next: number
}

type Entry = Timestamped<unknown> | Progress
export type WaitingStore = TransactionalStore<string, Entry>

/** What is kept of a record that waits. */
export interface WaitingRecord {
  readonly key: unknown
  readonly value: unknown
  readonly timestamp: number
  readonly headers: readonly RecordHeader[]
}

const noProgress: Progress = Object.freeze({ time: -1, next: 0 })
const lengthBytes = 4

const withLength = (bytes: Uint8Array | null): Uint8Array[] => {
  const length = Buffer.allocUnsafe(lengthBytes)
  length.writeInt32BE(bytes?.length ?? -1, 0)
  return bytes === null ? [length] : [length, bytes]
}

const contents = (value: Serde<unknown>): Serde<Contents> => ({
  name: value.name,
  encode({ value: given, headers }) {
    const count = Buffer.allocUnsafe(lengthBytes)
    count.writeInt32BE(headers.length, 0)
    const parts = headers.flatMap((header) => [
      ...withLength(Buffer.from(header.key)),
      ...withLength(header.value),
    ])
    return Buffer.concat([count, ...parts, value.encode(given)])
  },
  decode(given) {
    // A copy: what is kept of the headers outlives the call.
    const bytes = Buffer.from(given)
    let position = lengthBytes
    const next = (): Buffer | null => {
      const length = bytes.readInt32BE(position)
      position += lengthBytes
      if (length < 0) return null
      position += length
      return bytes.subarray(position - length, position)
    }
    const headers: RecordHeader[] = []
    for (let left = bytes.readInt32BE(0); left > 0; left--)
      headers.push({ key: next()?.toString() ?? '', value: next() })
    return { value: value.decode(bytes.subarray(position)), headers }
  },
})

/** The serde of what lies in a store of records that wait. */
export const waitingEntries = (value: Serde<unknown>): Serde<Entry> =>
  withMarks<Progress>('waiting', contents(value) as Serde<unknown>, {
    is: (entry): entry is Progress => 'time' in entry,
    encode({ time, next }) {
      const bytes = Buffer.allocUnsafe(2 * timeBytes)
      writeInt64(bytes, 0, -1 - time)
      writeInt64(bytes, timeBytes, next)
      return bytes
    },
    decode: (bytes) => ({ time: -1 - readInt64(bytes, 0), next: readInt64(bytes, timeBytes) }),
  })

export class WaitingRecords {
  readonly #store: WaitingStore
  readonly #codec: StoreCodec<unknown, unknown>
  readonly #hot: HotEntry<Entry>

  /** @param key serde of the keys alone @param value serde of the values alone */
  constructor(store: WaitingStore, key: Serde<unknown>, value: Serde<unknown>) {
    this.#store = store
    this.#hot = store.hotEntry(progressKey, () => 2 * timeBytes)
    const noLimit = Number.POSITIVE_INFINITY
    this.#codec = new StoreCodec(store.name, key, value, noLimit, noLimit)
  }

  /** Highest timestamp of the records that were added, ms; -1 before the first. */
  get time(): number {
    return this.#progress.time
  }

  /** @throws SERIALIZATION_FAILED */
  add(record: KeyedRecord<unknown> & Omit<WaitingRecord, 'key'>): void {
    const { timestamp, value, headers } = record
    const { time, next } = this.#progress
    const key = this.#codec.rawKeyOf(record) ?? this.#codec.key(record.key)
    this.#store.put(timeKey(timestamp) + key + timeKey(next), { value: { value, headers }, timestamp })
    this.#hot.set({ time: Math.max(time, timestamp), next: next + 1 })
  }

  /** The timestamp of the first one, or infinity. */
  get first(): number {
    for (const { value } of this.#store.range(timeKey(0), lastTimeKey))
      return (value as Timestamped<unknown>).timestamp
    return Number.POSITIVE_INFINITY
  }

  /** Takes the next ones with this timestamp or an earlier one out. Fewer than `recordsMax`: these were the last. */
  take(last: number, recordsMax: number): WaitingRecord[] {
    const taken: { id: string; entry: Timestamped<unknown> }[] = []
    for (const { key, value } of this.#store.range(timeKey(0), timeKey(Math.max(0, last + 1)))) {
      taken.push({ id: key, entry: value as Timestamped<unknown> })
      if (taken.length === recordsMax) break
    }
    return taken.map(({ id, entry: { value, timestamp } }) => {
      this.#store.delete(id)
      const key = this.#codec.keyOf(id.slice(timeBytes, id.length - timeBytes))
      return { key, timestamp, ...(value as Contents) }
    })
  }

  get #progress(): Progress {
    return (this.#hot.get() as Progress | undefined) ?? noProgress
  }
}
