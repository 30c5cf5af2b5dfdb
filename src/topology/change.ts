// What happens to a key of a table: the value before and the value after, either of which may be absent. Tables hand
// changes to what is built on them, so that an aggregate can take out what a row gave it before it takes in the new one.
import { embedded } from '../serde/remote.ts'
import { bufferOver } from '../serde/text.ts'
import type { Serde } from '../serde/serde.ts'

/** Undefined: absent. Both are where a suppressed table tells that a key is gone which it never told. */
export class Change<V> {
  readonly before: V | undefined
  readonly after: V | undefined
  /** False: it came out of order to a versioned table, whose row as it is now stays as it was (KIP-914). */
  readonly isLatest: boolean

  constructor(before: V | undefined, after: V | undefined, isLatest: boolean = true) {
    this.before = before
    this.after = after
    this.isLatest = isLatest
  }
}

const hasBefore = 1
const hasAfter = 2
const headBytes = 5

const encoded = (serde: Serde<unknown>, value: unknown): Uint8Array | undefined =>
  value === undefined ? undefined : serde.encode(value)

/**
 * Changes on their way through a repartition topic of ours.
 *
 * bytes: flags int8 (1: before is there, 2: after is there) · length of before int32 · before · after
 */
export const changeSerde = <V>(serde: Serde<V>): Serde<Change<V>> => ({
  name: `change(${serde.name})`,
  ...embedded(serde.remote),
  encode({ before, after }) {
    const first = encoded(serde as Serde<unknown>, before)
    const second = encoded(serde as Serde<unknown>, after)
    const bytes = Buffer.allocUnsafe(headBytes + (first?.length ?? 0) + (second?.length ?? 0))
    bytes.writeInt8((first === undefined ? 0 : hasBefore) | (second === undefined ? 0 : hasAfter), 0)
    bytes.writeInt32BE(first?.length ?? 0, 1)
    if (first !== undefined) bytes.set(first, headBytes)
    if (second !== undefined) bytes.set(second, headBytes + (first?.length ?? 0))
    return bytes
  },
  decode(given) {
    const bytes = bufferOver(given)
    if (bytes.length < headBytes) throw new RangeError(`a change takes at least ${headBytes} bytes`)
    const flags = bytes.readInt8(0)
    const length = bytes.readInt32BE(1)
    if (length < 0 || length > bytes.length - headBytes || (flags & ~(hasBefore | hasAfter)) !== 0)
      throw new RangeError('these bytes are no change')
    const end = headBytes + length
    return new Change<V>(
      (flags & hasBefore) === 0 ? undefined : serde.decode(bytes.subarray(headBytes, end)),
      (flags & hasAfter) === 0 ? undefined : serde.decode(bytes.subarray(end)),
    )
  },
})
