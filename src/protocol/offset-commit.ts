// OffsetCommit, key 8, v7-8: offsets of a group outside any transaction (at_least_once, at_most_once).
// v6 adds the leader epoch (KIP-320); v7 the instance id (KIP-345); v8 flexible. v9 is for the new group protocol.
//
// request   group_id string · generation_id int32 · member_id string · group_instance_id string?
//           · topics [ name string · partitions [ partition_index int32 · committed_offset int64
//             · committed_leader_epoch int32 · committed_metadata string? · tags ] · tags ] · tags
// response  throttle_time_ms int32 · topics [ name string · partitions [ partition_index int32 · error_code int16
//           · tags ] · tags ] · tags
import { type Api, defineApi } from './api.ts'
import type { CommittedTopic, TopicOffsetsToCommit } from './txn-offset-commit.ts'

export interface OffsetCommitRequest {
  readonly groupId: string
  readonly generationId: number
  readonly memberId: string
  readonly groupInstanceId: string | null
  readonly topics: readonly TopicOffsetsToCommit[]
}

export interface OffsetCommitResponse {
  readonly throttleTimeMs: number
  readonly topics: CommittedTopic[]
}

export const offsetCommit: Api<OffsetCommitRequest, OffsetCommitResponse> = defineApi({
  key: 8,
  name: 'OffsetCommit',
  versions: [7, 8],
  flexibleFrom: 8,

  encode(writer, _version, request) {
    writer.string(request.groupId).int32(request.generationId)
    writer.string(request.memberId).nullableString(request.groupInstanceId)
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
