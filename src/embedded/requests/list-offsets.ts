// ListOffsets, key 2, v1-8: an offset of each partition by timestamp, or its first, its last or its newest one.
// v2 isolation level (KIP-98): the latest offset is then the last stable one, and what lies behind it is not found; v4 the
// leader epoch (KIP-320); v6 flexible; v7 takes timestamp -3, the record with the largest timestamp (KIP-734); v8 takes
// -4, the first offset on the broker's own disk, which here is the first one (KIP-405).
// Without a record that fits, offset and timestamp are -1, without an error.
//
// request   replica_id int32 · (v2+) isolation_level int8 · topics [ name string · partitions [ partition_index int32
//             · (v4+) current_leader_epoch int32 · timestamp int64 · tags ] · tags ] · tags
// response  (v2+) throttle_time_ms int32 · topics [ name string · partitions [ partition_index int32 · error_code int16
//             · timestamp int64 · offset int64 · (v4+) leader_epoch int32 · tags ] · tags ] · tags
import { codes } from '../codes.ts'
import { type FoundRecord, logOf, type PartitionLog } from '../partition-log.ts'
import { defineHandler, type RequestContext, type RequestHandler } from '../request-handler.ts'
import { leaderEpochError } from './leader-check.ts'

interface Asked {
  readonly partition: number
  readonly leaderEpoch: number
  readonly timestamp: number
}

interface Request {
  readonly isCommitted: boolean
  readonly topics: readonly { readonly topic: string; readonly partitions: readonly Asked[] }[]
}

interface Listed extends FoundRecord {
  readonly partition: number
  readonly errorCode: number
}

interface Response {
  readonly topics: readonly { readonly topic: string; readonly partitions: readonly Listed[] }[]
}

const latest = -1
const earliest = -2
const newest = -3
const earliestLocal = -4
const readCommitted = 1
const none: FoundRecord = { timestamp: -1, offset: -1, leaderEpoch: -1 }

const find = (log: PartitionLog, timestamp: number, isCommitted: boolean): FoundRecord => {
  const end = isCommitted ? log.lastStableOffset : log.endOffset
  if (timestamp === latest) return { timestamp: -1, offset: end, leaderEpoch: log.leaderEpoch }
  if (timestamp === earliest || timestamp === earliestLocal)
    return { timestamp: -1, offset: log.startOffset, leaderEpoch: log.firstEpoch }
  const found = timestamp === newest ? log.findNewest() : log.findByTimestamp(timestamp)
  return found === undefined || found.offset >= end ? none : found
}

const list = (
  { broker, nodeId }: RequestContext,
  topic: string,
  asked: Asked,
  isCommitted: boolean,
): Listed => {
  const { partition, leaderEpoch, timestamp } = asked
  const log = logOf(broker, topic, partition)
  if (log === undefined) return { ...none, partition, errorCode: codes.UNKNOWN_TOPIC_OR_PARTITION }
  const errorCode = leaderEpochError(broker, nodeId, log, leaderEpoch)
  if (errorCode !== codes.NONE) return { ...none, partition, errorCode }
  return { ...find(log, timestamp, isCommitted), partition, errorCode }
}

export const listOffsetsHandler: RequestHandler<Request, Response> = defineHandler({
  key: 2,
  name: 'ListOffsets',
  versions: [1, 8],
  flexibleFrom: 6,

  decode(reader, version) {
    reader.int32() // replica_id
    const isCommitted = version >= 2 && reader.int8() === readCommitted
    const topics = reader.structs(() => ({
      topic: reader.string(),
      partitions: reader.structs(() => ({
        partition: reader.int32(),
        leaderEpoch: version >= 4 ? reader.int32() : -1,
        timestamp: reader.int64(),
      })),
    }))
    reader.tags()
    return { isCommitted, topics }
  },

  encode(writer, version, { topics }) {
    if (version >= 2) writer.int32(0)
    writer.structs(topics, ({ topic, partitions }) => {
      writer.string(topic).structs(partitions, ({ partition, errorCode, timestamp, offset, leaderEpoch }) => {
        writer.int32(partition).int16(errorCode).int64(timestamp).int64(offset)
        if (version >= 4) writer.int32(leaderEpoch)
      })
    })
    writer.tags()
  },

  handle: ({ isCommitted, topics }, context) => ({
    topics: topics.map(({ topic, partitions }) => ({
      topic,
      partitions: partitions.map((asked) => list(context, topic, asked, isCommitted)),
    })),
  }),
})
