// WriteTxnMarkers, key 27, v1: the end of a transaction, written into partitions by their leaders. It is what a
// coordinator sends to brokers, and what an administrator sends where a coordinator did not (KIP-664). Flexible. Needs
// the right ClusterAction, or Alter on the cluster.
//
// request   markers [ producer_id int64 · producer_epoch int16 · transaction_result bool
//             · topics [ name string · partition_indexes [int32] · tags ] · coordinator_epoch int32 · tags ] · tags
// response  markers [ producer_id int64 · topics [ name string · partitions [ partition_index int32 · error_code int16
//             · tags ] · tags ] · tags ] · tags
import { type Api, defineApi } from './api.ts'

export interface TransactionMarker {
  readonly producerId: number
  readonly producerEpoch: number
  readonly committed: boolean
  readonly topics: readonly { readonly topic: string; readonly partitions: readonly number[] }[]
  readonly coordinatorEpoch: number
}

export interface WriteTxnMarkersRequest {
  readonly markers: readonly TransactionMarker[]
}

export interface WriteTxnMarkersResponse {
  readonly markers: readonly {
    readonly producerId: number
    readonly topics: readonly {
      readonly topic: string
      readonly partitions: readonly { readonly partition: number; readonly errorCode: number }[]
    }[]
  }[]
}

export const writeTxnMarkers: Api<WriteTxnMarkersRequest, WriteTxnMarkersResponse> = defineApi({
  key: 27,
  name: 'WriteTxnMarkers',
  versions: [1, 1],
  flexibleFrom: 1,

  encode(writer, _version, { markers }) {
    writer.array(markers, (marker) => {
      writer.int64(marker.producerId).int16(marker.producerEpoch).bool(marker.committed)
      writer.array(marker.topics, ({ topic, partitions }) => {
        writer.string(topic)
        writer.array(partitions, (partition) => writer.int32(partition))
        writer.tags()
      })
      writer.int32(marker.coordinatorEpoch).tags()
    })
    writer.tags()
  },

  decode(reader) {
    const markers = reader.structs(() => ({
      producerId: reader.int64(),
      topics: reader.structs(() => ({
        topic: reader.string(),
        partitions: reader.structs(() => ({ partition: reader.int32(), errorCode: reader.int16() })),
      })),
    }))
    reader.tags()
    return { markers }
  },
})
