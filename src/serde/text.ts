// The serdes of text (UTF-8) and of plain bytes. The two helpers for UTF-8 are shared with JSON.
import type { Serde } from './serde.ts'

// Node has these two on every buffer, without a place in its types: they skip the lookup of the encoding by name.
interface Utf8Buffer {
  utf8Slice(start: number, end: number): string
  utf8Write(text: string, offset: number, length: number): number
}

/** A buffer over the same memory. */
export const bufferOver = (view: Uint8Array): Buffer =>
  Buffer.isBuffer(view) ? view : Buffer.from(view.buffer, view.byteOffset, view.byteLength)

/** Text from UTF-8 bytes; what is not UTF-8 is read as U+FFFD. */
export const readUtf8 = (source: Buffer, start: number, end: number): string =>
  (source as unknown as Utf8Buffer).utf8Slice(start, end)

// Up to this length a loop over the characters is quicker than the call into the native encoder.
const shortText = 32

/**
 * Writes text as UTF-8.
 * @returns the number of bytes, or -1 where they do not fit.
 */
export const writeUtf8 = (text: string, target: Buffer, offset: number): number => {
  const length = text.length
  if (length <= shortText && offset + length <= target.length) {
    let position = 0
    while (position < length) {
      const code = text.charCodeAt(position)
      if (code > 0x7f) break
      target[offset + position] = code
      position += 1
    }
    if (position === length) return length
  }
  // One UTF-16 unit takes at most 3 bytes, so the exact length is needed only where the target is nearly full:
  // utf8Write would cut the text silently.
  const room = target.length - offset
  if (length * 3 > room && Buffer.byteLength(text) > room) return -1
  return (target as unknown as Utf8Buffer).utf8Write(text, offset, room)
}

const checkString = (value: string): void => {
  if (typeof value !== 'string')
    throw new TypeError(`string takes a string, not ${value === null ? 'null' : typeof value}`)
}

// A lone surrogate would be written as U+FFFD: two different keys would become one, and a store would read back
// something else after a restart than before it.
const checkWellFormed = (value: string): void => {
  if (!value.isWellFormed())
    throw new TypeError('the string has half of a surrogate pair, which UTF-8 cannot hold')
}

/**
 * Text as UTF-8. Java: StringSerializer. Bytes that are not UTF-8 are read as U+FFFD, as in Java; a string with a lone
 * surrogate (half an emoji) is refused, since it could not be read back.
 */
export const string: Serde<string> = {
  name: 'string',
  acceptsAllBytes: true,
  primitive: true,
  encode(value: string): Uint8Array {
    checkString(value)
    checkWellFormed(value)
    return Buffer.from(value, 'utf8')
  },
  encodeInto(value: string, target: Buffer, offset: number): number {
    checkString(value)
    const written = writeUtf8(value, target, offset)
    // As many bytes as characters: it is ASCII. A tenth of the time that a text takes went into looking for surrogates.
    if (written !== value.length) checkWellFormed(value)
    return written
  },
  decode(bytes: Uint8Array): string {
    return readUtf8(bufferOver(bytes), 0, bytes.length)
  },
  decodeFrom(source: Buffer, start: number, end: number): string {
    return readUtf8(source, start, end)
  },
}

const checkBytes = (value: Uint8Array): void => {
  if (!(value instanceof Uint8Array))
    throw new TypeError(`bytes takes a Uint8Array, not ${value === null ? 'null' : typeof value}`)
}

/** Bytes as they are. What is read is a copy and belongs to the caller. Java: ByteArraySerializer. */
export const bytes: Serde<Uint8Array> = {
  name: 'bytes',
  acceptsAllBytes: true,
  copies: true,
  encode(value: Uint8Array): Uint8Array {
    checkBytes(value)
    return value
  },
  encodeInto(value: Uint8Array, target: Buffer, offset: number): number {
    checkBytes(value)
    if (offset + value.length > target.length) return -1
    target.set(value, offset)
    return value.length
  },
  decode(source: Uint8Array): Uint8Array {
    return Uint8Array.prototype.slice.call(source)
  },
  decodeFrom(source: Buffer, start: number, end: number): Uint8Array {
    return Uint8Array.prototype.slice.call(source, start, end)
  },
}
