// LeaveGroup, key 13, v0-5: members leave, or are put out by an administrator, who names a static one by its instance id
// alone. Each is answered by itself; the group rebalances once for all of them.
// v1 adds the throttle time; v3 takes several members and static ones (KIP-345); v4 is flexible; v5 takes a reason
// (KIP-800), which is dropped here.
//
// request   group_id string · (v0-2) member_id string
//           · (v3+) members [ member_id string · group_instance_id string? · (v5+) reason string? · tags ] · tags
// response  (v1+) throttle_time_ms int32 · error_code int16
//           · (v3+) members [ member_id string · group_instance_id string? · error_code int16 · tags ] · tags
import { codes } from '../codes.ts'
import { groupsOf } from '../group-table.ts'
import { defineHandler, type RequestHandler } from '../request-handler.ts'

interface Leaver {
  readonly memberId: string
  readonly instanceId: string | null
}

interface Request {
  readonly groupId: string
  readonly members: readonly Leaver[]
}

interface Response {
  readonly errorCode: number
  readonly members: readonly (Leaver & { readonly errorCode: number })[]
}

/** From which version on members are listed. */
const membersFrom = 3

export const leaveGroupHandler: RequestHandler<Request, Response> = defineHandler({
  key: 13,
  name: 'LeaveGroup',
  versions: [0, 5],
  flexibleFrom: 4,

  decode(reader, version) {
    const groupId = reader.string()
    if (version < membersFrom) return { groupId, members: [{ memberId: reader.string(), instanceId: null }] }
    const members = reader.structs(() => {
      const member = { memberId: reader.string(), instanceId: reader.nullableString() }
      if (version >= 5) reader.nullableString()
      return member
    })
    reader.tags()
    return { groupId, members }
  },

  encode(writer, version, { errorCode, members }) {
    if (version >= 1) writer.int32(0)
    if (version < membersFrom) {
      writer.int16(errorCode === codes.NONE ? (members[0]?.errorCode ?? codes.NONE) : errorCode)
      return
    }
    writer.int16(errorCode)
    writer.structs(members, (member) => {
      writer.string(member.memberId).nullableString(member.instanceId).int16(member.errorCode)
    })
    writer.tags()
  },

  handle({ groupId, members }, { broker, nodeId }) {
    if (groupId === '') return { errorCode: codes.INVALID_GROUP_ID, members: [] }
    const errorCode = broker.nodes.coordinatorError('group', groupId, nodeId)
    if (errorCode !== codes.NONE) return { errorCode, members: [] }
    const errors = groupsOf(broker).get(groupId)?.leave(members)
    return {
      errorCode,
      members: members.map((member, at) => ({
        ...member,
        errorCode: errors?.[at] ?? codes.UNKNOWN_MEMBER_ID,
      })),
    }
  },
})
