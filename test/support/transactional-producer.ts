// The transactional producer of src/ by itself: single transactions, without a worker around it.
import { silentLogger } from '../../src/base/log.ts'
import { nodePorts } from '../../src/base/node-ports.ts'
import type { Cluster } from '../../src/client/cluster.ts'
import { TransactionalProducer } from '../../src/client/transactional-producer.ts'
import { BatchBuilder } from '../../src/record/batch-builder.ts'

export const producerOn = (cluster: Cluster, transactionalId: string): TransactionalProducer =>
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

/** With an offset of a group that nobody is a member of. */
export const commit = async (producer: TransactionalProducer, topic: string): Promise<void> => {
  const nobody = { groupId: `${topic}-group`, memberId: '', generationId: -1, instanceId: undefined }
  const source = { current: () => Promise.resolve(nobody), outlives: () => Promise.resolve(false) }
  await producer.commitOffsets(source, [{ topic, partition: 0, offset: 0, metadata: '' }])
  await producer.commit()
}
