// Walks the records of a batch in place: after next() the fields say where key, value and headers stand. One cursor is
// used for all batches, so that a record costs no object.
//
// Record: length varint (of what follows) | attributes int8 (unused) | timestamp delta varlong | offset delta varint
//         | key length varint, -1 = null | key | value length varint, -1 = null | value | header count varint | headers
// Header: key length varint | key (UTF-8) | value length varint, -1 = null | value
import { batchCorrupt } from './batch-errors.ts'
import type { BatchView } from './batch-view.ts'
import { copyOf } from './copy-bytes.ts'
import { VarintReader } from './varint.ts'

export interface RecordHeader {
  readonly key: string
  readonly value: Uint8Array | null
}

const noBytes = Buffer.alloc(0)

export class RecordCursor {
  /** The bytes in which the record stands: of the fetch response, or the decompressed ones. */
  buffer: Buffer = noBytes
  offset = -1
  /** Milliseconds; may be negative or beyond 2^53 (rounded then): whoever extracts it decides. */
  timestamp = -1
  keyStart = 0
  /** -1: the key is null. */
  keyLength = -1
  valueStart = 0
  /** -1: the value is null (a tombstone in a compacted topic). */
  valueLength = -1
  headersStart = 0
  headerCount = 0
  /** Position after the record, where its headers end, too. */
  recordEnd = 0

  #batch: BatchView | undefined
  #position = 0
  #end = 0
  #remaining = 0
  #previousDelta = -1
  #lastDelta = -1
  #baseOffset = 0
  #baseTimestamp = 0
  #stampedByBroker = false
  readonly #slow = new VarintReader(noBytes, 0)

  /** Moves before the first record of `batch`. @throws what BatchView.records throws. */
  reset(batch: BatchView): void {
    const section = batch.records()
    this.buffer = section.buffer
    this.#slow.buffer = section.buffer
    this.#batch = batch
    this.#position = section.start
    this.#end = section.end
    this.#remaining = batch.recordCount
    this.#previousDelta = -1
    this.#baseOffset = batch.baseOffset
    this.#lastDelta = batch.lastOffset - batch.baseOffset
    // KIP-32: with the log append time the broker writes it once, into the header; the records keep their old deltas.
    this.#stampedByBroker = batch.timestampType === 'log-append'
    this.#baseTimestamp = this.#stampedByBroker ? batch.maxTimestamp : batch.baseTimestamp
  }

  /** Lets the bytes go, so that an idle cursor does not keep a fetch response alive. */
  release(): void {
    this.buffer = noBytes
    this.#slow.buffer = noBytes
    this.#batch = undefined
    this.#position = 0
    this.#end = 0
    this.#remaining = 0
  }

