// DescribeTransactions, key 65, v0 (KIP-664): what a coordinator knows of transactional ids. Flexible.
//
// request   transactional_ids [string] · tags
// response  throttle_time_ms int32 · transaction_states [ error_code int16 · transactional_id string
//             · transaction_state string · transaction_timeout_ms int32 · transaction_start_time_ms int64
//             · producer_id int64 · producer_epoch int16 · topics [ topic string · partitions [int32] · tags ] · tags ] · tags
import { type Api, defineApi } from './api.ts'

export interface DescribeTransactionsRequest {
  readonly transactionalIds: readonly string[]
}

export interface DescribedTransaction {
  readonly errorCode: number
  readonly transactionalId: string
  /** Empty, Ongoing, PrepareCommit, PrepareAbort, CompleteCommit, CompleteAbort, PrepareEpochFence, Dead; '' with an error. */
  readonly state: string
  readonly timeoutMs: number
  /** -1: none is open. */
  readonly startTimeMs: number
  readonly producerId: number
  readonly producerEpoch: number
  /** What an open transaction has written to. */
  readonly topics: readonly { readonly topic: string; readonly partitions: readonly number[] }[]
}

export interface DescribeTransactionsResponse {
  readonly throttleTimeMs: number
  readonly transactions: readonly DescribedTransaction[]
}

export const describeTransactions: Api<DescribeTransactionsRequest, DescribeTransactionsResponse> = defineApi(
  {
    key: 65,
    name: 'DescribeTransactions',
    versions: [0, 0],
    flexibleFrom: 0,

    encode(writer, _version, { transactionalIds }) {
      writer.array(transactionalIds, (id) => writer.string(id))
      writer.tags()
    },

    decode(reader) {
      const throttleTimeMs = reader.int32()
      const transactions = reader.structs(() => ({
        errorCode: reader.int16(),
        transactionalId: reader.string(),
        state: reader.string(),
        timeoutMs: reader.int32(),
        startTimeMs: reader.int64(),
        producerId: reader.int64(),
        producerEpoch: reader.int16(),
        topics: reader.structs(() => ({
          topic: reader.string(),
          partitions: reader.array(() => reader.int32()),
        })),
      }))
      reader.tags()
      return { throttleTimeMs, transactions }
    },
  },
)
