// Heartbeat, key 12, v0-4: a member is alive, and hears whether a rebalance has begun (REBALANCE_IN_PROGRESS). While a
// coordinator reads its state it answers that all is well, as Kafka's does.
// v1 adds the throttle time; v3 static members (KIP-345); v4 is flexible.
//
// request   group_id string · generation_id int32 · member_id string · (v3+) group_instance_id string? · tags
// response  (v1+) throttle_time_ms int32 · error_code int16 · tags
import { codes } from '../codes.ts'
import { groupsOf } from '../group-table.ts'
import { defineHandler, type RequestHandler } from '../request-handler.ts'

interface Request {
  readonly groupId: string
  readonly generationId: number
  readonly memberId: string
  readonly instanceId: string | null
}

export const heartbeatHandler: RequestHandler<Request, { readonly errorCode: number }> = defineHandler({
  key: 12,
  name: 'Heartbeat',
  versions: [0, 4],
  flexibleFrom: 4,

  decode(reader, version) {
    const request = {
      groupId: reader.string(),
      generationId: reader.int32(),
      memberId: reader.string(),
      instanceId: version >= 3 ? reader.nullableString() : null,
    }
    reader.tags()
    return request
  },

  encode(writer, version, { errorCode }) {
    if (version >= 1) writer.int32(0)
    writer.int16(errorCode).tags()
  },

  handle({ groupId, generationId, memberId, instanceId }, { broker, nodeId }) {
    if (groupId === '') return { errorCode: codes.INVALID_GROUP_ID }
    const error = broker.nodes.coordinatorError('group', groupId, nodeId)
    if (error === codes.COORDINATOR_LOAD_IN_PROGRESS) return { errorCode: codes.NONE }
    if (error !== codes.NONE) return { errorCode: error }
    const group = groupsOf(broker).get(groupId)
    return { errorCode: group?.heartbeat(memberId, instanceId, generationId) ?? codes.UNKNOWN_MEMBER_ID }
  },
})
