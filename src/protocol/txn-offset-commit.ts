// TxnOffsetCommit, key 28, v3-5: offsets of a group as part of the open transaction, sent to the group coordinator.
// v3 flexible, carries member, generation and instance, so that the group coordinator refuses a zombie (KIP-447;
// nothing below it may be used); v4 may answer TRANSACTION_ABORTABLE (KIP-890); v5 also adds the group's offsets to the
// transaction: transactions version 2 (KIP-890 part 2).
//
// request   transactional_id string · group_id string · producer_id int64 · producer_epoch int16
//           · generation_id int32 · member_id string · group_instance_id string?
//           · topics [ name string · partitions [ partition_index int32 · committed_offset int64
//             · committed_leader_epoch int32 · committed_metadata string? · tags ] · tags ] · tags
// response  throttle_time_ms int32 · topics [ name string · partitions [ partition_index int32 · error_code int16
//           · tags ] · tags ] · tags
import { type Api, defineApi } from './api.ts'

export interface OffsetToCommit {
  readonly partition: number
  /** The next position to read, past markers. */
  readonly offset: number
  /** Leader epoch of the last record read, -1 where it is not known (KIP-320). */
  readonly leaderEpoch: number
  /** UTF-8, at most offset.metadata.max.bytes of the broker (4096 by default). */
  readonly metadata: string | null
}

export interface TopicOffsetsToCommit {
  readonly topic: string
  readonly partitions: readonly OffsetToCommit[]
}

export interface TxnOffsetCommitRequest {
  readonly transactionalId: string
  readonly groupId: string
  readonly producerId: number
  readonly producerEpoch: number
  readonly generationId: number
  readonly memberId: string
  readonly groupInstanceId: string | null
  readonly topics: readonly TopicOffsetsToCommit[]
}

export interface CommittedTopic {
  readonly topic: string
  readonly partitions: { readonly partition: number; readonly errorCode: number }[]
}

export interface TxnOffsetCommitResponse {
  readonly throttleTimeMs: number
  readonly topics: CommittedTopic[]
}

export const txnOffsetCommit: Api<TxnOffsetCommitRequest, TxnOffsetCommitResponse> = defineApi({
  key: 28,
  name: 'TxnOffsetCommit',
  versions: [3, 5],
  flexibleFrom: 3,
  tv2From: 5,

  encode(writer, _version, request) {
    writer.string(request.transactionalId).string(request.groupId)
    writer.int64(request.producerId).int16(request.producerEpoch)
    writer.int32(request.generationId).string(request.memberId).nullableString(request.groupInstanceId)
    writer.structs(request.topics, (topic) => {
      writer.string(topic.topic).structs(topic.partitions, (partition) => {
        writer.int32(partition.partition).int64(partition.offset).int32(partition.leaderEpoch)
        writer.nullableString(partition.metadata)
      })
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
