// DescribeProducers, key 61, v0: the producers that the leader of a partition knows, and where the transaction begins that
// each of them has open there (KIP-664). Flexible.
//
// request   topics [ name string · partition_indexes [int32] · tags ] · tags
// response  throttle_time_ms int32 · topics [ name string · partitions [ partition_index int32 · error_code int16
//             · error_message string? · active_producers [ producer_id int64 · producer_epoch int32 · last_sequence int32
//               · last_timestamp int64 · coordinator_epoch int32 · current_txn_start_offset int64 · tags ] · tags ]
//             · tags ] · tags
import { codes } from '../codes.ts'
import { logOf } from '../partition-log.ts'
import type { ProducerState } from '../producer-states.ts'
import { defineHandler, type RequestContext, type RequestHandler } from '../request-handler.ts'

interface Request {
  readonly topics: readonly { readonly topic: string; readonly partitions: readonly number[] }[]
}

interface Described {
  readonly partition: number
  readonly errorCode: number
  readonly producers: readonly ProducerState[]
}

interface Response {
  readonly topics: readonly { readonly topic: string; readonly partitions: readonly Described[] }[]
}

const describe = ({ broker, nodeId }: RequestContext, topic: string, partition: number): Described => {
  const log = logOf(broker, topic, partition)
  if (log === undefined) return { partition, errorCode: codes.UNKNOWN_TOPIC_OR_PARTITION, producers: [] }
  if (broker.nodes.leader(topic, partition) !== nodeId)
    return { partition, errorCode: codes.NOT_LEADER_OR_FOLLOWER, producers: [] }
  return { partition, errorCode: codes.NONE, producers: [...log.producers()] }
}

export const describeProducersHandler: RequestHandler<Request, Response> = defineHandler({
  key: 61,
  name: 'DescribeProducers',
  versions: [0, 0],
  flexibleFrom: 0,

  decode(reader) {
    const topics = reader.structs(() => ({
      topic: reader.string(),
      partitions: reader.array(() => reader.int32()),
    }))
    reader.tags()
    return { topics }
  },

  encode(writer, _version, { topics }) {
    writer.int32(0)
    writer.structs(topics, ({ topic, partitions }) => {
      writer.string(topic).structs(partitions, ({ partition, errorCode, producers }) => {
        writer.int32(partition).int16(errorCode).nullableString(null)
        writer.structs(producers, ({ producerId, epoch, batches, lastTimestamp, ...producer }) => {
          writer.int64(producerId).int32(epoch)
          writer.int32(batches.at(-1)?.lastSequence ?? -1).int64(lastTimestamp)
          writer.int32(producer.coordinatorEpoch).int64(producer.transactionStart ?? -1)
        })
      })
    })
    writer.tags()
  },

  handle: ({ topics }, context) => ({
    topics: topics.map(({ topic, partitions }) => ({
      topic,
      partitions: partitions.map((partition) => describe(context, topic, partition)),
    })),
  }),
})
