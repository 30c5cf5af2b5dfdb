// What lies in the store of a join of streams: the records of both sides, entries that say which of them wait for a
// partner, and one entry for how far time and the walks have come. One store holds it all, so that an abort, a restart and
// a restore bring back what belongs together.
//
// of the right side   00 · value
// of the left side    01 · value
// one that waits      02
// progress            03 · time · closing · right · left int64 (-1: none) · lengths int32 and texts of the walks
import { readInt64, writeInt64 } from '../record/varint.ts'
import type { Serde } from '../serde/serde.ts'
import { bufferOver } from '../serde/text.ts'
import type { TransactionalStore } from './transactional-store.ts'

/** A side of a join. What happened at one time comes from the right side first, as in Kafka Streams. */
export type Side = 0 | 1

export const rightSide = 0
export const leftSide = 1

/** Of the right side, and of the left one. */
export type PerSide<T> = readonly [right: T, left: T]

/** How far a join has come. */
export interface JoinProgress {
  /** Highest timestamp seen, ms; -1 before the first. */
  readonly time: number
  /** As `time`, at the last record that had a key and a value and was not behind it. What has closed goes by this. */
  readonly closing: number
  /** Highest timestamp of a record that was kept, ms. */
  readonly kept: PerSide<number>
  /** Nothing that waits lies below this key. */
  readonly closed: PerSide<string>
  /** Records below this key are gone. */
  readonly expired: PerSide<string>
}

/** A record that is kept. */
export interface Kept {
  readonly side: Side
  readonly value: unknown
}

/** Its key says which record waits. */
interface Waiting {
  readonly waiting: true
}

export const waiting: Waiting = Object.freeze({ waiting: true })

export type JoinEntry = Kept | Waiting | JoinProgress
export type JoinEntryStore = TransactionalStore<string, JoinEntry>

const waitingTag = 2
const progressTag = 3
const timesEnd = 1 + 4 * 8
const waitingBytes = Buffer.of(waitingTag)

const isKept = (entry: JoinEntry): entry is Kept => 'side' in entry

/** Of an entry that is one: how many bytes it takes. */
export const joinProgressBytes = (entry: JoinEntry): number => {
  const { closed, expired } = entry as JoinProgress
  const texts = closed[0].length + closed[1].length + expired[0].length + expired[1].length
  return timesEnd + 4 * 4 + texts
}

const encodeProgress = (progress: JoinProgress): Buffer => {
  const { time, closing, kept, closed, expired } = progress
  const texts = [...closed, ...expired]
  const bytes = Buffer.allocUnsafe(joinProgressBytes(progress))
  bytes[0] = progressTag
  let at = 1
  for (const number of [time, closing, ...kept]) {
    writeInt64(bytes, at, number)
    at += 8
  }
  for (const text of texts) {
    bytes.writeInt32BE(text.length, at)
    bytes.write(text, at + 4, 'latin1')
    at += 4 + text.length
  }
  return bytes
}

const decodeProgress = (bytes: Buffer): JoinProgress => {
  let at = timesEnd
  const text = (): string => {
    const end = at + 4 + bytes.readInt32BE(at)
    if (end > bytes.length) throw new RangeError('these bytes are no progress of a join')
    const found = bytes.toString('latin1', at + 4, end)
    at = end
    return found
  }
  return {
    time: readInt64(bytes, 1),
    closing: readInt64(bytes, 9),
    kept: [readInt64(bytes, 17), readInt64(bytes, 25)],
    closed: [text(), text()],
    expired: [text(), text()],
  }
}

const encodeMark = (mark: Waiting | JoinProgress): Buffer =>
  'waiting' in mark ? waitingBytes : encodeProgress(mark)

/** The serde of what lies in the store of a join. */
export const joinEntries = (left: Serde<unknown>, right: Serde<unknown>): Serde<JoinEntry> => {
  const serdes: PerSide<Serde<unknown>> = [right, left]
  /** Of a mark. */
  const decodeMark = (bytes: Buffer): JoinEntry => {
    if (bytes[0] === waitingTag) return waiting
    if (bytes[0] === progressTag) return decodeProgress(bytes)
    throw new RangeError('these bytes are no entry of a join')
  }
  const serde: { -readonly [F in keyof Serde<JoinEntry>]: Serde<JoinEntry>[F] } = {
    name: `joined(${left.name}, ${right.name})`,
    primitive: left.primitive === true && right.primitive === true,
    encode: (entry) =>
      isKept(entry)
        ? Buffer.concat([Buffer.of(entry.side), serdes[entry.side].encode(entry.value)])
        : encodeMark(entry),
    decode(bytes) {
      const tag = bytes[0]
      return tag === rightSide || tag === leftSide
        ? { side: tag, value: serdes[tag].decode(bytes.subarray(1)) }
        : decodeMark(bufferOver(bytes))
    },
  }
  if (left.encodeInto !== undefined && right.encodeInto !== undefined) {
    serde.encodeInto = (entry, target, offset) => {
      if (!isKept(entry)) {
        const bytes = encodeMark(entry)
        if (target.length - offset < bytes.length) return -1
        target.set(bytes, offset)
        return bytes.length
      }
      if (target.length - offset < 1) return -1
      const length = serdes[entry.side].encodeInto?.(entry.value, target, offset + 1) ?? -1
      if (length < 0) return -1
      target[offset] = entry.side
      return 1 + length
    }
  }
  if (left.decodeFrom !== undefined && right.decodeFrom !== undefined) {
    serde.decodeFrom = (source, start, end) => {
      const tag = source[start]
      return start < end && (tag === rightSide || tag === leftSide)
        ? { side: tag, value: serdes[tag].decodeFrom?.(source, start + 1, end) }
        : decodeMark(source.subarray(start, end))
    }
  }
  return serde
}
