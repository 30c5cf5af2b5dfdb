// A record on its way through the processors: immutable, decoded lazily, in place over the bytes of its batch.
import { MillstreamError, ensureError, isSchemaPending } from '../errors.ts'
import { type RecordHeader, readHeaders } from '../record/record-cursor.ts'
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

/** The bytes were given away (ProcessorInstance.keepsNoRecord): their memory is detached, and its views are empty. */
const isGone = (source: Buffer | undefined): boolean =>
  source?.length === 0 && (source.buffer as ArrayBuffer).detached

const recordExpired = (): MillstreamError =>
  new MillstreamError('RECORD_EXPIRED', {
    what: 'a record was read after its turn, and its bytes are gone',
    fix: 'Functions of operators (map, filter, aggregate, the topic or partition of an output, …) get a record for the call only: keep its key and value instead, or use peek, foreach or process, whose records stay.',
  })

const decodeFailed = (field: Field, length: number, serde: Serde<unknown, never>, cause: unknown): Error =>
  isSchemaPending(cause)
    ? ensureError(cause)
    : new MillstreamError('DESERIALIZATION_FAILED', {
        what: `the serde ${serde.name} refused the ${field} of ${length} bytes: ${ensureError(cause).message}`,
        fix: 'Check what the producer writes against the serde of the topic, or choose the policy skip for such records.',
        cause,
      })

const decodeNull = <T>(field: Field, serde: Serde<T, never>): T => {
  if (serde.decodeNull !== undefined) return serde.decodeNull()
  throw nullRefused(field, serde as unknown as Serde<unknown>)
}

const decode = <T>(
  field: Field,
  source: Buffer,
  start: number,
  length: number,
  serde: Serde<T, never>,
): T => {
  if (length < 0) return decodeNull(field, serde)
  if (isGone(source)) throw recordExpired()
  try {
    return serde.decodeFrom
      ? serde.decodeFrom(source, start, start + length)
      : serde.decode(source.subarray(start, start + length))
  } catch (error) {
    throw decodeFailed(field, length, serde, error)
  }
}

/**
 * A record as processors see it. A function of an operator gets it for the call: what it did not read by then may be gone.
 * `withKey`, `withValue`, `withTimestamp` and `withHeaders` answer a changed copy;
 * what was not changed keeps its bytes, so that it is neither decoded nor encoded on its way to an output.
 */
export class StreamRecord<K, V> {
  /** Milliseconds since the epoch. */
  readonly timestamp: number

  // The bytes behind key and value, where they came from a batch and were not replaced (source undefined: replaced).
  // Internal: read by the task and the stores only.
  /** @internal */ readonly keySource: Buffer | undefined
  /** @internal */ readonly keyStart: number
  /** @internal */ readonly keyLength: number
  /** @internal */ readonly keySerde: Serde<K, never> | undefined
  /** @internal */ readonly valueSource: Buffer | undefined
  /** @internal */ readonly valueStart: number
  /** @internal */ readonly valueLength: number
  /** @internal */ readonly valueSerde: Serde<V, never> | undefined
  #key: K | typeof undecoded
  #value: V | typeof undecoded
  #headers: readonly RecordHeader[] | undefined
  readonly #headersSource: Buffer | undefined
  readonly #headersStart: number
  readonly #headerCount: number

  /** @internal Use `StreamRecord.of`. */
  constructor(
    timestamp: number,
    keySource: Buffer | undefined,
    keyStart: number,
    keyLength: number,
    keySerde: Serde<K, never> | undefined,
    key: K | typeof undecoded,
    valueSource: Buffer | undefined,
    valueStart: number,
    valueLength: number,
    valueSerde: Serde<V, never> | undefined,
    value: V | typeof undecoded,
    headersSource: Buffer | undefined,
    headersStart: number,
    headerCount: number,
    headers: readonly RecordHeader[] | undefined,
  ) {
    this.timestamp = timestamp
    this.keySource = keySource
    this.keyStart = keyStart
    this.keyLength = keyLength
    this.keySerde = keySerde
    this.valueSource = valueSource
    this.valueStart = valueStart
    this.valueLength = valueLength
    this.valueSerde = valueSerde
    this.#key = key
    this.#value = value
    this.#headersSource = headersSource
    this.#headersStart = headersStart
    this.#headerCount = headerCount
    this.#headers = headers
  }

  /** A record made of values. `timestamp` in ms since the epoch. */
  static of<K, V>(record: {
    key: K
    value: V
    timestamp: number
    headers?: readonly RecordHeader[]
  }): StreamRecord<K, V> {
    return new StreamRecord<K, V>(
      record.timestamp,
      undefined,
      0,
      -1,
      undefined,
      record.key,
      undefined,
      0,
      -1,
      undefined,
      record.value,
      undefined,
      0,
      0,
      record.headers ?? noHeaders,
    )
  }

