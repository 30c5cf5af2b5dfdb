// Values with their timestamps and, among them, entries of other kinds: marks, by which a store that lays out its keys
// itself keeps its own books. The first byte tells them apart, since no timestamp of a value is below zero.
import type { Serde } from '../serde/serde.ts'
import { bufferOver } from '../serde/text.ts'
import { type Timestamped, timestamped } from './timestamped.ts'

/** How marks are told from values, written and read. The first byte of what is written is 0x80 or above. */
export interface Marks<M> {
  is(entry: Timestamped<unknown> | M): entry is M
  encode(mark: M): Buffer
  decode(bytes: Buffer): M
}

const firstMark = 0x80

/** The serde of values with their timestamps and of marks. */
export const withMarks = <M>(
  name: string,
  value: Serde<unknown>,
  marks: Marks<M>,
): Serde<Timestamped<unknown> | M> => {
  type Entry = Timestamped<unknown> | M
  const values = timestamped(value)
  const decode = (bytes: Buffer): Entry =>
    bytes.length > 0 && (bytes[0] as number) >= firstMark ? marks.decode(bytes) : values.decode(bytes)
  const serde: { -readonly [F in keyof Serde<Entry>]: Serde<Entry>[F] } = {
    name: `${name}(${value.name})`,
    primitive: values.primitive === true,
    encode: (entry) => (marks.is(entry) ? marks.encode(entry) : values.encode(entry)),
    decode: (bytes) => decode(bufferOver(bytes)),
  }
  const { encodeInto, decodeFrom } = values
  if (encodeInto !== undefined) {
    serde.encodeInto = (entry, target, offset) => {
      if (!marks.is(entry)) return encodeInto(entry, target, offset)
      const bytes = marks.encode(entry)
      if (target.length - offset < bytes.length) return -1
      target.set(bytes, offset)
      return bytes.length
    }
  }
  if (decodeFrom !== undefined) {
    serde.decodeFrom = (source, start, end) =>
      start < end && (source[start] as number) >= firstMark
        ? marks.decode(source.subarray(start, end))
        : decodeFrom(source, start, end)
  }
  return serde
}
