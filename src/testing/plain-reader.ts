// Reads whole topics with another client: kafkajs's own consumer, as its users run it, with read_committed. None of our
// fetch, record or filter code is used, so that what it finds says something about ours.
//
// Its filter of aborted records is known to leak: records of transactions of several producers that interleave, and
// those whose key is four zero bytes. Neither occurs where one worker writes words. Where it did, a leaked record would
// be counted as a duplicate: a false alarm, never a false "0 duplicated".
import { randomUUID } from 'node:crypto'
import { type Consumer, Kafka, type KafkaConfig, logLevel } from 'kafkajs'
import RequestQueue from 'kafkajs/src/network/requestQueue/index.js'
import type { WorkerSettings } from '../config/worker-settings.ts'
import { ensureError, MillstreamError } from '../errors.ts'

export interface PlainRecord {
  readonly partition: number
  readonly offset: number
  readonly key: Buffer | null
  readonly value: Buffer | null
}

type Access = Pick<WorkerSettings, 'brokers' | 'tls' | 'sasl' | 'connectionTimeoutMs'>

// With nothing in flight kafkajs arms a timer in the past, and Node prints a warning.
const schedule = RequestQueue.prototype.scheduleCheckPendingRequests
RequestQueue.prototype.scheduleCheckPendingRequests = function (this: RequestQueue): void {
  if (this.pending.length > 0) schedule.call(this)
}

const clientFor = ({ brokers, tls, sasl, connectionTimeoutMs }: Access): Kafka =>
  new Kafka({
    brokers: [...brokers],
    clientId: 'millstream-recount',
    ssl: typeof tls === 'object' ? { ...tls } : tls,
    ...(sasl === undefined ? {} : { sasl: { ...sasl } as NonNullable<KafkaConfig['sasl']> }),
    connectionTimeout: connectionTimeoutMs,
    logLevel: logLevel.NOTHING,
  })

const collect = async (
  consumer: Consumer,
  topic: string,
  ends: ReadonlyMap<number, number>,
  timeoutMs: number,
): Promise<PlainRecord[]> => {
  const records: PlainRecord[] = []
  const open = new Set([...ends].filter(([, end]) => end > 0).map(([partition]) => partition))
  const done = Promise.withResolvers<void>()
  const timer = setTimeout(() => {
    const fix =
      'Look at the health of the brokers; an open transaction of a dead producer also holds readers back.'
    const what = `another client did not reach the end of the topic within ${timeoutMs} ms`
    done.reject(
      new MillstreamError('REQUEST_TIMED_OUT', {
        what,
        where: { topic, partitions: [...open].join(' ') },
        fix,
      }),
    )
  }, timeoutMs)
  // Also told of batches in which nothing is left for the user: markers at the end of a partition.
  consumer.on(consumer.events.END_BATCH_PROCESS, ({ payload }) => {
    if (Number(payload.lastOffset) + 1 >= (ends.get(payload.partition) ?? 0)) open.delete(payload.partition)
    if (open.size === 0) done.resolve()
  })
  consumer.on(consumer.events.CRASH, ({ payload }) => done.reject(payload.error))
  try {
    if (open.size === 0) return records
    await consumer.connect()
    await consumer.subscribe({ topic, fromBeginning: true })
    await consumer.run({
      autoCommit: false,
      eachBatch: ({ batch }) => {
        for (const { key, value, offset } of batch.messages)
          records.push({ partition: batch.partition, offset: Number(offset), key, value })
        return Promise.resolve()
      },
    })
    await done.promise
    return records
  } finally {
    clearTimeout(timer)
  }
}

/**
 * All committed records of a topic, ordered by offset within a partition.
 * @throws MillstreamError REQUEST_TIMED_OUT, BROKER_ERROR (what kafkajs says)
 */
export const readWithKafkaJs = async (
  access: Access,
  topic: string,
  timeoutMs = 60_000,
): Promise<PlainRecord[]> => {
  const kafka = clientFor(access)
  const groupId = `millstream-recount-${randomUUID()}`
  const admin = kafka.admin()
  const consumer = kafka.consumer({ groupId, readUncommitted: false, maxWaitTimeInMs: 200 })
  try {
    await admin.connect()
    const offsets = await admin.fetchTopicOffsets(topic)
    // An empty partition has nothing to reach, also where records were deleted from it.
    const ends = new Map(
      offsets.map(({ partition, low, high }) => [partition, low === high ? 0 : Number(high)]),
    )
    return await collect(consumer, topic, ends, timeoutMs)
  } catch (error) {
    if (error instanceof MillstreamError) throw error
    throw new MillstreamError('BROKER_ERROR', {
      what: `another client (kafkajs) could not read the topic: ${ensureError(error).message}`,
      where: { topic },
      cause: error,
    })
  } finally {
    // The group only existed for this; one that stays behind expires.
    await consumer.disconnect().catch(() => undefined)
    await admin.deleteGroups([groupId]).catch(() => undefined)
    await admin.disconnect().catch(() => undefined)
  }
}
