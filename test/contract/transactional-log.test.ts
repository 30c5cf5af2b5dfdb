// Transactional records in a partition: which are let in, the last stable offset, the aborted index and the markers.
import { describe, expect } from 'vitest'
import { describeProducers } from '../../src/protocol/describe-producers.ts'
import { writeTxnMarkers } from '../../src/protocol/write-txn-markers.ts'
import { contract } from '../support/contract/contract.ts'
import { boundsOf, fetchFrom, produceTo, valuesIn } from '../support/contract/log.ts'
import { nameOf, unique } from '../support/contract/names.ts'
import { Producer, refusedAs } from '../support/contract/producers.ts'
import { settled } from '../support/contract/waits.ts'
import type { Wire } from '../support/contract/wire.ts'

/** Waits until no transaction is open at the end of the log. */
const untilStable = async (wire: Wire, topic: string, end: number): Promise<void> => {
  const [, stable, high] = await settled(
    () => boundsOf(wire, topic),
    ([, lastStable, highWatermark]) => lastStable === end && highWatermark === end,
  )
  expect([stable, high]).toEqual([end, end])
}

describe('an open transaction', () => {
  contract('holds the last stable offset at its first record', async (broker) => {
    const topic = await broker.topic()
    await produceTo(broker.wire, topic, ['before'])
    const producer = await Producer.open(broker)
    expect(await producer.produce(topic, ['a', 'b'])).toMatchObject({ error: 'NONE', baseOffset: 1 })
    await produceTo(broker.wire, topic, ['after'])
    expect(await boundsOf(broker.wire, topic)).toEqual([0, 1, 4])
    const committed = await fetchFrom(broker.wire, topic, { isolation: 'read_committed' })
    expect(committed).toMatchObject({ lastStableOffset: 1, highWatermark: 4, abortedTransactions: [] })
    expect(committed.batches.map(({ base }) => base)).toEqual([0])
    const uncommitted = await fetchFrom(broker.wire, topic)
    expect(uncommitted.seen.map(({ value }) => value)).toEqual(['before', 'a', 'b', 'after'])
    // Behind it there is nothing to read yet, which is no error.
    const behind = await fetchFrom(broker.wire, topic, { isolation: 'read_committed', offset: 3 })
    expect(behind).toMatchObject({ error: 'NONE', batches: [] })
  })

  contract('is seen whole once it is committed, with a marker', async (broker) => {
    const topic = await broker.topic()
    const producer = await Producer.open(broker)
    const { producerId, producerEpoch } = producer.identity
    await producer.produce(topic, ['a'])
    await producer.produce(topic, ['b'])
    await producer.end(true)
    await untilStable(broker.wire, topic, 3)
    expect(await valuesIn(broker.wire, topic)).toEqual(['a', 'b'])
    const { batches } = await fetchFrom(broker.wire, topic)
    const data = { count: 1, producerId, producerEpoch, kind: 'transactional' }
    // The marker comes with the epoch that the coordinator bumped to (KIP-890).
    expect(batches).toEqual([
      { base: 0, last: 0, sequence: 0, ...data },
      { base: 1, last: 1, sequence: 1, ...data },
      { base: 2, last: 2, sequence: -1, ...data, kind: 'commit', producerEpoch: producerEpoch + 1 },
    ])
  })

  contract('is never seen once it is aborted, and listed', async (broker) => {
    const topic = await broker.topic()
    const producer = await Producer.open(broker)
    const { producerId } = producer.identity
    await producer.produce(topic, ['a', 'b'])
    await producer.end(false)
    await untilStable(broker.wire, topic, 3)
    expect(await valuesIn(broker.wire, topic)).toEqual([])
    const committed = await fetchFrom(broker.wire, topic, { isolation: 'read_committed' })
    expect(committed.abortedTransactions).toEqual([{ producerId, firstOffset: 0 }])
    expect(committed.batches.map(({ kind }) => kind)).toEqual(['transactional', 'abort'])
    const uncommitted = await fetchFrom(broker.wire, topic)
    expect(uncommitted.abortedTransactions).toEqual([])
    expect(uncommitted.seen.map(({ value }) => value)).toEqual(['a', 'b'])
  })

  contract(
    'of several producers: the last stable offset is that of the first that is open',
    async (broker) => {
      const topic = await broker.topic()
      const [one, two] = [await Producer.open(broker), await Producer.open(broker)]
      await one.produce(topic, ['1a'])
      await two.produce(topic, ['2a'])
      await one.produce(topic, ['1b'])
      expect(await boundsOf(broker.wire, topic)).toEqual([0, 0, 3])
      await one.end(true)
      const bounds = await settled(
        () => boundsOf(broker.wire, topic),
        ([, stable]) => stable === 1,
      )
      expect(bounds).toEqual([0, 1, 4])
      expect(await valuesIn(broker.wire, topic)).toEqual(['1a'])
      await two.end(true)
      await untilStable(broker.wire, topic, 5)
      expect(await valuesIn(broker.wire, topic)).toEqual(['1a', '2a', '1b'])
    },
  )
})

