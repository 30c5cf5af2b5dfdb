// Fetch, key 1, v4-12: record batches from partitions that this node leads, by topic name.
// v4 isolation level and aborted transactions (KIP-98); v5 where the log begins; v7 fetch sessions (KIP-227); v9 the
// leader epoch that the client knows (KIP-320); v10 Zstandard; v11 rack and preferred replica (KIP-392); v12 flexible.
//
// Sessions are not kept: a full fetch is answered with session 0, which tells the client to name all partitions each
// time, and an incremental one with FETCH_SESSION_ID_NOT_FOUND. An answer holds whole batches only; the first one comes
// even where it is larger than what was asked for (KIP-74). Under read_committed it ends at the last stable offset and lists
// the aborted transactions that overlap it, in the order in which they were completed. Where fewer bytes than min_bytes
// are there, the answer waits for an append, a marker or another leader, for max_wait_ms at most; an error is told at once.
//
// request   replica_id int32 · max_wait_ms int32 · min_bytes int32 · max_bytes int32 · isolation_level int8
//           · (v7+) session_id int32 · session_epoch int32
//           · topics [ topic string · partitions [ partition int32 · (v9+) current_leader_epoch int32 · fetch_offset int64
//             · (v12+) last_fetched_epoch int32 · (v5+) log_start_offset int64 · partition_max_bytes int32 · tags ] · tags ]
//           · (v7+) forgotten_topics_data [ topic string · partitions [int32] · tags ] · (v11+) rack_id string · tags
// response  throttle_time_ms int32 · (v7+) error_code int16 · session_id int32
//           · topics [ topic string · partitions [ partition_index int32 · error_code int16 · high_watermark int64
//             · last_stable_offset int64 · (v5+) log_start_offset int64
//             · aborted_transactions [ producer_id int64 · first_offset int64 · tags ] (nullable)
//             · (v11+) preferred_read_replica int32 · records bytes? · tags ] · tags ] · tags
import type { Reader, Writer } from '../../protocol/wire.ts'
import type { BrokerState } from '../broker-state.ts'
import { codes } from '../codes.ts'
import { type LogRead, logOf, type PartitionLog } from '../partition-log.ts'
import { defineHandler, type RequestContext, type RequestHandler } from '../request-handler.ts'
import { leaderEpochError } from './leader-check.ts'

interface Wanted {
  readonly topic: string
  readonly partition: number
  readonly leaderEpoch: number
  readonly offset: number
  readonly bytesMax: number
}

interface Request {
  readonly maxWaitMs: number
  readonly bytesMin: number
  readonly bytesMax: number
  readonly isCommitted: boolean
  readonly sessionId: number
  readonly sessionEpoch: number
  readonly topics: readonly { readonly topic: string; readonly partitions: readonly Wanted[] }[]
}

interface Fetched {
  readonly partition: number
  readonly errorCode: number
  readonly highWatermark: number
  readonly lastStableOffset: number
  readonly logStartOffset: number
  readonly read: LogRead
}

interface Response {
  readonly errorCode: number
  readonly isCommitted: boolean
  readonly topics: readonly { readonly topic: string; readonly partitions: readonly Fetched[] }[]
}

/** What was read, and whether it may be sent at once. */
interface Attempt {
  readonly response: Response
  readonly bytes: number
  readonly failed: boolean
}

const readCommitted = 1
const notInSession = 0
/** fetch.max.bytes of a broker */
const responseBytesMax = 57_671_680
const nothing: LogRead = { parts: [], bytes: 0, aborted: [] }

const failed = (partition: number, errorCode: number): Fetched => ({
  partition,
  errorCode,
  highWatermark: -1,
  lastStableOffset: -1,
  logStartOffset: -1,
  read: nothing,
})

const fetchOne = (
  { broker, nodeId }: RequestContext,
  wanted: Wanted,
  isCommitted: boolean,
  bytesMax: number,
  atLeastOne: boolean,
): Fetched => {
  const { topic, partition, leaderEpoch, offset } = wanted
  const log = logOf(broker, topic, partition)
  if (log === undefined) return failed(partition, codes.UNKNOWN_TOPIC_OR_PARTITION)
  const error = leaderEpochError(broker, nodeId, log, leaderEpoch)
  if (error !== codes.NONE) return failed(partition, error)
  const read = log.read(offset, Math.min(wanted.bytesMax, bytesMax), isCommitted, atLeastOne)
  if (read === undefined) return failed(partition, codes.OFFSET_OUT_OF_RANGE)
  return {
    partition,
    errorCode: codes.NONE,
    highWatermark: log.endOffset,
    lastStableOffset: log.lastStableOffset,
    logStartOffset: log.startOffset,
    read,
  }
}

const attempt = (request: Request, context: RequestContext): Attempt => {
  const { isCommitted } = request
  const limit = Math.min(request.bytesMax, responseBytesMax)
  let bytes = 0
  let hasFailed = false
  const topics = request.topics.map(({ topic, partitions }) => ({
    topic,
    partitions: partitions.map((wanted) => {
      const fetched = fetchOne(context, wanted, isCommitted, limit - bytes, bytes === 0)
      bytes += fetched.read.bytes
      // A partition that does not exist holds nothing up, and is waited for with the others.
      hasFailed ||= fetched.errorCode !== codes.NONE && fetched.errorCode !== codes.UNKNOWN_TOPIC_OR_PARTITION
      return fetched
    }),
  }))
  return { response: { errorCode: codes.NONE, isCommitted, topics }, bytes, failed: hasFailed }
}

