// InitProducerId, key 22, v3-5: takes (or renews) the producer id and epoch; for a transactional id it also ends what
// an earlier self left open and fences that self.
// v2 flexible; v3 may name the id and epoch held so far (KIP-360); v4 answers PRODUCER_FENCED (KIP-588); v5 may answer
// TRANSACTION_ABORTABLE (KIP-890). v6 (two-phase commit, KIP-939) is not finished in the brokers we serve.
//
// request   transactional_id string? · transaction_timeout_ms int32 · producer_id int64 · producer_epoch int16 · tags
// response  throttle_time_ms int32 · error_code int16 · producer_id int64 · producer_epoch int16 · tags
import { type Api, defineApi } from './api.ts'

export interface InitProducerIdRequest {
  /** null for a producer that is idempotent only. */
  readonly transactionalId: string | null
  readonly transactionTimeoutMs: number
  /** The producer id held so far, to bump its epoch; -1 for a fresh start, which fences every earlier holder. */
  readonly producerId: number
  /** The epoch held so far, or -1. */
  readonly producerEpoch: number
}

export interface InitProducerIdResponse {
  readonly throttleTimeMs: number
  readonly errorCode: number
  readonly producerId: number
  readonly producerEpoch: number
}

export const initProducerId: Api<InitProducerIdRequest, InitProducerIdResponse> = defineApi({
  key: 22,
  name: 'InitProducerId',
  versions: [3, 5],
  flexibleFrom: 2,

  encode(writer, _version, request) {
    writer.nullableString(request.transactionalId).int32(request.transactionTimeoutMs)
    writer.int64(request.producerId).int16(request.producerEpoch).tags()
  },

  decode(reader) {
    const response = {
      throttleTimeMs: reader.int32(),
      errorCode: reader.int16(),
      producerId: reader.int64(),
      producerEpoch: reader.int16(),
    }
    reader.tags()
    return response
  },
})