describe('the aborted index', () => {
  contract('is in the order of completion, not of the first offsets', async (broker) => {
    const topic = await broker.topic()
    const [long, short] = [await Producer.open(broker), await Producer.open(broker)]
    const [ofLong, ofShort] = [long.identity.producerId, short.identity.producerId]
    await long.produce(topic, ['long 0'])
    await short.produce(topic, ['short 1'])
    await short.end(false)
    await short.complete()
    await long.produce(topic, ['long 3'])
    await long.end(false)
    await untilStable(broker.wire, topic, 5)
    const fetched = await fetchFrom(broker.wire, topic, { isolation: 'read_committed' })
    expect(fetched.abortedTransactions).toEqual([
      { producerId: ofShort, firstOffset: 1 },
      { producerId: ofLong, firstOffset: 0 },
    ])
    expect(fetched.seen).toEqual([])
  })

  contract('lists what overlaps with the fetched records alone', async (broker) => {
    const topic = await broker.topic()
    const producer = await Producer.open(broker)
    const { producerId } = producer.identity
    // 0 aborted, 1 marker, 2 committed, 3 marker, 4 and 5 aborted, 6 marker
    for (const [values, committed] of [
      [['a'], false],
      [['b'], true],
      [['c', 'd'], false],
    ] as const) {
      await producer.produce(topic, values)
      await producer.end(committed)
    }
    await untilStable(broker.wire, topic, 7)
    const at = async (offset: number): Promise<number[]> => {
      const { abortedTransactions } = await fetchFrom(broker.wire, topic, {
        offset,
        isolation: 'read_committed',
      })
      expect(abortedTransactions.every((one) => one.producerId === producerId)).toBe(true)
      return abortedTransactions.map(({ firstOffset }) => firstOffset)
    }
    expect(await at(0)).toEqual([0, 4])
    // A marker is the last offset of its transaction.
    expect(await at(1)).toEqual([0, 4])
    expect(await at(2)).toEqual([4])
    expect(await at(5)).toEqual([4])
    expect(await at(6)).toEqual([4])
    expect(await at(7)).toEqual([])
    expect(await valuesIn(broker.wire, topic)).toEqual(['b'])
  })

  contract('does not list what is far behind the fetched records', async (broker) => {
    const topic = await broker.topic()
    for (let at = 0; at < 6; at++)
      await produceTo(broker.wire, topic, [{ key: null, value: 'x'.repeat(5000) }])
    const producer = await Producer.open(broker)
    await producer.produce(topic, ['a'])
    await producer.end(false)
    await untilStable(broker.wire, topic, 8)
    const fetched = await fetchFrom(broker.wire, topic, {
      isolation: 'read_committed',
      partitionMaxBytes: 6000,
    })
    expect(fetched.batches.map(({ base }) => base)).toEqual([0])
    expect(fetched.abortedTransactions).toEqual([])
  })
})

