// DeleteGroups, key 42, v0-2: groups without members, with all their offsets (KIP-229), those that are pending in a
// transaction as well.
// v2 is flexible.
//
// request   groups_names [string] · tags
// response  throttle_time_ms int32 · results [ group_id string · error_code int16 · tags ] · tags
import type { BrokerState } from '../broker-state.ts'
import { codes } from '../codes.ts'
import { groupsOf } from '../group-table.ts'
import { defineHandler, type RequestHandler } from '../request-handler.ts'

interface Result {
  readonly groupId: string
  readonly errorCode: number
}

const deleteOne = (broker: BrokerState, groupId: string, nodeId: number): number => {
  const error = broker.nodes.coordinatorError('group', groupId, nodeId)
  if (error !== codes.NONE) return error
  const groups = groupsOf(broker)
  const group = groups.get(groupId)
  if (group === undefined) return codes.GROUP_ID_NOT_FOUND
  if (group.state !== 'Empty') return codes.NON_EMPTY_GROUP
  groups.delete(groupId)
  return codes.NONE
}

export const deleteGroupsHandler: RequestHandler<readonly string[], readonly Result[]> = defineHandler({
  key: 42,
  name: 'DeleteGroups',
  versions: [0, 2],
  flexibleFrom: 2,

  decode(reader) {
    const groupIds = reader.array(() => reader.string())
    reader.tags()
    return groupIds
  },

  encode(writer, _version, results) {
    writer.int32(0)
    writer.structs(results, ({ groupId, errorCode }) => writer.string(groupId).int16(errorCode))
    writer.tags()
  },

  handle: (groupIds, { broker, nodeId }) =>
    [...new Set(groupIds)].map((groupId) => ({ groupId, errorCode: deleteOne(broker, groupId, nodeId) })),
})
