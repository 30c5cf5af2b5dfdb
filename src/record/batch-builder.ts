// Builds RecordBatch v2: keys and values are copied once, from where they stand into the bytes that go on the wire.
// The layout is described in batch-view.ts and record-cursor.ts.
//
// Who owns the bytes: seal() gives the builder's buffer away without copying it, and the builder takes another one at
// its next append. A sealed batch thus stays as it is however long a retry needs it (the same bytes must be sent again
// under the same sequence). When it is acknowledged the owner may hand it back with recycle(), never earlier: a socket
// may still hold it.
import { invariant } from '../base/assert.ts'
import { SpareMemory } from '../base/spare-memory.ts'
import { MillstreamError } from '../errors.ts'
import { batchOverheadBytes } from './batch-view.ts'
import { type Compression, compress, compressions } from './compression.ts'
import { copyBytes } from './copy-bytes.ts'
import { crc32c } from './crc32c.ts'
import type { RecordHeader } from './record-cursor.ts'
import { varintSize, varlongMax, varlongSize, writeInt64, writeVarint, writeVarlong } from './varint.ts'

/** Length 5, attributes 1, timestamp delta 10, offset delta 5, key length 5, value length 5, header count 5. */
const recordOverheadBytesMax = 36
const headerOverheadBytesMax = 10

/** A worker at full speed has some fifty batches of 256 KiB on their way, and begins as many in a tenth of a second. */
const spareLimits = { bytesMax: 16 * 1024 * 1024, countMax: 2048, lookEvery: 1024 }
/** A batch of one huge record leaves nothing behind. */
const keptBytesMax = 4 * 1024 * 1024

/** Sealed, and not recycled yet: memory that came back twice would be written by two builders. */
const sealedBatches = new WeakSet<Buffer>()

/** Memory of batches that the broker has, for the next ones: one for all builders of a worker. */
export const batchMemory = (): SpareMemory => new SpareMemory(spareLimits)

const noBytes = Buffer.alloc(0)

/** The part of a serde that writes in place: @returns the size, -1 when it does not fit behind `offset`. */
export interface ValueEncoder<V> {
  encodeInto(value: V, target: Buffer, offset: number): number
}

/** What the producer adds when a batch is complete. */
export interface SealOptions {
  /** -1: not idempotent; epoch and sequence are -1, too. */
  readonly producerId: number
  readonly producerEpoch: number
  readonly baseSequence: number
  readonly transactional: boolean
  readonly compression: Compression
}

/**
 * Upper bound of what one record adds to a batch, in bytes without compression. A batch of that record alone has
 * batchOverheadBytes more. Lengths of null are -1.
 */
export const appendedSize = (
  keyLength: number,
  valueLength: number,
  headers: readonly RecordHeader[] | undefined,
): number => {
  let size = recordOverheadBytesMax
  if (keyLength > 0) size += keyLength
  if (valueLength > 0) size += valueLength
  if (headers !== undefined) {
    for (const { key, value } of headers) {
      size += headerOverheadBytesMax + Buffer.byteLength(key) + (value === null ? 0 : value.length)
    }
  }
  return size
}

export class BatchBuilder {
  readonly #initialBytes: number
  #buffer: Buffer = noBytes
  #position = batchOverheadBytes
  #count = 0
  #baseTimestamp = 0
  #maxTimestamp = 0
  #markedPosition = batchOverheadBytes
  #markedCount = 0
  #markedMaxTimestamp = 0
  /** Widths of the record length and the value length of the last record that needed other ones (appendEncoded). */
  #lengthWidth = 2
  #valueLengthWidth = 2
  /** Size of the next buffer: what the last batches needed, so that a steady stream grows no buffer twice. */
  #nextBytes: number
  readonly #memory: SpareMemory

  /** Takes no memory before the first append; then for `initialBytes` or more, and doubles. @param memory shared with other builders */
  constructor(initialBytes: number, memory: SpareMemory = batchMemory()) {
    this.#memory = memory
    this.#initialBytes = Math.max(initialBytes, batchOverheadBytes)
    this.#nextBytes = this.#initialBytes
  }

  get count(): number {
    return this.#count
  }

  /** Size of the batch if it were sealed now without compression; 0 without records. */
  get bytes(): number {
    return this.#count === 0 ? 0 : this.#position
  }

