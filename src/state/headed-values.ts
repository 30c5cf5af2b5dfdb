// Stores that keep headers: each entry ends with those of the record that wrote it. In front of them it is what it would be
// without (timestamped.ts, expiring-table.ts), marks included, so that all entries of a store can be taken apart alike.
//
// bytes: entry · headers (held-headers.ts) · length of headers int32
//
// In the changelog the entry is the value of the record, and the headers are its headers, which any consumer reads.
import type { RecordHeader } from '../record/record-cursor.ts'
import type { Serde } from '../serde/serde.ts'
import { bufferOver } from '../serde/text.ts'
import { heldHeaders, readHeldHeaders } from './held-headers.ts'
import type { Timestamped } from './timestamped.ts'

const lengthBytes = 4
const noHeaders: readonly RecordHeader[] = Object.freeze([])
const noLength = Buffer.alloc(lengthBytes)

/** Of a serde whose entries end with headers. */
interface HeadedSerde<E> extends Serde<E> {
  readonly keepsHeaders: true
}

export const keepsHeaders = (serde: object): boolean => 'keepsHeaders' in serde

/** What an entry ends with. */
const ending = (headers: readonly RecordHeader[]): Buffer => {
  if (headers.length === 0) return noLength
  const bytes = heldHeaders(headers)
  const target = Buffer.allocUnsafe(bytes.length + lengthBytes)
  target.set(bytes, 0)
  target.writeInt32BE(bytes.length, bytes.length)
  return target
}

/** Where the headers begin in `source[start, end)`. */
const headersStart = (source: Buffer, start: number, end: number): number => {
  const length = end - start < lengthBytes ? -1 : source.readInt32BE(end - lengthBytes)
  const found = end - lengthBytes - length
  if (length < 0 || found < start) throw new RangeError('these bytes do not end with headers')
  return found
}

/** An entry as its changelog has it: the value of the record, and its headers; undefined for none. */
export const splitHeaders = (
  bytes: Uint8Array,
): { readonly value: Buffer; readonly headers: readonly RecordHeader[] | undefined } => {
  const source = bufferOver(bytes)
  const at = headersStart(source, 0, source.length)
  const end = source.length - lengthBytes
  return {
    value: source.subarray(0, at),
    headers: at === end ? undefined : readHeldHeaders(source.subarray(at, end)),
  }
}

/** The other way round. */
export const joinHeaders = (value: Uint8Array, headers: readonly RecordHeader[]): Buffer =>
  Buffer.concat([value, ending(headers)])

/** The entry with another value in it, and the headers as they are. @param convert undefined: it stays as it is */
export const withinHeaders = (
  bytes: Buffer,
  convert: (entry: Buffer) => Uint8Array | null | undefined,
): Uint8Array | null | undefined => {
  const at = headersStart(bytes, 0, bytes.length)
  const converted = convert(bytes.subarray(0, at))
  return converted ? Buffer.concat([converted, bytes.subarray(at)]) : converted
}

/** The serde of such entries: what has a timestamp has headers. A store holds bytes, which nobody else can reach. */
export const headed = <E extends object>(entries: Serde<E>): Serde<E> => {
  const read = (entry: E, source: Buffer, at: number, end: number): E =>
    'timestamp' in entry
      ? { ...entry, headers: readHeldHeaders(source.subarray(at, end - lengthBytes)) }
      : entry
  const endOf = (entry: E): Buffer => ending((entry as Partial<Timestamped<unknown>>).headers ?? noHeaders)
  const whole: HeadedSerde<E> & { -readonly [F in 'encodeInto' | 'decodeFrom']?: Serde<E>[F] } = {
    name: `headed(${entries.name})`,
    keepsHeaders: true,
    encode: (entry) => Buffer.concat([entries.encode(entry), endOf(entry)]),
    decode(bytes) {
      const source = bufferOver(bytes)
      const at = headersStart(source, 0, source.length)
      return read(entries.decode(source.subarray(0, at)), source, at, source.length)
    },
  }
  if (entries.encodeInto !== undefined) {
    whole.encodeInto = (entry, target, offset) => {
      const length = entries.encodeInto?.(entry, target, offset) ?? -1
      if (length < 0) return -1
      const last = endOf(entry)
      if (target.length - offset - length < last.length) return -1
      target.set(last, offset + length)
      return length + last.length
    }
  }
  if (entries.decodeFrom !== undefined) {
    whole.decodeFrom = (source, start, end) => {
      const at = headersStart(source, start, end)
      return read(entries.decodeFrom?.(source, start, at) as E, source, at, end)
    }
  }
  return whole
}

const sameBytes = (one: Uint8Array | null, other: Uint8Array | null): boolean =>
  one === null || other === null ? one === other : Buffer.compare(one, other) === 0

export const sameHeaders = (one: readonly RecordHeader[], other: readonly RecordHeader[]): boolean =>
  one.length === other.length &&
  one.every(({ key, value }, index) => {
    const { key: otherKey, value: otherValue } = other[index] as RecordHeader
    return key === otherKey && sameBytes(value, otherValue)
  })
