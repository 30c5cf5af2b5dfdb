// AddPartitionsToTxn, AddOffsetsToTxn and EndTxn, in both versions of transactions (KIP-98, KIP-890).
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import { contract } from '../support/contract/contract.ts'
import { boundsOf, fetchFrom, produceTo, valuesIn } from '../support/contract/log.ts'
import { unique } from '../support/contract/names.ts'
import { deleteTopics } from '../support/contract/other-apis.ts'
import { endOnce, initOnce, passed, Producer } from '../support/contract/producers.ts'
import { settled } from '../support/contract/waits.ts'

describe('AddPartitionsToTxn', () => {
  contract('begins a transaction and shows its partitions', async (broker) => {
    const topic = await broker.topic(3)
    const producer = await Producer.open(broker, { version: 1 })
    expect(await producer.addPartitions(topic, [2, 0])).toEqual(['NONE', 'NONE'])
    const { state, topics, startTimeMs } = await producer.describe()
    expect(state).toBe('Ongoing')
    expect(topics.map((one) => [one.topic, [...one.partitions].sort()])).toEqual([[topic, [0, 2]]])
    expect(Math.abs(startTimeMs - Date.now())).toBeLessThan(60_000)
    // Twice is once.
    expect(await producer.addPartitions(topic, [2])).toEqual(['NONE'])
  })

  contract('of partitions that there are not adds none of them', async (broker) => {
    const topic = await broker.topic()
    const producer = await Producer.open(broker, { version: 1 })
    expect((await producer.addPartitions(topic, [0, 7])).sort()).toEqual([
      ...['OPERATION_NOT_ATTEMPTED', 'UNKNOWN_TOPIC_OR_PARTITION'],
    ])
    expect(await producer.addPartitions(unique('unknown'), [0])).toEqual(['UNKNOWN_TOPIC_OR_PARTITION'])
    expect(await producer.describe()).toMatchObject({ state: 'Empty', topics: [] })
  })

  contract(
    'with an older epoch, another producer id or an unknown transactional id is refused',
    async (broker) => {
      const topic = await broker.topic()
      const old = await Producer.open(broker, { version: 1 })
      const owner = await Producer.open(broker, { version: 1, transactionalId: old.transactionalId })
      expect(await old.addPartitions(topic, [0])).toEqual(['PRODUCER_FENCED'])
      const other = await Producer.open(broker, { version: 1 })
      expect(await owner.addPartitions(topic, [0], { identity: other.identity })).toEqual([
        'INVALID_PRODUCER_ID_MAPPING',
      ])
      expect(await owner.addOffsets(unique('group'), other.identity)).toBe('INVALID_PRODUCER_ID_MAPPING')
      expect(await old.addOffsets(unique('group'))).toBe('PRODUCER_FENCED')
      expect(await owner.addPartitions(topic, [0])).toEqual(['NONE'])
    },
  )

  contract('right after EndTxn passes once the markers are written', async (broker) => {
    const topic = await broker.topic()
    const producer = await Producer.open(broker, { version: 1 })
    for (let round = 0; round < 5; round++) {
      expect(await producer.addPartitions(topic, [0])).toEqual(['NONE'])
      expect((await producer.produce(topic, [`round ${round}`])).error).toBe('NONE')
      expect((await producer.end(true)).error).toBe('NONE')
    }
    await producer.complete()
    expect(await valuesIn(broker.wire, topic)).toEqual([0, 1, 2, 3, 4].map((round) => `round ${round}`))
  })
})

describe('AddOffsetsToTxn', () => {
  contract('adds the partition of the group to the transaction', async (broker) => {
    const producer = await Producer.open(broker, { version: 1 })
    expect(await producer.addOffsets(unique('group'))).toBe('NONE')
    const { state, topics } = await producer.describe()
    expect(state).toBe('Ongoing')
    expect(topics.map((one) => one.topic)).toEqual(['__consumer_offsets'])
  })

  contract('finds that partition by the hash of the name, as Java has it', async (broker) => {
    const names = ['alpha', 'orders', 'payments', 'transfers', 'accounts', 'polygenelubricants']
    const found: number[] = []
    for (const name of names) {
      const producer = await Producer.open(broker)
      await producer.commitOffsets(name, await broker.topic(), { 0: 1 })
      found.push(...(await producer.describe()).topics.flatMap(({ partitions }) => partitions))
    }
    // The hash of the second is negative, that of the last the lowest there is.
    expect(found).toEqual([2, 3, 1, 0, 2, 0])
  })
})

