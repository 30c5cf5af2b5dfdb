// The kafkajs contestant: the transactional consume-process-produce loop as its users write it, one transaction per
// batch that the consumer gives (the batches of one partition, as its defaults cut them). kafkajs has no stores: for
// `count` the counts stand in a Map, and the changed ones go to a changelog topic in the same transaction, without
// which they could not be had back. Keys and unused values are passed on as the Buffers that they come in.
import { type EachBatchPayload, Kafka, logLevel, type Message, type Transaction } from 'kafkajs'
import { Stopwatch, serveUntilClosed } from './stopwatch.ts'
import { mapped, readArguments } from './works.ts'

const given = readArguments(process.argv.slice(2))
const stopwatch = new Stopwatch(given.warmUpRecords)
const changelog = `${given.applicationId}-counts-changelog`
const counts = new Map<string, number>()

const kafka = new Kafka({
  brokers: given.brokers,
  clientId: given.applicationId,
  logLevel: logLevel.ERROR,
})
const producer = kafka.producer({
  transactionalId: given.applicationId,
  idempotent: true,
  maxInFlightRequests: 1,
})
// Its default of 1 MiB makes batches whose output, a little longer, one partition would refuse as too large.
const consumer = kafka.consumer({ groupId: given.applicationId, maxBytesPerPartition: 700_000 })

const int64Of = (value: number): Buffer => {
  const bytes = Buffer.allocUnsafe(8)
  bytes.writeBigInt64BE(BigInt(value))
  return bytes
}

const map = async (transaction: Transaction, { batch }: EachBatchPayload): Promise<void> => {
  const messages = batch.messages.map(({ key, value, timestamp }) => ({
    key,
    value: mapped((value as Buffer).toString()),
    timestamp,
  }))
  await transaction.send({ topic: given.output, messages })
}

const count = async (transaction: Transaction, { batch }: EachBatchPayload): Promise<void> => {
  const changed = new Map<string, Message>()
  const messages = batch.messages.map(({ key, timestamp }) => {
    const name = (key as Buffer).toString()
    const next = (counts.get(name) ?? 0) + 1
    counts.set(name, next)
    const update = { key, value: int64Of(next), timestamp }
    changed.set(name, update)
    return update
  })
  await transaction.send({ topic: given.output, messages })
  await transaction.send({ topic: changelog, messages: [...changed.values()] })
}

if (given.work !== 'map' && given.work !== 'count')
  throw new Error(`kafkajs has no ${given.work}: neither windows nor tables`)
const work = given.work === 'map' ? map : count

// A consumer that stopped for good would leave the benchmark waiting for its time limit.
consumer.on(consumer.events.CRASH, ({ payload }) => {
  if (payload.restart) return
  console.error(payload.error)
  process.exit(1)
})
await producer.connect()
await consumer.connect()
await consumer.subscribe({ topic: given.input, fromBeginning: true })
await consumer.run({
  autoCommit: false,
  eachBatch: async (payload) => {
    const { batch, heartbeat, resolveOffset } = payload
    stopwatch.records(batch.messages.length)
    const transaction = await producer.transaction()
    try {
      await work(transaction, payload)
      const offset = String(BigInt(batch.lastOffset()) + 1n)
      await transaction.sendOffsets({
        consumerGroupId: given.applicationId,
        topics: [{ topic: batch.topic, partitions: [{ partition: batch.partition, offset }] }],
      })
      await transaction.commit()
    } catch (error) {
      await transaction.abort()
      throw error
    }
    resolveOffset(batch.lastOffset())
    await heartbeat()
  },
})
await serveUntilClosed(stopwatch)
// Everything is committed; a consumer that disconnects would first wait out its long poll of 5 s.
process.exit(0)