  /**
   * Appends a record; lengths of -1 are null. Timestamps may go backwards. Nothing changes when it throws.
   * @throws MillstreamError TIMESTAMP_INVALID when the timestamp is no integer, or too far from the first one.
   */
  append(
    timestamp: number,
    keySource: Uint8Array,
    keyStart: number,
    keyLength: number,
    valueSource: Uint8Array,
    valueStart: number,
    valueLength: number,
    headers: readonly RecordHeader[] | undefined,
  ): void {
    const count = this.#count
    const delta = count === 0 ? 0 : timestamp - this.#baseTimestamp
    // An integer of 32 bits is the ordinary case; everything odd (far away, fractional, NaN) goes through the check.
    if (count === 0 || (delta | 0) !== delta) checkTimestamp(timestamp, delta)
    const keyBytes = Math.max(keyLength, 0)
    const valueBytes = Math.max(valueLength, 0)
    const headersBytes = headers === undefined ? 1 : headersSize(headers)
    const bodyBytes =
      1 +
      varlongSize(delta) +
      varintSize(count) +
      varintSize(keyLength) +
      keyBytes +
      varintSize(valueLength) +
      valueBytes +
      headersBytes
    if (this.#position + bodyBytes + 5 > this.#buffer.length) this.#grow(bodyBytes + 5)

    const target = this.#buffer
    let at = writeVarint(target, this.#position, bodyBytes)
    at = this.#writeHead(at, delta, count, keySource, keyStart, keyLength)
    at = writeVarint(target, at, valueLength)
    if (valueBytes > 0) {
      copyBytes(valueSource, valueStart, valueBytes, target, at)
      at += valueBytes
    }
    if (headers === undefined) target[at++] = 0
    else at = writeHeaders(target, at, headers)
    this.#appended(at, timestamp)
  }

  /**
   * Appends a record whose value `encoder` writes straight into the batch, so that it is not copied once more.
   * @returns the size of its value; -1 when nothing was appended, since it did not fit into the buffer at hand or the
   * batch would be larger than `bytesMax`: then encode it elsewhere and `append` it.
   * @throws what the encoder throws, and TIMESTAMP_INVALID as `append` does; nothing changes then.
   */
  appendEncoded<V>(
    timestamp: number,
    keySource: Uint8Array,
    keyStart: number,
    keyLength: number,
    encoder: ValueEncoder<V>,
    value: V,
    headers: readonly RecordHeader[] | undefined,
    bytesMax: number,
  ): number {
    const count = this.#count
    if (count === 0) return -1
    const delta = timestamp - this.#baseTimestamp
    if ((delta | 0) !== delta) checkTimestamp(timestamp, delta)
    const headersBytes = headers === undefined ? 1 : headersSize(headers)
    const target = this.#buffer
    const start = this.#position + this.#lengthWidth
    if (start + recordOverheadBytesMax + Math.max(keyLength, 0) + headersBytes > target.length) return -1
    const keyEnd = this.#writeHead(start, delta, count, keySource, keyStart, keyLength)
    // Two lengths stand before what they count. They are as wide as those of the last record, nearly always.
    const tried = keyEnd + this.#valueLengthWidth
    const valueBytes = encoder.encodeInto(value, target, tried)
    if (valueBytes < 0) return -1
    const valueStart = keyEnd + varintSize(valueBytes)
    const bodyBytes = valueStart + valueBytes + headersBytes - start
    const end = this.#position + varintSize(bodyBytes) + bodyBytes
    if (Math.max(end, start + bodyBytes) > target.length || end > bytesMax) return -1
    if (valueStart !== tried) {
      target.copyWithin(valueStart, tried, tried + valueBytes)
      this.#valueLengthWidth = valueStart - keyEnd
    }
    const valueEnd = writeVarint(target, keyEnd, valueBytes) + valueBytes
    if (headers === undefined) target[valueEnd] = 0
    else writeHeaders(target, valueEnd, headers)
    if (end !== start + bodyBytes) {
      target.copyWithin(end - bodyBytes, start, start + bodyBytes)
      this.#lengthWidth = varintSize(bodyBytes)
    }
    writeVarint(target, this.#position, bodyBytes)
    this.#appended(end, timestamp)
    return valueBytes
  }

  /** Remembers this place: everything before it belongs to finished records. */
  mark(): void {
    this.#markedPosition = this.#position
    this.#markedCount = this.#count
    this.#markedMaxTimestamp = this.#maxTimestamp
  }

  /** Forgets what was appended since the mark (or since the batch began, whichever is later). */
  undo(): void {
    this.#position = this.#markedPosition
    this.#count = this.#markedCount
    this.#maxTimestamp = this.#markedMaxTimestamp
  }

  /** Forgets everything; the buffer stays with the builder, unless one huge record made it far larger than usual. */
  reset(): void {
    if (this.#buffer.length > this.#nextBytes * 4) this.#buffer = noBytes
    this.#position = batchOverheadBytes
    this.#count = 0
    this.mark()
  }

  /**
   * Completes the batch and begins an empty one. The returned bytes belong to the caller: no later append touches
   * them. Not compressed, they are the builder's own buffer, given away.
   * @throws MillstreamError INVARIANT_BROKEN without records.
   */
  seal(options: SealOptions): Buffer {
    invariant(this.#count > 0, 'a sealed batch has records')
    const batch = options.compression === 'none' ? this.#giveAway() : this.#compressed(options.compression)
    batch.writeInt32BE(0, 0)
    batch.writeInt32BE(0, 4)
    batch.writeInt32BE(batch.length - 12, 8)
    batch.writeInt32BE(-1, 12)
    batch.writeInt8(2, 16)
    batch.writeInt16BE(compressions.indexOf(options.compression) | (options.transactional ? 0x10 : 0), 21)
    batch.writeInt32BE(this.#count - 1, 23)
    writeInt64(batch, 27, this.#baseTimestamp)
    writeInt64(batch, 35, this.#maxTimestamp)
    writeInt64(batch, 43, options.producerId)
    batch.writeInt16BE(options.producerEpoch, 51)
    batch.writeInt32BE(options.baseSequence, 53)
    batch.writeInt32BE(this.#count, 57)
    batch.writeUInt32BE(crc32c(batch, 21, batch.length), 17)
    sealedBatches.add(batch)
    this.reset()
    return batch
  }

  /**
   * Takes the bytes of a sealed batch back for a later one of any builder with this memory: only when nobody can need
   * them any more (the broker has acknowledged them). @throws MillstreamError INVARIANT_BROKEN the second time.
   */
  recycle(sealed: Buffer): void {
    invariant(sealedBatches.delete(sealed), 'the memory of a sealed batch comes back once')
    this.#keep(sealed)
  }

  /** What stands between the length of a record and that of its value. @returns the position after it. */
  #writeHead(
    position: number,
    delta: number,
    count: number,
    keySource: Uint8Array,
    keyStart: number,
    keyLength: number,
  ): number {
    const target = this.#buffer
    target[position] = 0
    let at = writeVarlong(target, position + 1, delta)
    at = writeVarint(target, at, count)
    at = writeVarint(target, at, keyLength)
    if (keyLength <= 0) return at
    copyBytes(keySource, keyStart, keyLength, target, at)
    return at + keyLength
  }

  #appended(position: number, timestamp: number): void {
    this.#position = position
    if (this.#count++ === 0) {
      this.#baseTimestamp = timestamp
      this.#maxTimestamp = timestamp
    } else if (timestamp > this.#maxTimestamp) this.#maxTimestamp = timestamp
  }

  #giveAway(): Buffer {
    const batch = this.#buffer.subarray(0, this.#position)
    this.#nextBytes = this.#usualBytes()
    this.#buffer = noBytes
    return batch
  }

  #compressed(compression: Compression): Buffer {
    const records = compress(compression, this.#buffer.subarray(batchOverheadBytes, this.#position))
    const size = batchOverheadBytes + records.length
    const batch = this.#room(size).subarray(0, size)
    records.copy(batch, batchOverheadBytes)
    this.#nextBytes = this.#usualBytes()
    this.#keep(this.#buffer)
    this.#buffer = noBytes
    return batch
  }

  /** Grows at once, and shrinks by an eighth with each smaller batch. */
  #usualBytes(): number {
    const needed = this.#position + (this.#position >>> 3)
    return Math.max(this.#initialBytes, needed, this.#nextBytes - (this.#nextBytes >>> 3))
  }

  #grow(bytes: number): void {
    const old = this.#buffer
    this.#buffer = this.#room(Math.max(old.length * 2, this.#position + bytes, this.#nextBytes))
    if (old.length === 0) return
    old.copy(this.#buffer, 0, 0, this.#position)
    this.#keep(old)
  }

  #keep({ buffer }: Buffer): void {
    if (buffer.byteLength <= keptBytesMax) this.#memory.keep(buffer as ArrayBuffer)
  }

  /** Memory that can be given away as a whole: at least so many bytes, and an eighth more at most where it is new. */
  #room(bytes: number): Buffer {
    const spare = this.#memory.take(bytes)
    if (spare !== undefined) return Buffer.from(spare)
    // Batches are never quite of one size. In steps, so that the memory of one fits the next one, too.
    const step = 2 ** Math.max(0, Math.floor(Math.log2(bytes)) - 3)
    // Slow means "not out of the shared pool of Node".
    return Buffer.allocUnsafeSlow(Math.ceil(bytes / step) * step)
  }
}

const checkTimestamp = (timestamp: number, delta: number): void => {
  if (Number.isSafeInteger(timestamp) && Math.abs(delta) < varlongMax) return
  throw new MillstreamError('TIMESTAMP_INVALID', {
    what: `the timestamp ${timestamp} of an output record cannot be written`,
    fix: 'A timestamp is a whole number of milliseconds.',
  })
}

const headersSize = (headers: readonly RecordHeader[]): number => {
  let size = varintSize(headers.length)
  for (const { key, value } of headers) {
    const keyLength = Buffer.byteLength(key)
    size += varintSize(keyLength) + keyLength
    size += value === null ? 1 : varintSize(value.length) + value.length
  }
  return size
}

const writeHeaders = (target: Buffer, position: number, headers: readonly RecordHeader[]): number => {
  let at = writeVarint(target, position, headers.length)
  for (const { key, value } of headers) {
    at = writeVarint(target, at, Buffer.byteLength(key))
    at += target.write(key, at, 'utf8')
    at = writeVarint(target, at, value === null ? -1 : value.length)
    if (value !== null) {
      target.set(value, at)
      at += value.length
    }
  }
  return at
}
