// DescribeProducers, key 61, v0 (KIP-664): which producers the leader of a partition knows, and where the transaction that
// each of them has open there begins. Flexible. Needs the right Read on the topic.
//
// request   topics [ name string · partition_indexes [int32] · tags ] · tags
// response  throttle_time_ms int32 · topics [ name string · partitions [ partition_index int32 · error_code int16
//             · error_message string? · active_producers [ producer_id int64 · producer_epoch int32 · last_sequence int32
//               · last_timestamp int64 · coordinator_epoch int32 · current_txn_start_offset int64 · tags ] · tags ]
//             · tags ] · tags
import { type Api, defineApi } from './api.ts'

export interface DescribeProducersRequest {
  readonly topics: readonly { readonly topic: string; readonly partitions: readonly number[] }[]
}

export interface ActiveProducer {
  readonly producerId: number
  readonly producerEpoch: number
  readonly lastSequence: number
  readonly lastTimestamp: number
  /** Of the last marker; -1 before the first one. */
  readonly coordinatorEpoch: number
  /** -1: no transaction is open in this partition. */
  readonly currentTransactionStart: number
}

export interface DescribedProducers {
  readonly partition: number
  readonly errorCode: number
  readonly errorMessage: string | null
  readonly producers: readonly ActiveProducer[]
}

export interface DescribeProducersResponse {
  readonly throttleTimeMs: number
  readonly topics: readonly { readonly topic: string; readonly partitions: readonly DescribedProducers[] }[]
}

export const describeProducers: Api<DescribeProducersRequest, DescribeProducersResponse> = defineApi({
  key: 61,
  name: 'DescribeProducers',
  versions: [0, 0],
  flexibleFrom: 0,

  encode(writer, _version, { topics }) {
    writer.array(topics, ({ topic, partitions }) => {
      writer.string(topic)
      writer.array(partitions, (partition) => writer.int32(partition))
      writer.tags()
    })
    writer.tags()
  },

  decode(reader) {
    const throttleTimeMs = reader.int32()
    const topics = reader.structs(() => ({
      topic: reader.string(),
      partitions: reader.structs(() => ({
        partition: reader.int32(),
        errorCode: reader.int16(),
        errorMessage: reader.nullableString(),
        producers: reader.structs(() => ({
          producerId: reader.int64(),
          producerEpoch: reader.int32(),
          lastSequence: reader.int32(),
          lastTimestamp: reader.int64(),
          coordinatorEpoch: reader.int32(),
          currentTransactionStart: reader.int64(),
        })),
      })),
    }))
    reader.tags()
    return { throttleTimeMs, topics }
  },
})
