// What a broker checks of a batch that a producer sends before it is appended, in the order and with the error codes of
// Kafka: offsets, size, CRC, counts, then each record (its key in a compacted topic, its timestamp). The one difference:
// Kafka keeps offset deltas within a batch as they come, here they have to grow.
import type { TopicPartition } from '../base/topic-partition.ts'
import { ensureError, type MillstreamError } from '../errors.ts'
import { BatchView, batchOverheadBytes } from '../record/batch-view.ts'
import { crc32c } from '../record/crc32c.ts'
import { RecordCursor } from '../record/record-cursor.ts'
import { readInt64 } from '../record/varint.ts'
import { codes } from './codes.ts'

/** The settings of a topic that decide what may be appended. */
export interface AppendRules {
  /** max.message.bytes */
  readonly bytesMax: number
  /** segment.bytes */
  readonly segmentBytesMax: number
  /** cleanup.policy holds compact */
  readonly isCompacted: boolean
  /** message.timestamp.type is LogAppendTime */
  readonly stampsRecords: boolean
  /** message.timestamp.before.max.ms */
  readonly beforeMsMax: number
  /** message.timestamp.after.max.ms */
  readonly afterMsMax: number
}

export interface RecordError {
  readonly batchIndex: number
  readonly message: string | null
}

export interface Refusal {
  readonly errorCode: number
  /** null where a broker says nothing beside the code. */
  readonly message: string | null
  readonly recordErrors: readonly RecordError[]
}

const uncountedBytes = 12
const magicEnd = 17
const oldFormatLengthMin = 14
const noTimestamp = -1
const shownErrorsMax = 3

const refuse = (errorCode: number, message: string | null = null): Refusal => ({
  errorCode,
  message,
  recordErrors: [],
})

/**
 * The one batch that a partition may send in a request. What follows it without being whole is dropped, as a broker does.
 * @returns its bytes, or why there is none
 */
export const onlyBatch = (records: Buffer | null): Buffer | Refusal => {
  const batches: Buffer[] = []
  for (let rest = records ?? Buffer.alloc(0); rest.length >= magicEnd; ) {
    const length = rest.readInt32BE(8)
    if (length < oldFormatLengthMin) {
      const text = `Record size ${length} is less than the minimum record overhead (${oldFormatLengthMin})`
      return refuse(codes.CORRUPT_MESSAGE, text)
    }
    const magic = rest.readInt8(16)
    if (magic < 0 || magic > 2)
      return refuse(codes.CORRUPT_MESSAGE, `Invalid magic found in record: ${magic}`)
    if (rest.length < uncountedBytes + length) break
    if (magic !== 2) return refuse(codes.INVALID_RECORD)
    batches.push(rest.subarray(0, uncountedBytes + length))
    rest = rest.subarray(uncountedBytes + length)
  }
  const [batch] = batches
  return batch === undefined || batches.length > 1 ? refuse(codes.INVALID_RECORD) : batch
}

const headerRefusal = (batch: Buffer, { bytesMax, segmentBytesMax }: AppendRules): Refusal | undefined => {
  if (readInt64(batch, 0) !== 0) return refuse(codes.INVALID_RECORD)
  if (batch.length > bytesMax) return refuse(codes.MESSAGE_TOO_LARGE)
  if (batch.length > segmentBytesMax) return refuse(codes.RECORD_LIST_TOO_LARGE)
  if (batch.length < batchOverheadBytes) return refuse(codes.CORRUPT_MESSAGE)
  if (batch.readUInt32BE(17) !== crc32c(batch, 21, batch.length)) return refuse(codes.CORRUPT_MESSAGE)
  const attributes = batch.readInt16BE(21)
  const count = batch.readInt32BE(57)
  if (count <= 0 || batch.readInt32BE(23) + 1 !== count) return refuse(codes.INVALID_RECORD)
  const isControl = (attributes & 0x20) !== 0
  const producerId = readInt64(batch, 43)
  const lacksSequence = producerId >= 0 && batch.readInt32BE(53) < 0
  if (isControl || lacksSequence || !Number.isSafeInteger(producerId)) return refuse(codes.INVALID_RECORD)
  return undefined
}

const recordProblem = (
  cursor: RecordCursor,
  view: BatchView,
  rules: AppendRules,
  nowMs: number,
  place: TopicPartition,
): { readonly errorCode: number; readonly message: string } | undefined => {
  if (rules.isCompacted && cursor.keyLength < 0) {
    const where = `${place.topic}-${place.partition}`
    const message = `Compacted topic cannot accept message without key in topic partition ${where}.`
    return { errorCode: codes.INVALID_RECORD, message }
  }
  const { timestamp } = cursor
  if (!rules.stampsRecords && timestamp !== noTimestamp) {
    if (nowMs - timestamp <= rules.beforeMsMax && timestamp - nowMs <= rules.afterMsMax) return undefined
    const range = `[${nowMs - rules.beforeMsMax}, ${nowMs + rules.afterMsMax}]`
    return {
      errorCode: codes.INVALID_TIMESTAMP,
      message: `Timestamp ${timestamp} of message with offset ${cursor.offset} is out of range. The timestamp should be within ${range}`,
    }
  }
  if (view.timestampType === 'create') return undefined
  return {
    errorCode: codes.INVALID_TIMESTAMP,
    message: 'Invalid timestamp type in message. Producer should not set timestamp type to LogAppendTime.',
  }
}

const refuseRecords = (errorCode: number, errors: readonly RecordError[]): Refusal => {
  const shown = errors.slice(0, shownErrorsMax).map((error) => error.message)
  const message =
    errorCode === codes.INVALID_TIMESTAMP
      ? 'One or more records have been rejected due to invalid timestamp'
      : `One or more records have been rejected due to ${errors.length} record errors in total, and only showing the first three errors at most: ${shown.join(', ')}`
  return { errorCode, message, recordErrors: errors }
}

/** Whether the records could not even be decompressed, for which Kafka has no error code of its own. */
const isUnreadable = (error: unknown): boolean => {
  const { code, cause } = ensureError(error) as MillstreamError
  return code !== 'BATCH_CORRUPT' || cause !== undefined
}

/**
 * Checks a batch and all of its records.
 * @returns why it is refused, or the largest timestamp of its records
 */
export const checkBatch = (
  batch: Buffer,
  place: TopicPartition,
  rules: AppendRules,
  nowMs: number,
): Refusal | number => {
  const refusal = headerRefusal(batch, rules)
  if (refusal !== undefined) return refusal
  const cursor = new RecordCursor()
  const errors: RecordError[] = []
  let errorCode: number = codes.NONE
  let timestampMax = noTimestamp
  try {
    const view = new BatchView(batch, 0, place)
    cursor.reset(view)
    for (let batchIndex = 0; cursor.next(); batchIndex++) {
      const problem = recordProblem(cursor, view, rules, nowMs, place)
      if (problem === undefined) timestampMax = Math.max(timestampMax, cursor.timestamp)
      else {
        if (errors.length === 0) errorCode = problem.errorCode
        errors.push({ batchIndex, message: problem.message })
      }
    }
  } catch (error) {
    return refuse(isUnreadable(error) ? codes.UNKNOWN_SERVER_ERROR : codes.INVALID_RECORD)
  }
  return errors.length > 0 ? refuseRecords(errorCode, errors) : timestampMax
}
