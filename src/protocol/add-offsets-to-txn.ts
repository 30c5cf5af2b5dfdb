// AddOffsetsToTxn, key 25, v1-4: transactions version 1 only; tells the transaction coordinator that the open
// transaction will commit offsets of a group, before TxnOffsetCommit. With transactions version 2 TxnOffsetCommit
// itself does that (KIP-890 part 2).
// v2 answers PRODUCER_FENCED (KIP-588); v3 flexible; v4 may answer TRANSACTION_ABORTABLE (KIP-890).
//
// request   transactional_id string · producer_id int64 · producer_epoch int16 · group_id string · tags
// response  throttle_time_ms int32 · error_code int16 · tags
import { type Api, defineApi } from './api.ts'

export interface AddOffsetsToTxnRequest {
  readonly transactionalId: string
  readonly producerId: number
  readonly producerEpoch: number
  readonly groupId: string
}

export interface AddOffsetsToTxnResponse {
  readonly throttleTimeMs: number
  readonly errorCode: number
}

export const addOffsetsToTxn: Api<AddOffsetsToTxnRequest, AddOffsetsToTxnResponse> = defineApi({
  key: 25,
  name: 'AddOffsetsToTxn',
  versions: [1, 4],
  flexibleFrom: 3,

  encode(writer, _version, request) {
    writer.string(request.transactionalId).int64(request.producerId).int16(request.producerEpoch)
    writer.string(request.groupId).tags()
  },

  decode(reader) {
    const response = { throttleTimeMs: reader.int32(), errorCode: reader.int16() }
    reader.tags()
    return response
  },
})
