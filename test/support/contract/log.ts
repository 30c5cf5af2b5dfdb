// Records for the cases of the contract: batches of any kind, Produce and Fetch of one partition, and what is to be seen
// in a fetched log.
import { type FetchedPartition, fetch } from '../../../src/protocol/fetch.ts'
import { type IsolationLevel, type ListedOffset, listOffsets } from '../../../src/protocol/list-offsets.ts'
import { type PartitionProduceResponse, produce } from '../../../src/protocol/produce.ts'
import { AbortedTransactionFilter } from '../../../src/record/aborted-filter.ts'
import { BatchBuilder } from '../../../src/record/batch-builder.ts'
import { type BatchView, readBatches } from '../../../src/record/batch-view.ts'
import type { Compression } from '../../../src/record/compression.ts'
import { controlType } from '../../../src/record/control-record.ts'
import { crc32c } from '../../../src/record/crc32c.ts'
import { RecordCursor } from '../../../src/record/record-cursor.ts'
import { nameOf } from './names.ts'
import type { Wire } from './wire.ts'

export interface RecordToSend {
  /** Default: as the value; null: none. */
  readonly key?: string | null
  /** null: a tombstone. */
  readonly value: string | null
  readonly timestamp?: number
}

export interface BatchOptions {
  readonly producerId?: number
  readonly producerEpoch?: number
  readonly baseSequence?: number
  readonly transactional?: boolean
  readonly compression?: Compression
  /** Of the records that have none of their own; default: now. */
  readonly timestamp?: number
}

const crcPosition = 17
const crcFrom = 21

/** A sealed batch; a record that is a text has it as its key and its value. */
export const batchOf = (records: readonly (string | RecordToSend)[], options: BatchOptions = {}): Buffer => {
  const { producerId = -1, producerEpoch = -1, baseSequence = -1 } = options
  const { transactional = false, compression = 'none', timestamp = Date.now() } = options
  const builder = new BatchBuilder(256)
  for (const record of records) {
    const full: RecordToSend = typeof record === 'string' ? { value: record } : record
    const keyText = full.key === undefined ? full.value : full.key
    const [key, value] = [Buffer.from(keyText ?? ''), Buffer.from(full.value ?? '')]
    const [keyLength, valueLength] = [
      keyText === null ? -1 : key.length,
      full.value === null ? -1 : value.length,
    ]
    builder.append(full.timestamp ?? timestamp, key, 0, keyLength, value, 0, valueLength, undefined)
  }
  return builder.seal({ producerId, producerEpoch, baseSequence, transactional, compression })
}

/** The batch with other bytes in its head, and a CRC that is right for them. */
export const patched = (batch: Buffer, patch: (copy: Buffer) => void): Buffer => {
  const copy = Buffer.from(batch)
  patch(copy)
  copy.writeUInt32BE(crc32c(copy, crcFrom, copy.length), crcPosition)
  return copy
}

export interface ProduceOptions extends BatchOptions {
  readonly partition?: number
  readonly version?: number
  readonly acks?: number
  readonly transactionalId?: string | null
}

export interface Produced extends PartitionProduceResponse {
  readonly error: string
}

export const produceBytes = async (
  wire: Wire,
  topic: string,
  records: Buffer,
  { partition = 0, version = 12, acks = -1, transactionalId = null }: ProduceOptions = {},
): Promise<Produced> => {
  const topics = [{ topic, partitions: [{ partition, records }] }]
  const request = { transactionalId, acks: acks as -1, timeoutMs: 10_000, topics }
  const answer = (await wire.ask(produce, request, version)).topics[0]?.partitions[0]
  if (answer === undefined) throw new Error('Produce was answered without the partition')
  return { ...answer, error: nameOf(answer.errorCode) }
}

export const produceTo = (
  wire: Wire,
  topic: string,
  records: readonly (string | RecordToSend)[],
  options: ProduceOptions = {},
): Promise<Produced> => produceBytes(wire, topic, batchOf(records, options), options)

export interface FetchOptions {
  readonly offset?: number
  readonly partition?: number
  readonly isolation?: IsolationLevel
  readonly maxBytes?: number
  readonly partitionMaxBytes?: number
  readonly minBytes?: number
  readonly maxWaitMs?: number
  readonly leaderEpoch?: number
  readonly version?: number
}

export interface SeenBatch {
  readonly base: number
  readonly last: number
  readonly count: number
  readonly producerId: number
  readonly producerEpoch: number
  readonly sequence: number
  readonly kind: 'plain' | 'transactional' | 'commit' | 'abort' | 'other'
}

export interface SeenRecord {
  readonly offset: number
  readonly key: string | null
  readonly value: string | null
  readonly timestamp: number
}

export interface Fetched extends FetchedPartition {
  readonly error: string
  readonly views: readonly BatchView[]
  readonly batches: readonly SeenBatch[]
  /** Without those of aborted transactions, where the broker says which they are. */
  readonly seen: readonly SeenRecord[]
}