  /**
   * Moves to the next record. @returns false after the last one. @throws MillstreamError BATCH_CORRUPT
   *
   * The loop over all input records, so the varints of one and two bytes are spelled out; longer ones (a value beyond
   * 8 KiB, a timestamp more than 8 s off the first) take the reader. Positions only grow, a malformed varint moves
   * beyond every end, and a byte beyond the buffer reads as 0: therefore the one comparison with the end of the record
   * at the bottom proves that every field lay inside.
   */
  next(): boolean {
    if (this.#remaining === 0) return this.#finish()
    const bytes = this.buffer
    let at = this.#position

    let zigzag = bytes[at++] as number
    if (zigzag > 0x7f) {
      const second = bytes[at++] as number
      if (second > 0x7f) {
        const length = this.#varint(at - 2)
        zigzag = length < 0 ? 1 : length * 2
        at = this.#slow.position
      } else zigzag = (zigzag & 0x7f) | (second << 7)
    }
    const recordEnd = at + (zigzag >>> 1)
    if ((zigzag & 1) !== 0 || recordEnd > this.#end) throw this.#corrupt('claims a length beyond its batch')
    at++

    let delta = bytes[at++] as number
    if (delta > 0x7f) {
      const second = bytes[at++] as number
      if (second > 0x7f) {
        this.#slow.position = at - 2
        delta = this.#slow.readVarlong()
        at = this.#slow.position
      } else {
        delta = (delta & 0x7f) | (second << 7)
        delta = (delta >>> 1) ^ -(delta & 1)
      }
    } else delta = (delta >>> 1) ^ -(delta & 1)
    this.timestamp = this.#stampedByBroker ? this.#baseTimestamp : this.#baseTimestamp + delta

    let offsetDelta = bytes[at++] as number
    if (offsetDelta > 0x7f) {
      const second = bytes[at++] as number
      if (second > 0x7f) {
        offsetDelta = this.#varint(at - 2)
        at = this.#slow.position
      } else {
        offsetDelta = (offsetDelta & 0x7f) | (second << 7)
        offsetDelta = (offsetDelta >>> 1) ^ -(offsetDelta & 1)
      }
    } else offsetDelta = (offsetDelta >>> 1) ^ -(offsetDelta & 1)

    let length = bytes[at++] as number
    if (length > 0x7f) {
      const second = bytes[at++] as number
      if (second > 0x7f) {
        length = this.#varint(at - 2)
        at = this.#slow.position
      } else {
        length = (length & 0x7f) | (second << 7)
        length = (length >>> 1) ^ -(length & 1)
      }
    } else length = (length >>> 1) ^ -(length & 1)
    this.keyStart = at
    this.keyLength = length
    if (length > 0) at += length
    else if (length < -1) throw this.#corrupt(`claims a key of ${length} bytes`)

    length = bytes[at++] as number
    if (length > 0x7f) {
      const second = bytes[at++] as number
      if (second > 0x7f) {
        length = this.#varint(at - 2)
        at = this.#slow.position
      } else {
        length = (length & 0x7f) | (second << 7)
        length = (length >>> 1) ^ -(length & 1)
      }
    } else length = (length >>> 1) ^ -(length & 1)
    this.valueStart = at
    this.valueLength = length
    if (length > 0) at += length
    else if (length < -1) throw this.#corrupt(`claims a value of ${length} bytes`)

    let headerCount = bytes[at++] as number
    if (headerCount !== 0) {
      headerCount = this.#varint(at - 1)
      at = this.#slow.position
    }
    this.headersStart = at
    this.headerCount = headerCount
    if (headerCount !== 0) at = this.#passHeaders(at, headerCount, recordEnd)

    if (at !== recordEnd) throw this.#corrupt('has fields that do not add up to its length')
    if (offsetDelta <= this.#previousDelta || offsetDelta > this.#lastDelta) {
      throw this.#corrupt(`has the offset delta ${offsetDelta} after ${this.#previousDelta}`)
    }
    this.#previousDelta = offsetDelta
    this.offset = this.#baseOffset + offsetDelta
    this.recordEnd = recordEnd
    this.#position = recordEnd
    this.#remaining--
    return true
  }

  /** Headers of the current record; the values are copies. Empty array where it has none. */
  headers(): RecordHeader[] {
    return this.headerCount === 0 ? [] : readHeaders(this.buffer, this.headersStart, this.headerCount)
  }

  #finish(): false {
    if (this.#position !== this.#end) {
      throw this.#corrupt(`is followed by ${this.#end - this.#position} bytes that belong to no record`)
    }
    return false
  }

  #varint(position: number): number {
    this.#slow.position = position
    return this.#slow.readVarint()
  }

  /** Checks every header against the end of its record, so that readHeaders can go without. */
  #passHeaders(position: number, count: number, recordEnd: number): number {
    const reader = this.#slow
    reader.position = position
    // A header has two bytes at least: a count that cannot fit is refused before it is looped over.
    if (count < 0 || count * 2 > recordEnd - position) throw this.#corrupt(`claims ${count} headers`)
    for (let index = 0; index < count; index++) {
      const keyLength = reader.readVarint()
      if (keyLength < 0) throw this.#corrupt(`has a header with a key of ${keyLength} bytes`)
      reader.position += keyLength
      const valueLength = reader.readVarint()
      if (valueLength < -1) throw this.#corrupt(`has a header with a value of ${valueLength} bytes`)
      if (valueLength > 0) reader.position += valueLength
      if (reader.position > recordEnd) throw this.#corrupt('has a header beyond its end')
    }
    return reader.position
  }

  #corrupt(what: string): Error {
    const batch = this.#batch as BatchView
    const index = batch.recordCount - this.#remaining
    return batchCorrupt(batch.batchPlace, `record ${index} of ${batch.recordCount} in a record batch ${what}`)
  }
}

/**
 * Decodes `count` headers at `start`, as a RecordCursor found them (it has checked their lengths). The values are copies:
 * who keeps one does not keep the whole answer to a fetch.
 */
export const readHeaders = (buffer: Buffer, start: number, count: number): RecordHeader[] => {
  const reader = new VarintReader(buffer, start)
  const headers: RecordHeader[] = []
  for (let index = 0; index < count; index++) {
    const keyLength = reader.readVarint()
    const keyStart = reader.position
    reader.position = keyStart + keyLength
    const key = buffer.toString('utf8', keyStart, keyStart + keyLength)
    const valueLength = reader.readVarint()
    const valueStart = reader.position
    if (valueLength > 0) reader.position = valueStart + valueLength
    headers.push({
      key,
      value: valueLength < 0 ? null : copyOf(buffer, valueStart, valueStart + valueLength),
    })
  }
  return headers
}
