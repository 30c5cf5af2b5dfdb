// Produce, key 0, v8-12: appends record batches to partitions that the broker leads.
// v8 says which records made a batch invalid (KIP-467); v9 flexible; v10 may name the new leader in tags (KIP-951,
// passed over: a moved leader is looked up by Metadata); v11 may answer TRANSACTION_ABORTABLE (KIP-890); v12, used
// inside a transaction, also adds the partition to it: transactions version 2 (KIP-890 part 2). v13 names topics by id.
//
// request   transactional_id string? · acks int16 · timeout_ms int32
//           · topics [ name string · partitions [ index int32 · records bytes? · tags ] · tags ] · tags
// response  topics [ name string · partitions [ index int32 · error_code int16 · base_offset int64
//             · log_append_time_ms int64 · log_start_offset int64
//             · record_errors [ batch_index int32 · message string? · tags ] · error_message string? · tags ] · tags ]
//           · throttle_time_ms int32 · tags
import { type Api, defineApi } from './api.ts'
import type { Reader } from './wire.ts'

export interface ProducePartition {
  readonly partition: number
  /** One sealed RecordBatch: a broker takes no more than one per partition and request. Sent without a copy. */
  readonly records: Buffer
}

export interface ProduceRequest {
  readonly transactionalId: string | null
  /** -1: all in-sync replicas, the only safe one; 0 is left out, since it gets no answer at all. */
  readonly acks: -1 | 1
  readonly timeoutMs: number
  readonly topics: readonly { readonly topic: string; readonly partitions: readonly ProducePartition[] }[]
}

export interface PartitionProduceResponse {
  readonly partition: number
  readonly errorCode: number
  /** -1 with an error. */
  readonly baseOffset: number
  /** -1 unless the topic stamps records when they are appended. */
  readonly logAppendTimeMs: number
  readonly logStartOffset: number
  readonly recordErrors: { readonly batchIndex: number; readonly message: string | null }[]
  readonly errorMessage: string | null
}

export interface ProduceResponse {
  readonly topics: { readonly topic: string; readonly partitions: PartitionProduceResponse[] }[]
  readonly throttleTimeMs: number
}

const readPartition = (reader: Reader): PartitionProduceResponse => ({
  partition: reader.int32(),
  errorCode: reader.int16(),
  baseOffset: reader.int64(),
  logAppendTimeMs: reader.int64(),
  logStartOffset: reader.int64(),
  recordErrors: reader.structs(() => ({ batchIndex: reader.int32(), message: reader.nullableString() })),
  errorMessage: reader.nullableString(),
})

export const produce: Api<ProduceRequest, ProduceResponse> = defineApi({
  key: 0,
  name: 'Produce',
  versions: [8, 12],
  flexibleFrom: 9,
  tv2From: 12,

  encode(writer, _version, request) {
    writer.nullableString(request.transactionalId).int16(request.acks).int32(request.timeoutMs)
    writer.structs(request.topics, (topic) => {
      writer.string(topic.topic).structs(topic.partitions, (partition) => {
        writer.int32(partition.partition).bytes(partition.records)
      })
    })
    writer.tags()
  },

  decode(reader) {
    const response = {
      topics: reader.structs(() => ({
        topic: reader.string(),
        partitions: reader.structs(() => readPartition(reader)),
      })),
      throttleTimeMs: reader.int32(),
    }
    reader.tags()
    return response
  },
})
