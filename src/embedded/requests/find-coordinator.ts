// FindCoordinator, key 10, v0-5: which node coordinates a group (type 0) or a transactional id (type 1; v1+). v3 is
// flexible, v4 takes several keys (KIP-699), v5 may answer TRANSACTION_ABORTABLE, which never happens here. A type that is
// neither is INVALID_REQUEST; with no node up it is COORDINATOR_NOT_AVAILABLE. On a real broker the first question makes
// the topic of the coordinators and meets COORDINATOR_NOT_AVAILABLE; here there is nothing to make.
//
// request   v0-3  key string · (v1+) key_type int8 · tags
//           v4+   key_type int8 · coordinator_keys [string] · tags
// response  v0-3  (v1+) throttle_time_ms int32 · error_code int16 · (v1+) error_message string? · node_id int32
//                 · host string · port int32 · tags
//           v4+   throttle_time_ms int32 · coordinators [ key string · node_id int32 · host string · port int32
//                 · error_code int16 · error_message string? · tags ] · tags
import type { BrokerState } from '../broker-state.ts'
import { codes } from '../codes.ts'
import { defineHandler, type RequestHandler } from '../request-handler.ts'

interface Request {
  readonly keyType: number
  readonly keys: readonly string[]
}

interface Coordinator {
  readonly key: string
  readonly nodeId: number
  readonly host: string
  readonly port: number
  readonly errorCode: number
}

interface Response {
  readonly coordinators: readonly Coordinator[]
}

const groupType = 0
const transactionType = 1

const find = ({ nodes }: BrokerState, keyType: number, key: string): Coordinator => {
  const refuse = (errorCode: number): Coordinator => ({ key, nodeId: -1, host: '', port: -1, errorCode })
  if (keyType !== groupType && keyType !== transactionType) return refuse(codes.INVALID_REQUEST)
  const nodeId = nodes.coordinator(keyType === groupType ? 'group' : 'transaction', key)
  const node = nodes.addresses().find((one) => one.nodeId === nodeId)
  return node === undefined
    ? refuse(codes.COORDINATOR_NOT_AVAILABLE)
    : { key, ...node, errorCode: codes.NONE }
}

export const findCoordinatorHandler: RequestHandler<Request, Response> = defineHandler({
  key: 10,
  name: 'FindCoordinator',
  versions: [0, 5],
  flexibleFrom: 3,

  decode(reader, version) {
    if (version >= 4) {
      const keyType = reader.int8()
      const keys = reader.array(() => reader.string())
      reader.tags()
      return { keyType, keys }
    }
    const key = reader.string()
    const keyType = version >= 1 ? reader.int8() : groupType
    reader.tags()
    return { keyType, keys: [key] }
  },

  encode(writer, version, { coordinators }) {
    if (version >= 1) writer.int32(0)
    if (version >= 4) {
      writer.structs(coordinators, ({ key, nodeId, host, port, errorCode }) => {
        writer.string(key).int32(nodeId).string(host).int32(port).int16(errorCode).nullableString(null)
      })
    } else {
      for (const { nodeId, host, port, errorCode } of coordinators) {
        writer.int16(errorCode)
        if (version >= 1) writer.nullableString(null)
        writer.int32(nodeId).string(host).int32(port)
      }
    }
    writer.tags()
  },

  handle: ({ keyType, keys }, { broker }) => ({
    coordinators: keys.map((key) => find(broker, keyType, key)),
  }),
})
