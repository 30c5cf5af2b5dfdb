// What lies in a store of windows: windows, entries that only say where a window is, and one entry for how far time and
// the walks over the windows have come. It is part of the store like any other, so that an abort, a restart and a restore
// bring back the time that belongs to the windows.
//
// a window      timestamp int64 (ms since the epoch) · value
// progress      key FF; -1 - time int64 · length int32 · closed · expired
// a place       -1 int64; -2, -3: early-marks.ts
import { invariant } from '../base/assert.ts'
import { readInt64, writeInt64 } from '../record/varint.ts'
import type { Serde } from '../serde/serde.ts'
import type { StoredEntry } from './contracts.ts'
import { withMarks } from './marked-values.ts'
import { latin1Of } from './store-codec.ts'
import type { Timestamped } from './timestamped.ts'
import type { TransactionalStore } from './transactional-store.ts'

/** How far a store of windows has come. */
export interface Progress {
  /** Highest timestamp seen, ms. */
  readonly time: number
  /** Windows below this key have been told as closed. */
  readonly closed: string
  /** Windows below this key are gone. */
  readonly expired: string
}

/** Its key says where a window is. */
export interface Place {
  readonly place: true
  /** What is there was told early; it is still there, or it is gone. */
  readonly told?: 'there' | 'gone'
}

export const place: Place = Object.freeze({ place: true })
export const toldPlace: Place = Object.freeze({ place: true, told: 'there' })
export const gonePlace: Place = Object.freeze({ place: true, told: 'gone' })

export type Entry = Timestamped<unknown> | Progress | Place
export type WindowEntryStore = TransactionalStore<string, Entry>

export const timeBytes = 8
const headBytes = timeBytes + 4

export const progressKey = '\u00ff'
export const noProgress: Progress = Object.freeze({ time: -1, closed: '', expired: '' })

const below = (number: number): Buffer => {
  const bytes = Buffer.alloc(timeBytes)
  writeInt64(bytes, 0, number)
  return bytes
}
const [placeBytes, toldBytes, goneBytes] = [below(-1), below(-2), below(-3)]

const encodePlace = ({ told }: Place): Buffer => {
  if (told === undefined) return placeBytes
  return told === 'there' ? toldBytes : goneBytes
}

const decodePlace = (bytes: Buffer): Place => {
  const number = readInt64(bytes, 0)
  if (number === -1) return place
  return number === -2 ? toldPlace : gonePlace
}

/** Of an entry that is one: how many bytes it takes. */
export const progressBytes = (entry: Entry): number => {
  const { closed, expired } = entry as Progress
  return headBytes + closed.length + expired.length
}

const encodeProgress = (progress: Progress): Buffer => {
  const { time, closed, expired } = progress
  const bytes = Buffer.allocUnsafe(progressBytes(progress))
  // Below zero, which no timestamp of a value is.
  writeInt64(bytes, 0, -1 - time)
  bytes.writeInt32BE(closed.length, timeBytes)
  bytes.write(closed, headBytes, 'latin1')
  bytes.write(expired, headBytes + closed.length, 'latin1')
  return bytes
}

const decodeProgress = (bytes: Buffer): Progress => {
  const end = headBytes + bytes.readInt32BE(timeBytes)
  if (end < headBytes || end > bytes.length) throw new RangeError('these bytes are no progress of windows')
  return {
    time: -1 - readInt64(bytes, 0),
    closed: bytes.toString('latin1', headBytes, end),
    expired: bytes.toString('latin1', end),
  }
}

/** The serde of what lies in a store of windows. */
export const windowEntries = (value: Serde<unknown>): Serde<Entry> =>
  withMarks<Progress | Place>('windows', value, {
    is: (entry): entry is Progress | Place => !('timestamp' in entry),
    encode: (mark) => ('place' in mark ? encodePlace(mark) : encodeProgress(mark)),
    decode: (bytes) => (bytes.length === timeBytes ? decodePlace(bytes) : decodeProgress(bytes)),
  })

const startBytes = Buffer.allocUnsafe(timeBytes)

/** A time as part of a key. */
export const timeKey = (start: number): string => {
  writeInt64(startBytes, 0, start)
  return latin1Of(startBytes)
}

/** @param at where the time begins in the key */
export const timeIn = (key: string, at: number): number => {
  let time = 0
  for (let index = at; index < at + timeBytes; index++) time = time * 256 + key.charCodeAt(index)
  return time
}

/**
 * Removes the lowest entries of a range with the bytes in hand, so that none is read again.
 * @returns their keys; fewer than `entriesMax`: these were all
 */
export const removeLowest = <V>(
  store: Pick<TransactionalStore<string, V>, 'rawRange' | 'putRaw'>,
  from: string,
  to: string,
  entriesMax: number,
): string[] => {
  invariant(entriesMax > 0, 'a walk goes on')
  const found: StoredEntry[] = []
  if (from >= to) return []
  for (const entry of store.rawRange(from, to)) {
    found.push(entry)
    if (found.length === entriesMax) break
  }
  for (const { key, value } of found) store.putRaw(key, null, value)
  return found.map(({ key }) => key)
}
