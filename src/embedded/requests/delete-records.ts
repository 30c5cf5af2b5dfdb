// DeleteRecords, key 21, v0-2: records below an offset are gone from now on, and the log begins there (KIP-107). v2 flexible.
// Offset -1 means all records. An offset behind the end is OFFSET_OUT_OF_RANGE; one below the start changes nothing. A
// topic that is only compacted refuses with POLICY_VIOLATION, an internal one with INVALID_TOPIC_EXCEPTION.
//
// request   topics [ name string · partitions [ partition_index int32 · offset int64 · tags ] · tags ]
//           · timeout_ms int32 · tags
// response  throttle_time_ms int32 · topics [ name string · partitions [ partition_index int32 · low_watermark int64
//             · error_code int16 · tags ] · tags ] · tags
import { codes } from '../codes.ts'
import { logOf } from '../partition-log.ts'
import { defineHandler, type RequestContext, type RequestHandler } from '../request-handler.ts'

interface Request {
  readonly topics: readonly {
    readonly topic: string
    readonly partitions: readonly { readonly partition: number; readonly offset: number }[]
  }[]
}

interface Deleted {
  readonly partition: number
  /** -1 with an error. */
  readonly lowWatermark: number
  readonly errorCode: number
}

interface Response {
  readonly topics: readonly { readonly topic: string; readonly partitions: readonly Deleted[] }[]
}

const allRecords = -1

const deleteOne = (
  { broker, nodeId }: RequestContext,
  name: string,
  partition: number,
  offset: number,
): Deleted => {
  const failed = (errorCode: number): Deleted => ({ partition, lowWatermark: -1, errorCode })
  const log = logOf(broker, name, partition)
  const topic = broker.topics.get(name)
  if (log === undefined || topic === undefined) return failed(codes.UNKNOWN_TOPIC_OR_PARTITION)
  if (topic.isInternal) return failed(codes.INVALID_TOPIC_EXCEPTION)
  if (broker.nodes.leader(name, partition) !== nodeId) return failed(codes.NOT_LEADER_OR_FOLLOWER)
  const policy = topic.setting('cleanup.policy')
  if (policy.includes('compact') && !policy.includes('delete')) return failed(codes.POLICY_VIOLATION)
  const below = offset === allRecords ? log.endOffset : offset
  if (below < 0 || below > log.endOffset) return failed(codes.OFFSET_OUT_OF_RANGE)
  log.deleteBelow(below)
  return { partition, lowWatermark: log.startOffset, errorCode: codes.NONE }
}

export const deleteRecordsHandler: RequestHandler<Request, Response> = defineHandler({
  key: 21,
  name: 'DeleteRecords',
  versions: [0, 2],
  flexibleFrom: 2,

  decode(reader) {
    const topics = reader.structs(() => ({
      topic: reader.string(),
      partitions: reader.structs(() => ({ partition: reader.int32(), offset: reader.int64() })),
    }))
    reader.int32() // timeout_ms: there are no replicas to wait for
    reader.tags()
    return { topics }
  },

  encode(writer, _version, { topics }) {
    writer.int32(0)
    writer.structs(topics, ({ topic, partitions }) => {
      writer.string(topic).structs(partitions, ({ partition, lowWatermark, errorCode }) => {
        writer.int32(partition).int64(lowWatermark).int16(errorCode)
      })
    })
    writer.tags()
  },

  handle: ({ topics }, context) => ({
    topics: topics.map(({ topic, partitions }) => ({
      topic,
      partitions: partitions.map(({ partition, offset }) => deleteOne(context, topic, partition, offset)),
    })),
  }),
})