describe('EndTxn (version 1)', () => {
  contract('keeps the epoch, and answers none', async (broker) => {
    const topic = await broker.topic()
    const producer = await Producer.open(broker, { version: 1 })
    const { identity } = producer
    await producer.addPartitions(topic, [0])
    await producer.produce(topic, ['a'])
    expect(await producer.end(true)).toEqual({ error: 'NONE', producerId: -1, producerEpoch: -1 })
    await producer.addPartitions(topic, [0])
    expect((await producer.produce(topic, ['b'], { identity })).error).toBe('NONE')
    await producer.end(false)
    await producer.complete()
    expect(await valuesIn(broker.wire, topic)).toEqual(['a'])
  })

  contract('repeated is answered the same, and the contrary is refused', async (broker) => {
    const topic = await broker.topic()
    const producer = await Producer.open(broker, { version: 1 })
    await producer.addPartitions(topic, [0])
    await producer.produce(topic, ['a'])
    expect((await producer.end(true)).error).toBe('NONE')
    await producer.complete()
    expect((await producer.end(true)).error).toBe('NONE')
    expect((await producer.end(false)).error).toBe('INVALID_TXN_STATE')
    await producer.addPartitions(topic, [0])
    expect((await producer.end(false)).error).toBe('NONE')
    await producer.complete()
    expect((await producer.end(false)).error).toBe('NONE')
    expect((await producer.end(true)).error).toBe('INVALID_TXN_STATE')
  })

  contract('of a transaction that never began is refused', async (broker) => {
    const producer = await Producer.open(broker, { version: 1 })
    expect((await producer.end(true)).error).toBe('INVALID_TXN_STATE')
    expect((await producer.end(false)).error).toBe('INVALID_TXN_STATE')
  })

  contract('says whom it refuses in the words of its version', async (broker) => {
    const old = await Producer.open(broker, { version: 1 })
    const { identity, transactionalId, wire } = old
    await Producer.open(broker, { transactionalId })
    expect((await endOnce(wire, transactionalId, identity, true, 1)).error).toBe('INVALID_PRODUCER_EPOCH')
    expect((await endOnce(wire, transactionalId, identity, true, 2)).error).toBe('PRODUCER_FENCED')
    expect((await endOnce(wire, transactionalId, identity, true, 4)).error).toBe('PRODUCER_FENCED')
    expect((await endOnce(wire, unique('unknown'), identity, true, 4)).error).toBe(
      'INVALID_PRODUCER_ID_MAPPING',
    )
  })
})

