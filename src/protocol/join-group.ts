// JoinGroup, key 11, v5-9: enters a group of the classic protocol, or enters again for a rebalance.
// Since v4 a dynamic member without an id is first given one (MEMBER_ID_REQUIRED, KIP-394) and asks again with it; v5
// adds the instance id (static membership, KIP-345); v6 flexible; v7 answers the protocol type (KIP-559); v8 takes a
// reason for the broker's log (KIP-800); v9 may tell a leader to keep the assignment (KIP-814).
//
// request   group_id string · session_timeout_ms int32 · rebalance_timeout_ms int32 · member_id string
//           · group_instance_id string? · protocol_type string · protocols [ name string · metadata bytes · tags ]
//           · (v8+) reason string? · tags
// response  throttle_time_ms int32 · error_code int16 · generation_id int32 · (v7+) protocol_type string?
//           · protocol_name string (v7+ nullable) · leader string · (v9+) skip_assignment bool · member_id string
//           · members [ member_id string · group_instance_id string? · metadata bytes · tags ] · tags
import { type Api, defineApi } from './api.ts'

export interface JoinGroupRequest {
  readonly groupId: string
  readonly sessionTimeoutMs: number
  readonly rebalanceTimeoutMs: number
  /** Empty at first. */
  readonly memberId: string
  readonly groupInstanceId: string | null
  readonly protocolType: string
  /** Best first; metadata is a subscription (consumer-protocol.ts). */
  readonly protocols: readonly { readonly name: string; readonly metadata: Buffer }[]
  /** The broker cuts it after 255 characters. */
  readonly reason: string | null
}

export interface JoinGroupMember {
  readonly memberId: string
  readonly groupInstanceId: string | null
  /** A view into the frame. */
  readonly metadata: Buffer
}

export interface JoinGroupResponse {
  readonly throttleTimeMs: number
  readonly errorCode: number
  readonly generationId: number
  /** null below v7. */
  readonly protocolType: string | null
  readonly protocolName: string | null
  /** Member id of the leader. */
  readonly leader: string
  /** The leader is to send no assignment: the old one stays (a static leader came back). false below v9. */
  readonly skipAssignment: boolean
  readonly memberId: string
  /** All members for the leader, none for the others. */
  readonly members: JoinGroupMember[]
}

export const joinGroup: Api<JoinGroupRequest, JoinGroupResponse> = defineApi({
  key: 11,
  name: 'JoinGroup',
  versions: [5, 9],
  flexibleFrom: 6,

  encode(writer, version, request) {
    writer.string(request.groupId).int32(request.sessionTimeoutMs).int32(request.rebalanceTimeoutMs)
    writer.string(request.memberId).nullableString(request.groupInstanceId).string(request.protocolType)
    writer.structs(request.protocols, (protocol) => {
      writer.string(protocol.name).bytes(protocol.metadata)
    })
    if (version >= 8) writer.nullableString(request.reason)
    writer.tags()
  },

  decode(reader, version) {
    const response = {
      throttleTimeMs: reader.int32(),
      errorCode: reader.int16(),
      generationId: reader.int32(),
      protocolType: version >= 7 ? reader.nullableString() : null,
      protocolName: reader.nullableString(),
      leader: reader.string(),
      skipAssignment: version >= 9 ? reader.bool() : false,
      memberId: reader.string(),
      members: reader.structs(() => ({
        memberId: reader.string(),
        groupInstanceId: reader.nullableString(),
        metadata: reader.bytes(),
      })),
    }
    reader.tags()
    return response
  },
})
