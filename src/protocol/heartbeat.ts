// Heartbeat, key 12, v3-4: keeps the membership alive and hears of a rebalance.
// v3 adds the instance id (KIP-345); v4 flexible.
//
// request   group_id string · generation_id int32 · member_id string · group_instance_id string? · tags
// response  throttle_time_ms int32 · error_code int16 · tags
import { type Api, defineApi } from './api.ts'

export interface HeartbeatRequest {
  readonly groupId: string
  readonly generationId: number
  readonly memberId: string
  readonly groupInstanceId: string | null
}

export interface HeartbeatResponse {
  readonly throttleTimeMs: number
  readonly errorCode: number
}

export const heartbeat: Api<HeartbeatRequest, HeartbeatResponse> = defineApi({
  key: 12,
  name: 'Heartbeat',
  versions: [3, 4],
  flexibleFrom: 4,

  encode(writer, _version, request) {
    writer.string(request.groupId).int32(request.generationId)
    writer.string(request.memberId).nullableString(request.groupInstanceId).tags()
  },

  decode(reader) {
    const response = { throttleTimeMs: reader.int32(), errorCode: reader.int16() }
    reader.tags()
    return response
  },
})
