// AddPartitionsToTxn, key 24, v0-3: partitions join the transaction of a producer, before it writes to them. This is
// how clients of transactions version 1 do it; with version 2 a produce adds its partitions itself (KIP-890).
//
// All or none: where one topic or partition does not exist it gets UNKNOWN_TOPIC_OR_PARTITION and the others
// OPERATION_NOT_ATTEMPTED; else all get the answer of the coordinator. CONCURRENT_TRANSACTIONS while the markers of the
// transaction before are on their way.
// v2 says PRODUCER_FENCED where INVALID_PRODUCER_EPOCH stood before (KIP-588); v3 flexible. v4 and above are for brokers
// among themselves and are not offered.
//
// request   transactional_id string · producer_id int64 · producer_epoch int16
//           · topics [ name string · partitions [int32] · tags ] · tags
// response  throttle_time_ms int32 · topics [ name string · partitions [ partition_index int32
//           · partition_error_code int16 · tags ] · tags ] · tags
import { codes } from '../codes.ts'
import { defineHandler, type RequestContext, type RequestHandler } from '../request-handler.ts'
import { transactionsOf } from '../transaction-coordinator.ts'

interface Request {
  readonly transactionalId: string
  readonly producerId: number
  readonly producerEpoch: number
  readonly topics: readonly { readonly topic: string; readonly partitions: readonly number[] }[]
}

interface Response {
  readonly topics: readonly {
    readonly topic: string
    readonly partitions: readonly { readonly partition: number; readonly errorCode: number }[]
  }[]
}

const codeOf = (request: Request, { broker, nodeId, version }: RequestContext): number => {
  if (request.transactionalId === '') return codes.INVALID_REQUEST
  const transactions = transactionsOf(broker)
  const error = transactions.errorAt(nodeId, request.transactionalId)
  if (error !== codes.NONE) return error
  const partitions = request.topics.flatMap(({ topic, partitions: of }) =>
    of.map((partition) => ({ topic, partition })),
  )
  const code = transactions.add(request, partitions)
  return version < 2 && code === codes.PRODUCER_FENCED ? codes.INVALID_PRODUCER_EPOCH : code
}

const answered = (
  { topics }: Request,
  errorCode: (topic: string, partition: number) => number,
): Response => ({
  topics: topics.map(({ topic, partitions }) => ({
    topic,
    partitions: partitions.map((partition) => ({ partition, errorCode: errorCode(topic, partition) })),
  })),
})

export const addPartitionsToTxnHandler: RequestHandler<Request, Response> = defineHandler({
  key: 24,
  name: 'AddPartitionsToTxn',
  versions: [0, 3],
  flexibleFrom: 3,

  decode(reader) {
    const request = {
      transactionalId: reader.string(),
      producerId: reader.int64(),
      producerEpoch: reader.int16(),
      topics: reader.structs(() => ({
        topic: reader.string(),
        partitions: reader.array(() => reader.int32()),
      })),
    }
    reader.tags()
    return request
  },

  encode(writer, _version, { topics }) {
    writer.int32(0)
    writer.structs(topics, ({ topic, partitions }) => {
      writer.string(topic)
      writer.structs(partitions, ({ partition, errorCode }) => writer.int32(partition).int16(errorCode))
    })
    writer.tags()
  },

  handle(request, context) {
    const { topics } = context.broker
    const exists = (topic: string, partition: number): boolean =>
      topics.get(topic)?.logs[partition] !== undefined
    const allExist = request.topics.every(({ topic, partitions }) =>
      partitions.every((partition) => exists(topic, partition)),
    )
    if (!allExist) {
      return answered(request, (topic, partition) =>
        exists(topic, partition) ? codes.OPERATION_NOT_ATTEMPTED : codes.UNKNOWN_TOPIC_OR_PARTITION,
      )
    }
    const code = codeOf(request, context)
    return answered(request, () => code)
  },
})