const kindOf = (view: BatchView): SeenBatch['kind'] => {
  if (view.isControl) return controlType(view)
  return view.isTransactional ? 'transactional' : 'plain'
}

const seenBatch = (view: BatchView): SeenBatch => ({
  base: view.baseOffset,
  last: view.lastOffset,
  count: view.recordCount,
  producerId: view.producerId,
  producerEpoch: view.producerEpoch,
  sequence: view.baseSequence,
  kind: kindOf(view),
})

const recordsIn = (view: BatchView): SeenRecord[] => {
  const records: SeenRecord[] = []
  const cursor = new RecordCursor()
  cursor.reset(view)
  const text = (start: number, length: number): string | null =>
    length < 0 ? null : cursor.buffer.toString('utf8', start, start + length)
  while (cursor.next()) {
    const { offset, timestamp } = cursor
    const key = text(cursor.keyStart, cursor.keyLength)
    records.push({ offset, key, value: text(cursor.valueStart, cursor.valueLength), timestamp })
  }
  return records
}

export const fetchFrom = async (wire: Wire, topic: string, options: FetchOptions = {}): Promise<Fetched> => {
  const {
    offset = 0,
    partition = 0,
    isolation = 'read_uncommitted',
    leaderEpoch = -1,
    version = 12,
  } = options
  const { maxBytes = 10_000_000, partitionMaxBytes = 10_000_000, minBytes = 0, maxWaitMs = 0 } = options
  const asked = {
    partition,
    currentLeaderEpoch: leaderEpoch,
    fetchOffset: offset,
    maxBytes: partitionMaxBytes,
  }
  const request = {
    ...{ maxWaitMs, minBytes, maxBytes, isolationLevel: isolation },
    topics: [{ topic, partitions: [asked] }],
  }
  const { topics, errorCode } = await wire.ask(fetch, request, version)
  const found = topics[0]?.partitions[0]
  if (found === undefined)
    throw new Error(`Fetch was answered ${nameOf(errorCode)} and without the partition`)
  const views = readBatches(found.records, 0, found.records.length, { topic, partition })
  const filter = new AbortedTransactionFilter(found.abortedTransactions)
  const seen = views.filter((view) => filter.accepts(view)).flatMap(recordsIn)
  return {
    ...{ ...found, error: nameOf(found.errorCode), views, batches: views.map(seenBatch) },
    seen: seen.filter((record) => record.offset >= offset),
  }
}

/** Fetches from the start of the log to its end, or to the last stable offset: one answer holds no more than a segment. */
export const readLog = async (
  wire: Wire,
  topic: string,
  isolation: IsolationLevel = 'read_committed',
  partition = 0,
): Promise<Pick<Fetched, 'batches' | 'seen' | 'views'>> => {
  let { offset } = await offsetAt(wire, topic, -2, { partition })
  const [batches, seen, views]: [SeenBatch[], SeenRecord[], BatchView[]] = [[], [], []]
  for (;;) {
    const fetched = await fetchFrom(wire, topic, { offset, partition, isolation })
    const last = fetched.views.at(-1)
    if (last === undefined) return { batches, seen, views }
    batches.push(...fetched.batches)
    seen.push(...fetched.seen)
    views.push(...fetched.views)
    offset = last.nextOffset
  }
}

/** The values that a consumer of this isolation level sees from the start of the log. */
export const valuesIn = async (
  wire: Wire,
  topic: string,
  isolation: IsolationLevel = 'read_committed',
  partition = 0,
): Promise<(string | null)[]> =>
  (await readLog(wire, topic, isolation, partition)).seen.map(({ value }) => value)

export interface ListedAt extends ListedOffset {
  readonly error: string
}

/** ListOffsets: -1 latest, -2 earliest, -3 that of the largest timestamp, else the first from a timestamp on. */
export const offsetAt = async (
  wire: Wire,
  topic: string,
  timestamp: number,
  options: { partition?: number; isolation?: IsolationLevel; leaderEpoch?: number; version?: number } = {},
): Promise<ListedAt> => {
  const { partition = 0, isolation = 'read_uncommitted', leaderEpoch = -1, version = 7 } = options
  const partitions = [{ partition, currentLeaderEpoch: leaderEpoch, timestamp }]
  const request = { isolationLevel: isolation, topics: [{ topic, partitions }] }
  const found = (await wire.ask(listOffsets, request, version)).topics[0]?.partitions[0]
  if (found === undefined) throw new Error('ListOffsets was answered without the partition')
  return { ...found, error: nameOf(found.errorCode) }
}

/** Log start, last stable offset and high watermark. */
export const boundsOf = async (
  wire: Wire,
  topic: string,
  partition = 0,
): Promise<[number, number, number]> => [
  (await offsetAt(wire, topic, -2, { partition })).offset,
  (await offsetAt(wire, topic, -1, { partition, isolation: 'read_committed' })).offset,
  (await offsetAt(wire, topic, -1, { partition })).offset,
]
