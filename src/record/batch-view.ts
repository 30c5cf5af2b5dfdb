// A RecordBatch v2 (magic 2, KIP-98) read in place: nothing is copied or decoded before somebody asks for it.
//
//  0 base offset int64          17 CRC-32C uint32 (of everything from 21)   43 producer id int64
//  8 length int32 (from 12)     21 attributes int16                        51 producer epoch int16
// 12 leader epoch int32         23 last offset delta int32                 53 base sequence int32
// 16 magic int8                 27 base timestamp int64                    57 record count int32
//                               35 max timestamp int64                     61 records
// Attributes: bits 0-2 compression, 3 timestamp type, 4 transactional, 5 control, 6 delete horizon (KIP-534: the base
// timestamp is then the horizon; the deltas of the records are counted from it, so reading them needs no difference).
// Base offset, length, leader epoch and magic are not covered by the CRC, since the broker sets them itself.
import type { TopicPartition } from '../base/topic-partition.ts'
import { type BatchPlace, batchCorrupt, formatUnsupported } from './batch-errors.ts'
import { type Compression, compressionOf, decompress, decompressedBytesMax } from './compression.ts'
import { crc32c } from './crc32c.ts'
import { readInt64 } from './varint.ts'

/** Bytes of a batch before its first record. */
export const batchOverheadBytes = 61
/** Bytes of a batch that its length field does not count: base offset and length. */
const uncountedBytes = 12
const magicPosition = 16
/** Length, attributes, timestamp delta, offset delta, key length, value length, header count: one byte each. */
const recordBytesMin = 7
/** The smallest set of the formats before RecordBatch v2 (Kafka 0.10 and older). */
const oldFormatLengthMin = 14

/** The bytes of the records of a batch, decompressed: `buffer[start, end)`. */
export interface RecordsSection {
  readonly buffer: Buffer
  readonly start: number
  readonly end: number
}

/** Memory that is used again when all who read in it are done: each batch in it says so once, or never. */
export interface BatchMemory {
  release(): void
}

export type TimestampType = 'create' | 'log-append'

export class BatchView {
  readonly buffer: Buffer
  /** Position of the batch in `buffer`. */
  readonly start: number
  /** Position after the batch in `buffer`. */
  readonly end: number
  readonly place: TopicPartition
  readonly baseOffset: number
  /** Absent: nobody waits for these bytes. */
  memory: BatchMemory | undefined = undefined
  #section: RecordsSection | undefined

  /**
   * A view of the whole batch that begins at `start`; `buffer` must hold it (readBatches sees to that).
   * @throws MillstreamError BATCH_CORRUPT when its header contradicts itself.
   */
  constructor(buffer: Buffer, start: number, place: TopicPartition) {
    this.buffer = buffer
    this.start = start
    this.end = start + uncountedBytes + buffer.readInt32BE(start + 8)
    this.place = place
    this.baseOffset = readInt64(buffer, start)
    if (this.end - start < batchOverheadBytes || this.end > buffer.length) {
      throw batchCorrupt(this.batchPlace, `a record batch claims ${this.end - start} bytes, which cannot be`)
    }
    const lastOffsetDelta = buffer.readInt32BE(start + 23)
    if (
      this.baseOffset < 0 ||
      lastOffsetDelta < 0 ||
      !Number.isSafeInteger(this.baseOffset + lastOffsetDelta)
    ) {
      throw batchCorrupt(
        this.batchPlace,
        `a record batch claims the offsets from ${this.baseOffset} on plus ${lastOffsetDelta}`,
      )
    }
    const { recordCount } = this
    if (recordCount < 0 || recordCount > lastOffsetDelta + 1) {
      throw batchCorrupt(
        this.batchPlace,
        `a record batch claims ${recordCount} records within ${lastOffsetDelta + 1} offsets`,
      )
    }
    if (!Number.isSafeInteger(this.producerId)) {
      throw batchCorrupt(this.batchPlace, `a record batch claims the producer id ${this.producerId}`)
    }
  }

  /** Topic, partition and base offset, for errors. */
  get batchPlace(): BatchPlace {
    return { topic: this.place.topic, partition: this.place.partition, offset: this.baseOffset }
  }

  /** Kept by compaction even when the last record is gone, so that positions still pass it. */
  get lastOffset(): number {
    return this.baseOffset + this.buffer.readInt32BE(this.start + 23)
  }

  /** The position of a consumer that is done with this batch. */
  get nextOffset(): number {
    return this.lastOffset + 1
  }

  get sizeInBytes(): number {
    return this.end - this.start
  }

  get partitionLeaderEpoch(): number {
    return this.buffer.readInt32BE(this.start + 12)
  }

  get magic(): number {
    return this.buffer.readInt8(this.start + magicPosition)
  }

  get attributes(): number {
    return this.buffer.readInt16BE(this.start + 21)
  }

  /** @throws MillstreamError COMPRESSION_UNSUPPORTED when the number has no meaning. */
  get compression(): Compression {
    const bits = this.attributes & 0x07
    return bits === 0 ? 'none' : compressionOf(bits, this.batchPlace)
  }

