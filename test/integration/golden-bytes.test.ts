// Golden bytes, both ways and in every compression: what Kafka's Java producer wrote is read by us as the broker keeps
// it, and what our producers wrote is read by the Java consumer; equal record by record.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { silentLogger } from '../../src/base/log.ts'
import { nodePorts } from '../../src/base/node-ports.ts'
import type { Cluster } from '../../src/client/cluster.ts'
import { IdempotentProducer } from '../../src/client/idempotent-producer.ts'
import type { CommittingProducer } from '../../src/client/producer.ts'
import { TransactionalProducer } from '../../src/client/transactional-producer.ts'
import { fetch } from '../../src/protocol/fetch.ts'
import { BatchBuilder } from '../../src/record/batch-builder.ts'
import { type BatchView, readBatches } from '../../src/record/batch-view.ts'
import { type Compression, compressions } from '../../src/record/compression.ts'
import { connect, inMs } from '../support/client.ts'
import {
  goldenBatches,
  plainBatch,
  plainGolden,
  plainRecord,
  smallRecords,
} from '../support/golden-records.ts'
import { type Judge, startJudge } from '../support/judge.ts'
import { kafkaBrokers, uniqueTopic } from '../support/kafka.ts'
import javaBatches from '../unit/record/golden/java-batches.json' with { type: 'json' }

let judge: Judge
let cluster: Cluster

beforeAll(async () => {
  judge = await startJudge(kafkaBrokers())
  cluster = await connect()
})

afterAll(async () => {
  await cluster.close()
  await judge.stop()
})

const newTopic = async (): Promise<string> => {
  const topic = uniqueTopic('golden')
  // Settings of a broker must not decide how the batches are kept.
  await judge.createTopics({ name: topic, settings: { 'compression.type': 'producer' } })
  await cluster.refreshMetadata([topic])
  return topic
}

/** Partition 0 as the broker keeps it. */
const rawBatches = async (topic: string): Promise<{ bytes: Buffer; batches: BatchView[] }> => {
  const maxBytes = 50_000_000
  const partitions = [{ partition: 0, currentLeaderEpoch: -1, fetchOffset: 0, maxBytes }]
  const answer = await cluster.send(cluster.partition(topic, 0)?.leader as number, 'fetch', fetch, {
    maxWaitMs: 0,
    minBytes: 0,
    maxBytes,
    isolationLevel: 'read_committed',
    topics: [{ topic, partitions }],
  })
  const bytes = answer.topics[0]?.partitions[0]?.records as Buffer
  return { bytes, batches: readBatches(bytes, 0, bytes.length, { topic, partition: 0 }) }
}

/** EndTxn is answered before the markers are written. */
const isStable = async (topic: string, offset: number): Promise<void> => {
  for (const deadline = inMs(15_000); inMs(0) < deadline; await nodePorts.timers.sleep(20)) {
    if ((await judge.offsets(topic))[0]?.lastStable === offset) return
  }
  throw new Error(`offset ${offset} of ${topic} did not become stable`)
}

const golden = plainGolden(goldenBatches.flat())
const maxTimestamps = goldenBatches.map((records) => Math.max(...records.map(({ timestamp }) => timestamp)))
const compressedAsAsked = (compression: Compression): Compression[] => goldenBatches.map(() => compression)

describe.each(compressions)('compressed with %s', (compression) => {
  it.each(['plainly', 'in a transaction'])('what the Java producer wrote %s is read by us', async (how) => {
    const topic = await newTopic()
    const transactionalId = how === 'plainly' ? undefined : uniqueTopic('golden')
    const producer = await judge.openProducer({ compression, transactionalId })
    if (transactionalId !== undefined) await producer.begin()
    for (const records of goldenBatches)
      await producer.send(
        topic,
        records.map((one) => ({ ...one, partition: 0 })),
      )
    if (transactionalId !== undefined) await producer.commit()
    await producer.close()
    await isStable(topic, golden.length + (transactionalId === undefined ? 0 : 1))
    const all = (await rawBatches(topic)).batches
    for (const batch of all) batch.checkCrc()
    const batches = all.filter((batch) => !batch.isControl)
    expect(batches.map((batch) => batch.compression)).toEqual(compressedAsAsked(compression))
    expect(batches.map((batch) => batch.isTransactional)).toEqual(
      batches.map(() => transactionalId !== undefined),
    )
    expect(batches.flatMap(plainBatch)).toEqual(golden)
    expect(batches.map((batch) => batch.maxTimestamp)).toEqual(maxTimestamps)
  })

  const produceWithOurs = async (
    producer: CommittingProducer,
    topic: string,
    finish: () => Promise<void>,
  ): Promise<void> => {
    await producer.init(true)
    producer.begin()
    const builder = new BatchBuilder(1024)
    for (const records of goldenBatches) {
      for (const { timestamp, key, value, headers } of records) {
        const [keyBytes, valueBytes] = [key ?? Buffer.alloc(0), value ?? Buffer.alloc(0)]
        const ours = headers.map(([name, bytes]) => ({ key: name, value: bytes }))
        const keyLength = key?.length ?? -1
        builder.append(timestamp, keyBytes, 0, keyLength, valueBytes, 0, value?.length ?? -1, ours)
      }
      producer.send(topic, 0, builder)
    }
    await producer.flush()
    await finish()
    await producer.commit()
  }

  const readByJava = async (topic: string): Promise<void> => {
    expect((await judge.dump(topic)).records.map(plainRecord)).toEqual(golden)
    const { bytes } = await rawBatches(topic)
    const batches = (await judge.decodeBatches(bytes)).filter(({ control }) => !control)
    expect(batches.map((batch) => batch.compression)).toEqual(compressedAsAsked(compression))
    expect(batches.flatMap(({ records }) => records.map(plainRecord))).toEqual(golden)
  }

  const outbox = { requestTimeoutMs: 10_000, compression, requestBytesMax: 1_000_000 }

  it('what our idempotent producer wrote is read by the Java consumer', async () => {
    const topic = await newTopic()
    const settings = { ...outbox, deliveryTimeoutMs: 30_000 }
    const producer = new IdempotentProducer(cluster, nodePorts, settings, silentLogger)
    await produceWithOurs(producer, topic, () => Promise.resolve())
    await readByJava(topic)
  })

  it('what our transactional producer wrote is read by the Java consumer', async () => {
    const topic = await newTopic()
    const settings = {
      ...outbox,
      transactionalId: uniqueTopic('golden'),
      transactionTimeoutMs: 30_000,
      markerWaitMs: 0,
    }
    const producer = new TransactionalProducer(cluster, nodePorts, settings, silentLogger)
    // A group without members takes offsets from anybody.
    const nobody = { groupId: uniqueTopic('golden'), memberId: '', generationId: -1, instanceId: undefined }
    const source = { current: async () => nobody, outlives: async () => false }
    const offset = { topic, partition: 0, offset: 1, metadata: '' }
    await produceWithOurs(producer, topic, () => producer.commitOffsets(source, [offset]))
    await isStable(topic, golden.length + 1)
    await readByJava(topic)
  })

  it('the batch that is kept for the unit tests is what Java takes it for', async () => {
    const [batch, ...others] = await judge.decodeBatches(Buffer.from(javaBatches[compression], 'base64'))
    expect(others).toEqual([])
    expect(batch).toMatchObject({ compression, control: false })
    expect(batch?.records.map(plainRecord)).toEqual(plainGolden(smallRecords))
  })
})
