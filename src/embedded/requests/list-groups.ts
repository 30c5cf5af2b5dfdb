// ListGroups, key 16, v0-5: the groups that the asked node coordinates.
// v1 adds the throttle time; v3 is flexible; v4 filters by state and answers it (KIP-518); v5 the same for the type of
// group (KIP-848): all groups here are classic. Filters do not look at upper and lower case.
//
// request   (v4+) states_filter [string] · (v5+) types_filter [string] · tags
// response  (v1+) throttle_time_ms int32 · error_code int16 · groups [ group_id string · protocol_type string
//           · (v4+) group_state string · (v5+) group_type string · tags ] · tags
import { codes } from '../codes.ts'
import { groupsOf } from '../group-table.ts'
import { defineHandler, type RequestHandler } from '../request-handler.ts'

interface Request {
  readonly states: readonly string[]
  readonly types: readonly string[]
}

interface ListedGroup {
  readonly groupId: string
  readonly protocolType: string
  readonly state: string
}

interface Response {
  readonly errorCode: number
  readonly groups: readonly ListedGroup[]
}

const groupType = 'classic'

const passes = (filter: readonly string[], value: string): boolean =>
  filter.length === 0 || filter.some((one) => one.trim().toLowerCase() === value.toLowerCase())

export const listGroupsHandler: RequestHandler<Request, Response> = defineHandler({
  key: 16,
  name: 'ListGroups',
  versions: [0, 5],
  flexibleFrom: 3,

  decode(reader, version) {
    const states = version >= 4 ? reader.array(() => reader.string()) : []
    const types = version >= 5 ? reader.array(() => reader.string()) : []
    reader.tags()
    return { states, types }
  },

  encode(writer, version, { errorCode, groups }) {
    if (version >= 1) writer.int32(0)
    writer.int16(errorCode)
    writer.structs(groups, ({ groupId, protocolType, state }) => {
      writer.string(groupId).string(protocolType)
      if (version >= 4) writer.string(state)
      if (version >= 5) writer.string(groupType)
    })
    writer.tags()
  },

  handle({ states, types }, { broker, nodeId }) {
    const groups: ListedGroup[] = []
    for (const { id, state, protocolType } of groupsOf(broker).all()) {
      const error = broker.nodes.coordinatorError('group', id, nodeId)
      if (error === codes.NOT_COORDINATOR) continue
      if (error !== codes.NONE) return { errorCode: error, groups: [] }
      if (!passes(states, state) || !passes(types, groupType)) continue
      groups.push({ groupId: id, protocolType: protocolType ?? '', state })
    }
    return { errorCode: codes.NONE, groups }
  },
})
