// The transactional producer of src/ by itself: single transactions, without a worker around it.
import { silentLogger } from '../../src/base/log.ts'
import { nodePorts } from '../../src/base/node-ports.ts'
import type { Cluster } from '../../src/client/cluster.ts'
import type { Endings } from '../../src/client/marker-guard.ts'
import type { MembershipSource } from '../../src/client/producer.ts'
import { TransactionalProducer } from '../../src/client/transactional-producer.ts'
import { BatchBuilder } from '../../src/record/batch-builder.ts'

export const producerOn = (
  cluster: Cluster,
  transactionalId: string,
  endings?: Endings,
): TransactionalProducer =>
  new TransactionalProducer(
    cluster,
    nodePorts,
    {
      transactionalId,
      transactionTimeoutMs: 30_000,
      requestTimeoutMs: 10_000,
      requestBytesMax: 1 << 20,
      compression: 'none',
      markerWaitMs: 2,
    },
    silentLogger,
    endings,
  )

/** One batch of this one record. */
export const send = (
  producer: TransactionalProducer,
  topic: string,
  partition: number,
  value: string,
): void => {
  const builder = new BatchBuilder(1024)
  const bytes = Buffer.from(value)
  builder.append(Date.now(), bytes, 0, bytes.length, bytes, 0, bytes.length, [])
  producer.send(topic, partition, builder)
}

/** A group of no members, which takes offsets from anybody. */
export const groupOf = (topic: string): string => `${topic}-group`

/** The membership of nobody, in the group of a topic. */
export const nobodyOf = (topic: string): MembershipSource => {
  const nobody = { groupId: groupOf(topic), memberId: '', generationId: -1, instanceId: undefined }
  return { current: () => Promise.resolve(nobody), outlives: () => Promise.resolve(false) }
}

/** With an offset. */
export const commit = async (producer: TransactionalProducer, topic: string): Promise<void> => {
  await producer.commitOffsets(nobodyOf(topic), [{ topic, partition: 0, offset: 0, metadata: '' }])
  await producer.commit()
}
