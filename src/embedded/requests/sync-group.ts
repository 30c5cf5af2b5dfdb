// SyncGroup, key 14, v0-5: the leader hands in the assignment, everybody gets theirs. A follower waits for the leader;
// in a stable group the assignment of its generation is answered at once.
// v1 adds the throttle time; v3 static members (KIP-345); v4 is flexible; v5 names the type of protocol and the assignor
// and must be right in both (INCONSISTENT_GROUP_PROTOCOL, KIP-559).
//
// request   group_id string · generation_id int32 · member_id string · (v3+) group_instance_id string?
//           · (v5+) protocol_type string? · (v5+) protocol_name string?
//           · assignments [ member_id string · assignment bytes · tags ] · tags
// response  (v1+) throttle_time_ms int32 · error_code int16 · (v5+) protocol_type string? · (v5+) protocol_name string?
//           · assignment bytes · tags
import { codes } from '../codes.ts'
import { type SyncAnswer, type SyncRequest, syncError } from '../group-members.ts'
import { answerOf, groupsOf } from '../group-table.ts'
import { defineHandler, type RequestHandler } from '../request-handler.ts'

interface Request extends SyncRequest {
  readonly groupId: string
}

/** From which version on type and assignor have to be named. */
const protocolNamedFrom = 5

export const syncGroupHandler: RequestHandler<Request, SyncAnswer> = defineHandler({
  key: 14,
  name: 'SyncGroup',
  versions: [0, 5],
  flexibleFrom: 4,

  decode(reader, version) {
    const request = {
      groupId: reader.string(),
      generationId: reader.int32(),
      memberId: reader.string(),
      instanceId: version >= 3 ? reader.nullableString() : null,
      protocolType: version >= protocolNamedFrom ? reader.nullableString() : null,
      protocolName: version >= protocolNamedFrom ? reader.nullableString() : null,
      assignments: new Map(
        reader.structs((): [string, Buffer] => [reader.string(), Buffer.from(reader.bytes())]),
      ),
    }
    reader.tags()
    return request
  },

  encode(writer, version, { errorCode, protocolType, protocolName, assignment }) {
    if (version >= 1) writer.int32(0)
    writer.int16(errorCode)
    if (version >= protocolNamedFrom) writer.nullableString(protocolType).nullableString(protocolName)
    writer.bytes(assignment).tags()
  },

  handle({ groupId, ...request }, { broker, nodeId, version }) {
    const isNamed = request.protocolType !== null && request.protocolName !== null
    if (version >= protocolNamedFrom && !isNamed) return syncError(codes.INCONSISTENT_GROUP_PROTOCOL)
    if (groupId === '') return syncError(codes.INVALID_GROUP_ID)
    const error = broker.nodes.coordinatorError('group', groupId, nodeId)
    if (error !== codes.NONE) return syncError(error)
    const group = groupsOf(broker).get(groupId)
    if (group === undefined) return syncError(codes.UNKNOWN_MEMBER_ID)
    return answerOf<SyncAnswer>((answer) => group.sync(request, answer))
  },
})
