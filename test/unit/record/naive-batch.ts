// A second, slow and obvious encoder of RecordBatch v2, for tests: BigInt varints, one array of bytes, any offsets and
// attributes. It shares no code with src/record (CRC-32C is computed bit by bit), so that a mistake there shows.

export interface NaiveRecord {
  readonly offset: number
  readonly timestamp: number
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly headers?: readonly { readonly key: string; readonly value: Uint8Array | null }[]
}

export interface NaiveBatch {
  readonly baseOffset: number
  readonly lastOffset: number
  readonly records: readonly NaiveRecord[]
  readonly baseTimestamp?: number
  readonly maxTimestamp?: number
  readonly attributes?: number
  readonly producerId?: number
  readonly producerEpoch?: number
  readonly baseSequence?: number
  readonly recordCount?: number
  /** Replaces the encoded records (they are compressed, or damaged on purpose). */
  readonly section?: Uint8Array
}

export const transactionalBit = 0x10
export const controlBit = 0x20
export const logAppendBit = 0x08

export const naiveVarlong = (value: number): number[] => {
  let rest = BigInt.asUintN(64, (BigInt(value) << 1n) ^ (BigInt(value) >> 63n))
  const bytes: number[] = []
  while (rest > 127n) {
    bytes.push(Number(rest & 127n) | 128)
    rest >>= 7n
  }
  bytes.push(Number(rest))
  return bytes
}

const lengthAndBytes = (bytes: Uint8Array | null): number[] =>
  bytes === null ? naiveVarlong(-1) : [...naiveVarlong(bytes.length), ...bytes]

export const naiveRecords = (batch: NaiveBatch): Buffer => {
  const bytes: number[] = []
  const baseTimestamp = batch.baseTimestamp ?? batch.records[0]?.timestamp ?? -1
  for (const record of batch.records) {
    const headers = record.headers ?? []
    const body = [
      0,
      ...naiveVarlong(record.timestamp - baseTimestamp),
      ...naiveVarlong(record.offset - batch.baseOffset),
      ...lengthAndBytes(record.key),
      ...lengthAndBytes(record.value),
      ...naiveVarlong(headers.length),
      ...headers.flatMap((header) => [
        ...lengthAndBytes(Buffer.from(header.key)),
        ...lengthAndBytes(header.value),
      ]),
    ]
    for (const byte of naiveVarlong(body.length)) bytes.push(byte)
    for (const byte of body) bytes.push(byte)
  }
  return Buffer.from(bytes)
}

export const naiveCrc32c = (bytes: Uint8Array): number => {
  let crc = 0xffffffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 0 ? crc >>> 1 : (crc >>> 1) ^ 0x82f63b78
  }
  return ~crc >>> 0
}

export const naiveBatch = (batch: NaiveBatch): Buffer => {
  const section = batch.section ?? naiveRecords(batch)
  const timestamps = batch.records.map((record) => record.timestamp)
  const header = Buffer.alloc(61)
  header.writeBigInt64BE(BigInt(batch.baseOffset), 0)
  header.writeInt32BE(49 + section.length, 8)
  header.writeInt32BE(-1, 12)
  header[16] = 2
  header.writeInt16BE(batch.attributes ?? 0, 21)
  header.writeInt32BE(batch.lastOffset - batch.baseOffset, 23)
  header.writeBigInt64BE(BigInt(batch.baseTimestamp ?? timestamps[0] ?? -1), 27)
  header.writeBigInt64BE(
    BigInt(batch.maxTimestamp ?? (timestamps.length > 0 ? Math.max(...timestamps) : -1)),
    35,
  )
  header.writeBigInt64BE(BigInt(batch.producerId ?? -1), 43)
  header.writeInt16BE(batch.producerEpoch ?? -1, 51)
  header.writeInt32BE(batch.baseSequence ?? -1, 53)
  header.writeInt32BE(batch.recordCount ?? batch.records.length, 57)
  const whole = Buffer.concat([header, section])
  whole.writeUInt32BE(naiveCrc32c(whole.subarray(21)), 17)
  return whole
}

/** A transaction marker as a coordinator writes it. */
export const naiveMarker = (offset: number, producerId: number, type: 'abort' | 'commit'): Buffer =>
  naiveBatch({
    baseOffset: offset,
    lastOffset: offset,
    attributes: transactionalBit | controlBit,
    producerId,
    producerEpoch: 0,
    records: [
      {
        offset,
        timestamp: 1_700_000_000_000,
        key: Buffer.from([0, 0, 0, type === 'abort' ? 0 : 1]),
        value: Buffer.from([0, 0, 0, 0, 0, 7]),
      },
    ],
  })
