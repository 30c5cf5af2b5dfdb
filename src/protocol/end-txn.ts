// EndTxn, key 26, v1-5: commits or aborts the open transaction.
// v2 answers PRODUCER_FENCED (KIP-588); v3 flexible; v4 may answer TRANSACTION_ABORTABLE (KIP-890); v5 ends the epoch
// with the transaction and answers with the id and epoch to go on with, sequences from 0: transactions version 2
// (KIP-890 part 2). A late EndTxn of an older transaction is then refused by its epoch.
//
// request   transactional_id string · producer_id int64 · producer_epoch int16 · committed bool · tags
// response  throttle_time_ms int32 · error_code int16 · (v5+) producer_id int64 · (v5+) producer_epoch int16 · tags
import { type Api, defineApi } from './api.ts'

export interface EndTxnRequest {
  readonly transactionalId: string
  readonly producerId: number
  readonly producerEpoch: number
  /** true commits, false aborts. */
  readonly committed: boolean
}

export interface EndTxnResponse {
  readonly throttleTimeMs: number
  readonly errorCode: number
  /** The producer id of the next transaction; -1 below v5 (unchanged) and with an error. */
  readonly producerId: number
  /** The epoch of the next transaction; -1 below v5 (unchanged) and with an error. */
  readonly producerEpoch: number
}

export const endTxn: Api<EndTxnRequest, EndTxnResponse> = defineApi({
  key: 26,
  name: 'EndTxn',
  versions: [1, 5],
  flexibleFrom: 3,
  tv2From: 5,

  encode(writer, _version, request) {
    writer.string(request.transactionalId).int64(request.producerId).int16(request.producerEpoch)
    writer.bool(request.committed).tags()
  },

  decode(reader, version) {
    const response = {
      throttleTimeMs: reader.int32(),
      errorCode: reader.int16(),
      producerId: version >= 5 ? reader.int64() : -1,
      producerEpoch: version >= 5 ? reader.int16() : -1,
    }
    reader.tags()
    return response
  },
})
