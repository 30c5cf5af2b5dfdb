// WriteTxnMarkers, key 27, v1-2: the end of a transaction, written into partitions by their leaders. Among the nodes here
// nobody needs it, since they share their state; an administrator sends it to end a transaction that nobody ends
// (KIP-664). Flexible; v2 says by which version of transactions it is ended (KIP-1228).
// A partition of the offsets topic is one of the groups: their pending offsets take force, or go.
//
// request   markers [ producer_id int64 · producer_epoch int16 · transaction_result bool
//             · topics [ name string · partition_indexes [int32] · tags ] · coordinator_epoch int32
//             · (v2+) transaction_version int8 · tags ] · tags
// response  markers [ producer_id int64 · topics [ name string · partitions [ partition_index int32 · error_code int16
//             · tags ] · tags ] · tags ] · tags
import { type Marker, offsetsTopic } from '../broker-state.ts'
import { codes } from '../codes.ts'
import { logOf } from '../partition-log.ts'
import { defineHandler, type RequestContext, type RequestHandler } from '../request-handler.ts'

interface Request {
  readonly markers: readonly {
    readonly marker: Marker
    readonly topics: readonly { readonly topic: string; readonly partitions: readonly number[] }[]
  }[]
}

interface Response {
  readonly markers: readonly {
    readonly producerId: number
    readonly topics: readonly {
      readonly topic: string
      readonly partitions: readonly { readonly partition: number; readonly errorCode: number }[]
    }[]
  }[]
}

const write = (
  { broker, nodeId }: RequestContext,
  topic: string,
  partition: number,
  marker: Marker,
): number => {
  if (topic === offsetsTopic) {
    if (partition < 0 || partition >= broker.settings.coordinatorPartitions)
      return codes.UNKNOWN_TOPIC_OR_PARTITION
    broker.groups.applyMarker(partition, marker)
    return codes.NONE
  }
  const log = logOf(broker, topic, partition)
  const isHere = log !== undefined && broker.nodes.leader(topic, partition) === nodeId
  return isHere ? log.appendMarker(marker) : codes.UNKNOWN_TOPIC_OR_PARTITION
}

export const writeTxnMarkersHandler: RequestHandler<Request, Response> = defineHandler({
  key: 27,
  name: 'WriteTxnMarkers',
  versions: [1, 2],
  flexibleFrom: 1,

  decode(reader, version) {
    const markers = reader.structs(() => {
      const [producerId, producerEpoch, committed] = [reader.int64(), reader.int16(), reader.bool()]
      const topics = reader.structs(() => ({
        topic: reader.string(),
        partitions: reader.array(() => reader.int32()),
      }))
      const coordinatorEpoch = reader.int32()
      const transactionVersion = version >= 2 ? reader.int8() : 0
      return {
        marker: { producerId, producerEpoch, committed, coordinatorEpoch, transactionVersion },
        topics,
      }
    })
    reader.tags()
    return { markers }
  },

  encode(writer, _version, { markers }) {
    writer.structs(markers, ({ producerId, topics }) => {
      writer.int64(producerId).structs(topics, ({ topic, partitions }) => {
        writer.string(topic).structs(partitions, ({ partition, errorCode }) => {
          writer.int32(partition).int16(errorCode)
        })
      })
    })
    writer.tags()
  },

  handle: ({ markers }, context) => ({
    markers: markers.map(({ marker, topics }) => ({
      producerId: marker.producerId,
      topics: topics.map(({ topic, partitions }) => ({
        topic,
        partitions: partitions.map((partition) => ({
          partition,
          errorCode: write(context, topic, partition, marker),
        })),
      })),
    })),
  }),
})
