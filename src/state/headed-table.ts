// What operators and processors get for a store that keeps headers (headed-values.ts).
import { MillstreamError } from '../errors.ts'
import type { RecordHeader } from '../record/record-cursor.ts'
import type { Serde } from '../serde/serde.ts'
import type {
  EntryToPut,
  KeyedRecord,
  KeyValueStore,
  KeyValueStoreWithHeaders,
  KeyValueWithHeaders,
  ValueTimestampHeaders,
} from './contracts.ts'
import { PlainView, type Timestamped } from './timestamped.ts'

/** The record that writes an entry. */
export interface HeadedRecord extends KeyedRecord<unknown> {
  readonly headers: readonly RecordHeader[]
}

/** What holds the entries. */
export interface HeadedEntries extends KeyValueStore<unknown, Timestamped<unknown>> {
  getOf(record: KeyedRecord<unknown>): Timestamped<unknown> | undefined
  putOf(record: KeyedRecord<unknown>, entry: Timestamped<unknown>): void
  deleteOf(record: KeyedRecord<unknown>): void
}

/** Such a store as the operators use it that keep a table there: what a record writes has the headers of the record. */
export class HeadedTable {
  readonly name: string
  readonly #entries: HeadedEntries

  constructor(entries: HeadedEntries) {
    this.name = entries.name
    this.#entries = entries
  }

  get(key: unknown): Timestamped<unknown> | undefined {
    return this.#entries.get(key)
  }

  getOf(record: HeadedRecord): Timestamped<unknown> | undefined {
    return this.#entries.getOf(record)
  }

  putOf(record: HeadedRecord, { value, timestamp }: Timestamped<unknown>): void {
    this.#entries.putOf(record, { value, timestamp, headers: record.headers })
  }

  deleteOf(record: HeadedRecord): void {
    this.#entries.deleteOf(record)
  }
}

/** What is in hand while a processor writes. */
export interface InHand {
  timestamp(): number
  headers(): readonly RecordHeader[]
}

/** Such a store as a processor sees it. */
export class HeadedView<K, V> extends PlainView<K, V> implements KeyValueStoreWithHeaders<K, V> {
  readonly #entries: KeyValueStore<K, Timestamped<V>>
  readonly #inHand: InHand

  constructor(entries: KeyValueStore<K, Timestamped<V>>, serde: Serde<V>, inHand: InHand) {
    super(entries, serde, () => inHand.timestamp())
    this.#entries = entries
    this.#inHand = inHand
  }

  getEntry(key: K): ValueTimestampHeaders<V> | undefined {
    return this.#entries.get(key) as ValueTimestampHeaders<V> | undefined
  }

  override put(key: K, value: V): void {
    this.putEntry(key, { value })
  }

  putEntry(key: K, { value, timestamp, headers }: EntryToPut<V>): void {
    if (timestamp !== undefined && !(Number.isSafeInteger(timestamp) && timestamp >= 0))
      throw new MillstreamError('SERIALIZATION_FAILED', {
        what: `an entry is to have the timestamp ${timestamp}`,
        where: { store: this.name },
        fix: 'Give whole milliseconds since the epoch, from 0; or none, for that of the record in hand.',
      })
    if (this.encodesNull(value)) this.#entries.delete(key)
    else
      this.#entries.put(key, {
        value,
        timestamp: timestamp ?? this.#inHand.timestamp(),
        headers: headers ?? this.#inHand.headers(),
      })
  }

  override *range(
    from: K | undefined,
    to: K | undefined,
    options?: { readonly reverse?: boolean },
  ): IterableIterator<KeyValueWithHeaders<K, V>> {
    for (const { key, value } of this.#entries.range(from, to, options))
      yield { key, ...(value as ValueTimestampHeaders<V>) }
  }

  override all(): IterableIterator<KeyValueWithHeaders<K, V>> {
    return this.range(undefined, undefined)
  }

  override *prefixScan<P>(
    prefix: P,
    serde: Serde<P>,
    options?: { readonly reverse?: boolean },
  ): IterableIterator<KeyValueWithHeaders<K, V>> {
    for (const { key, value } of this.#entries.prefixScan(prefix, serde, options))
      yield { key, ...(value as ValueTimestampHeaders<V>) }
  }
}
