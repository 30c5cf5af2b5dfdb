// OffsetForLeaderEpoch, key 23, v2-4: where the given leader epoch of a partition ends (KIP-101, KIP-320); a consumer learns
// from it whether its log was cut off after a leader moved, which never happens here. v3 replica_id; v4 flexible.
// Epoch and offset are -1 for an epoch that the leader does not know; a gap is answered with the epoch before it.
//
// request   (v3+) replica_id int32 · topics [ topic string · partitions [ partition int32 · current_leader_epoch int32
//             · leader_epoch int32 · tags ] · tags ] · tags
// response  throttle_time_ms int32 · topics [ topic string · partitions [ error_code int16 · partition int32
//             · leader_epoch int32 · end_offset int64 · tags ] · tags ] · tags
import { codes } from '../codes.ts'
import type { EpochEnd } from '../leader-epochs.ts'
import { logOf } from '../partition-log.ts'
import { defineHandler, type RequestContext, type RequestHandler } from '../request-handler.ts'
import { leaderEpochError } from './leader-check.ts'

interface Asked {
  readonly partition: number
  readonly currentEpoch: number
  readonly epoch: number
}

interface Request {
  readonly topics: readonly { readonly topic: string; readonly partitions: readonly Asked[] }[]
}

interface Ended extends EpochEnd {
  readonly partition: number
  readonly errorCode: number
}

interface Response {
  readonly topics: readonly { readonly topic: string; readonly partitions: readonly Ended[] }[]
}

const find = ({ broker, nodeId }: RequestContext, topic: string, asked: Asked): Ended => {
  const { partition, currentEpoch, epoch } = asked
  const failed = (errorCode: number): Ended => ({ partition, errorCode, epoch: -1, endOffset: -1 })
  const log = logOf(broker, topic, partition)
  if (log === undefined) return failed(codes.UNKNOWN_TOPIC_OR_PARTITION)
  const errorCode = leaderEpochError(broker, nodeId, log, currentEpoch)
  return errorCode === codes.NONE ? { partition, errorCode, ...log.endOfEpoch(epoch) } : failed(errorCode)
}

export const offsetForLeaderEpochHandler: RequestHandler<Request, Response> = defineHandler({
  key: 23,
  name: 'OffsetForLeaderEpoch',
  versions: [2, 4],
  flexibleFrom: 4,

  decode(reader, version) {
    if (version >= 3) reader.int32()
    const topics = reader.structs(() => ({
      topic: reader.string(),
      partitions: reader.structs(() => ({
        partition: reader.int32(),
        currentEpoch: reader.int32(),
        epoch: reader.int32(),
      })),
    }))
    reader.tags()
    return { topics }
  },

  encode(writer, _version, { topics }) {
    writer.int32(0)
    writer.structs(topics, ({ topic, partitions }) => {
      writer.string(topic).structs(partitions, ({ partition, errorCode, epoch, endOffset }) => {
        writer.int16(errorCode).int32(partition).int32(epoch).int64(endOffset)
      })
    })
    writer.tags()
  },

  handle: ({ topics }, context) => ({
    topics: topics.map(({ topic, partitions }) => ({
      topic,
      partitions: partitions.map((asked) => find(context, topic, asked)),
    })),
  }),
})
