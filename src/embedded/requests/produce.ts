// Produce, key 0, v3-12: appends one record batch to each of the partitions, which this node has to lead.
// v3 carries transactions (KIP-98); v5 tells where the log begins; v8 says which records made a batch invalid (KIP-467);
// v9 flexible; v11 answers TRANSACTION_ABORTABLE where the partition is not part of the transaction; v12 adds it to the
// transaction instead: transactions version 2 (KIP-890). Zstandard is taken from v7 on (KIP-110).
//
// A batch of a transaction that is not open in its partition yet is verified with the transaction's coordinator first.
// While the markers of the last transaction are on their way, v12 waits a moment for them, as a broker does, before it
// answers CONCURRENT_TRANSACTIONS; older versions get NOT_ENOUGH_REPLICAS, which every producer repeats.
// With acks 0 there is no answer; an error ends the connection, since there is no other way to tell.
//
// request   transactional_id string? · acks int16 · timeout_ms int32
//           · topics [ name string · partitions [ index int32 · records bytes? · tags ] · tags ] · tags
// response  topics [ name string · partitions [ index int32 · error_code int16 · base_offset int64
//             · (v2+) log_append_time_ms int64 · (v5+) log_start_offset int64
//             · (v8+) record_errors [ batch_index int32 · message string? · tags ] · error_message string? · tags ] · tags ]
//           · throttle_time_ms int32 · tags
import { BatchView, batchOverheadBytes } from '../../record/batch-view.ts'
import { onlyBatch } from '../batch-check.ts'
import type { BrokerState } from '../broker-state.ts'
import { codes } from '../codes.ts'
import { type AppendAnswer, logOf, type PartitionLog } from '../partition-log.ts'
import { defineHandler, type RequestContext, type RequestHandler } from '../request-handler.ts'

interface Request {
  readonly transactionalId: string | null
  readonly acks: number
  readonly topics: readonly {
    readonly topic: string
    readonly partitions: readonly { readonly partition: number; readonly records: Buffer | null }[]
  }[]
}

interface Response {
  readonly topics: readonly {
    readonly topic: string
    readonly partitions: readonly (AppendAnswer & { readonly partition: number })[]
  }[]
}

/** A batch on its way into a partition, or the answer that it has already. */
interface Entry {
  readonly topic: string
  readonly partition: number
  readonly log: PartitionLog | undefined
  readonly batch: Buffer | undefined
  isVerified: boolean
  answer: AppendAnswer | undefined
}

/** From here on the partition is added to the transaction instead of looked up in it (KIP-890). */
const addsFrom = 12
const abortableFrom = 11
const zstdFrom = 7
/** add.partitions.to.txn.retry.backoff.ms and …max.ms of Kafka */
const verifyAgainAfterMs = 20
const verifyForMs = 100
const acksTaken: readonly number[] = [-1, 0, 1]
const zstd = 4

const failed = (errorCode: number, message: string | null = null): AppendAnswer => ({
  errorCode,
  message,
  recordErrors: [],
  baseOffset: -1,
  logAppendTimeMs: -1,
  logStartOffset: -1,
})

const entryOf = (
  { broker, nodeId, version }: RequestContext,
  topic: string,
  partition: number,
  records: Buffer | null,
): Entry => {
  const log = logOf(broker, topic, partition)
  const entry: Entry = { topic, partition, log, batch: undefined, isVerified: false, answer: undefined }
  if (log === undefined) return { ...entry, answer: failed(codes.UNKNOWN_TOPIC_OR_PARTITION) }
  const batch = onlyBatch(records)
  if (!Buffer.isBuffer(batch)) return { ...entry, answer: failed(batch.errorCode, batch.message) }
  if (version < zstdFrom && batch.length > 22 && (batch.readInt16BE(21) & 0x07) === zstd)
    return { ...entry, answer: failed(codes.UNSUPPORTED_COMPRESSION_TYPE) }
  if (broker.nodes.leader(topic, partition) !== nodeId)
    return { ...entry, answer: failed(codes.NOT_LEADER_OR_FOLLOWER) }
  return { ...entry, batch }
}

const saysTransactional = (batch: Buffer): boolean =>
  batch.length >= batchOverheadBytes && (batch.readInt16BE(21) & 0x10) !== 0

/** The header of a batch that is there as a whole; its CRC may still be wrong. */
const transactionOf = ({ batch, log, topic, partition }: Entry): BatchView | undefined => {
  if (batch === undefined || log === undefined || batch.length < batchOverheadBytes) return undefined
  try {
    const view = new BatchView(batch, 0, { topic, partition })
    return view.isTransactional && view.producerId >= 0 ? view : undefined
  } catch {
    // The check before the append refuses it.
    return undefined
  }
}

/** What a producer is told when its transaction's coordinator does not admit a partition. */
const verificationAnswer = (errorCode: number, version: number): AppendAnswer => {
  const again = 'Unable to verify the partition has been added to the transaction. Underlying error: '
  switch (errorCode) {
    case codes.PRODUCER_FENCED:
      return failed(codes.INVALID_PRODUCER_EPOCH)
    case codes.INVALID_TXN_STATE:
    case codes.TRANSACTION_ABORTABLE:
      return version >= abortableFrom
        ? failed(codes.TRANSACTION_ABORTABLE)
        : failed(codes.INVALID_TXN_STATE, 'Partition was not added to the transaction')
    case codes.CONCURRENT_TRANSACTIONS:
      return version >= addsFrom
        ? failed(errorCode)
        : failed(codes.NOT_ENOUGH_REPLICAS, `${again}CONCURRENT_TRANSACTIONS`)
    case codes.COORDINATOR_LOAD_IN_PROGRESS:
      return failed(codes.NOT_ENOUGH_REPLICAS, `${again}COORDINATOR_LOAD_IN_PROGRESS`)
    case codes.COORDINATOR_NOT_AVAILABLE:
      return failed(codes.NOT_ENOUGH_REPLICAS, `${again}COORDINATOR_NOT_AVAILABLE`)
    case codes.NOT_COORDINATOR:
      return failed(codes.NOT_ENOUGH_REPLICAS, `${again}NOT_COORDINATOR`)
    case codes.NETWORK_EXCEPTION:
      return failed(codes.NOT_ENOUGH_REPLICAS, `${again}NETWORK_EXCEPTION`)
    default:
      return failed(errorCode)
  }
}

