// SyncGroup, key 14, v3-5: the leader hands in the assignment of every member, each member gets its own.
// v3 adds the instance id (KIP-345); v4 flexible; v5 repeats protocol type and name, so that the broker can refuse a
// member that speaks of another protocol (KIP-559).
//
// request   group_id string · generation_id int32 · member_id string · group_instance_id string?
//           · (v5+) protocol_type string? · (v5+) protocol_name string?
//           · assignments [ member_id string · assignment bytes · tags ] · tags
// response  throttle_time_ms int32 · error_code int16 · (v5+) protocol_type string? · (v5+) protocol_name string?
//           · assignment bytes · tags
import { type Api, defineApi } from './api.ts'

export interface SyncGroupRequest {
  readonly groupId: string
  readonly generationId: number
  readonly memberId: string
  readonly groupInstanceId: string | null
  readonly protocolType: string | null
  readonly protocolName: string | null
  /** From the leader for each member, empty from the others. */
  readonly assignments: readonly { readonly memberId: string; readonly assignment: Buffer }[]
}

export interface SyncGroupResponse {
  readonly throttleTimeMs: number
  readonly errorCode: number
  /** null below v5. */
  readonly protocolType: string | null
  readonly protocolName: string | null
  /** An assignment (consumer-protocol.ts), empty with an error. A view into the frame. */
  readonly assignment: Buffer
}

export const syncGroup: Api<SyncGroupRequest, SyncGroupResponse> = defineApi({
  key: 14,
  name: 'SyncGroup',
  versions: [3, 5],
  flexibleFrom: 4,

  encode(writer, version, request) {
    writer.string(request.groupId).int32(request.generationId)
    writer.string(request.memberId).nullableString(request.groupInstanceId)
    if (version >= 5) writer.nullableString(request.protocolType).nullableString(request.protocolName)
    writer.structs(request.assignments, (assignment) => {
      writer.string(assignment.memberId).bytes(assignment.assignment)
    })
    writer.tags()
  },

  decode(reader, version) {
    const response = {
      throttleTimeMs: reader.int32(),
      errorCode: reader.int16(),
      protocolType: version >= 5 ? reader.nullableString() : null,
      protocolName: version >= 5 ? reader.nullableString() : null,
      assignment: reader.bytes(),
    }
    reader.tags()
    return response
  },
})