describe('EndTxn (version 2)', () => {
  contract('bumps the epoch with each transaction', async (broker) => {
    const topic = await broker.topic()
    const producer = await Producer.open(broker)
    const { producerId, producerEpoch } = producer.identity
    for (let round = 1; round <= 3; round++) {
      await producer.produce(topic, [`round ${round}`])
      const ended = await producer.end(round !== 2)
      expect(ended).toEqual({ error: 'NONE', producerId, producerEpoch: producerEpoch + round })
    }
    await producer.complete()
    expect(await valuesIn(broker.wire, topic)).toEqual(['round 1', 'round 3'])
  })

  contract('repeated with the epoch before it is answered the same again', async (broker) => {
    const topic = await broker.topic()
    for (const committed of [true, false]) {
      const producer = await Producer.open(broker)
      const { identity } = producer
      await producer.produce(topic, ['a'])
      const first = await producer.end(committed)
      const repeat = (): Promise<{ error: string }> => producer.endOnce(committed, identity)
      expect(await settled(repeat, passed)).toEqual(first)
      await producer.complete()
      expect(await producer.endOnce(committed, identity)).toEqual(first)
      expect((await producer.endOnce(!committed, identity)).error).toBe('INVALID_TXN_STATE')
    }
  })

  contract('repeated after the next transaction has begun is refused', async (broker) => {
    const topic = await broker.topic()
    const producer = await Producer.open(broker)
    const { identity } = producer
    await producer.produce(topic, ['a'])
    await producer.end(true)
    await producer.produce(topic, ['b'])
    expect((await producer.endOnce(true, identity)).error).toBe('PRODUCER_FENCED')
    expect((await producer.describe()).state).toBe('Ongoing')
    expect((await producer.end(true)).error).toBe('NONE')
  })

  contract('aborts a transaction that never began, and bumps the epoch', async (broker) => {
    const producer = await Producer.open(broker)
    const { producerId, producerEpoch } = producer.identity
    expect(await producer.end(false)).toEqual({ error: 'NONE', producerId, producerEpoch: producerEpoch + 1 })
    expect(await producer.end(false)).toEqual({ error: 'NONE', producerId, producerEpoch: producerEpoch + 2 })
  })

  contract('commits no transaction that never began', async (broker) => {
    const producer = await Producer.open(broker)
    expect((await producer.end(true)).error).toBe('INVALID_TXN_STATE')
    await producer.end(false)
    expect((await producer.end(true)).error).toBe('INVALID_TXN_STATE')
  })

  contract('with another epoch, producer id or transactional id is refused', async (broker) => {
    const topic = await broker.topic()
    const producer = await Producer.open(broker)
    const { producerId, producerEpoch } = producer.identity
    await producer.produce(topic, ['a'])
    const end = async (identity: { producerId: number; producerEpoch: number }): Promise<string> =>
      (await producer.endOnce(true, identity)).error
    expect(await end({ producerId, producerEpoch: producerEpoch + 1 })).toBe('PRODUCER_FENCED')
    expect(await end({ producerId: producerId + 100_000, producerEpoch })).toBe('INVALID_PRODUCER_ID_MAPPING')
    expect((await endOnce(producer.wire, unique('unknown'), producer.identity, true)).error).toBe(
      'INVALID_PRODUCER_ID_MAPPING',
    )
    expect((await endOnce(producer.wire, '', producer.identity, true)).error).toBe('INVALID_REQUEST')
    expect((await producer.end(true)).error).toBe('NONE')
  })

  contract('marks every partition of the transaction, and the offsets', async (broker) => {
    const topic = await broker.topic(4)
    const producer = await Producer.open(broker)
    for (const partition of [0, 1, 2, 3]) await producer.produce(topic, ['v'], { partition })
    await producer.commitOffsets(unique('group'), topic, { 0: 1 })
    await producer.end(true)
    expect(await producer.complete()).toBe('CompleteCommit')
    for (const partition of [0, 1, 2, 3]) {
      expect(await boundsOf(broker.wire, topic, partition)).toEqual([0, 2, 2])
      expect(await valuesIn(broker.wire, topic, 'read_committed', partition)).toEqual(['v'])
    }
  })

  contract(
    'waits for good for a partition that knows a newer epoch, and marks the others',
    async (broker) => {
      const topic = await broker.topic(2)
      const producer = await Producer.open(broker, { version: 1 })
      const { producerId, producerEpoch } = producer.identity
      await producer.addPartitions(topic, [0, 1])
      await producer.produce(topic, ['a'])
      const newer = { producerId, producerEpoch: producerEpoch + 1, baseSequence: 0 }
      await produceTo(broker.wire, topic, ['newer'], { ...newer, partition: 1 })
      expect((await producer.end(true)).error).toBe('NONE')
      const left = { state: 'PrepareCommit', topics: [{ topic, partitions: [1] }] }
      const isLeft = ({ topics }: { topics: readonly { partitions: readonly number[] }[] }): boolean =>
        topics[0]?.partitions.length === 1
      expect(await settled(() => producer.describe(), isLeft)).toMatchObject(left)
      expect(await boundsOf(broker.wire, topic)).toEqual([0, 2, 2])
      await sleep(300)
      expect(await producer.describe()).toMatchObject(left)
      expect((await initOnce(broker.wire, producer.transactionalId)).error).toBe('CONCURRENT_TRANSACTIONS')
    },
  )

  contract('is not held up by a topic that was deleted', async (broker) => {
    const [kept, deleted] = [await broker.topic(), await broker.topic()]
    const producer = await Producer.open(broker)
    await producer.produce(kept, ['a'])
    await producer.produce(deleted, ['b'])
    await broker.wire.ask(deleteTopics, { names: [deleted] })
    await settled(
      () => fetchFrom(broker.wire, deleted),
      ({ error }) => error === 'UNKNOWN_TOPIC_OR_PARTITION',
    )
    expect((await producer.end(true)).error).toBe('NONE')
    expect(await producer.complete()).toBe('CompleteCommit')
    expect(await valuesIn(broker.wire, kept)).toEqual(['a'])
  })

  contract('of version 1 for records of version 2 keeps the epoch', async (broker) => {
    const topic = await broker.topic()
    const producer = await Producer.open(broker)
    const { identity } = producer
    await producer.produce(topic, ['a'])
    expect((await producer.endOnce(true, identity, 4)).error).toBe('NONE')
    await producer.complete()
    expect(await valuesIn(broker.wire, topic)).toEqual(['a'])
    expect(await producer.describe()).toMatchObject(identity)
    expect((await producer.produce(topic, ['b'])).error).toBe('NONE')
  })

  contract('leaves no half: what comes right after it belongs to the next transaction', async (broker) => {
    const topic = await broker.topic()
    const producer = await Producer.open(broker)
    for (let round = 0; round < 10; round++) {
      await producer.produce(topic, [`${round} a`])
      await producer.produce(topic, [`${round} b`])
      expect((await producer.end(round % 2 === 0)).error).toBe('NONE')
    }
    await producer.complete()
    const expected = [0, 2, 4, 6, 8].flatMap((round) => [`${round} a`, `${round} b`])
    expect(await valuesIn(broker.wire, topic)).toEqual(expected)
  })
})
