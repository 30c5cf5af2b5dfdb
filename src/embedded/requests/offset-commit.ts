// OffsetCommit, key 8, v2-9: offsets of a group, by a member of its present generation, or by a client that is none
// (generation -1) while the group has no members.
// A commit is also a sign of life. Partitions that do not exist are answered UNKNOWN_TOPIC_OR_PARTITION before anybody
// asks for the group. v2-4 carry a retention time, which is dropped here; v3 adds the throttle time; v6 the leader
// epoch; v7 static members; v8 is flexible; v9 answers GROUP_ID_NOT_FOUND where it was ILLEGAL_GENERATION (KIP-848).
// v10 (topic ids) is not offered.
//
// request   group_id string · generation_id int32 · member_id string · (v7+) group_instance_id string?
//           · (v2-4) retention_time_ms int64 · topics [ name string · partitions [ partition_index int32
//           · committed_offset int64 · (v6+) committed_leader_epoch int32 · committed_metadata string? · tags ] · tags ]
//           · tags
// response  (v3+) throttle_time_ms int32 · topics [ name string · partitions [ partition_index int32 · error_code int16
//           · tags ] · tags ] · tags
import type { BrokerState } from '../broker-state.ts'
import { codes } from '../codes.ts'
import {
  type ByTopic,
  type OffsetToCommit,
  type PartitionError,
  putOffsets,
  refuseAll,
  withExisting,
} from '../group-commit.ts'
import { groupsOf } from '../group-table.ts'
import { defineHandler, type RequestHandler } from '../request-handler.ts'

interface Request {
  readonly groupId: string
  readonly generationId: number
  readonly memberId: string
  readonly instanceId: string | null
  readonly topics: readonly ByTopic<OffsetToCommit>[]
}

/** From which version on a group that does not exist is named so. */
const groupNotFoundFrom = 9

/** NONE, or why this client may not commit; a client that is no member makes a group that does not exist. */
const check = (broker: BrokerState, request: Request, version: number): number => {
  const { groupId, memberId, instanceId, generationId } = request
  const groups = groupsOf(broker)
  const group = generationId < 0 ? groups.getOrCreate(groupId) : groups.get(groupId)
  if (group === undefined) {
    return version >= groupNotFoundFrom ? codes.GROUP_ID_NOT_FOUND : codes.ILLEGAL_GENERATION
  }
  const error = group.checkCommit(memberId, instanceId, generationId, false)
  if (error === codes.NONE) group.beat(memberId)
  return error
}

export const offsetCommitHandler: RequestHandler<Request, readonly ByTopic<PartitionError>[]> = defineHandler(
  {
    key: 8,
    name: 'OffsetCommit',
    versions: [2, 9],
    flexibleFrom: 8,

    decode(reader, version) {
      const groupId = reader.string()
      const generationId = reader.int32()
      const memberId = reader.string()
      const instanceId = version >= 7 ? reader.nullableString() : null
      if (version <= 4) reader.int64()
      const topics = reader.structs(() => ({
        topic: reader.string(),
        partitions: reader.structs(() => ({
          partition: reader.int32(),
          offset: reader.int64(),
          leaderEpoch: version >= 6 ? reader.int32() : -1,
          metadata: reader.nullableString(),
        })),
      }))
      reader.tags()
      return { groupId, generationId, memberId, instanceId, topics }
    },

    encode(writer, version, topics) {
      if (version >= 3) writer.int32(0)
      writer.structs(topics, ({ topic, partitions }) => {
        writer.string(topic)
        writer.structs(partitions, ({ partition, errorCode }) => writer.int32(partition).int16(errorCode))
      })
      writer.tags()
    },

    handle: (request, { broker, nodeId, version }) =>
      withExisting(broker, request.topics, (topics) => {
        const { groupId } = request
        const notHere = broker.nodes.coordinatorError('group', groupId, nodeId)
        const error = notHere === codes.NONE ? check(broker, request, version) : notHere
        if (error !== codes.NONE) return refuseAll(topics, error)
        const { offsets } = groupsOf(broker)
        return putOffsets(broker, topics, (topic, partition, offset) => {
          offsets.commit(groupId, topic, partition, offset)
        })
      }),
  },
)
