// Keys and values of a store as bytes. Keys stand in strings with one char per byte where they are put in order or go to an
// engine.
import { MillstreamError, ensureError, isSchemaPending } from '../errors.ts'
import { appendedSize } from '../record/batch-builder.ts'
import { batchOverheadBytes } from '../record/batch-view.ts'
import { copyOf } from '../record/copy-bytes.ts'
import type { Serde } from '../serde/serde.ts'
import { bufferOver } from '../serde/text.ts'
import type { KeyBytes, KeyedRecord } from './contracts.ts'
import { keepsHeaders, splitHeaders } from './headed-values.ts'
import { latin1, writeLatin1 } from './latin1.ts'

/** The bytes of a key as a string with one char (0-255) per byte. */
export const latin1Of = (bytes: Uint8Array): string => latin1(bufferOver(bytes), 0, bytes.length)

/** Bounds of the keys that begin with a prefix: from <= key < to, `to` undefined where there is none. */
export const prefixBounds = <P>(serde: Serde<P>, prefix: P): { from: string; to: string | undefined } => {
  const from = latin1Of(serde.encode(prefix))
  let end = from.length
  while (end > 0 && from.charCodeAt(end - 1) === 0xff) end--
  const last = String.fromCharCode(from.charCodeAt(end - 1) + 1)
  return { from, to: end === 0 ? undefined : from.slice(0, end - 1) + last }
}

/** Keys that are one char per byte already: of stores that lay out their keys themselves. */
export const rawKeys: Serde<string> = {
  name: 'raw',
  encode: (key) => Buffer.from(key, 'latin1'),
  decode: latin1Of,
}

// One scratch for all stores: an encode is synchronous and its result is copied out before the next one.
let scratch: Buffer = Buffer.allocUnsafeSlow(4096)
const scratchMax = 1 << 30

/** Where a key or a value stands that was placed. */
export interface PlacedBytes {
  readonly source: Buffer
  readonly start: number
  readonly length: number
}

export class StoreCodec<K, V> {
  /** Entries end with headers (headed-values.ts), which are headers in the changelog. */
  readonly keepsHeaders: boolean
  readonly #store: string
  readonly #key: Serde<K>
  readonly #value: Serde<V>
  readonly #keyBytesMax: number
  readonly #changeBytesMax: number
  // Where the bytes stand that were placed last: until the next call.
  source: Buffer = scratch
  start: number = 0
  length: number = 0

  constructor(store: string, key: Serde<K>, value: Serde<V>, keyBytesMax: number, changeBytesMax: number) {
    this.keepsHeaders = keepsHeaders(value)
    this.#store = store
    this.#key = key
    this.#value = value
    this.#keyBytesMax = keyBytesMax
    this.#changeBytesMax = changeBytesMax
  }

  #refused(field: 'key' | 'value', serde: Serde<never>, error: unknown): MillstreamError {
    return new MillstreamError('SERIALIZATION_FAILED', {
      what: `the serde ${serde.name} refused a ${field} of the store: ${ensureError(error).message}`,
      where: { store: this.#store },
      fix: `Check the ${field} against the serde with which the store was declared.`,
      cause: error,
    })
  }

  /** Places the bytes of a key. @throws SERIALIZATION_FAILED when the serde refuses the key or the key is null. */
  placeKey(key: K): void {
    const serde = this.#key
    if ((serde as unknown) === rawKeys) return this.placeRawKey(key as string)
    if (serde.encodesNull?.(key) === true || key === null || key === undefined) throw this.nullKey()
    try {
      this.#place(serde, key)
    } catch (error) {
      throw this.#refused('key', serde as Serde<never>, error)
    }
  }

  /** Places a key of one char per byte. */
  placeRawKey(key: string): void {
    const { length } = key
    if (length > scratch.length) scratch = Buffer.allocUnsafeSlow(length * 2)
    writeLatin1(key, scratch, 0)
    this.#placed(scratch, 0, length)
  }

  /** Places the key of a record, without encoding it where its bytes are at hand. @throws as `placeKey`; DESERIALIZATION_FAILED */
  placeKeyOf(record: KeyedRecord<K>): void {
    const bytes = this.#keyBytesOf(record)
    if (bytes === undefined) this.placeKey(record.key)
    else this.#placed(bytes.source, bytes.keyStart, bytes.keyLength)
  }

