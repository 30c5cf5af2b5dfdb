// Input written without a producer: batches made once and appended as they are, for tests that need much of it.
import { setTimeout as sleep } from 'node:timers/promises'
import { silentLogger } from '../../src/base/log.ts'
import { nodePorts } from '../../src/base/node-ports.ts'
import { Cluster } from '../../src/client/cluster.ts'
import { createTopics } from '../../src/client/topic-admin.ts'
import { produce } from '../../src/protocol/produce.ts'
import { BatchBuilder } from '../../src/record/batch-builder.ts'

/** UNKNOWN_TOPIC_OR_PARTITION and NOT_LEADER_OR_FOLLOWER: a topic that was made a moment ago. */
const notYet: ReadonlySet<number | undefined> = new Set([undefined, 3, 6])

export const connectRaw = async (brokers: readonly string[]): Promise<Cluster> =>
  await Cluster.connect(
    { brokers: [...brokers], clientId: 'raw-input', requestTimeoutMs: 30_000, connectionTimeoutMs: 5000 },
    nodePorts,
    silentLogger,
  )

export const createRaw = async (
  cluster: Cluster,
  topics: readonly string[],
  partitions: number,
): Promise<void> => {
  const deadline = nodePorts.clock.monotonic() + 30_000
  await createTopics(
    cluster,
    nodePorts,
    topics.map((topic) => ({ topic, partitions })),
    deadline,
  )
}

/** A batch of records, ready to be appended as often as wanted. */
export const rawBatch = (records: readonly { readonly key: string; readonly value: string }[]): Buffer => {
  const builder = new BatchBuilder(1 << 20)
  for (const record of records) {
    const key = Buffer.from(record.key)
    const value = Buffer.from(record.value)
    builder.append(Date.now(), key, 0, key.length, value, 0, value.length, undefined)
  }
  return builder.seal({
    producerId: -1,
    producerEpoch: -1,
    baseSequence: -1,
    transactional: false,
    compression: 'none',
  })
}

export const appendRaw = async (
  cluster: Cluster,
  topic: string,
  partition: number,
  records: Buffer,
): Promise<void> => {
  for (let attempt = 0; ; attempt++) {
    const node = cluster.partition(topic, partition)?.leader
    let error: number | undefined
    if (node !== undefined) {
      const answer = await cluster.send(node, 'produce', produce, {
        transactionalId: null,
        acks: 1,
        timeoutMs: 30_000,
        topics: [{ topic, partitions: [{ partition, records }] }],
      })
      error = answer.topics[0]?.partitions[0]?.errorCode
      if (error === 0) return
    }
    if (!notYet.has(error) || attempt === 50) throw new Error(`the broker took no input: error ${error}`)
    await sleep(100)
    await cluster.refreshMetadata([topic])
  }
}
