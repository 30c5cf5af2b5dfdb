// ListTransactions, key 66, v0-1: the transactional ids that this node coordinates, with their states (KIP-664).
//
// Filters by state, by producer id, and (v1+) by how long ago the transaction began; none means all. State names that
// do not exist are told apart. COORDINATOR_LOAD_IN_PROGRESS while some of them are being loaded. All versions flexible.
// v2 (a pattern for the ids, KIP-1152) is not offered.
//
// request   state_filters [string] · producer_id_filters [int64] · (v1+) duration_filter int64 · tags
// response  throttle_time_ms int32 · error_code int16 · unknown_state_filters [string]
//           · transaction_states [ transactional_id string · producer_id int64 · transaction_state string · tags ] · tags
import { defineHandler, type RequestHandler } from '../request-handler.ts'
import { type TransactionDescription, transactionsOf } from '../transaction-coordinator.ts'
import { transactionStates } from '../transaction-entry.ts'

interface Request {
  readonly states: readonly string[]
  readonly producerIds: readonly number[]
  /** -1: for however long. */
  readonly durationMs: number
}

interface Response {
  readonly errorCode: number
  readonly unknownStates: readonly string[]
  readonly transactions: readonly TransactionDescription[]
}

const knownStates = new Set<string>(transactionStates)

export const listTransactionsHandler: RequestHandler<Request, Response> = defineHandler({
  key: 66,
  name: 'ListTransactions',
  versions: [0, 1],
  flexibleFrom: 0,

  decode(reader, version) {
    const request = {
      states: reader.array(() => reader.string()),
      producerIds: reader.array(() => reader.int64()),
      durationMs: version >= 1 ? reader.int64() : -1,
    }
    reader.tags()
    return request
  },

  encode(writer, _version, { errorCode, unknownStates, transactions }) {
    writer.int32(0).int16(errorCode)
    writer.array(unknownStates, (state) => writer.string(state))
    writer.structs(transactions, ({ transactionalId, producerId, state }) => {
      writer.string(transactionalId).int64(producerId).string(state)
    })
    writer.tags()
  },

  handle({ states, producerIds, durationMs }, { broker, nodeId }) {
    const { errorCode, transactions } = transactionsOf(broker).list(nodeId)
    const now = broker.ports.clock.now()
    return {
      errorCode,
      unknownStates: states.filter((state) => !knownStates.has(state)),
      transactions: transactions.filter(
        ({ state, producerId, startMs }) =>
          (states.length === 0 || states.includes(state)) &&
          (producerIds.length === 0 || producerIds.includes(producerId)) &&
          (durationMs < 0 || now - startMs > durationMs),
      ),
    }
  },
})
