// What a broker changes in the bytes of a batch, and the batches that it makes itself: offsets and timestamps set when a
// batch is appended, the markers that end transactions, and what compaction leaves of a batch. The layout stands in
// record/batch-view.ts.
import type { BatchView } from '../record/batch-view.ts'
import { BatchView as View, batchOverheadBytes } from '../record/batch-view.ts'
import { compress } from '../record/compression.ts'
import { crc32c } from '../record/crc32c.ts'
import { RecordCursor } from '../record/record-cursor.ts'
import { varintSize, writeInt64, writeVarint, writeVarlong } from '../record/varint.ts'
import type { Marker } from './broker-state.ts'

const stampedBit = 0x08
const transactionalBit = 0x10
const controlBit = 0x20
const horizonBit = 0x40

const writeCrc = (batch: Buffer): void => {
  batch.writeUInt32BE(crc32c(batch, 21, batch.length), 17)
}

/** The place of a batch in its log; no part of what the CRC covers. */
export const placeBatch = (batch: Buffer, baseOffset: number, leaderEpoch: number): void => {
  writeInt64(batch, 0, baseOffset)
  batch.writeInt32BE(leaderEpoch, 12)
}

/** Sets the largest timestamp and who gave it; the CRC is computed anew only where something changed. */
export const stampBatch = (batch: Buffer, timestampMs: number, byBroker: boolean): void => {
  const attributes = batch.readInt16BE(21)
  const wanted = byBroker ? attributes | stampedBit : attributes & ~stampedBit
  const stamp = Buffer.alloc(8)
  writeInt64(stamp, 0, timestampMs)
  if (wanted === attributes && stamp.equals(batch.subarray(35, 43))) return
  batch.writeInt16BE(wanted, 21)
  stamp.copy(batch, 35)
  writeCrc(batch)
}

interface Head {
  readonly baseOffset: number
  readonly leaderEpoch: number
  readonly attributes: number
  readonly lastOffsetDelta: number
  readonly baseTimestamp: number
  readonly maxTimestamp: number
  readonly producerId: number
  readonly producerEpoch: number
  readonly baseSequence: number
  readonly count: number
}

const makeBatch = (head: Head, records: Uint8Array): Buffer => {
  const batch = Buffer.alloc(batchOverheadBytes + records.length)
  batch.writeInt32BE(batch.length - 12, 8)
  batch.writeInt8(2, 16)
  placeBatch(batch, head.baseOffset, head.leaderEpoch)
  batch.writeInt16BE(head.attributes, 21)
  batch.writeInt32BE(head.lastOffsetDelta, 23)
  writeInt64(batch, 27, head.baseTimestamp)
  writeInt64(batch, 35, head.maxTimestamp)
  writeInt64(batch, 43, head.producerId)
  batch.writeInt16BE(head.producerEpoch, 51)
  batch.writeInt32BE(head.baseSequence, 53)
  batch.writeInt32BE(head.count, 57)
  batch.set(records, batchOverheadBytes)
  writeCrc(batch)
  return batch
}

const headOf = (view: BatchView): Head => ({
  baseOffset: view.baseOffset,
  leaderEpoch: view.partitionLeaderEpoch,
  attributes: view.attributes,
  lastOffsetDelta: view.lastOffset - view.baseOffset,
  baseTimestamp: view.baseTimestamp,
  maxTimestamp: view.maxTimestamp,
  producerId: view.producerId,
  producerEpoch: view.producerEpoch,
  baseSequence: view.baseSequence,
  count: view.recordCount,
})

/** A control batch; the record in it: length, attributes, timestamp and offset delta, key, value, no headers. */
export const markerBatch = (marker: Marker, timestampMs: number): Buffer => {
  const record = Buffer.alloc(17)
  let at = writeVarint(record, 0, record.length - 1)
  at = writeVarint(record, at + 3, 4)
  record.writeInt16BE(marker.committed ? 1 : 0, at + 2)
  at = writeVarint(record, at + 4, 6)
  record.writeInt32BE(marker.coordinatorEpoch, at + 2)
  const head: Head = {
    baseOffset: 0,
    leaderEpoch: 0,
    attributes: transactionalBit | controlBit,
    lastOffsetDelta: 0,
    baseTimestamp: timestampMs,
    maxTimestamp: timestampMs,
    producerId: marker.producerId,
    producerEpoch: marker.producerEpoch,
    baseSequence: -1,
    count: 1,
  }
  return makeBatch(head, record)
}

/** The same batch without its records: offsets and sequence numbers stay known. */
export const emptiedBatch = (view: BatchView): Buffer =>
  makeBatch(
    { ...headOf(view), attributes: view.attributes & ~(0x07 | horizonBit), baseTimestamp: -1, count: 0 },
    Buffer.alloc(0),
  )

/** Until when tombstones and markers of a batch are kept, undefined where that was not decided yet (KIP-534). */
export const deleteHorizonOf = (view: BatchView): number | undefined =>
  (view.attributes & horizonBit) === 0 ? undefined : view.baseTimestamp

/**
 * The batch with some of its records: offsets, sequence numbers and timestamps stay what they were.
 * @param kept whether the record stays at which the cursor stands
 * @param deleteHorizonMs what the batch gets as its delete horizon; undefined leaves it as it is
 */
export const filteredBatch = (
  view: BatchView,
  kept: (cursor: RecordCursor) => boolean,
  deleteHorizonMs: number | undefined,
): Buffer => {
  const baseTimestamp = deleteHorizonMs ?? view.baseTimestamp
  const parts: Buffer[] = []
  const cursor = new RecordCursor()
  // A view of its own: the decompressed bytes are not kept with the log.
  cursor.reset(new View(view.buffer, view.start, view.place))
  while (cursor.next()) if (kept(cursor)) parts.push(recordBytes(cursor, view.baseOffset, baseTimestamp))
  const attributes = view.attributes | (deleteHorizonMs === undefined ? 0 : horizonBit)
  const records = compress(view.compression, Buffer.concat(parts))
  return makeBatch({ ...headOf(view), attributes, baseTimestamp, count: parts.length }, records)
}

const recordBytes = (cursor: RecordCursor, baseOffset: number, baseTimestamp: number): Buffer => {
  // Everything from the length of the key on stays as it is.
  const rest = cursor.buffer.subarray(cursor.keyStart - varintSize(cursor.keyLength), cursor.recordEnd)
  const head = Buffer.alloc(16)
  let at = writeVarlong(head, 1, cursor.timestamp - baseTimestamp)
  at = writeVarint(head, at, cursor.offset - baseOffset)
  const length = Buffer.alloc(5)
  const lengthEnd = writeVarint(length, 0, at + rest.length)
  return Buffer.concat([length.subarray(0, lengthEnd), head.subarray(0, at), rest])
}
