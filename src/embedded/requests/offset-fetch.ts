// OffsetFetch, key 9, v1-9: the offsets of groups. What is not committed is answered -1 without an error.
// v2 may ask for all of a group (null) and has an error for the whole answer (in v1 each partition carries it); v3 adds
// the throttle time; v5 the leader epoch; v6 is flexible; v7 can insist on stable offsets: what is pending in a
// transaction is UNSTABLE_OFFSET_COMMIT then (KIP-447); v8 asks for several groups (KIP-709); v9 names a member of the
// new group protocol, which means nothing to a classic group. v10 (topic ids) is not offered.
//
// request   v1-7  group_id string · topics [ name string · partition_indexes [int32] · tags ] (v2+ null: all)
//                 · (v7+) require_stable bool · tags
//           v8+   groups [ group_id string · (v9+) member_id string? · (v9+) member_epoch int32
//                 · topics (null: all) · tags ] · require_stable bool · tags
// response  v1-7  (v3+) throttle_time_ms int32 · topics [ name string · partitions [ partition_index int32
//                 · committed_offset int64 · (v5+) committed_leader_epoch int32 · metadata string? · error_code int16
//                 · tags ] · tags ] · (v2+) error_code int16 · tags
//           v8+   throttle_time_ms int32 · groups [ group_id string · topics · error_code int16 · tags ] · tags
import type { Reader, Writer } from '../../protocol/wire.ts'
import type { BrokerState } from '../broker-state.ts'
import { codes } from '../codes.ts'
import type { ByTopic } from '../group-commit.ts'
import type { CommittedOffset } from '../group-offsets.ts'
import { groupsOf } from '../group-table.ts'
import { defineHandler, type RequestHandler } from '../request-handler.ts'

interface GroupRequest {
  readonly groupId: string
  /** null asks for all that the group has. */
  readonly topics: readonly ByTopic<number>[] | null
}

interface Request {
  readonly groups: readonly GroupRequest[]
  readonly requireStable: boolean
}

interface FetchedOffset extends CommittedOffset {
  readonly partition: number
  readonly errorCode: number
}

interface GroupResponse {
  readonly groupId: string
  readonly topics: readonly ByTopic<FetchedOffset>[]
  readonly errorCode: number
}

/** From which version on several groups are asked for. */
const groupsFrom = 8

const readTopics = (reader: Reader): ByTopic<number>[] | null =>
  reader.nullableStructs(() => ({
    topic: reader.string(),
    partitions: reader.array(() => reader.int32()),
  }))

const writeTopics = (writer: Writer, version: number, topics: readonly ByTopic<FetchedOffset>[]): void => {
  writer.structs(topics, ({ topic, partitions }) => {
    writer.string(topic)
    writer.structs(partitions, ({ partition, offset, leaderEpoch, metadata, errorCode }) => {
      writer.int32(partition).int64(offset)
      if (version >= 5) writer.int32(leaderEpoch)
      writer.nullableString(metadata).int16(errorCode)
    })
  })
}

const without = (partition: number, errorCode: number): FetchedOffset => ({
  partition,
  offset: -1,
  leaderEpoch: -1,
  metadata: '',
  errorCode,
})

const fetchGroup = (
  broker: BrokerState,
  { groupId, topics }: GroupRequest,
  requireStable: boolean,
): GroupResponse => {
  const { offsets } = groupsOf(broker)
  const asked =
    topics ??
    [...offsets.topics(groupId)].map(([topic, partitions]) => ({ topic, partitions: [...partitions.keys()] }))
  const fetchOne = (topic: string, partition: number): FetchedOffset => {
    const isUnstable = requireStable && offsets.isPending(groupId, topic, partition)
    if (isUnstable) return without(partition, codes.UNSTABLE_OFFSET_COMMIT)
    const found = offsets.get(groupId, topic, partition)
    if (found === undefined) return without(partition, codes.NONE)
    const { offset, leaderEpoch, metadata } = found
    return { partition, offset, leaderEpoch, metadata, errorCode: codes.NONE }
  }
  return {
    groupId,
    topics: asked.map(({ topic, partitions }) => ({
      topic,
      partitions: partitions.map((partition) => fetchOne(topic, partition)),
    })),
    errorCode: codes.NONE,
  }
}

/** v1 has no place for an error but the partitions. */
const refuseGroup = (
  { groupId, topics }: GroupRequest,
  errorCode: number,
  version: number,
): GroupResponse => ({
  groupId,
  topics:
    version >= 2
      ? []
      : (topics ?? []).map(({ topic, partitions }) => ({
          topic,
          partitions: partitions.map((partition) => without(partition, errorCode)),
        })),
  errorCode,
})

export const offsetFetchHandler: RequestHandler<Request, readonly GroupResponse[]> = defineHandler({
  key: 9,
  name: 'OffsetFetch',
  versions: [1, 9],
  flexibleFrom: 6,

  decode(reader, version) {
    const readGroup = (): GroupRequest => {
      const groupId = reader.string()
      if (version >= 9) {
        reader.nullableString()
        reader.int32()
      }
      return { groupId, topics: readTopics(reader) }
    }
    const groups = version >= groupsFrom ? reader.structs(readGroup) : [readGroup()]
    const requireStable = version >= 7 && reader.bool()
    reader.tags()
    return { groups, requireStable }
  },

  encode(writer, version, groups) {
    if (version >= 3) writer.int32(0)
    if (version >= groupsFrom) {
      writer.structs(groups, ({ groupId, topics, errorCode }) => {
        writer.string(groupId)
        writeTopics(writer, version, topics)
        writer.int16(errorCode)
      })
    } else {
      writeTopics(writer, version, groups[0]?.topics ?? [])
      if (version >= 2) writer.int16(groups[0]?.errorCode ?? codes.NONE)
    }
    writer.tags()
  },

  handle: ({ groups, requireStable }, { broker, nodeId, version }) =>
    groups.map((group) => {
      const error = broker.nodes.coordinatorError('group', group.groupId, nodeId)
      if (error !== codes.NONE) return refuseGroup(group, error, version)
      return fetchGroup(broker, group, requireStable)
    }),
})
