// Values with the time that they are of, as tables keep them: a join is as late as the later of its two sides, and an
// aggregate as late as its latest record (as in Kafka Streams, whose layout this is).
//
// bytes: timestamp int64 (ms since the epoch) · value
import type { RecordHeader } from '../record/record-cursor.ts'
import { readInt64, writeInt64 } from '../record/varint.ts'
import type { Serde } from '../serde/serde.ts'
import { bufferOver } from '../serde/text.ts'
import type { KeyValue, KeyValueStore } from './contracts.ts'

/** A value and its timestamp in ms since the epoch. */
export interface Timestamped<V> {
  readonly value: V
  readonly timestamp: number
  /** Of the record that wrote it, in a store that keeps them (headed-values.ts). */
  readonly headers?: readonly RecordHeader[]
}

const timestampBytes = 8

const timestampOf = (bytes: Buffer, start: number, end: number): number => {
  if (end - start < timestampBytes)
    throw new RangeError(
      `a value with its timestamp takes at least ${timestampBytes} bytes, not ${end - start}`,
    )
  return readInt64(bytes, start)
}

/** The serde of such values. Null stands for no entry: it is never asked to write one. */
export const timestamped = <V>(serde: Serde<V>): Serde<Timestamped<V>> => {
  const whole: { -readonly [F in keyof Serde<Timestamped<V>>]: Serde<Timestamped<V>>[F] } = {
    name: `timestamped(${serde.name})`,
    primitive: serde.primitive === true,
    encode({ value, timestamp }) {
      const bytes = serde.encode(value)
      const target = Buffer.allocUnsafe(timestampBytes + bytes.length)
      writeInt64(target, 0, timestamp)
      target.set(bytes, timestampBytes)
      return target
    },
    decode(bytes) {
      const source = bufferOver(bytes)
      const timestamp = timestampOf(source, 0, source.length)
      return { value: serde.decode(bytes.subarray(timestampBytes)), timestamp }
    },
  }
  const { encodeInto, decodeFrom } = serde
  if (encodeInto !== undefined) {
    whole.encodeInto = ({ value, timestamp }, target, offset) => {
      if (target.length - offset < timestampBytes) return -1
      const length = encodeInto.call(serde, value, target, offset + timestampBytes)
      if (length < 0) return -1
      writeInt64(target, offset, timestamp)
      return timestampBytes + length
    }
  }
  if (decodeFrom !== undefined) {
    whole.decodeFrom = (source, start, end) => {
      const timestamp = timestampOf(source, start, end)
      return { value: decodeFrom.call(serde, source, start + timestampBytes, end), timestamp }
    }
  }
  return whole
}

/** Reads the values of such bytes alone. */
export const withoutTimestamp = <V>(serde: Serde<V>): Serde<V> => {
  const whole = timestamped(serde)
  return {
    name: serde.name,
    encode(): Uint8Array {
      throw new TypeError('a value without its timestamp is not written')
    },
    decode: (bytes) => whole.decode(bytes).value,
  }
}

/** A store of timestamped values as a processor sees it that wants the values alone. */
export class PlainView<K, V> implements KeyValueStore<K, V> {
  readonly name: string
  readonly #store: KeyValueStore<K, Timestamped<V>>
  readonly #timestamp: () => number
  protected readonly encodesNull: (value: V) => boolean

  /** @param timestamp what a value is dated with that is written here */
  constructor(store: KeyValueStore<K, Timestamped<V>>, serde: Serde<V>, timestamp: () => number) {
    this.name = store.name
    this.#store = store
    this.#timestamp = timestamp
    this.encodesNull = (value) => serde.encodesNull?.(value) === true
  }

  get(key: K): V | undefined {
    return this.#store.get(key)?.value
  }

  has(key: K): boolean {
    return this.#store.has(key)
  }

  put(key: K, value: V): void {
    if (this.encodesNull(value)) this.#store.delete(key)
    else this.#store.put(key, { value, timestamp: this.#timestamp() })
  }

  delete(key: K): void {
    this.#store.delete(key)
  }

  *range(
    from: K | undefined,
    to: K | undefined,
    options?: { readonly reverse?: boolean },
  ): IterableIterator<KeyValue<K, V>> {
    for (const { key, value } of this.#store.range(from, to, options)) yield { key, value: value.value }
  }

  all(): IterableIterator<KeyValue<K, V>> {
    return this.range(undefined, undefined)
  }

  *prefixScan<P>(
    prefix: P,
    serde: Serde<P>,
    options?: { readonly reverse?: boolean },
  ): IterableIterator<KeyValue<K, V>> {
    const found = this.#store.prefixScan(prefix, serde, options)
    for (const { key, value } of found) yield { key, value: value.value }
  }
}