  get timestampType(): TimestampType {
    return (this.attributes & 0x08) === 0 ? 'create' : 'log-append'
  }

  get isTransactional(): boolean {
    return (this.attributes & 0x10) !== 0
  }

  /** Whether the batch holds a control record (a transaction marker): the only thing that makes one. */
  get isControl(): boolean {
    return (this.attributes & 0x20) !== 0
  }

  /** Milliseconds; like every timestamp rounded beyond 2^53, which Number.isSafeInteger shows. */
  get baseTimestamp(): number {
    return readInt64(this.buffer, this.start + 27)
  }

  get maxTimestamp(): number {
    return readInt64(this.buffer, this.start + 35)
  }

  /** -1 without an idempotent producer. */
  get producerId(): number {
    return readInt64(this.buffer, this.start + 43)
  }

  get producerEpoch(): number {
    return this.buffer.readInt16BE(this.start + 51)
  }

  get baseSequence(): number {
    return this.buffer.readInt32BE(this.start + 53)
  }

  /** 0 where compaction removed every record and the batch stays for its producer's sequence. */
  get recordCount(): number {
    return this.buffer.readInt32BE(this.start + 57)
  }

  /** @throws MillstreamError BATCH_CORRUPT when the bytes do not match their CRC-32C. */
  checkCrc(place: TopicPartition = this.place): void {
    const stored = this.buffer.readUInt32BE(this.start + 17)
    const computed = crc32c(this.buffer, this.start + 21, this.end)
    if (stored === computed) return
    throw batchCorrupt(
      { topic: place.topic, partition: place.partition, offset: this.baseOffset },
      `a record batch of ${this.sizeInBytes} bytes has the CRC-32C ${computed} but says ${stored}`,
    )
  }

  /**
   * The bytes of the records, decompressed at the first call and kept with the view.
   * @throws MillstreamError BATCH_CORRUPT, BATCH_TOO_LARGE, COMPRESSION_UNSUPPORTED
   */
  records(limitBytes: number = decompressedBytesMax): RecordsSection {
    if (this.#section !== undefined) return this.#section
    const start = this.start + batchOverheadBytes
    let section: RecordsSection = { buffer: this.buffer, start, end: this.end }
    const { compression } = this
    if (compression !== 'none' && start < this.end) {
      const buffer = decompress(
        compression,
        this.buffer.subarray(start, this.end),
        this.batchPlace,
        limitBytes,
      )
      section = { buffer, start: 0, end: buffer.length }
    }
    if (this.recordCount * recordBytesMin > section.end - section.start) {
      throw batchCorrupt(
        this.batchPlace,
        `a record batch claims ${this.recordCount} records in ${section.end - section.start} bytes`,
      )
    }
    this.#section = section
    return section
  }
}

/**
 * Splits the records section of a fetch response, `buffer[start, end)`, into batches, without checking their CRC.
 *
 * A broker cuts a response at the byte limit of the request, so its last batch may be incomplete: it is dropped and
 * fetched again. But the first one is always whole (KIP-74), so an incomplete first batch means that its length lies;
 * dropping it too would fetch it for ever.
 * @throws MillstreamError BATCH_CORRUPT for lengths and offsets that cannot be, COMPRESSION_UNSUPPORTED for a format
 * other than RecordBatch v2.
 */
export const readBatches = (
  buffer: Buffer,
  start: number,
  end: number,
  place: TopicPartition,
): BatchView[] => {
  const batches: BatchView[] = []
  let position = start
  let nextOffset = 0
  while (end - position > magicPosition) {
    const offset = readInt64(buffer, position)
    const length = buffer.readInt32BE(position + 8)
    const batchPlace = { topic: place.topic, partition: place.partition, offset }
    const magic = buffer.readInt8(position + magicPosition)
    if (length < oldFormatLengthMin)
      throw batchCorrupt(batchPlace, `a record batch claims the length ${length}`)
    if (magic !== 2) {
      throw formatUnsupported(
        batchPlace,
        `a record batch has the format (magic) ${magic}, and only 2 is read`,
        magic === 0 || magic === 1
          ? 'It was written by a producer older than Kafka 0.11: copy the topic with a current producer, or begin behind its old segments.'
          : 'It was written by a newer broker or is damaged: update millstream, or check the log of the partition.',
      )
    }
    if (length > end - position - uncountedBytes) break
    const batch = new BatchView(buffer, position, place)
    if (batch.baseOffset < nextOffset) {
      throw batchCorrupt(
        batchPlace,
        `a record batch begins at ${batch.baseOffset} behind one that ends at ${nextOffset - 1}`,
      )
    }
    nextOffset = batch.nextOffset
    batches.push(batch)
    position = batch.end
  }
  if (batches.length === 0 && start < end) {
    const offset = end - start >= 8 ? readInt64(buffer, start) : -1
    throw batchCorrupt(
      { topic: place.topic, partition: place.partition, offset },
      `the first record batch of a response is longer than the ${end - start} bytes that came`,
    )
  }
  return batches
}
