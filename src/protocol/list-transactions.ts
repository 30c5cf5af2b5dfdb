// ListTransactions, key 66, v0-1: the transactions that this broker coordinates. Every broker has its own, so a whole
// list takes all of them.
// All versions flexible (KIP-664); v1 may ask for those that have been open for some time (KIP-994), which is not used.
// A transaction is shown only to who may describe its transactional id; the others are left out without a word.
//
// request   state_filters [string] · producer_id_filters [int64] · (v1+) duration_filter int64 · tags
// response  throttle_time_ms int32 · error_code int16 · unknown_state_filters [string]
//           · transaction_states [ transactional_id string · producer_id int64 · transaction_state string · tags ] · tags
import { type Api, defineApi } from './api.ts'

export interface ListTransactionsRequest {
  /** Empty, Ongoing, PrepareCommit, PrepareAbort, CompleteCommit, CompleteAbort, PrepareEpochFence; none: all of them. */
  readonly states: readonly string[]
  /** None: those of all producers. */
  readonly producerIds?: readonly number[]
}

export interface ListedTransaction {
  readonly transactionalId: string
  readonly producerId: number
  readonly state: string
}

export interface ListTransactionsResponse {
  readonly throttleTimeMs: number
  readonly errorCode: number
  /** States asked for that the broker does not know. */
  readonly unknownStates: readonly string[]
  readonly transactions: readonly ListedTransaction[]
}

export const listTransactions: Api<ListTransactionsRequest, ListTransactionsResponse> = defineApi({
  key: 66,
  name: 'ListTransactions',
  versions: [0, 1],
  flexibleFrom: 0,

  encode(writer, version, request) {
    writer.array(request.states, (state) => writer.string(state))
    writer.array(request.producerIds ?? [], (producerId) => writer.int64(producerId))
    if (version >= 1) writer.int64(-1) // open for however long
    writer.tags()
  },

  decode(reader) {
    const response = {
      throttleTimeMs: reader.int32(),
      errorCode: reader.int16(),
      unknownStates: reader.array(() => reader.string()),
      transactions: reader.structs(() => ({
        transactionalId: reader.string(),
        producerId: reader.int64(),
        state: reader.string(),
      })),
    }
    reader.tags()
    return response
  },
})
