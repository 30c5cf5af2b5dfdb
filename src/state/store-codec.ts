// Keys and values of a store as its entries hold them: keys as strings with one char per byte, values as themselves
// (primitives) or as bytes that nobody else can reach.
import { MillstreamError, ensureError, isSchemaPending } from '../errors.ts'
import { appendedSize } from '../record/batch-builder.ts'
import { batchOverheadBytes } from '../record/batch-view.ts'
import type { Serde } from '../serde/serde.ts'
import type { KeyedRecord } from './contracts.ts'
import { keepsHeaders, splitHeaders } from './headed-values.ts'
import type { StateDigest } from './state-digest.ts'

/** Stands for "this key is absent" in an entry: a delete that was not flushed, or a miss that was remembered. */
export const absent: unique symbol = Symbol('absent')

/** A value in an entry: the value itself for a primitive serde, else its bytes. */
export type Held = unknown

type Latin1Buffer = Buffer & { latin1Slice(start: number, end: number): string }

/** The bytes of a key as a string with one char (0-255) per byte. Such strings order as unsigned bytes. */
const latin1 = (source: Buffer, start: number, end: number): string =>
  (source as Latin1Buffer).latin1Slice(start, end)

const bufferOver = (bytes: Uint8Array): Buffer =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)

export const latin1Of = (bytes: Uint8Array): string => latin1(bufferOver(bytes), 0, bytes.length)

/** Bounds of the keys that begin with a prefix: from <= key < to, `to` undefined where there is none. */
export const prefixBounds = <P>(serde: Serde<P>, prefix: P): { from: string; to: string | undefined } => {
  const from = latin1Of(serde.encode(prefix))
  let end = from.length
  while (end > 0 && from.charCodeAt(end - 1) === 0xff) end--
  const last = String.fromCharCode(from.charCodeAt(end - 1) + 1)
  return { from, to: end === 0 ? undefined : from.slice(0, end - 1) + last }
}

/** Keys that are what an entry holds already: of stores that lay out their keys themselves. */
export const rawKeys: Serde<string> = {
  name: 'raw',
  encode: (key) => Buffer.from(key, 'latin1'),
  decode: latin1Of,
}

// One scratch for all stores: an encode is synchronous and its result is copied out before the next one.
let scratch: Buffer = Buffer.allocUnsafeSlow(4096)
const scratchMax = 1 << 30

const smallCopy = 64

const copyOfScratch = (length: number): Buffer => {
  const copy = Buffer.allocUnsafe(length)
  if (length > smallCopy) scratch.copy(copy, 0, 0, length)
  else for (let index = 0; index < length; index++) copy[index] = scratch[index] as number
  return copy
}

/** Length of what was written to the scratch, or -1 where the serde has no encodeInto. */
const encodeToScratch = <T>(serde: Serde<T>, value: T): number => {
  if (serde.encodeInto === undefined) return -1
  for (;;) {
    const length = serde.encodeInto(value, scratch, 0)
    if (length >= 0) return length
    if (scratch.length >= scratchMax) throw new RangeError(`the value does not fit into ${scratchMax} bytes`)
    scratch = Buffer.allocUnsafeSlow(scratch.length * 2)
  }
}

export class StoreCodec<K, V> {
  readonly primitive: boolean
  /** Entries end with headers (headed-values.ts), which are headers in the changelog. */
  readonly keepsHeaders: boolean
  readonly #store: string
  readonly #key: Serde<K>
  readonly #value: Serde<V>
  readonly #keyBytesMax: number
  readonly #changeBytesMax: number