describe('records of a transaction', () => {
  contract('begin it by themselves (version 2)', async (broker) => {
    const topic = await broker.topic(2)
    const producer = await Producer.open(broker)
    expect(await producer.describe()).toMatchObject({ state: 'Empty', topics: [], startTimeMs: -1 })
    await producer.produce(topic, ['a'], { partition: 1 })
    expect(await producer.describe()).toMatchObject({
      state: 'Ongoing',
      topics: [{ topic, partitions: [1] }],
    })
  })

  contract('are refused where the partition was not added (version 1)', async (broker) => {
    const topic = await broker.topic(2)
    const producer = await Producer.open(broker, { version: 1 })
    const refused = (value: string, error: string, options: { partition?: number; version?: number } = {}) =>
      refusedAs(async () => (await producer.produce(topic, [value], options)).error, error)
    expect(await refused('a', 'TRANSACTION_ABORTABLE')).toBe('TRANSACTION_ABORTABLE')
    // A client that does not know that code yet (KIP-890 part 1).
    expect(await refused('a', 'INVALID_TXN_STATE', { version: 10 })).toBe('INVALID_TXN_STATE')
    expect(await producer.addPartitions(topic, [0])).toEqual(['NONE'])
    expect((await producer.produce(topic, ['a'])).error).toBe('NONE')
    expect(await refused('b', 'TRANSACTION_ABORTABLE', { partition: 1 })).toBe('TRANSACTION_ABORTABLE')
    expect((await producer.end(true)).error).toBe('NONE')
    await untilStable(broker.wire, topic, 2)
    expect(await refused('c', 'TRANSACTION_ABORTABLE')).toBe('TRANSACTION_ABORTABLE')
  })

  contract('are refused with an older epoch', async (broker) => {
    const topic = await broker.topic()
    const producer = await Producer.open(broker)
    const { identity, transactionalId } = producer
    await producer.produce(topic, ['a'])
    const newer = await Producer.open(broker, { transactionalId })
    expect((await producer.produce(topic, ['b'], { identity })).error).toBe('INVALID_PRODUCER_EPOCH')
    expect((await newer.produce(topic, ['c'])).error).toBe('NONE')
    await newer.end(true)
    await settled(
      () => valuesIn(broker.wire, topic),
      (values) => values.length > 0,
    )
    expect(await valuesIn(broker.wire, topic)).toEqual(['c'])
  })

  contract(
    'are refused where the partition knows a newer epoch, and leave nothing behind',
    async (broker) => {
      const topic = await broker.topic()
      const producer = await Producer.open(broker, { version: 1 })
      const { producerId, producerEpoch } = producer.identity
      const newer = { producerId, producerEpoch: producerEpoch + 1 }
      await produceTo(broker.wire, topic, ['newer'], { ...newer, baseSequence: 0 })
      await producer.addPartitions(topic, [0])
      // Whether or not the partition is part of its transaction.
      expect((await producer.produce(topic, ['a'])).error).toBe('INVALID_PRODUCER_EPOCH')
      const other = await broker.topic()
      await produceTo(broker.wire, other, ['newer'], { ...newer, baseSequence: 0 })
      expect((await producer.produce(other, ['a'])).error).toBe('INVALID_PRODUCER_EPOCH')
      expect(await producer.describe()).toMatchObject({ topics: [{ topic, partitions: [0] }] })
      await produceTo(broker.wire, other, ['next'], { ...newer, baseSequence: 1 })
      expect(await valuesIn(broker.wire, other)).toEqual(['newer', 'next'])
    },
  )

  contract('are refused with an epoch that is not given out yet', async (broker) => {
    const topic = await broker.topic()
    const producer = await Producer.open(broker)
    const { producerId, producerEpoch } = producer.identity
    const identity = { producerId, producerEpoch: producerEpoch + 3 }
    expect((await producer.produce(topic, ['a'], { identity })).error).toBe('INVALID_PRODUCER_EPOCH')
  })

  contract('are refused with the id of another producer, or an unknown transactional id', async (broker) => {
    const topic = await broker.topic()
    const [one, two] = [await Producer.open(broker), await Producer.open(broker)]
    expect((await one.produce(topic, ['a'], { identity: two.identity })).error).toBe(
      'INVALID_PRODUCER_ID_MAPPING',
    )
    const { producerId, producerEpoch } = one.identity
    const batch = { producerId, producerEpoch, baseSequence: 0, transactional: true }
    const unknown = await produceTo(broker.wire, topic, ['a'], {
      ...batch,
      transactionalId: unique('unknown'),
    })
    expect(unknown.error).toBe('INVALID_PRODUCER_ID_MAPPING')
    expect(await boundsOf(broker.wire, topic)).toEqual([0, 0, 0])
  })

  contract('in a request without a transactional id are refused', async (broker) => {
    const topic = await broker.topic()
    const { identity } = await Producer.open(broker)
    const batch = { ...identity, baseSequence: 0, transactional: true }
    expect((await produceTo(broker.wire, topic, ['a'], batch)).error).toBe(
      'TRANSACTIONAL_ID_AUTHORIZATION_FAILED',
    )
  })

  contract('keep their sequences: a gap is refused, a duplicate is known', async (broker) => {
    const topic = await broker.topic()
    const producer = await Producer.open(broker)
    await producer.produce(topic, ['a', 'b'])
    expect((await producer.produce(topic, ['d'], { sequence: 5 })).error).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER')
    expect(await producer.produce(topic, ['a', 'b'], { sequence: 0 })).toMatchObject({
      ...{ error: 'NONE', baseOffset: 0 },
    })
    expect(await boundsOf(broker.wire, topic)).toEqual([0, 0, 2])
  })

  contract('of the same id cannot be plain while a transaction is open', async (broker) => {
    const topic = await broker.topic()
    const producer = await Producer.open(broker)
    await producer.produce(topic, ['a'])
    const plain = { ...producer.identity, baseSequence: 1 }
    expect((await produceTo(broker.wire, topic, ['b'], plain)).error).toBe('INVALID_TXN_STATE')
  })
})

