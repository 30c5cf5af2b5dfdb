// DescribeTransactions, key 65, v0 (KIP-664): all that the coordinator knows of transactional ids. Flexible.
//
// Each id is answered for itself: TRANSACTIONAL_ID_NOT_FOUND for one that is not known, INVALID_REQUEST for an empty one,
// NOT_COORDINATOR and COORDINATOR_LOAD_IN_PROGRESS as everywhere. While a transaction ends, its partitions are those that
// have no marker yet.
//
// request   transactional_ids [string] · tags
// response  throttle_time_ms int32 · transaction_states [ error_code int16 · transactional_id string
//             · transaction_state string · transaction_timeout_ms int32 · transaction_start_time_ms int64
//             · producer_id int64 · producer_epoch int16 · topics [ topic string · partitions [int32] · tags ] · tags ] · tags
import type { TopicPartition } from '../../base/topic-partition.ts'
import type { Writer } from '../../protocol/wire.ts'
import { codes } from '../codes.ts'
import { defineHandler, type RequestContext, type RequestHandler } from '../request-handler.ts'
import { type TransactionDescription, transactionsOf } from '../transaction-coordinator.ts'

interface Request {
  readonly transactionalIds: readonly string[]
}

interface Response {
  readonly transactions: readonly Described[]
}

interface Described extends Omit<TransactionDescription, 'state'> {
  readonly errorCode: number
  readonly state: string
}

const refused = (errorCode: number, transactionalId: string): Described => ({
  errorCode,
  transactionalId,
  state: '',
  timeoutMs: 0,
  startMs: 0,
  producerId: 0,
  producerEpoch: 0,
  partitions: [],
})

const describeOne = (transactionalId: string, { broker, nodeId }: RequestContext): Described => {
  if (transactionalId === '') return refused(codes.INVALID_REQUEST, transactionalId)
  const transactions = transactionsOf(broker)
  const error = transactions.errorAt(nodeId, transactionalId)
  if (error !== codes.NONE) return refused(error, transactionalId)
  const found = transactions.describe(transactionalId)
  if (found === undefined) return refused(codes.TRANSACTIONAL_ID_NOT_FOUND, transactionalId)
  return { errorCode: codes.NONE, ...found }
}

const writeTopics = (writer: Writer, partitions: readonly TopicPartition[]): void => {
  const byTopic = new Map<string, number[]>()
  for (const { topic, partition } of partitions) {
    const of = byTopic.get(topic)
    if (of === undefined) byTopic.set(topic, [partition])
    else of.push(partition)
  }
  writer.structs([...byTopic], ([topic, of]) => {
    writer.string(topic).array(of, (partition) => writer.int32(partition))
  })
}

export const describeTransactionsHandler: RequestHandler<Request, Response> = defineHandler({
  key: 65,
  name: 'DescribeTransactions',
  versions: [0, 0],
  flexibleFrom: 0,

  decode(reader) {
    const transactionalIds = reader.array(() => reader.string())
    reader.tags()
    return { transactionalIds }
  },

  encode(writer, _version, { transactions }) {
    writer.int32(0)
    writer.structs(transactions, (one) => {
      writer.int16(one.errorCode).string(one.transactionalId).string(one.state).int32(one.timeoutMs)
      writer.int64(one.startMs).int64(one.producerId).int16(one.producerEpoch)
      writeTopics(writer, one.partitions)
    })
    writer.tags()
  },

  handle: ({ transactionalIds }, context) => ({
    transactions: transactionalIds.map((id) => describeOne(id, context)),
  }),
})