  constructor(store: string, key: Serde<K>, value: Serde<V>, keyBytesMax: number, changeBytesMax: number) {
    this.primitive = value.primitive === true
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

  /** @throws SERIALIZATION_FAILED when the serde refuses the key or the key is null. */
  key(key: K): string {
    const serde = this.#key
    if ((serde as unknown) === rawKeys) return key as string
    if (serde.encodesNull?.(key) === true || key === null || key === undefined) throw this.nullKey()
    try {
      const length = encodeToScratch(serde, key)
      return length < 0 ? latin1Of(serde.encode(key)) : latin1(scratch, 0, length)
    } catch (error) {
      throw this.#refused('key', serde as Serde<never>, error)
    }
  }

  /** The key bytes of the record where they are what our serde would write. @throws DESERIALIZATION_FAILED */
  rawKeyOf(record: KeyedRecord<K>): string | undefined {
    const { keySource, keySerde } = record
    if (keySource === undefined || keySerde !== (this.#key as unknown)) return undefined
    if (record.keyLength < 0) throw this.nullKey()
    // A serde like JSON reads the same key from different bytes ({"a":1} and {"a": 1}), and those must be one key. A
    // primitive has one form, once its bytes were accepted: reading the key is what checks them.
    if (keySerde?.acceptsAllBytes !== true) {
      if (keySerde?.primitive !== true) return undefined
      void record.key
    }
    return latin1(keySource, record.keyStart, record.keyStart + record.keyLength)
  }

  nullKey(): MillstreamError {
    return new MillstreamError('SERIALIZATION_FAILED', {
      what: 'the key is null, which no store takes',
      where: { store: this.#store },
      fix: 'Drop records without a key before they reach the store, or give them one.',
    })
  }

  /** @throws SERIALIZATION_FAILED when the engine cannot take a key of that size. */
  checkKeySize(key: string): void {
    if (key.length <= this.#keyBytesMax) return
    throw new MillstreamError('SERIALIZATION_FAILED', {
      what: `a key of ${key.length} bytes is larger than the ${this.#keyBytesMax} bytes that the store takes`,
      where: { store: this.#store },
      fix: 'Use a shorter key (for instance a hash of it), or the memory engine.',
    })
  }

  /**
   * A change that its changelog will not take is refused with the record that makes it. At the commit it would be too
   * late to say which record that was, and nothing before it could be committed either.
   * @throws RECORD_TOO_LARGE
   */
  checkChangeSize(key: string, held: Held): void {
    // UTF-8 takes three bytes per char at most, a header less than twice what it takes here; only what comes near the limit
    // is measured.
    const factor = this.keepsHeaders ? 2 : 1
    const about =
      held instanceof Uint8Array ? held.length * factor : typeof held === 'string' ? held.length * 3 : 8
    if (appendedSize(key.length, about, undefined) + batchOverheadBytes <= this.#changeBytesMax) return
    const bytes = this.bytes(held)
    const { value, headers } = this.keepsHeaders ? splitHeaders(bytes) : { value: bytes, headers: undefined }
    const size = appendedSize(key.length, value.length, headers)
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

  /** @throws SERIALIZATION_FAILED */
  hold(value: V): Held {
    const serde = this.#value
    try {
      if (this.primitive) {
        serde.check?.(value)
        // Undefined and null mean "not known" and "deleted" elsewhere: no serde gets them in by silence.
        if (value === undefined || value === null)
          throw new TypeError(`a store cannot hold ${String(value)}; delete the key instead`)
        return value
      }
      const length = encodeToScratch(serde, value)
      // The copy matters also for encode: it may answer the caller's own buffer, which can change later.
      return length < 0 ? Buffer.from(serde.encode(value)) : copyOfScratch(length)
    } catch (error) {
      throw this.#refused('value', serde as Serde<never>, error)
    }
  }

  /** What an entry holds, as bytes that stay as they are. */
  bytes(held: Held): Uint8Array {
    if (!this.primitive) return held as Buffer
    const length = encodeToScratch(this.#value, held as V)
    return length < 0 ? this.#value.encode(held as V) : copyOfScratch(length)
  }

  /** Takes a value of the key in hand out of a digest; its bytes are not kept. */
  removeFrom(digest: StateDigest, held: Held): void {
    if (!this.primitive) return digest.remove(held as Buffer, (held as Buffer).length)
    const length = encodeToScratch(this.#value, held as V)
    if (length >= 0) return digest.remove(scratch, length)
    const bytes = this.#value.encode(held as V)
    digest.remove(bytes, bytes.length)
  }

  /** Takes over bytes of the engine. @throws DESERIALIZATION_FAILED */
  heldFrom(bytes: Buffer): Held {
    return this.primitive ? this.#decode('value', this.#value, bytes) : bytes
  }

  /** @throws DESERIALIZATION_FAILED */
  value(held: Held): V {
    return this.primitive ? (held as V) : this.#decode('value', this.#value, held as Buffer)
  }

  /** @throws DESERIALIZATION_FAILED */
  keyOf(key: string): K {
    if ((this.#key as unknown) === rawKeys) return key as K
    return this.#decode('key', this.#key, Buffer.from(key, 'latin1'))
  }

  #decode<T>(field: 'key' | 'value', serde: Serde<T>, bytes: Buffer): T {
    try {
      // The simple path gets a copy: a serde that answers its argument, or Buffer's `slice` (a view), would otherwise
      // hand out the store's own bytes.
      return serde.decodeFrom ? serde.decodeFrom(bytes, 0, bytes.length) : serde.decode(new Uint8Array(bytes))
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

/** About what a held value takes in memory, bytes; what is absent or unknown counts like a number. */
export const valueBytes = (held: Held): number =>
  held instanceof Uint8Array || typeof held === 'string' ? held.length : 8

const entryOverhead = 128

/** About what an entry takes in memory, bytes. */
export const entryBytes = (key: string, held: Held): number => entryOverhead + key.length + valueBytes(held)
