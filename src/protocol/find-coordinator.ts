// FindCoordinator, key 10, v3-5: which broker coordinates a group or a transactional id.
// v3 flexible, one key; v4 takes several keys at once (KIP-699); v5 may answer TRANSACTION_ABORTABLE (KIP-890).
// v6 only adds share groups, which we do not ask for.
//
// request   v3   key string · key_type int8 (0 group, 1 transaction) · tags
//           v4+  key_type int8 · coordinator_keys [string] · tags
// response  v3   throttle_time_ms int32 · error_code int16 · error_message string? · node_id int32 · host string
//                · port int32 · tags
//           v4+  throttle_time_ms int32 · coordinators [ key string · node_id int32 · host string · port int32
//                · error_code int16 · error_message string? · tags ] · tags
import { invariant } from '../base/assert.ts'
import { type Api, defineApi } from './api.ts'

export interface FindCoordinatorRequest {
  readonly keyType: 'group' | 'transaction'
  /** Group ids or transactional ids; exactly one in v3. */
  readonly keys: readonly string[]
}

export interface Coordinator {
  /** null in v3, where the answer does not repeat the one key. */
  readonly key: string | null
  /** -1 with an error. */
  readonly nodeId: number
  readonly host: string
  readonly port: number
  readonly errorCode: number
  readonly errorMessage: string | null
}

export interface FindCoordinatorResponse {
  readonly throttleTimeMs: number
  readonly coordinators: Coordinator[]
}

export const findCoordinator: Api<FindCoordinatorRequest, FindCoordinatorResponse> = defineApi({
  key: 10,
  name: 'FindCoordinator',
  versions: [3, 5],
  flexibleFrom: 3,

  encode(writer, version, request) {
    const keyType = request.keyType === 'group' ? 0 : 1
    if (version >= 4) {
      writer.int8(keyType).array(request.keys, (key) => writer.string(key))
    } else {
      const [key] = request.keys
      invariant(key !== undefined && request.keys.length === 1, 'FindCoordinator v3 asks for one key')
      writer.string(key).int8(keyType)
    }
    writer.tags()
  },

  decode(reader, version) {
    const throttleTimeMs = reader.int32()
    let coordinators: Coordinator[]
    if (version >= 4) {
      coordinators = reader.structs(() => ({
        key: reader.string(),
        nodeId: reader.int32(),
        host: reader.string(),
        port: reader.int32(),
        errorCode: reader.int16(),
        errorMessage: reader.nullableString(),
      }))
    } else {
      const errorCode = reader.int16()
      const errorMessage = reader.nullableString()
      const nodeId = reader.int32()
      const host = reader.string()
      coordinators = [{ key: null, nodeId, host, port: reader.int32(), errorCode, errorMessage }]
    }
    reader.tags()
    return { throttleTimeMs, coordinators }
  },
})
