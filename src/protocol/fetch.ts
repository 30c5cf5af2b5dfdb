// Fetch, key 1, v11-12: record batches from partitions that the broker leads, by topic name.
// v4 adds isolation level and aborted transactions (KIP-98); v7 fetch sessions (KIP-227), which we do without: session
// 0 with epoch -1 is a full request each time, and nothing has to be kept in step with the broker; v9 the current
// leader epoch (KIP-320); v10 zstd (KIP-110); v11 the rack and a preferred replica (KIP-392); v12 flexible. From v13
// on topics go by id (KIP-516).
// last_fetched_epoch (v12) stays -1: with it a broker may answer "your log diverges" in a tag and send no records.
//
// request   replica_id int32 (-1) · max_wait_ms int32 · min_bytes int32 · max_bytes int32 · isolation_level int8
//           · session_id int32 (0) · session_epoch int32 (-1)
//           · topics [ topic string · partitions [ partition int32 · current_leader_epoch int32 · fetch_offset int64
//             · (v12+) last_fetched_epoch int32 · log_start_offset int64 (-1) · partition_max_bytes int32 · tags ] · tags ]
//           · forgotten_topics_data [ none ] · rack_id string · tags
// response  throttle_time_ms int32 · error_code int16 · session_id int32
//           · topics [ topic string · partitions [ partition_index int32 · error_code int16 · high_watermark int64
//             · last_stable_offset int64 · log_start_offset int64
//             · aborted_transactions [ producer_id int64 · first_offset int64 · tags ] (nullable)
//             · preferred_read_replica int32 · records bytes? · tags ] · tags ] · tags
import { type Api, defineApi } from './api.ts'
import { type IsolationLevel, isolationByte } from './list-offsets.ts'
import type { Reader } from './wire.ts'

export interface FetchPartition {
  readonly partition: number
  /** -1: do not check. Else the broker answers FENCED_LEADER_EPOCH or UNKNOWN_LEADER_EPOCH where it differs. */
  readonly currentLeaderEpoch: number
  readonly fetchOffset: number
  /** Bytes. The first batch of an answer comes whole even when it is larger (KIP-74). */
  readonly maxBytes: number
}

export interface FetchRequest {
  readonly maxWaitMs: number
  readonly minBytes: number
  readonly maxBytes: number
  readonly isolationLevel: IsolationLevel
  /** Empty: always from the leader. */
  readonly rackId?: string | undefined
  readonly topics: readonly { readonly topic: string; readonly partitions: readonly FetchPartition[] }[]
}

/** As the broker lists it: in order of completion, so not by first offset. */
export interface AbortedTransaction {
  readonly producerId: number
  readonly firstOffset: number
}

export interface FetchedPartition {
  readonly partition: number
  readonly errorCode: number
  readonly highWatermark: number
  readonly lastStableOffset: number
  readonly logStartOffset: number
  /** Empty under read_uncommitted. */
  readonly abortedTransactions: AbortedTransaction[]
  /** -1 where the leader itself is to be read. */
  readonly preferredReadReplica: number
  /** Record batches, the last one possibly cut short. A view into the frame: it keeps the whole frame alive. */
  readonly records: Buffer
}

export interface FetchResponse {
  readonly throttleTimeMs: number
  readonly errorCode: number
  readonly topics: { readonly topic: string; readonly partitions: FetchedPartition[] }[]
}

/** In the place of null. */
const NO_RECORDS: Buffer = Buffer.alloc(0)

/** What an answer lies in, with the records of all its partitions; undefined: it has no records, not even an empty list. */
export const memoryOf = ({ topics }: FetchResponse): ArrayBufferLike | undefined => {
  for (const { partitions } of topics)
    for (const { records } of partitions) if (records !== NO_RECORDS) return records.buffer
  return undefined
}

const CONSUMER = -1
const NO_SESSION = 0
const FULL_FETCH = -1
const NOT_KNOWN = -1

const readPartition = (reader: Reader): FetchedPartition => ({
  partition: reader.int32(),
  errorCode: reader.int16(),
  highWatermark: reader.int64(),
  lastStableOffset: reader.int64(),
  logStartOffset: reader.int64(),
  abortedTransactions:
    reader.nullableStructs(() => ({ producerId: reader.int64(), firstOffset: reader.int64() })) ?? [],
  preferredReadReplica: reader.int32(),
  records: reader.nullableBytes() ?? NO_RECORDS,
})

export const fetch: Api<FetchRequest, FetchResponse> = defineApi({
  key: 1,
  name: 'Fetch',
  versions: [11, 12],
  flexibleFrom: 12,

  encode(writer, version, request) {
    writer.int32(CONSUMER).int32(request.maxWaitMs).int32(request.minBytes).int32(request.maxBytes)
    writer.int8(isolationByte(request.isolationLevel)).int32(NO_SESSION).int32(FULL_FETCH)
    writer.structs(request.topics, (topic) => {
      writer.string(topic.topic).structs(topic.partitions, (partition) => {
        writer.int32(partition.partition).int32(partition.currentLeaderEpoch).int64(partition.fetchOffset)
        if (version >= 12) writer.int32(NOT_KNOWN)
        writer.int64(NOT_KNOWN).int32(partition.maxBytes)
      })
    })
    writer.structs([], () => undefined)
    writer.string(request.rackId ?? '').tags()
  },

  decode(reader) {
    const throttleTimeMs = reader.int32()
    const errorCode = reader.int16()
    reader.int32() // session id: 0, since none was asked for
    const topics = reader.structs(() => ({
      topic: reader.string(),
      partitions: reader.structs(() => readPartition(reader)),
    }))
    reader.tags()
    return { throttleTimeMs, errorCode, topics }
  },
})
