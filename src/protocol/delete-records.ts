// DeleteRecords, key 21, v1-2: moves the log start of partitions forward; purges repartition topics (KIP-107).
// v2 flexible. Needs the Delete right on the topic.
//
// request   topics [ name string · partitions [ partition_index int32 · offset int64 · tags ] · tags ]
//           · timeout_ms int32 · tags
// response  throttle_time_ms int32 · topics [ name string · partitions [ partition_index int32 · low_watermark int64
//             · error_code int16 · tags ] · tags ] · tags
import { type Api, defineApi } from './api.ts'

export interface DeleteRecordsRequest {
  readonly topics: readonly {
    readonly topic: string
    /** Records below `offset` go. */
    readonly partitions: readonly { readonly partition: number; readonly offset: number }[]
  }[]
  readonly timeoutMs: number
}

export interface DeletedRecords {
  readonly partition: number
  /** The lowest log start offset of all live replicas, -1 with an error. */
  readonly lowWatermark: number
  readonly errorCode: number
}

export interface DeleteRecordsResponse {
  readonly throttleTimeMs: number
  readonly topics: { readonly topic: string; readonly partitions: DeletedRecords[] }[]
}

export const deleteRecords: Api<DeleteRecordsRequest, DeleteRecordsResponse> = defineApi({
  key: 21,
  name: 'DeleteRecords',
  versions: [1, 2],
  flexibleFrom: 2,

  encode(writer, _version, request) {
    writer.structs(request.topics, (topic) => {
      writer.string(topic.topic).structs(topic.partitions, (partition) => {
        writer.int32(partition.partition).int64(partition.offset)
      })
    })
    writer.int32(request.timeoutMs).tags()
  },

  decode(reader) {
    const response = {
      throttleTimeMs: reader.int32(),
      topics: reader.structs(() => ({
        topic: reader.string(),
        partitions: reader.structs(() => ({
          partition: reader.int32(),
          lowWatermark: reader.int64(),
          errorCode: reader.int16(),
        })),
      })),
    }
    reader.tags()
    return response
  },
})
