// OffsetFetch, key 9, v7-8: the committed offsets of a group.
// v7 can insist on stable offsets (KIP-447): while a transaction that touches them is undecided the broker answers
// UNSTABLE_OFFSET_COMMIT instead of an old value, which a new owner would process a second time; nothing below v7 may
// be used. v8 takes several groups (KIP-709; we ask for one). Both flexible. v9 is for the new group protocol.
//
// request   v7   group_id string · topics [ name string · partition_indexes [int32] · tags ] (null: all)
//                · require_stable bool · tags
//           v8   groups [ group_id string · topics [ name string · partition_indexes [int32] · tags ] (null: all)
//                · tags ] · require_stable bool · tags
// response  v7   throttle_time_ms int32 · topics [ name string · partitions [ partition_index int32
//                · committed_offset int64 · committed_leader_epoch int32 · metadata string? · error_code int16 · tags ]
//                · tags ] · error_code int16 · tags
//           v8   throttle_time_ms int32 · groups [ group_id string · topics (as in v7) · error_code int16 · tags ] · tags
import { type Api, defineApi } from './api.ts'
import type { Reader, Writer } from './wire.ts'

export interface OffsetFetchRequest {
  readonly groupId: string
  /** null asks for every offset that the group has. */
  readonly topics: readonly { readonly topic: string; readonly partitions: readonly number[] }[] | null
  readonly requireStable: boolean
}

export interface CommittedOffset {
  readonly partition: number
  /** -1 where nothing is committed, and with an error. */
  readonly offset: number
  readonly leaderEpoch: number
  readonly metadata: string | null
  readonly errorCode: number
}

export interface OffsetFetchResponse {
  readonly throttleTimeMs: number
  readonly errorCode: number
  readonly topics: { readonly topic: string; readonly partitions: CommittedOffset[] }[]
}

const writeGroup = (writer: Writer, request: OffsetFetchRequest): void => {
  writer.string(request.groupId).nullableStructs(request.topics, (topic) => {
    writer.string(topic.topic).array(topic.partitions, (partition) => writer.int32(partition))
  })
}

const readTopics = (reader: Reader): OffsetFetchResponse['topics'] =>
  reader.structs(() => ({
    topic: reader.string(),
    partitions: reader.structs(() => ({
      partition: reader.int32(),
      offset: reader.int64(),
      leaderEpoch: reader.int32(),
      metadata: reader.nullableString(),
      errorCode: reader.int16(),
    })),
  }))

const readGroup = (reader: Reader): Omit<OffsetFetchResponse, 'throttleTimeMs'> => {
  reader.string() // the group id, which we know: there is but one
  const topics = readTopics(reader)
  return { topics, errorCode: reader.int16() }
}

export const offsetFetch: Api<OffsetFetchRequest, OffsetFetchResponse> = defineApi({
  key: 9,
  name: 'OffsetFetch',
  versions: [7, 8],
  flexibleFrom: 6,

  encode(writer, version, request) {
    if (version >= 8) writer.structs([request], (group) => writeGroup(writer, group))
    else writeGroup(writer, request)
    writer.bool(request.requireStable).tags()
  },

  decode(reader, version) {
    const throttleTimeMs = reader.int32()
    let group: Omit<OffsetFetchResponse, 'throttleTimeMs'>
    if (version >= 8) {
      const groups = reader.structs(() => readGroup(reader))
      if (groups.length !== 1) reader.fail(`one group was asked for and ${groups.length} are answered`)
      group = groups[0] ?? reader.fail('the group is missing')
    } else {
      const topics = readTopics(reader)
      group = { topics, errorCode: reader.int16() }
    }
    reader.tags()
    return { throttleTimeMs, errorCode: group.errorCode, topics: group.topics }
  },
})