describe('DescribeProducers', () => {
  contract('shows where an open transaction began, and the coordinator once it is marked', async (broker) => {
    const topic = await broker.topic()
    await produceTo(broker.wire, topic, ['before'])
    const producer = await Producer.open(broker)
    const { producerId, producerEpoch } = producer.identity
    const described = async (): Promise<unknown> => {
      const answer = await broker.wire.ask(describeProducers, { topics: [{ topic, partitions: [0] }] })
      return answer.topics[0]?.partitions[0]?.producers
    }
    await producer.produce(topic, ['a', 'b'])
    expect(await described()).toMatchObject([
      { producerId, producerEpoch, lastSequence: 1, coordinatorEpoch: -1, currentTransactionStart: 1 },
    ])
    await producer.end(true)
    await untilStable(broker.wire, topic, 4)
    expect(await described()).toMatchObject([
      {
        ...{ producerId, producerEpoch: producerEpoch + 1, lastSequence: -1 },
        ...{ coordinatorEpoch: 0, currentTransactionStart: -1 },
      },
    ])
  })
})

describe('WriteTxnMarkers', () => {
  const mark = async (
    wire: Wire,
    topic: string,
    identity: { producerId: number; producerEpoch: number },
    { committed = false, coordinatorEpoch = 0, partition = 0 } = {},
  ): Promise<string> => {
    const topics = [{ topic, partitions: [partition] }]
    const { markers } = await wire.ask(writeTxnMarkers, {
      markers: [{ ...identity, committed, topics, coordinatorEpoch }],
    })
    return nameOf(markers[0]?.topics[0]?.partitions[0]?.errorCode)
  }

  contract('ends a hanging transaction in a partition, as the tool of Kafka does', async (broker) => {
    const topic = await broker.topic()
    const producer = await Producer.open(broker)
    await producer.produce(topic, ['a'])
    await produceTo(broker.wire, topic, ['after'])
    expect(await mark(broker.wire, topic, producer.identity)).toBe('NONE')
    expect(await boundsOf(broker.wire, topic)).toEqual([0, 3, 3])
    expect(await valuesIn(broker.wire, topic)).toEqual(['after'])
  })

  contract('with an older epoch is refused', async (broker) => {
    const topic = await broker.topic()
    const producer = await Producer.open(broker)
    await producer.produce(topic, ['a'])
    await producer.end(false)
    await producer.complete()
    await producer.produce(topic, ['b'])
    const { producerId, producerEpoch } = producer.identity
    const stale = { producerId, producerEpoch: producerEpoch - 1 }
    expect(await mark(broker.wire, topic, stale)).toBe('INVALID_PRODUCER_EPOCH')
    expect((await boundsOf(broker.wire, topic))[1]).toBe(2)
  })

  contract('of a coordinator that was replaced is refused', async (broker) => {
    const topic = await broker.topic()
    const producer = await Producer.open(broker)
    await producer.produce(topic, ['a'])
    expect(await mark(broker.wire, topic, producer.identity, { coordinatorEpoch: 7 })).toBe('NONE')
    await produceTo(broker.wire, topic, ['plain'])
    const later = { ...producer.identity, producerEpoch: producer.identity.producerEpoch + 1 }
    expect(await mark(broker.wire, topic, later, { coordinatorEpoch: 6 })).toBe(
      'TRANSACTION_COORDINATOR_FENCED',
    )
    expect(await mark(broker.wire, topic, later, { coordinatorEpoch: 7 })).toBe('NONE')
  })

  contract('of a partition that there is not', async (broker) => {
    const topic = await broker.topic()
    const { identity } = await Producer.open(broker)
    expect(await mark(broker.wire, topic, identity, { partition: 9 })).toBe('UNKNOWN_TOPIC_OR_PARTITION')
  })
})
