// JoinGroup, key 11, v0-9: enters a group of the classic protocol, or enters again for a rebalance. Answered when the
// round of joins is over, which the whole group waits for; group.ts says when that is.
// v1 adds the rebalance timeout (before, the session timeout is taken for it); v2 the throttle time; v4 tells a new
// dynamic member its id first (MEMBER_ID_REQUIRED, KIP-394); v5 adds static members (KIP-345); v6 is flexible; v7
// answers the type of protocol (KIP-559); v8 takes a reason (KIP-800), which is dropped here; v9 tells a static leader
// that came back to keep the assignment (KIP-814).
//
// request   group_id string · session_timeout_ms int32 · (v1+) rebalance_timeout_ms int32 · member_id string
//           · (v5+) group_instance_id string? · protocol_type string · protocols [ name string · metadata bytes · tags ]
//           · (v8+) reason string? · tags
// response  (v2+) throttle_time_ms int32 · error_code int16 · generation_id int32 · (v7+) protocol_type string?
//           · protocol_name string (v7+ nullable) · leader string · (v9+) skip_assignment bool · member_id string
//           · members [ member_id string · (v5+) group_instance_id string? · metadata bytes · tags ] · tags
import { codes } from '../codes.ts'
import { type JoinAnswer, joinError, type MemberProtocol } from '../group-members.ts'
import { answerOf, groupsOf } from '../group-table.ts'
import { defineHandler, type RequestHandler } from '../request-handler.ts'

interface Request {
  readonly groupId: string
  readonly sessionTimeoutMs: number
  readonly rebalanceTimeoutMs: number
  readonly memberId: string
  readonly instanceId: string | null
  readonly protocolType: string
  readonly protocols: readonly MemberProtocol[]
}

export const joinGroupHandler: RequestHandler<Request, JoinAnswer> = defineHandler({
  key: 11,
  name: 'JoinGroup',
  versions: [0, 9],
  flexibleFrom: 6,

  decode(reader, version) {
    const groupId = reader.string()
    const sessionTimeoutMs = reader.int32()
    const request = {
      groupId,
      sessionTimeoutMs,
      rebalanceTimeoutMs: version >= 1 ? reader.int32() : sessionTimeoutMs,
      memberId: reader.string(),
      instanceId: version >= 5 ? reader.nullableString() : null,
      protocolType: reader.string(),
      // Copied: a member stays longer than the frame.
      protocols: reader.structs(() => ({ name: reader.string(), metadata: Buffer.from(reader.bytes()) })),
    }
    if (version >= 8) reader.nullableString()
    reader.tags()
    return request
  },

  encode(writer, version, answer) {
    if (version >= 2) writer.int32(0)
    writer.int16(answer.errorCode).int32(answer.generationId)
    if (version >= 7) writer.nullableString(answer.protocolType).nullableString(answer.protocolName)
    else writer.string(answer.protocolName ?? '')
    writer.string(answer.leader)
    if (version >= 9) writer.bool(answer.skipAssignment)
    writer.string(answer.memberId)
    writer.structs(answer.members, ({ memberId, instanceId, metadata }) => {
      writer.string(memberId)
      if (version >= 5) writer.nullableString(instanceId)
      writer.bytes(metadata)
    })
    writer.tags()
  },

  handle({ groupId, ...request }, { broker, nodeId, version, clientId, clientHost }) {
    const { memberId, sessionTimeoutMs } = request
    const { sessionTimeoutMsMin, sessionTimeoutMsMax } = broker.settings
    if (groupId === '') return joinError(codes.INVALID_GROUP_ID, memberId)
    if (sessionTimeoutMs < sessionTimeoutMsMin || sessionTimeoutMs > sessionTimeoutMsMax) {
      return joinError(codes.INVALID_SESSION_TIMEOUT, memberId)
    }
    const error = broker.nodes.coordinatorError('group', groupId, nodeId)
    if (error !== codes.NONE) return joinError(error)
    const groups = groupsOf(broker)
    const group = memberId === '' ? groups.getOrCreate(groupId) : groups.get(groupId)
    if (group === undefined) return joinError(codes.UNKNOWN_MEMBER_ID, memberId)
    return answerOf<JoinAnswer>((answer) => {
      group.join({ ...request, clientId, clientHost, version }, answer)
    })
  },
})
