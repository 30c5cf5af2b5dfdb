// AddPartitionsToTxn, key 24, v1-3: transactions version 1 only; tells the coordinator which partitions the open
// transaction writes to, before the first produce to each. With transactions version 2 the produce itself does that
// (KIP-890 part 2).
// v2 answers PRODUCER_FENCED (KIP-588); v3 flexible. v4 and above are for brokers among themselves.
//
// request   transactional_id string · producer_id int64 · producer_epoch int16
//           · topics [ name string · partitions [int32] · tags ] · tags
// response  throttle_time_ms int32 · topics [ name string · partitions [ partition_index int32
//           · partition_error_code int16 · tags ] · tags ] · tags
import { type Api, defineApi } from './api.ts'

export interface AddPartitionsToTxnRequest {
  readonly transactionalId: string
  readonly producerId: number
  readonly producerEpoch: number
  readonly topics: readonly { readonly topic: string; readonly partitions: readonly number[] }[]
}

export interface AddPartitionsToTxnTopic {
  readonly topic: string
  readonly partitions: { readonly partition: number; readonly errorCode: number }[]
}

export interface AddPartitionsToTxnResponse {
  readonly throttleTimeMs: number
  readonly topics: AddPartitionsToTxnTopic[]
}

export const addPartitionsToTxn: Api<AddPartitionsToTxnRequest, AddPartitionsToTxnResponse> = defineApi({
  key: 24,
  name: 'AddPartitionsToTxn',
  versions: [1, 3],
  flexibleFrom: 3,

  encode(writer, _version, request) {
    writer.string(request.transactionalId).int64(request.producerId).int16(request.producerEpoch)
    writer.structs(request.topics, (topic) => {
      writer.string(topic.topic).array(topic.partitions, (partition) => writer.int32(partition))
    })
    writer.tags()
  },

  decode(reader) {
    const response = {
      throttleTimeMs: reader.int32(),
      topics: reader.structs(() => ({
        topic: reader.string(),
        partitions: reader.structs(() => ({ partition: reader.int32(), errorCode: reader.int16() })),
      })),
    }
    reader.tags()
    return response
  },
})
