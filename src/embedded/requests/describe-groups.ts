// DescribeGroups, key 15, v0-6: state and members of groups. What a member subscribes to is told in a stable group
// alone, as is the assignor. A group that is not there is Dead without an error, from v6 on GROUP_ID_NOT_FOUND (KIP-1043).
// v1 adds the throttle time; v3 may ask which operations are allowed: all of them, since nobody is kept out here; v4
// adds instance ids; v5 is flexible; v6 adds a message.
//
// request   groups [string] · (v3+) include_authorized_operations bool · tags
// response  (v1+) throttle_time_ms int32 · groups [ error_code int16 · (v6+) error_message string? · group_id string
//           · group_state string · protocol_type string · protocol_data string · members [ member_id string
//           · (v4+) group_instance_id string? · client_id string · client_host string · member_metadata bytes
//           · member_assignment bytes · tags ] · (v3+) authorized_operations int32 · tags ] · tags
import { codes } from '../codes.ts'
import type { Group } from '../group.ts'
import { noAssignment } from '../group-members.ts'
import { groupsOf } from '../group-table.ts'
import { defineHandler, type RequestHandler } from '../request-handler.ts'

interface Request {
  readonly groupIds: readonly string[]
  readonly withOperations: boolean
}

interface DescribedMember {
  readonly memberId: string
  readonly instanceId: string | null
  readonly clientId: string
  readonly clientHost: string
  readonly metadata: Buffer
  readonly assignment: Buffer
}

interface DescribedGroup {
  readonly errorCode: number
  readonly errorMessage: string | null
  readonly groupId: string
  readonly state: string
  readonly protocolType: string
  readonly protocolData: string
  readonly members: readonly DescribedMember[]
  readonly operations: number
}

/** Not asked for. */
const noOperations = -2_147_483_648
/** Bits of READ, DELETE and DESCRIBE, DESCRIBE_CONFIGS and ALTER_CONFIGS: what there is to do with a group. */
const allOperations = (1 << 3) | (1 << 6) | (1 << 8) | (1 << 10) | (1 << 11)
/** From which version on a group that is not there is an error. */
const notFoundFrom = 6

const without = (groupId: string, errorCode: number, errorMessage: string | null): DescribedGroup => ({
  errorCode,
  errorMessage,
  groupId,
  state: errorMessage === null && errorCode !== codes.NONE ? '' : 'Dead',
  protocolType: '',
  protocolData: '',
  members: [],
  operations: noOperations,
})

const describe = (group: Group, operations: number): DescribedGroup => {
  const isStable = group.state === 'Stable'
  return {
    errorCode: codes.NONE,
    errorMessage: null,
    groupId: group.id,
    state: group.state,
    protocolType: group.protocolType ?? '',
    protocolData: (isStable ? group.protocolName : null) ?? '',
    members: group.members.list().map((member) => ({
      memberId: member.memberId,
      instanceId: member.instanceId,
      clientId: member.clientId,
      clientHost: `/${member.clientHost}`,
      metadata: isStable ? member.metadataOf(group.protocolName) : noAssignment,
      assignment: member.assignment,
    })),
    operations,
  }
}

export const describeGroupsHandler: RequestHandler<Request, readonly DescribedGroup[]> = defineHandler({
  key: 15,
  name: 'DescribeGroups',
  versions: [0, 6],
  flexibleFrom: 5,

  decode(reader, version) {
    const groupIds = reader.array(() => reader.string())
    const withOperations = version >= 3 && reader.bool()
    reader.tags()
    return { groupIds, withOperations }
  },

  encode(writer, version, groups) {
    if (version >= 1) writer.int32(0)
    writer.structs(groups, (group) => {
      writer.int16(group.errorCode)
      if (version >= notFoundFrom) writer.nullableString(group.errorMessage)
      writer.string(group.groupId).string(group.state)
      writer.string(group.protocolType).string(group.protocolData)
      writer.structs(group.members, (member) => {
        writer.string(member.memberId)
        if (version >= 4) writer.nullableString(member.instanceId)
        writer.string(member.clientId).string(member.clientHost)
        writer.bytes(member.metadata).bytes(member.assignment)
      })
      if (version >= 3) writer.int32(group.operations)
    })
    writer.tags()
  },

  handle({ groupIds, withOperations }, { broker, nodeId, version }) {
    const operations = withOperations ? allOperations : noOperations
    return groupIds.map((groupId) => {
      const error = broker.nodes.coordinatorError('group', groupId, nodeId)
      if (error !== codes.NONE) return without(groupId, error, null)
      const group = groupsOf(broker).get(groupId)
      if (group !== undefined) return describe(group, operations)
      if (version < notFoundFrom) return { ...without(groupId, codes.NONE, null), operations }
      return without(groupId, codes.GROUP_ID_NOT_FOUND, `Group ${groupId} not found.`)
    })
  },
})
