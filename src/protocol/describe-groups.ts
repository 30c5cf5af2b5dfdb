// DescribeGroups, key 15, v5-6: the state of a group and its members, for tools; no worker asks for it.
// v4 adds the instance id (KIP-345); v5 flexible; v6 answers GROUP_ID_NOT_FOUND for a group that does not exist, with a
// text (KIP-1043), where v5 answers the state "Dead". Metadata and assignments are empty while the group rebalances.
//
// request   groups [string] · include_authorized_operations bool · tags
// response  throttle_time_ms int32 · groups [ error_code int16 · (v6+) error_message string? · group_id string
//             · group_state string · protocol_type string · protocol_data string
//             · members [ member_id string · group_instance_id string? · client_id string · client_host string
//               · member_metadata bytes · member_assignment bytes · tags ] · authorized_operations int32 · tags ] · tags
import { type Api, defineApi } from './api.ts'

export interface DescribeGroupsRequest {
  readonly groupIds: readonly string[]
}

export interface DescribedMember {
  readonly memberId: string
  readonly groupInstanceId: string | null
  readonly clientId: string
  /** Address as the broker prints it: `/10.0.0.7`. */
  readonly clientHost: string
  /** The member's subscription; a view into the frame. */
  readonly metadata: Buffer
  /** What the leader assigned to it; a view into the frame. */
  readonly assignment: Buffer
}

export interface DescribedGroup {
  readonly errorCode: number
  /** null below v6. */
  readonly errorMessage: string | null
  readonly groupId: string
  /** PreparingRebalance, CompletingRebalance, Stable, Dead, Empty; '' with an error. */
  readonly state: string
  readonly protocolType: string
  /** Name of the assignor. */
  readonly protocolName: string
  readonly members: readonly DescribedMember[]
}

export interface DescribeGroupsResponse {
  readonly throttleTimeMs: number
  readonly groups: readonly DescribedGroup[]
}

export const describeGroups: Api<DescribeGroupsRequest, DescribeGroupsResponse> = defineApi({
  key: 15,
  name: 'DescribeGroups',
  versions: [5, 6],
  flexibleFrom: 5,

  encode(writer, _version, request) {
    writer.array(request.groupIds, (groupId) => writer.string(groupId))
    writer.bool(false).tags()
  },

  decode(reader, version) {
    const throttleTimeMs = reader.int32()
    const groups = reader.structs((): DescribedGroup => {
      const group = {
        errorCode: reader.int16(),
        errorMessage: version >= 6 ? reader.nullableString() : null,
        groupId: reader.string(),
        state: reader.string(),
        protocolType: reader.string(),
        protocolName: reader.string(),
        members: reader.structs(() => ({
          memberId: reader.string(),
          groupInstanceId: reader.nullableString(),
          clientId: reader.string(),
          clientHost: reader.string(),
          metadata: reader.bytes(),
          assignment: reader.bytes(),
        })),
      }
      reader.int32() // which operations we may do: not asked for
      return group
    })
    reader.tags()
    return { throttleTimeMs, groups }
  },
})
