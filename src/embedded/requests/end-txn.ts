// EndTxn, key 26, v0-5: commits or aborts the transaction of a producer.
//
// It is answered when the end is decided; the markers follow (transaction-markers.ts), and until the last of them is
// written the producer gets CONCURRENT_TRANSACTIONS. Below v5 id and epoch stay: a repeated request is answered NONE
// when the last transaction ended in the same way, and INVALID_TXN_STATE in any other state than Ongoing. From v5 on
// (transactions version 2, KIP-890) the end raises the epoch, or goes on with a new id where the epochs are used up, and
// the answer carries what the next transaction is to use. A repeated one comes with the epoch before and gets the same
// answer; a commit where nothing is open is INVALID_TXN_STATE, an abort is not (and raises the epoch). A holder that was
// fenced gets PRODUCER_FENCED.
// v2 says PRODUCER_FENCED where INVALID_PRODUCER_EPOCH stood before (KIP-588); v3 flexible; v4 the same.
//
// request   transactional_id string · producer_id int64 · producer_epoch int16 · committed bool · tags
// response  throttle_time_ms int32 · error_code int16 · (v5+) producer_id int64 · (v5+) producer_epoch int16 · tags
import { codes } from '../codes.ts'
import { defineHandler, type RequestContext, type RequestHandler } from '../request-handler.ts'
import { type IdentityAnswer, transactionsOf } from '../transaction-coordinator.ts'
import { none } from '../transaction-entry.ts'

interface Request {
  readonly transactionalId: string
  readonly producerId: number
  readonly producerEpoch: number
  readonly committed: boolean
}

const refused = (errorCode: number): IdentityAnswer => ({ errorCode, producerId: none, producerEpoch: none })

const answerTo = (request: Request, { broker, nodeId, version }: RequestContext): IdentityAnswer => {
  if (request.transactionalId === '') return refused(codes.INVALID_REQUEST)
  const transactions = transactionsOf(broker)
  const error = transactions.errorAt(nodeId, request.transactionalId)
  if (error !== codes.NONE) return refused(error)
  return transactions.end(request, request.committed, version >= 5)
}

export const endTxnHandler: RequestHandler<Request, IdentityAnswer> = defineHandler({
  key: 26,
  name: 'EndTxn',
  versions: [0, 5],
  flexibleFrom: 3,

  decode(reader) {
    const request = {
      transactionalId: reader.string(),
      producerId: reader.int64(),
      producerEpoch: reader.int16(),
      committed: reader.bool(),
    }
    reader.tags()
    return request
  },

  encode(writer, version, { errorCode, producerId, producerEpoch }) {
    writer.int32(0).int16(errorCode)
    if (version >= 5) writer.int64(producerId).int16(producerEpoch)
    writer.tags()
  },

  handle(request, context) {
    const answer = answerTo(request, context)
    const isOld = context.version < 2 && answer.errorCode === codes.PRODUCER_FENCED
    return isOld ? refused(codes.INVALID_PRODUCER_EPOCH) : answer
  },
})