  /** @internal A record over the bytes of a batch: nothing is decoded. */
  static overBytes<K, V>(
    source: Buffer,
    timestamp: number,
    keyStart: number,
    keyLength: number,
    keySerde: Serde<K, never>,
    valueStart: number,
    valueLength: number,
    valueSerde: Serde<V, never>,
    headersStart: number,
    headerCount: number,
  ): StreamRecord<K, V> {
    return new StreamRecord<K, V>(
      timestamp,
      source,
      keyStart,
      keyLength,
      keySerde,
      undecoded,
      source,
      valueStart,
      valueLength,
      valueSerde,
      undecoded,
      source,
      headersStart,
      headerCount,
      undefined,
    )
  }

  /** @throws DESERIALIZATION_FAILED when the serde of the topic refuses the bytes. */
  get key(): K {
    if (this.#key === undecoded)
      this.#key = decode(
        'key',
        this.keySource as Buffer,
        this.keyStart,
        this.keyLength,
        this.keySerde as Serde<K, never>,
      )
    return this.#key as K
  }

  /** @throws DESERIALIZATION_FAILED when the serde of the topic refuses the bytes. */
  get value(): V {
    if (this.#value === undecoded) {
      this.#value = decode(
        'value',
        this.valueSource as Buffer,
        this.valueStart,
        this.valueLength,
        this.valueSerde as Serde<V, never>,
      )
    }
    return this.#value as V
  }

  /** Whether the key is null; decodes nothing. */
  get keyIsNull(): boolean {
    return this.keySource === undefined ? this.#key === null : this.keyLength < 0
  }

  /** Whether the value is null; decodes nothing. */
  get valueIsNull(): boolean {
    return this.valueSource === undefined ? this.#value === null : this.valueLength < 0
  }

  get headers(): readonly RecordHeader[] {
    this.#headers ??= this.#headerCount === 0 ? noHeaders : this.#readHeaders()
    return this.#headers
  }

  #readHeaders(): readonly RecordHeader[] {
    if (isGone(this.#headersSource)) throw recordExpired()
    return readHeaders(this.#headersSource as Buffer, this.#headersStart, this.#headerCount)
  }

  /** @internal The record, whose bytes are still there, also where it was decoded: they may be copied. @throws RECORD_EXPIRED */
  checked(): this {
    const headersGone = this.#headerCount > 0 && this.#headers === undefined && isGone(this.#headersSource)
    if (isGone(this.keySource) || isGone(this.valueSource) || headersGone) throw recordExpired()
    return this
  }

  /** @internal Whether there are no headers; decodes nothing. */
  get withoutHeaders(): boolean {
    return this.#headers === undefined ? this.#headerCount === 0 : this.#headers.length === 0
  }

  withKey<K2>(key: K2): StreamRecord<K2, V> {
    return new StreamRecord<K2, V>(
      this.timestamp,
      undefined,
      0,
      -1,
      undefined,
      key,
      this.valueSource,
      this.valueStart,
      this.valueLength,
      this.valueSerde,
      this.#value,
      this.#headersSource,
      this.#headersStart,
      this.#headerCount,
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
      this.keySource,
      this.keyStart,
      this.keyLength,
      this.keySerde,
      this.#key,
      undefined,
      0,
      -1,
      undefined,
      value,
      this.#headersSource,
      this.#headersStart,
      this.#headerCount,
      this.#headers,
    )
  }

  /** @internal Both at once, with a single copy. */
  withKeyAndValue<K2, V2>(key: K2, value: V2): StreamRecord<K2, V2> {
    return new StreamRecord<K2, V2>(
      this.timestamp,
      undefined,
      0,
      -1,
      undefined,
      key,
      undefined,
      0,
      -1,
      undefined,
      value,
      this.#headersSource,
      this.#headersStart,
      this.#headerCount,
      this.#headers,
    )
  }

  /** `timestamp` in ms since the epoch. */
  withTimestamp(timestamp: number): StreamRecord<K, V> {
    return new StreamRecord<K, V>(
      timestamp,
      this.keySource,
      this.keyStart,
      this.keyLength,
      this.keySerde,
      this.#key,
      this.valueSource,
      this.valueStart,
      this.valueLength,
      this.valueSerde,
      this.#value,
      this.#headersSource,
      this.#headersStart,
      this.#headerCount,
      this.#headers,
    )
  }

  withHeaders(headers: readonly RecordHeader[]): StreamRecord<K, V> {
    return new StreamRecord<K, V>(
      this.timestamp,
      this.keySource,
      this.keyStart,
      this.keyLength,
      this.keySerde,
      this.#key,
      this.valueSource,
      this.valueStart,
      this.valueLength,
      this.valueSerde,
      this.#value,
      undefined,
      0,
      0,
      headers,
    )
  }
}
