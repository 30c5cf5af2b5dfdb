// Reads the log of a partition as it grows, from the bytes of its batches: every record, and which of them are committed.
// By hand from the layout of RecordBatch v2, with none of the code under test: a fault in our own filter of aborted
// records must not hide itself.
//
// baseOffset int64 · length int32 · leader epoch int32 · magic int8 · crc int32 · attributes int16 · last offset delta int32
// · two timestamps int64 · producer id int64 · epoch int16 · base sequence int32 · record count int32 · records
// record: length varint · attributes int8 · timestamp delta varint · offset delta varint · key length varint · key
// · value length varint · value · headers [ key length varint · key · value length varint · value ]

export interface LogRecord {
  readonly partition: number
  readonly offset: number
  readonly timestamp: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: readonly (readonly [string, Buffer | null])[]
}

/** A transactional batch, or the marker that ends a transaction in this partition. */
export interface TransactionalBatch {
  readonly offset: number
  readonly producerId: number
  readonly epoch: number
  /** Undefined for a batch of records. */
  readonly marker: 'commit' | 'abort' | undefined
}

const lengthAt = 8
const attributesAt = 21
const lastDeltaAt = 23
const baseTimestampAt = 27
const producerIdAt = 43
const epochAt = 51
const countAt = 57
const recordsAt = 61
const overhead = 12
const compressionBits = 0x07
const transactionalBit = 0x10
const controlBit = 0x20

class ByteReader {
  readonly #bytes: Buffer
  #at: number

  constructor(bytes: Buffer, at: number) {
    this.#bytes = bytes
    this.#at = at
  }

  skip(count: number): void {
    this.#at += count
  }

  varint(): number {
    let value = 0
    let factor = 1
    for (;;) {
      const byte = this.#bytes.readUInt8(this.#at++)
      value += (byte & 0x7f) * factor
      if (byte < 0x80) break
      factor *= 128
    }
    // Zigzag: odd numbers are negative.
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2
  }

  bytes(): Buffer | null {
    const length = this.varint()
    if (length < 0) return null
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }
}

const recordsOf = (batch: Buffer, partition: number): LogRecord[] => {
  const baseOffset = Number(batch.readBigInt64BE(0))
  const baseTimestamp = Number(batch.readBigInt64BE(baseTimestampAt))
  const reader = new ByteReader(batch, recordsAt)
  return Array.from({ length: batch.readInt32BE(countAt) }, () => {
    reader.varint()
    reader.skip(1)
    const timestamp = baseTimestamp + reader.varint()
    const offset = baseOffset + reader.varint()
    const key = reader.bytes()
    const value = reader.bytes()
    const headers = Array.from(
      { length: reader.varint() },
      () => [reader.bytes()?.toString('utf8') ?? '', reader.bytes()] as const,
    )
    return { partition, offset, timestamp, key, value, headers }
  })
}

/** The one record of a control batch has the key: version int16, type int16 (0 abort, 1 commit). */
const markerOf = (batch: Buffer, partition: number): 'commit' | 'abort' =>
  recordsOf(batch, partition)[0]?.key?.readInt16BE(2) === 1 ? 'commit' : 'abort'

/** What one transaction wrote here, until its marker comes. */
type Open = LogRecord[]

export class LogFollower {
  readonly partition: number
  /** Every record, also those of aborted transactions. */
  readonly all: LogRecord[] = []
  /** In the order of their offsets, once all transactions are over; until then in that of their commits. */
  readonly committed: LogRecord[] = []
  readonly batches: TransactionalBatch[] = []
  readonly #open = new Map<number, Open>()
  /** Where the next batch begins. */
  #end = 0

  constructor(partition: number) {
    this.partition = partition
  }

  get end(): number {
    return this.#end
  }

  /** Transactions that are open. */
  get open(): number {
    return this.#open.size
  }

  /** Takes batches from `end` on. @returns the records that became committed by them */
  follow(bytes: Buffer): LogRecord[] {
    const fresh: LogRecord[] = []
    for (let at = 0; at + overhead <= bytes.length; ) {
      const size = overhead + bytes.readInt32BE(at + lengthAt)
      this.#take(bytes.subarray(at, at + size), fresh)
      at += size
    }
    this.committed.push(...fresh)
    return fresh
  }

  #take(batch: Buffer, fresh: LogRecord[]): void {
    const offset = Number(batch.readBigInt64BE(0))
    // A reader is given whole batches, the first of which may begin earlier.
    if (offset < this.#end) return
    this.#end = offset + batch.readInt32BE(lastDeltaAt) + 1
    const attributes = batch.readInt16BE(attributesAt)
    if ((attributes & compressionBits) !== 0)
      throw new Error('a simulation reads batches that are not compressed')
    const producerId = Number(batch.readBigInt64BE(producerIdAt))
    const epoch = batch.readInt16BE(epochAt)
    if ((attributes & controlBit) !== 0) {
      const marker = markerOf(batch, this.partition)
      this.batches.push({ offset, producerId, epoch, marker })
      if (marker === 'commit') fresh.push(...(this.#open.get(producerId) ?? []))
      this.#open.delete(producerId)
      return
    }
    const records = recordsOf(batch, this.partition)
    this.all.push(...records)
    if ((attributes & transactionalBit) === 0) {
      fresh.push(...records)
      return
    }
    this.batches.push({ offset, producerId, epoch, marker: undefined })
    const open = this.#open.get(producerId)
    if (open === undefined) this.#open.set(producerId, records)
    else open.push(...records)
  }
}
