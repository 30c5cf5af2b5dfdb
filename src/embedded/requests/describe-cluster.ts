// DescribeCluster, key 60, v0-2: the nodes that are up, and the controller, which is the first of them. v1 may ask a
// controller for the controllers (KIP-919): there is none to ask here, MISMATCHED_ENDPOINT_TYPE; v2 tells fenced brokers.
//
// request   include_cluster_authorized_operations bool · (v1+) endpoint_type int8 · (v2+) include_fenced_brokers bool · tags
// response  throttle_time_ms int32 · error_code int16 · error_message string? · (v1+) endpoint_type int8 · cluster_id string
//           · controller_id int32 · brokers [ broker_id int32 · host string · port int32 · rack string?
//             · (v2+) is_fenced bool · tags ] · cluster_authorized_operations int32 · tags
import { codes } from '../codes.ts'
import type { NodeAddress } from '../nodes.ts'
import { defineHandler, type RequestHandler } from '../request-handler.ts'

interface Request {
  readonly withOperations: boolean
  readonly endpointType: number
}

interface Response {
  readonly errorCode: number
  readonly message: string | null
  readonly clusterId: string
  readonly controllerId: number
  readonly nodes: readonly NodeAddress[]
  readonly operations: number
}

const brokers = 1
const controllers = 2
const noOperations = -2_147_483_648
/** Nobody authorizes here: everything that may be done to a cluster, as bits by the numbers of the operations. */
const allOperations = 8096

const refuse = (errorCode: number, message: string): Response => ({
  errorCode,
  message,
  clusterId: '',
  controllerId: -1,
  nodes: [],
  operations: noOperations,
})

export const describeClusterHandler: RequestHandler<Request, Response> = defineHandler({
  key: 60,
  name: 'DescribeCluster',
  versions: [0, 2],
  flexibleFrom: 0,

  decode(reader, version) {
    const withOperations = reader.bool()
    const endpointType = version >= 1 ? reader.int8() : brokers
    if (version >= 2) reader.bool()
    reader.tags()
    return { withOperations, endpointType }
  },

  encode(writer, version, response) {
    writer.int32(0).int16(response.errorCode).nullableString(response.message)
    if (version >= 1) writer.int8(brokers)
    writer.string(response.clusterId).int32(response.controllerId)
    writer.structs(response.nodes, ({ nodeId, host, port }) => {
      writer.int32(nodeId).string(host).int32(port).nullableString(null)
      if (version >= 2) writer.bool(false)
    })
    writer.int32(response.operations).tags()
  },

  handle({ withOperations, endpointType }, { broker }) {
    if (endpointType === controllers) {
      const text =
        'The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER'
      return refuse(codes.MISMATCHED_ENDPOINT_TYPE, text)
    }
    if (endpointType !== brokers)
      return refuse(codes.UNSUPPORTED_ENDPOINT_TYPE, `Unsupported endpoint type ${endpointType}`)
    const nodes = broker.nodes.addresses()
    return {
      errorCode: codes.NONE,
      message: null,
      clusterId: broker.clusterId,
      controllerId: nodes[0]?.nodeId ?? -1,
      nodes,
      operations: withOperations ? allOperations : noOperations,
    }
  },
})
