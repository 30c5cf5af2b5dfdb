// AddOffsetsToTxn, key 25, v0-4: offsets of a group are to be part of the transaction of a producer, before
// TxnOffsetCommit. The partition of the offsets topic that the group belongs to joins the transaction. This is how
// clients of transactions version 1 do it; with version 2 TxnOffsetCommit itself does (KIP-890).
// v2 says PRODUCER_FENCED where INVALID_PRODUCER_EPOCH stood before (KIP-588); v3 flexible; v4 the same.
//
// request   transactional_id string · producer_id int64 · producer_epoch int16 · group_id string · tags
// response  throttle_time_ms int32 · error_code int16 · tags
import { offsetsTopic } from '../broker-state.ts'
import { codes } from '../codes.ts'
import { coordinatorPartition } from '../nodes.ts'
import { defineHandler, type RequestHandler } from '../request-handler.ts'
import { transactionsOf } from '../transaction-coordinator.ts'

interface Request {
  readonly transactionalId: string
  readonly producerId: number
  readonly producerEpoch: number
  readonly groupId: string
}

export const addOffsetsToTxnHandler: RequestHandler<Request, { readonly errorCode: number }> = defineHandler({
  key: 25,
  name: 'AddOffsetsToTxn',
  versions: [0, 4],
  flexibleFrom: 3,

  decode(reader) {
    const request = {
      transactionalId: reader.string(),
      producerId: reader.int64(),
      producerEpoch: reader.int16(),
      groupId: reader.string(),
    }
    reader.tags()
    return request
  },

  encode(writer, _version, { errorCode }) {
    writer.int32(0).int16(errorCode).tags()
  },

  handle(request, { broker, nodeId, version }) {
    if (request.transactionalId === '') return { errorCode: codes.INVALID_REQUEST }
    const transactions = transactionsOf(broker)
    const error = transactions.errorAt(nodeId, request.transactionalId)
    if (error !== codes.NONE) return { errorCode: error }
    const partition = coordinatorPartition(request.groupId, broker.settings.coordinatorPartitions)
    const code = transactions.add(request, [{ topic: offsetsTopic, partition }])
    const isOld = version < 2 && code === codes.PRODUCER_FENCED
    return { errorCode: isOld ? codes.INVALID_PRODUCER_EPOCH : code }
  },
})
