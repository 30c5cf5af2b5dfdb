// Reads the batches of a topic from the files of a broker: which producer and epoch wrote each, and the markers, which no
// consumer is shown. Read by hand from the layout of RecordBatch v2, with none of the code under test.
//
// baseOffset int64 · length int32 · leader epoch int32 · magic int8 · crc int32 · attributes int16 · last offset delta int32
// · two timestamps int64 · producer id int64 · epoch int16 · base sequence int32 · record count int32 · records
import fs from 'node:fs'
import path from 'node:path'

export interface LogBatch {
  readonly partition: string
  readonly offset: number
  readonly producerId: number
  readonly epoch: number
  /** Undefined for a batch of data. */
  readonly marker: 'commit' | 'abort' | undefined
}

const lengthAt = 8
const attributesAt = 21
const producerIdAt = 43
const epochAt = 51
const countAt = 57
const recordsAt = 61
const overhead = 12
const transactionalBit = 0x10
const controlBit = 0x20

/**
 * The one record of a control batch: length varint · attributes int8 · timestamp and offset delta varint · length of the
 * key varint · key (version int16, type int16: 0 abort, 1 commit) · ...
 */
const markerOf = (batch: Buffer): LogBatch['marker'] => {
  let at = recordsAt
  const skipVarint = (): void => {
    while (batch.readUInt8(at++) >= 0x80);
  }
  skipVarint()
  at++
  for (let varint = 0; varint < 3; varint++) skipVarint()
  const type = batch.readInt16BE(at + 2)
  return type === 1 ? 'commit' : type === 0 ? 'abort' : undefined
}

/** The transactional batches of one segment; what is still being written at its end is left out. */
export const batchesOf = (partition: string, segment: Buffer): LogBatch[] => {
  const batches: LogBatch[] = []
  for (let at = 0; at + overhead <= segment.length; ) {
    const end = at + overhead + segment.readInt32BE(at + lengthAt)
    if (end > segment.length) break
    const batch = segment.subarray(at, end)
    const attributes = batch.readInt16BE(attributesAt)
    // Compaction leaves batches without records behind.
    if ((attributes & transactionalBit) !== 0 && batch.readInt32BE(countAt) > 0)
      batches.push({
        partition,
        offset: Number(batch.readBigInt64BE(0)),
        producerId: Number(batch.readBigInt64BE(producerIdAt)),
        epoch: batch.readInt16BE(epochAt),
        marker: (attributes & controlBit) === 0 ? undefined : markerOf(batch),
      })
    at = end
  }
  return batches
}

/**
 * All transactional batches of the partitions of these topics, in the order of their offsets.
 * @param directory of one broker that has them all
 */
export const readLogBatches = (directory: string, topics: readonly string[]): LogBatch[] => {
  const data = path.join(directory, 'data')
  const isWanted = (name: string): boolean => topics.includes(name.replace(/-\d+$/, ''))
  return fs
    .readdirSync(data)
    .filter(isWanted)
    .flatMap((partition) => {
      const folder = path.join(data, partition)
      const segments = fs.readdirSync(folder).filter((name) => name.endsWith('.log'))
      return segments
        .sort()
        .flatMap((segment) => batchesOf(partition, fs.readFileSync(path.join(folder, segment))))
    })
}
