// A record on its way through the processors: immutable, decoded lazily, in place over the bytes of its batch.
import { MillstreamError, ensureError, isSchemaPending } from '../errors.ts'
import { type RecordCursor, type RecordHeader, readHeaders } from '../record/record-cursor.ts'
import type { Serde } from '../serde/serde.ts'

const noHeaders: readonly RecordHeader[] = Object.freeze([])

/** Stands for "not decoded yet"; no user value can be identical to it. */
const undecoded: unique symbol = Symbol('undecoded')

type Field = 'key' | 'value'

const nullRefused = (field: Field, serde: Serde<unknown>): MillstreamError =>
  new MillstreamError('DESERIALIZATION_FAILED', {
    what: `the ${field} is null, which the serde ${serde.name} does not take`,
    fix: `Where null is meant, declare the ${field} as nullable(${serde.name}).`,
  })

/** Where a record stands: what a cursor says of the one that it is at. @internal */
export type RecordPlace = Pick<
  RecordCursor,
  | 'buffer'
  | 'timestamp'
  | 'keyStart'
  | 'keyLength'
  | 'valueStart'
  | 'valueLength'
  | 'headersStart'
  | 'headerCount'
>

interface RecordSerdes<K, V> {
  readonly key: Serde<K, never>
  readonly value: Serde<V, never>
}

/**
 * Where key, value and headers of a record stand in the bytes of its batch, and the serdes that read them. Shared by the
 * records that were made of it, for what they did not change.
 * @internal
 */
export class RecordBytes<K, V> {
  readonly source: Buffer
  readonly keyStart: number
  /** -1: null. */
  readonly keyLength: number
  readonly keySerde: Serde<K, never>
  readonly valueStart: number
  /** -1: null. */
  readonly valueLength: number
  readonly valueSerde: Serde<V, never>
  readonly headersStart: number
  readonly headerCount: number

  constructor(at: RecordPlace, serdes: RecordSerdes<K, V>) {
    this.source = at.buffer
    this.keyStart = at.keyStart
    this.keyLength = at.keyLength
    this.keySerde = serdes.key
    this.valueStart = at.valueStart
    this.valueLength = at.valueLength
    this.valueSerde = serdes.value
    this.headersStart = at.headersStart
    this.headerCount = at.headerCount
  }

  /** They were given away (ProcessorInstance.keepsNoRecord): their memory is detached, and its views are empty. */
  get areGone(): boolean {
    return this.source.length === 0 && (this.source.buffer as ArrayBuffer).detached
  }

  key(): K {
    return this.#decode('key', this.keyStart, this.keyLength, this.keySerde)
  }

  value(): V {
    return this.#decode('value', this.valueStart, this.valueLength, this.valueSerde)
  }

  headers(): readonly RecordHeader[] {
    if (this.areGone) throw recordExpired()
    return readHeaders(this.source, this.headersStart, this.headerCount)
  }

  #decode<T>(field: Field, start: number, length: number, serde: Serde<T, never>): T {
    if (length < 0) return decodeNull(field, serde)
    const { source } = this
    if (this.areGone) throw recordExpired()
    try {
      return serde.decodeFrom
        ? serde.decodeFrom(source, start, start + length)
        : serde.decode(source.subarray(start, start + length))
    } catch (error) {
      throw decodeFailed(field, length, serde, error)
    }
  }
}

const recordExpired = (): MillstreamError =>
  new MillstreamError('RECORD_EXPIRED', {
    what: 'a record was read after its turn, and its bytes are gone',
    fix: 'Functions of operators (map, filter, aggregate, the topic or partition of an output, …) get a record for the call only: keep its key and value instead, or use peek, foreach or process, whose records stay.',
  })

const decodeNull = <T>(field: Field, serde: Serde<T, never>): T => {
  if (serde.decodeNull !== undefined) return serde.decodeNull()
  throw nullRefused(field, serde as unknown as Serde<unknown>)
}

const decodeFailed = (field: Field, length: number, serde: Serde<unknown, never>, cause: unknown): Error =>
  isSchemaPending(cause)
    ? ensureError(cause)
    : new MillstreamError('DESERIALIZATION_FAILED', {
        what: `the serde ${serde.name} refused the ${field} of ${length} bytes: ${ensureError(cause).message}`,
        fix: 'Check what the producer writes against the serde of the topic, or choose the policy skip for such records.',
        cause,
      })

/**
 * A record as processors see it. A function of an operator gets it for the call: what it did not read by then may be gone.
 * `withKey`, `withValue`, `withTimestamp` and `withHeaders` answer a changed copy;
 * what was not changed keeps its bytes, so that it is neither decoded nor encoded on its way to an output.
 */
export class StreamRecord<K, V> {
  /** Milliseconds since the epoch. */
  readonly timestamp: number

  // Undefined where key, value or headers were replaced, or never had bytes.
  // Internal: read by the task and the stores only.
  /** @internal */ readonly keyBytes: RecordBytes<K, unknown> | undefined
  /** @internal */ readonly valueBytes: RecordBytes<unknown, V> | undefined
  readonly #headerBytes: RecordBytes<unknown, unknown> | undefined
  #key: K | typeof undecoded
  #value: V | typeof undecoded
  #headers: readonly RecordHeader[] | undefined