/** @returns what the coordinator says of those that are not part of an open transaction here yet */
const verify = (
  broker: BrokerState,
  transactionalId: string,
  entries: readonly Entry[],
  version: number,
): number => {
  const views = entries.map((entry) => ({ entry, view: transactionOf(entry) }))
  const unknown: Entry[] = []
  let producer: BatchView | undefined
  for (const { entry, view } of views) {
    if (view === undefined || entry.log === undefined) continue
    const { producerId, producerEpoch, baseSequence } = view
    if (entry.log.hasOpenTransaction(producerId, producerEpoch)) continue
    if (entry.log.knowsNewerEpoch(producerId, producerEpoch)) {
      // Not verified, so that nothing of it is held against the batches of the newer one.
      entry.answer = failed(codes.INVALID_PRODUCER_EPOCH)
      continue
    }
    entry.log.beginVerification(producerId, producerEpoch, baseSequence, version >= addsFrom)
    unknown.push(entry)
    producer = view
  }
  if (producer === undefined) return codes.NONE
  const { producerId, producerEpoch } = producer
  const adds = version >= addsFrom
  const errorCode = broker.transactions.admit(transactionalId, producerId, producerEpoch, unknown, adds)
  for (const entry of unknown) {
    entry.isVerified = errorCode === codes.NONE
    entry.answer = entry.isVerified ? undefined : verificationAnswer(errorCode, version)
  }
  return errorCode
}

const append = (entries: readonly Entry[], { acks }: Request): Response | undefined => {
  const topics = new Map<string, (AppendAnswer & { readonly partition: number })[]>()
  let failure: AppendAnswer | undefined
  for (const { topic, partition, log, batch, isVerified, answer } of entries) {
    const appended = answer ?? (log as PartitionLog).append(batch as Buffer, isVerified)
    const partitions = topics.get(topic) ?? []
    topics.set(topic, partitions)
    partitions.push({ ...appended, partition })
    if (appended.errorCode !== codes.NONE) failure ??= appended
  }
  if (acks === 0) {
    if (failure !== undefined)
      throw new Error(`a Produce with acks 0 failed with the error code ${failure.errorCode}`)
    return undefined
  }
  return { topics: [...topics].map(([topic, partitions]) => ({ topic, partitions })) }
}

/** Waits out the markers of the last transaction, as long as a broker does. */
const appendLater = async (
  entries: readonly Entry[],
  request: Request,
  { broker, version, gone }: RequestContext,
): Promise<Response | undefined> => {
  for (let waitedMs = 0; waitedMs < verifyForMs; waitedMs += verifyAgainAfterMs) {
    await broker.ports.timers.sleep(verifyAgainAfterMs, gone)
    const errorCode = verify(broker, request.transactionalId as string, entries, version)
    if (errorCode !== codes.CONCURRENT_TRANSACTIONS) break
  }
  return append(entries, request)
}

const refuseAll = (entries: readonly Entry[], errorCode: number): void => {
  for (const entry of entries) entry.answer = failed(errorCode)
}

export const produceHandler: RequestHandler<Request, Response> = defineHandler({
  key: 0,
  name: 'Produce',
  versions: [3, 12],
  flexibleFrom: 9,

  decode(reader) {
    const transactionalId = reader.nullableString()
    const acks = reader.int16()
    reader.int32() // timeout_ms: there are no replicas to wait for
    const topics = reader.structs(() => ({
      topic: reader.string(),
      partitions: reader.structs(() => ({ partition: reader.int32(), records: reader.nullableBytes() })),
    }))
    reader.tags()
    return { transactionalId, acks, topics }
  },

  encode(writer, version, { topics }) {
    writer.structs(topics, ({ topic, partitions }) => {
      writer.string(topic).structs(partitions, (answer) => {
        writer.int32(answer.partition).int16(answer.errorCode).int64(answer.baseOffset)
        writer.int64(answer.logAppendTimeMs)
        if (version >= 5) writer.int64(answer.logStartOffset)
        if (version < 8) return
        writer.structs(answer.recordErrors, (error) =>
          writer.int32(error.batchIndex).nullableString(error.message),
        )
        writer.nullableString(answer.message)
      })
    })
    writer.int32(0).tags()
  },

  handle(request, context) {
    const { broker, version } = context
    const { transactionalId, acks } = request
    const entries = request.topics.flatMap(({ topic, partitions }) =>
      partitions.map(({ partition, records }) => entryOf(context, topic, partition, records)),
    )
    if (!acksTaken.includes(acks)) refuseAll(entries, codes.INVALID_REQUIRED_ACKS)
    else if (transactionalId === null) {
      const isTransactional = entries.some(({ batch }) => batch !== undefined && saysTransactional(batch))
      if (isTransactional) refuseAll(entries, codes.TRANSACTIONAL_ID_AUTHORIZATION_FAILED)
    } else {
      const errorCode = verify(broker, transactionalId, entries, version)
      if (errorCode === codes.CONCURRENT_TRANSACTIONS && version >= addsFrom)
        return appendLater(entries, request, context)
    }
    return append(entries, request)
  },
})