  #place<T>(serde: Serde<T>, value: T): void {
    if (serde.encodeInto === undefined) return this.placeBytes(serde.encode(value))
    for (;;) {
      // Code of the user that runs in there may put something large into a store, which makes another scratch.
      const target = scratch
      const length = serde.encodeInto(value, target, 0)
      if (length >= 0) return this.#placed(target, 0, length)
      if (target.length >= scratchMax) throw new RangeError(`the value does not fit into ${scratchMax} bytes`)
      if (scratch === target) scratch = Buffer.allocUnsafeSlow(target.length * 2)
    }
  }

  #placed(source: Buffer, start: number, length: number): void {
    this.source = source
    this.start = start
    this.length = length
  }

  /** Lets go of what was placed: it may be a whole answer to a fetch. */
  release(): void {
    this.#placed(scratch, 0, 0)
  }

  /** The key with one char per byte. @throws as `placeKey` */
  key(key: K): string {
    if ((this.#key as unknown) === rawKeys) return key as string
    this.placeKey(key)
    return latin1(this.source, this.start, this.start + this.length)
  }

  /** The key bytes of the record where they are what our serde would write. @throws DESERIALIZATION_FAILED */
  rawKeyOf(record: KeyedRecord<K>): string | undefined {
    const bytes = this.#keyBytesOf(record)
    return bytes && latin1(bytes.source, bytes.keyStart, bytes.keyStart + bytes.keyLength)
  }

  #keyBytesOf(record: KeyedRecord<K>): KeyBytes<K> | undefined {
    const bytes = record.keyBytes
    // Empty: its bytes are gone, and only the record can say so.
    if (bytes === undefined || bytes.source.length === 0) return undefined
    const serde = bytes.keySerde
    if (serde !== (this.#key as unknown)) return undefined
    if (bytes.keyLength < 0) throw this.nullKey()
    // A serde like JSON reads the same key from different bytes ({"a":1} and {"a": 1}), and those must be one key. A
    // primitive has one form, once its bytes were accepted: reading the key is what checks them.
    if (serde.acceptsAllBytes !== true) {
      if (serde.primitive !== true) return undefined
      void record.key
    }
    return bytes
  }

  nullKey(): MillstreamError {
    return new MillstreamError('SERIALIZATION_FAILED', {
      what: 'the key is null, which no store takes',
      where: { store: this.#store },
      fix: 'Drop records without a key before they reach the store, or give them one.',
    })
  }

  /** @throws SERIALIZATION_FAILED when the engine cannot take a key of that size. */
  checkKeySize(length: number): void {
    if (length <= this.#keyBytesMax) return
    throw new MillstreamError('SERIALIZATION_FAILED', {
      what: `a key of ${length} bytes is larger than the ${this.#keyBytesMax} bytes that the store takes`,
      where: { store: this.#store },
      fix: 'Use a shorter key (for instance a hash of it), or the memory engine.',
    })
  }

  /**
   * A change to the value that was placed last, which its changelog will not take, is refused with the record that makes
   * it. At the commit it would be too late to say which record that was, and nothing before it could be committed either.
   * @throws RECORD_TOO_LARGE
   */
  checkChangeSize(keyLength: number): void {
    // A header takes less than twice what it takes here; only what comes near the limit is taken apart.
    const about = this.length * (this.keepsHeaders ? 2 : 1)
    if (appendedSize(keyLength, about, undefined) + batchOverheadBytes <= this.#changeBytesMax) return
    const bytes = this.source.subarray(this.start, this.start + this.length)
    const { value, headers } = this.keepsHeaders ? splitHeaders(bytes) : { value: bytes, headers: undefined }
    const size = appendedSize(keyLength, value.length, headers)
    if (size + batchOverheadBytes <= this.#changeBytesMax) return
    throw new MillstreamError('RECORD_TOO_LARGE', {
      what: `an entry of about ${size} bytes is larger than the changelog of the store takes`,
      where: { store: this.#store, 'max.message.bytes': this.#changeBytesMax },
      fix: 'Raise max.message.bytes of the changelog topic, or make the value smaller.',
    })
  }

  /** Whether a put of this value is a delete. */
  isNull(value: V): boolean {
    return this.#value.encodesNull?.(value) ?? false
  }

  /** Places the bytes of a value. @throws SERIALIZATION_FAILED */
  placeValue(value: V): void {
    try {
      // No primitive gets them in by silence: a read could not tell them from an absent key.
      if (this.#value.primitive === true && (value === undefined || value === null))
        throw new TypeError(`a store cannot hold ${String(value)}; delete the key instead`)
      this.#place(this.#value, value)
    } catch (error) {
      throw this.#refused('value', this.#value as Serde<never>, error)
    }
  }

  /** Places these bytes as they are. */
  placeBytes(bytes: Uint8Array): void {
    this.#placed(bufferOver(bytes), 0, bytes.length)
  }

  /** A value as bytes of their own. @throws SERIALIZATION_FAILED */
  valueBytes(value: V): Buffer {
    this.placeValue(value)
    return copyOf(this.source, this.start, this.start + this.length)
  }

  /** The value in bytes that nobody writes any more. @throws DESERIALIZATION_FAILED */
  value(bytes: Buffer): V {
    return this.#decode('value', this.#value, bytes, 0, bytes.length)
  }

  /** The value in memory that is written again: only a primitive keeps none of it for sure. @throws DESERIALIZATION_FAILED */
  valueIn(memory: Buffer, start: number, end: number): V {
    if (this.#value.primitive === true) return this.#decode('value', this.#value, memory, start, end)
    return this.value(copyOf(memory, start, end))
  }

  /** @throws DESERIALIZATION_FAILED */
  keyOf(key: string): K {
    if ((this.#key as unknown) === rawKeys) return key as K
    return this.#decode('key', this.#key, Buffer.from(key, 'latin1'), 0, key.length)
  }

  #decode<T>(field: 'key' | 'value', serde: Serde<T>, source: Buffer, start: number, end: number): T {
    try {
      // The simple path gets a copy: a serde that answers its argument, or Buffer's `slice` (a view), would otherwise
      // hand out the store's own bytes.
      return serde.decodeFrom
        ? serde.decodeFrom(source, start, end)
        : serde.decode(new Uint8Array(source.subarray(start, end)))
    } catch (error) {
      if (isSchemaPending(error)) throw error
      throw new MillstreamError('DESERIALIZATION_FAILED', {
        what: `the serde ${serde.name} refused a ${field} of the store: ${ensureError(error).message}`,
        where: { store: this.#store },
        fix: 'The store was written with another serde: give the store a new name, or write a serde that reads both.',
        cause: error,
      })
    }
  }
}