const logsOf = (broker: BrokerState, { topics }: Request): PartitionLog[] =>
  topics.flatMap(({ topic, partitions }) =>
    partitions
      .map(({ partition }) => logOf(broker, topic, partition))
      .filter((log): log is PartitionLog => log !== undefined),
  )

/** Answers when there is enough, or when the time is up. */
const fetchLater = (request: Request, context: RequestContext): Promise<Response> => {
  const { broker, gone } = context
  const logs = logsOf(broker, request)
  const { promise, resolve } = Promise.withResolvers<Response>()
  let isLooking = false
  let ended = false
  const end = (response: Response): void => {
    if (ended) return
    ended = true
    for (const stop of stops) stop()
    resolve(response)
  }
  const look = (): void => {
    isLooking = false
    if (ended) return
    const { response, bytes, failed: hasFailed } = attempt(request, context)
    const isGone = logsOf(broker, request).length < logs.length
    if (hasFailed || isGone || bytes >= request.bytesMin) end(response)
  }
  const changed = (): void => {
    // Later, when the request that caused it is through: it may write to other partitions of this fetch, too.
    if (isLooking) return
    isLooking = true
    queueMicrotask(look)
  }
  const giveUp = (): void => end({ errorCode: codes.NONE, isCommitted: request.isCommitted, topics: [] })
  const timer = broker.ports.timers.set(() => end(attempt(request, context).response), request.maxWaitMs)
  gone.addEventListener('abort', giveUp, { once: true })
  const stops = [
    ...logs.map((log) => log.watch(changed)),
    broker.nodes.watch(changed),
    () => broker.ports.timers.clear(timer),
    () => gone.removeEventListener('abort', giveUp),
  ]
  return promise
}

const readWanted = (reader: Reader, version: number, topic: string): Wanted => {
  const partition = reader.int32()
  const leaderEpoch = version >= 9 ? reader.int32() : -1
  const offset = reader.int64()
  if (version >= 12) reader.int32() // last_fetched_epoch: logs never diverge here
  if (version >= 5) reader.int64() // log_start_offset of a follower
  return { topic, partition, leaderEpoch, offset, bytesMax: reader.int32() }
}

const writeFetched = (writer: Writer, version: number, fetched: Fetched, isCommitted: boolean): void => {
  const { read } = fetched
  writer.int32(fetched.partition).int16(fetched.errorCode)
  writer.int64(fetched.highWatermark).int64(fetched.lastStableOffset)
  if (version >= 5) writer.int64(fetched.logStartOffset)
  const aborted = isCommitted && fetched.errorCode === codes.NONE ? read.aborted : null
  writer.nullableStructs(aborted, (one) => writer.int64(one.producerId).int64(one.firstOffset))
  if (version >= 11) writer.int32(-1)
  // The length, then the pieces as they stand in the log.
  if (writer.flexible) writer.uvarint(read.bytes + 1)
  else writer.int32(read.bytes)
  for (const part of read.parts) writer.raw(part)
}

export const fetchHandler: RequestHandler<Request, Response> = defineHandler({
  key: 1,
  name: 'Fetch',
  versions: [4, 12],
  flexibleFrom: 12,

  decode(reader, version) {
    reader.int32() // replica_id
    const maxWaitMs = reader.int32()
    const bytesMin = reader.int32()
    const bytesMax = reader.int32()
    const isCommitted = reader.int8() === readCommitted
    const sessionId = version >= 7 ? reader.int32() : notInSession
    const sessionEpoch = version >= 7 ? reader.int32() : -1
    const topics = reader.structs(() => {
      const topic = reader.string()
      return { topic, partitions: reader.structs(() => readWanted(reader, version, topic)) }
    })
    if (version >= 7) reader.structs(() => [reader.string(), reader.array(() => reader.int32())])
    if (version >= 11) reader.string()
    reader.tags()
    return { maxWaitMs, bytesMin, bytesMax, isCommitted, sessionId, sessionEpoch, topics }
  },

  encode(writer, version, { errorCode, isCommitted, topics }) {
    writer.int32(0)
    if (version >= 7) writer.int16(errorCode).int32(notInSession)
    writer.structs(topics, ({ topic, partitions }) => {
      writer.string(topic)
      writer.structs(partitions, (fetched) => writeFetched(writer, version, fetched, isCommitted))
    })
    writer.tags()
  },

  handle(request, context) {
    const { isCommitted } = request
    if (request.sessionEpoch > 0)
      return { errorCode: codes.FETCH_SESSION_ID_NOT_FOUND, isCommitted, topics: [] }
    const first = attempt(request, context)
    const isEnough = first.failed || first.bytes >= request.bytesMin || request.maxWaitMs <= 0
    const hasNone = logsOf(context.broker, request).length === 0
    return isEnough || hasNone ? first.response : fetchLater(request, context)
  },
})