  /** @internal Use `StreamRecord.of`. */
  constructor(
    timestamp: number,
    keyBytes: RecordBytes<K, unknown> | undefined,
    key: K | typeof undecoded,
    valueBytes: RecordBytes<unknown, V> | undefined,
    value: V | typeof undecoded,
    headerBytes: RecordBytes<unknown, unknown> | undefined,
    headers: readonly RecordHeader[] | undefined,
  ) {
    this.timestamp = timestamp
    this.keyBytes = keyBytes
    this.#key = key
    this.valueBytes = valueBytes
    this.#value = value
    this.#headerBytes = headerBytes
    this.#headers = headers
  }

  /** A record made of values. `timestamp` in ms since the epoch. */
  static of<K, V>(record: {
    key: K
    value: V
    timestamp: number
    headers?: readonly RecordHeader[]
  }): StreamRecord<K, V> {
    const { timestamp, key, value } = record
    // Also where a caller without types has null.
    const headers = record.headers ?? noHeaders
    return new StreamRecord<K, V>(timestamp, undefined, key, undefined, value, undefined, headers)
  }

  /** @internal A record over the bytes of a batch: nothing is decoded. */
  static overBytes<K, V>(at: RecordPlace, serdes: RecordSerdes<K, V>): StreamRecord<K, V> {
    const bytes = new RecordBytes(at, serdes)
    const headers = bytes.headerCount === 0 ? noHeaders : undefined
    return new StreamRecord<K, V>(at.timestamp, bytes, undecoded, bytes, undecoded, bytes, headers)
  }

  /** @throws DESERIALIZATION_FAILED when the serde of the topic refuses the bytes. */
  get key(): K {
    if (this.#key === undecoded) this.#key = (this.keyBytes as RecordBytes<K, unknown>).key()
    return this.#key as K
  }

  /** @throws DESERIALIZATION_FAILED when the serde of the topic refuses the bytes. */
  get value(): V {
    if (this.#value === undecoded) this.#value = (this.valueBytes as RecordBytes<unknown, V>).value()
    return this.#value as V
  }

  /** Whether the key is null; decodes nothing. */
  get keyIsNull(): boolean {
    return this.keyBytes === undefined ? this.#key === null : this.keyBytes.keyLength < 0
  }

  /** Whether the value is null; decodes nothing. */
  get valueIsNull(): boolean {
    return this.valueBytes === undefined ? this.#value === null : this.valueBytes.valueLength < 0
  }

  get headers(): readonly RecordHeader[] {
    this.#headers ??= (this.#headerBytes as RecordBytes<unknown, unknown>).headers()
    return this.#headers
  }

  /** @internal The record, whose bytes are still there, also where it was decoded: they may be copied. @throws RECORD_EXPIRED */
  checked(): this {
    const headersGone = this.#headers === undefined && this.#headerBytes?.areGone === true
    if (this.keyBytes?.areGone || this.valueBytes?.areGone || headersGone) throw recordExpired()
    return this
  }

  /** @internal Whether there are no headers; decodes nothing. */
  get withoutHeaders(): boolean {
    return this.#headers?.length === 0
  }

  withKey<K2>(key: K2): StreamRecord<K2, V> {
    return new StreamRecord<K2, V>(
      this.timestamp,
      undefined,
      key,
      this.valueBytes,
      this.#value,
      this.#headerBytes,
      this.#headers,
    )
  }

  withValue<V2>(value: V2): StreamRecord<K, V2> {
    return this.withValueAt(value, this.timestamp)
  }

  /** @internal Both at once, with a single copy. `timestamp` in ms since the epoch. */
  withValueAt<V2>(value: V2, timestamp: number): StreamRecord<K, V2> {
    return new StreamRecord<K, V2>(
      timestamp,
      this.keyBytes,
      this.#key,
      undefined,
      value,
      this.#headerBytes,
      this.#headers,
    )
  }

  /** @internal Both at once, with a single copy. */
  withKeyAndValue<K2, V2>(key: K2, value: V2): StreamRecord<K2, V2> {
    return new StreamRecord<K2, V2>(
      this.timestamp,
      undefined,
      key,
      undefined,
      value,
      this.#headerBytes,
      this.#headers,
    )
  }

  /** `timestamp` in ms since the epoch. */
  withTimestamp(timestamp: number): StreamRecord<K, V> {
    return new StreamRecord<K, V>(
      timestamp,
      this.keyBytes,
      this.#key,
      this.valueBytes,
      this.#value,
      this.#headerBytes,
      this.#headers,
    )
  }

  withHeaders(headers: readonly RecordHeader[]): StreamRecord<K, V> {
    return new StreamRecord<K, V>(
      this.timestamp,
      this.keyBytes,
      this.#key,
      this.valueBytes,
      this.#value,
      undefined,
      headers ?? noHeaders,
    )
  }
}
