// What lies in a versioned store: versions of values, marks that a key was taken out, boundaries between two versions of a
// key, and one entry for how far time and the walk over the boundaries have come.
//
// a version     timestamp int64 (ms since the epoch) · value
// taken out     -2 - timestamp int64
// a boundary    -1 int64
// progress      key FF; -1 - time int64 · 00 · expired
import { readInt64, writeInt64 } from '../record/varint.ts'
import type { Serde } from '../serde/serde.ts'
import { withMarks } from './marked-values.ts'
import type { Timestamped } from './timestamped.ts'
import type { TransactionalStore } from './transactional-store.ts'

/** From this time on the key has no value. */
export interface TakenOut {
  readonly takenOut: true
  readonly timestamp: number
}

/** How far a versioned store has come. */
export interface VersionProgress {
  /** Highest timestamp seen, ms. */
  readonly time: number
  /** Boundaries below this key are gone. */
  readonly expired: string
}

interface Boundary {
  readonly boundary: true
}

export type Version = Timestamped<unknown> | TakenOut
export type VersionEntry = Version | VersionProgress | Boundary
export type VersionEntryStore = TransactionalStore<string, VersionEntry>

export const boundary: Boundary = Object.freeze({ boundary: true })

const timeBytes = 8
const headBytes = timeBytes + 1

const markOf = (number: number, length: number): Buffer => {
  const bytes = Buffer.alloc(length)
  writeInt64(bytes, 0, number)
  return bytes
}

/** Of an entry that is one: how many bytes it takes. */
export const versionProgressBytes = (entry: VersionEntry): number =>
  headBytes + (entry as VersionProgress).expired.length

const encodeProgress = (progress: VersionProgress): Buffer => {
  const { time, expired } = progress
  const bytes = markOf(-1 - time, versionProgressBytes(progress))
  bytes.write(expired, headBytes, 'latin1')
  return bytes
}

/** The serde of what lies in a versioned store. */
export const versionEntries = (value: Serde<unknown>): Serde<VersionEntry> =>
  withMarks<TakenOut | VersionProgress | Boundary>('versions', value, {
    is: (entry): entry is TakenOut | VersionProgress | Boundary => !('value' in entry),
    encode(mark) {
      if ('boundary' in mark) return markOf(-1, timeBytes)
      return 'takenOut' in mark ? markOf(-2 - mark.timestamp, timeBytes) : encodeProgress(mark)
    },
    decode(bytes) {
      if (bytes.length < timeBytes) throw new RangeError('these bytes are no entry of a versioned store')
      const number = readInt64(bytes, 0)
      if (bytes.length > timeBytes) return { time: -1 - number, expired: bytes.toString('latin1', headBytes) }
      return number === -1 ? boundary : { takenOut: true, timestamp: -2 - number }
    },
  })
