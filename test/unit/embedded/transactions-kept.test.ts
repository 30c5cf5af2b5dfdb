// A transaction over a restart of the broker with a directory, with the real parts: it goes on, or ends as it was decided.
import { describe, expect, it } from 'vitest'
import { EmbeddedKafka } from '../../../src/embedded/embedded-kafka.ts'
import { offsetsTopic } from '../../../src/embedded/broker-state.ts'
import type { ProducerIdentity } from '../../../src/embedded/transaction-entry.ts'
import { BatchBuilder } from '../../../src/record/batch-builder.ts'
import { temporaryFolder } from '../../support/cli.ts'

const transactionalId = 'kept'

const batchOf = (identity: ProducerIdentity): Buffer => {
  const builder = new BatchBuilder(256)
  const bytes = Buffer.from('v')
  builder.append(Date.now(), bytes, 0, bytes.length, bytes, 0, bytes.length, undefined)
  return builder.seal({ ...identity, baseSequence: 0, transactional: true, compression: 'none' })
}

const logOf = ({ state }: EmbeddedKafka) => {
  const log = state.topics.get('records')?.logs[0]
  if (log === undefined) throw new Error('the topic is gone')
  return log
}

const endsOf = (kafka: EmbeddedKafka): [stable: number, end: number] => {
  const log = logOf(kafka)
  return [log.lastStableOffset, log.endOffset]
}

/** One record in an open transaction. */
const begin = (kafka: EmbeddedKafka): ProducerIdentity => {
  const { topics, transactions } = kafka.state
  topics.create('records', { partitions: 1 })
  const { producerId, producerEpoch } = transactions.init(transactionalId, 60_000, undefined)
  const partitions = [
    { topic: 'records', partition: 0 },
    { topic: offsetsTopic, partition: 0 },
  ]
  expect(transactions.admit(transactionalId, producerId, producerEpoch, partitions, true)).toBe(0)
  expect(logOf(kafka).append(batchOf({ producerId, producerEpoch }), true).errorCode).toBe(0)
  return { producerId, producerEpoch }
}

describe('a transaction', () => {
  it.each([true, false])(
    'whose end was decided (committed: %s) is completed after a restart',
    async (committed) => {
      const directory = temporaryFolder()
      const held = { markerDelayMs: () => Number.POSITIVE_INFINITY }
      const first = EmbeddedKafka.inMemory({ directory, settings: held })
      const producer = { transactionalId, ...begin(first) }
      const ended = first.state.transactions.end(producer, committed, true)
      expect(endsOf(first)).toEqual([0, 1])
      await first.close()

      const second = EmbeddedKafka.inMemory({ directory })
      const { transactions } = second.state
      const complete = committed ? 'CompleteCommit' : 'CompleteAbort'
      await expect.poll(() => transactions.describe(transactionalId)?.state).toBe(complete)
      expect(endsOf(second)).toEqual([2, 2])
      expect(logOf(second).read(0, 1000, true, true)?.aborted).toHaveLength(committed ? 0 : 1)
      // A repeated EndTxn gets the answer that the first one had.
      expect(transactions.end(producer, committed, true)).toEqual(ended)
      await second.close()
    },
  )

  it('that was open goes on after a restart', async () => {
    const directory = temporaryFolder()
    const first = EmbeddedKafka.inMemory({ directory })
    const producer = { transactionalId, ...begin(first) }
    await first.close()

    const second = EmbeddedKafka.inMemory({ directory })
    expect(endsOf(second)).toEqual([0, 1])
    expect(second.state.transactions.describe(transactionalId)).toMatchObject({
      state: 'Ongoing',
      partitions: [{ topic: 'records' }, { topic: offsetsTopic }],
    })
    expect(second.state.transactions.end(producer, true, true).errorCode).toBe(0)
    expect(endsOf(second)).toEqual([2, 2])
    await second.close()
  })
})
