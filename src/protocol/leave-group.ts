// LeaveGroup, key 13, v3-5: takes members out of a group at once instead of after their session timeout.
// v3 takes several, by member id or instance id, so that instances that are gone can be removed from outside
// (KIP-345); v4 flexible; v5 takes a reason for the broker's log (KIP-800).
//
// request   group_id string · members [ member_id string · group_instance_id string? · (v5+) reason string? · tags ]
//           · tags
// response  throttle_time_ms int32 · error_code int16
//           · members [ member_id string · group_instance_id string? · error_code int16 · tags ] · tags
import { type Api, defineApi } from './api.ts'

export interface LeavingMember {
  /** Empty to remove a static member by its instance id alone. */
  readonly memberId: string
  readonly groupInstanceId: string | null
  readonly reason: string | null
}

export interface LeaveGroupRequest {
  readonly groupId: string
  readonly members: readonly LeavingMember[]
}

export interface LeaveGroupResponse {
  readonly throttleTimeMs: number
  readonly errorCode: number
  readonly members: {
    readonly memberId: string
    readonly groupInstanceId: string | null
    readonly errorCode: number
  }[]
}

export const leaveGroup: Api<LeaveGroupRequest, LeaveGroupResponse> = defineApi({
  key: 13,
  name: 'LeaveGroup',
  versions: [3, 5],
  flexibleFrom: 4,

  encode(writer, version, request) {
    writer.string(request.groupId).structs(request.members, (member) => {
      writer.string(member.memberId).nullableString(member.groupInstanceId)
      if (version >= 5) writer.nullableString(member.reason)
    })
    writer.tags()
  },

  decode(reader) {
    const response = {
      throttleTimeMs: reader.int32(),
      errorCode: reader.int16(),
      members: reader.structs(() => ({
        memberId: reader.string(),
        groupInstanceId: reader.nullableString(),
        errorCode: reader.int16(),
      })),
    }
    reader.tags()
    return response
  },
})
