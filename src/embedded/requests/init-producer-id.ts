// InitProducerId, key 22, v0-5: gives a producer its id and epoch.
//
// Without a transactional id any node answers with a new id and epoch 0. With one its coordinator raises the epoch, which
// fences every earlier holder. A transaction that is still open is aborted first: the answer is CONCURRENT_TRANSACTIONS
// until its markers are written. A producer that shows the id and epoch it holds (v3+, KIP-360) gets the next epoch only
// while nobody else was initialised in between, else PRODUCER_FENCED; repeated after a lost answer it gets the same
// again. An id whose epochs are used up is followed by a new one with epoch 0.
// v2 flexible; below v4 PRODUCER_FENCED is said as INVALID_PRODUCER_EPOCH (KIP-588). v6 (KIP-939) is not offered, as the
// brokers do not offer it unless told to.
//
// request   transactional_id string? · transaction_timeout_ms int32 · (v3+) producer_id int64
//           · (v3+) producer_epoch int16 · tags
// response  throttle_time_ms int32 · error_code int16 · producer_id int64 · producer_epoch int16 · tags
import { codes } from '../codes.ts'
import { defineHandler, type RequestContext, type RequestHandler } from '../request-handler.ts'
import { type IdentityAnswer, transactionsOf } from '../transaction-coordinator.ts'
import { none } from '../transaction-entry.ts'

interface Request {
  readonly transactionalId: string | null
  readonly transactionTimeoutMs: number
  readonly producerId: number
  readonly producerEpoch: number
}

const refused = (errorCode: number): IdentityAnswer => ({ errorCode, producerId: none, producerEpoch: none })

const answerTo = (request: Request, { broker, nodeId }: RequestContext): IdentityAnswer => {
  const { transactionalId, transactionTimeoutMs, producerId, producerEpoch } = request
  const transactions = transactionsOf(broker)
  if ((producerId === none) !== (producerEpoch === none)) return refused(codes.INVALID_REQUEST)
  if (transactionalId === null) {
    return { errorCode: codes.NONE, producerId: transactions.newProducerId(), producerEpoch: 0 }
  }
  if (transactionalId === '') return refused(codes.INVALID_REQUEST)
  if (transactionTimeoutMs <= 0 || transactionTimeoutMs > broker.settings.transactionTimeoutMsMax) {
    return refused(codes.INVALID_TRANSACTION_TIMEOUT)
  }
  const error = transactions.errorAt(nodeId, transactionalId)
  if (error !== codes.NONE) return refused(error)
  const shown = producerId === none ? undefined : { producerId, producerEpoch }
  return transactions.init(transactionalId, transactionTimeoutMs, shown)
}

export const initProducerIdHandler: RequestHandler<Request, IdentityAnswer> = defineHandler({
  key: 22,
  name: 'InitProducerId',
  versions: [0, 5],
  flexibleFrom: 2,

  decode(reader, version) {
    const request = {
      transactionalId: reader.nullableString(),
      transactionTimeoutMs: reader.int32(),
      producerId: version >= 3 ? reader.int64() : none,
      producerEpoch: version >= 3 ? reader.int16() : none,
    }
    reader.tags()
    return request
  },

  encode(writer, _version, { errorCode, producerId, producerEpoch }) {
    writer.int32(0).int16(errorCode).int64(producerId).int16(producerEpoch).tags()
  },

  handle(request, context) {
    const answer = answerTo(request, context)
    const isOld = context.version < 4 && answer.errorCode === codes.PRODUCER_FENCED
    return isOld ? refused(codes.INVALID_PRODUCER_EPOCH) : answer
  },
})
