// OffsetDelete, key 47, v0: takes offsets of a group back (KIP-496), those that are pending in a transaction as well.
// A topic that a member of the group is subscribed to is refused (GROUP_SUBSCRIBED_TO_TOPIC); a group of another type
// than `consumer` must have no members at all (NON_EMPTY_GROUP).
//
// request   group_id string · topics [ name string · partitions [ partition_index int32 ] ]
// response  error_code int16 · throttle_time_ms int32
//           · topics [ name string · partitions [ partition_index int32 · error_code int16 ] ]
import { codes } from '../codes.ts'
import { type ByTopic, type PartitionError, withExisting } from '../group-commit.ts'
import { isSubscribed } from '../group-members.ts'
import { groupsOf } from '../group-table.ts'
import { defineHandler, type RequestHandler } from '../request-handler.ts'

interface Request {
  readonly groupId: string
  readonly topics: readonly ByTopic<{ readonly partition: number }>[]
}

interface Response {
  readonly errorCode: number
  readonly topics: readonly ByTopic<PartitionError>[]
}

const refused = (errorCode: number): Response => ({ errorCode, topics: [] })

export const offsetDeleteHandler: RequestHandler<Request, Response> = defineHandler({
  key: 47,
  name: 'OffsetDelete',
  versions: [0, 0],
  flexibleFrom: 1,

  decode: (reader) => ({
    groupId: reader.string(),
    topics: reader.structs(() => ({
      topic: reader.string(),
      partitions: reader.structs(() => ({ partition: reader.int32() })),
    })),
  }),

  encode(writer, _version, { errorCode, topics }) {
    writer.int16(errorCode).int32(0)
    writer.structs(topics, ({ topic, partitions }) => {
      writer.string(topic)
      writer.structs(partitions, (one) => writer.int32(one.partition).int16(one.errorCode))
    })
  },

  handle({ groupId, topics }, { broker, nodeId }) {
    if (groupId === '') return refused(codes.INVALID_GROUP_ID)
    const error = broker.nodes.coordinatorError('group', groupId, nodeId)
    if (error !== codes.NONE) return refused(error)
    const groups = groupsOf(broker)
    const group = groups.get(groupId)
    if (group === undefined) return refused(codes.GROUP_ID_NOT_FOUND)
    const isConsumer = group.protocolType === 'consumer'
    if (group.state !== 'Empty' && !isConsumer) return refused(codes.NON_EMPTY_GROUP)
    const deleteOne = (topic: string, partition: number): PartitionError => {
      if (isConsumer && isSubscribed(group.members, group.protocolName, topic)) {
        return { partition, errorCode: codes.GROUP_SUBSCRIBED_TO_TOPIC }
      }
      groups.offsets.delete(groupId, topic, partition)
      return { partition, errorCode: codes.NONE }
    }
    const answers = withExisting(broker, topics, (existing) =>
      existing.map(({ topic, partitions }) => ({
        topic,
        partitions: partitions.map(({ partition }) => deleteOne(topic, partition)),
      })),
    )
    return { errorCode: codes.NONE, topics: answers }
  },
})
