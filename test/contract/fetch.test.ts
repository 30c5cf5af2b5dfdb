// Fetch, ListOffsets, DeleteRecords and OffsetForLeaderEpoch.
import { describe, expect } from 'vitest'
import { deleteRecords } from '../../src/protocol/delete-records.ts'
import { fetch } from '../../src/protocol/fetch.ts'
import { type Broker, contract } from '../support/contract/contract.ts'
import { batchOf, boundsOf, fetchFrom, offsetAt, produceTo, valuesIn } from '../support/contract/log.ts'
import { nameOf, unique } from '../support/contract/names.ts'
import { deleteTopics, fetchInSession, offsetForLeaderEpoch } from '../support/contract/other-apis.ts'
import { Producer } from '../support/contract/producers.ts'
import { answeredWithin, settled } from '../support/contract/waits.ts'
import type { Wire } from '../support/contract/wire.ts'

/** Batches of two records each. */
const filled = async (broker: Broker, batches: number): Promise<string> => {
  const topic = await broker.topic()
  for (let at = 0; at < batches; at++) await produceTo(broker.wire, topic, [`${at}a`, `${at}b`])
  return topic
}

describe('Fetch', () => {
  contract('from the middle of a batch gives the batch whole', async (broker) => {
    const topic = await filled(broker, 2)
    const fetched = await fetchFrom(broker.wire, topic, { offset: 1 })
    expect(fetched.batches.map(({ base }) => base)).toEqual([0, 2])
    expect(fetched.seen.map(({ offset }) => offset)).toEqual([1, 2, 3])
  })

  contract('at the end of the log gives nothing, and beyond it an error', async (broker) => {
    const topic = await filled(broker, 1)
    expect(await fetchFrom(broker.wire, topic, { offset: 2 })).toMatchObject({
      ...{ error: 'NONE', batches: [], highWatermark: 2, lastStableOffset: 2, logStartOffset: 0 },
    })
    const beyond = await fetchFrom(broker.wire, topic, { offset: 3 })
    expect(beyond).toMatchObject({ error: 'OFFSET_OUT_OF_RANGE', batches: [], highWatermark: -1 })
    expect((await fetchFrom(broker.wire, topic, { offset: -1 })).error).toBe('OFFSET_OUT_OF_RANGE')
  })

  contract('of a topic or partition that there is not', async (broker) => {
    expect((await fetchFrom(broker.wire, unique('unknown'))).error).toBe('UNKNOWN_TOPIC_OR_PARTITION')
    const topic = await broker.topic()
    expect((await fetchFrom(broker.wire, topic, { partition: 1 })).error).toBe('UNKNOWN_TOPIC_OR_PARTITION')
  })

  contract('gives the first batch whole however large it is (KIP-74)', async (broker) => {
    const topic = await broker.topic()
    for (const value of ['x'.repeat(5000), 'y'.repeat(5000)])
      await produceTo(broker.wire, topic, [{ key: null, value }])
    for (const limit of [{ maxBytes: 1 }, { partitionMaxBytes: 1 }, { maxBytes: 0 }]) {
      const fetched = await fetchFrom(broker.wire, topic, limit)
      expect(fetched.batches.map(({ base }) => base)).toEqual([0])
    }
  })

  contract('keeps to the limit of a partition from its second batch on', async (broker) => {
    const topic = await broker.topic()
    for (let at = 0; at < 5; at++)
      await produceTo(broker.wire, topic, [{ key: null, value: 'x'.repeat(1000) }])
    const fetched = await fetchFrom(broker.wire, topic, { partitionMaxBytes: 2500 })
    expect(fetched.batches.map(({ base }) => base)).toEqual([0, 1])
    expect(fetched.records.length).toBeLessThanOrEqual(2500)
  })

  contract('keeps to the limit of the answer over its partitions', async (broker) => {
    const topic = await broker.topic(3)
    const value = 'x'.repeat(1000)
    for (const partition of [0, 1, 2])
      await produceTo(broker.wire, topic, [{ key: null, value }], { partition })
    const partitions = [0, 1, 2].map((partition) => ({
      ...{ partition, currentLeaderEpoch: -1, fetchOffset: 0, maxBytes: 10_000 },
    }))
    const { topics } = await broker.wire.ask(fetch, {
      ...{ maxWaitMs: 0, minBytes: 0, maxBytes: 1200, isolationLevel: 'read_uncommitted' },
      topics: [{ topic, partitions }],
    })
    const sizes = topics[0]?.partitions.map(({ records }) => records.length) ?? []
    expect(sizes).toHaveLength(3)
    // The first one is there; of the next only what still fits, which is no whole batch.
    expect(sizes[0]).toBeGreaterThan(1000)
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(1200)
  })

  contract('answers at once where there is enough', async (broker) => {
    const topic = await filled(broker, 1)
    const asked = fetchFrom(broker.wire, topic, { minBytes: 1, maxWaitMs: 10_000 })
    expect(await answeredWithin(asked, 3000)).toBe(true)
  })

  contract('waits for more, and is woken by a produce', async (broker) => {
    const topic = await broker.topic()
    const waiting = await broker.connect()
    const asked = fetchFrom(waiting, topic, { minBytes: 1, maxWaitMs: 15_000 })
    expect(await answeredWithin(asked, 300)).toBe(false)
    await produceTo(broker.wire, topic, ['late'])
    expect(await answeredWithin(asked, 3000)).toBe(true)
    expect((await asked).seen.map(({ value }) => value)).toEqual(['late'])
  })

  contract('waits for minBytes, not for the first byte', async (broker) => {
    const topic = await broker.topic()
    const waiting = await broker.connect()
    const asked = fetchFrom(waiting, topic, { minBytes: 2000, maxWaitMs: 15_000 })
    await produceTo(broker.wire, topic, ['small'])
    expect(await answeredWithin(asked, 300)).toBe(false)
    await produceTo(broker.wire, topic, ['x'.repeat(3000)])
    expect(await answeredWithin(asked, 3000)).toBe(true)
    expect((await asked).seen).toHaveLength(2)
  })

  contract('answers with what there is when its wait is over', async (broker) => {
    const topic = await filled(broker, 1)
    const began = performance.now()
    const fetched = await fetchFrom(broker.wire, topic, { minBytes: 100_000, maxWaitMs: 400 })
    expect(performance.now() - began).toBeGreaterThan(350)
    expect(fetched.seen).toHaveLength(2)
  })

  contract('with read_committed is woken by the end of a transaction', async (broker) => {
    const topic = await broker.topic()
    const producer = await Producer.open(broker)
    await producer.produce(topic, ['a'])
    const waiting = await broker.connect()
    const asked = fetchFrom(waiting, topic, { minBytes: 1, maxWaitMs: 15_000, isolation: 'read_committed' })
    expect(await answeredWithin(asked, 300)).toBe(false)
    await producer.end(true)
    expect(await answeredWithin(asked, 3000)).toBe(true)
    expect((await asked).seen.map(({ value }) => value)).toEqual(['a'])
  })

  contract('does not wait where a partition has an error', async (broker) => {
    const asked = fetchFrom(broker.wire, unique('unknown'), { minBytes: 1, maxWaitMs: 15_000 })
    expect(await answeredWithin(asked, 3000)).toBe(true)
  })

  contract('ends its wait when the topic is deleted', async (broker) => {
    const topic = await broker.topic()
    const waiting = await broker.connect()
    const asked = fetchFrom(waiting, topic, { minBytes: 1, maxWaitMs: 2000 })
    await broker.wire.ask(deleteTopics, { names: [topic] })
    expect(await answeredWithin(asked, 4000)).toBe(true)
  })

  contract('holds the leader epoch of the client against its own', async (broker) => {
    const topic = await filled(broker, 1)
    expect((await fetchFrom(broker.wire, topic, { leaderEpoch: 0 })).error).toBe('NONE')
    expect((await fetchFrom(broker.wire, topic, { leaderEpoch: 1 })).error).toBe('UNKNOWN_LEADER_EPOCH')
  })

  contract('goes on with no session that it did not give', async ({ wire }) => {
    const error = await wire.ask(fetchInSession, { sessionId: 12_345, sessionEpoch: 1 })
    expect(nameOf(error)).toBe('FETCH_SESSION_ID_NOT_FOUND')
  })

  contract('serves the connection in order: what comes behind a waiting Fetch waits', async (broker) => {
    const topic = await broker.topic()
    const asked = fetchFrom(broker.wire, topic, { minBytes: 1, maxWaitMs: 600 })
    const behind = offsetAt(broker.wire, topic, -1)
    expect(await answeredWithin(behind, 300)).toBe(false)
    await asked
    expect((await behind).offset).toBe(0)
  })
})

describe('ListOffsets', () => {
  contract('earliest and latest', async (broker) => {
    const topic = await filled(broker, 2)
    expect(await offsetAt(broker.wire, topic, -2)).toMatchObject({ error: 'NONE', offset: 0, timestamp: -1 })
    expect(await offsetAt(broker.wire, topic, -1)).toMatchObject({
      ...{ error: 'NONE', offset: 4, timestamp: -1, leaderEpoch: 0 },
    })
  })

  contract('latest with read_committed is the last stable offset', async (broker) => {
    const topic = await filled(broker, 1)
    const producer = await Producer.open(broker)
    await producer.produce(topic, ['open'])
    const latest = async (isolation: 'read_committed' | 'read_uncommitted'): Promise<number> =>
      (await offsetAt(broker.wire, topic, -1, { isolation })).offset
    expect([await latest('read_committed'), await latest('read_uncommitted')]).toEqual([2, 3])
  })

  contract('finds the first record of a timestamp or later', async (broker) => {
    const topic = await broker.topic()
    const start = Date.now() - 100_000
    const at = (value: string, ms: number): { value: string; timestamp: number } => ({
      value,
      timestamp: start + ms,
    })
    await produceTo(broker.wire, topic, [at('a', 0), at('b', 1000)])
    await produceTo(broker.wire, topic, [at('c', 500), at('d', 3000), at('e', 2000)])
    const find = async (ms: number): Promise<[number, number]> => {
      const { offset, timestamp } = await offsetAt(broker.wire, topic, start + ms)
      return [offset, timestamp < 0 ? timestamp : timestamp - start]
    }
    expect(await find(-1)).toEqual([0, 0])
    expect(await find(1)).toEqual([1, 1000])
    expect(await find(1000)).toEqual([1, 1000])
    expect(await find(1001)).toEqual([3, 3000])
    expect(await find(2500)).toEqual([3, 3000])
    expect(await find(3001)).toEqual([-1, -1])
  })

  contract('finds the record of the largest timestamp', async (broker) => {
    const topic = await broker.topic()
    expect(await offsetAt(broker.wire, topic, -3)).toMatchObject({ error: 'NONE', offset: -1, timestamp: -1 })
    const now = Date.now()
    await produceTo(broker.wire, topic, [
      { value: 'a', timestamp: now - 5 },
      { value: 'b', timestamp: now },
    ])
    await produceTo(broker.wire, topic, [{ value: 'c', timestamp: now - 1000 }])
    expect(await offsetAt(broker.wire, topic, -3)).toMatchObject({ offset: 1, timestamp: now })
  })

  contract('of a partition that there is not, or with another leader epoch', async (broker) => {
    const topic = await broker.topic()
    const unknown = await offsetAt(broker.wire, topic, -1, { partition: 4 })
    expect(unknown).toMatchObject({ error: 'UNKNOWN_TOPIC_OR_PARTITION', offset: -1 })
    expect((await offsetAt(broker.wire, topic, -1, { leaderEpoch: 0 })).error).toBe('NONE')
    expect((await offsetAt(broker.wire, topic, -1, { leaderEpoch: 7 })).error).toBe('UNKNOWN_LEADER_EPOCH')
  })
})

const deleteBelow = async (
  wire: Wire,
  topic: string,
  offset: number,
  partition = 0,
): Promise<[string, number]> => {
  const topics = [{ topic, partitions: [{ partition, offset }] }]
  const found = (await wire.ask(deleteRecords, { topics, timeoutMs: 5000 })).topics[0]?.partitions[0]
  return [nameOf(found?.errorCode), found?.lowWatermark ?? -2]
}

describe('DeleteRecords', () => {
  contract('moves the start of the log', async (broker) => {
    const topic = await filled(broker, 3)
    expect(await deleteBelow(broker.wire, topic, 4)).toEqual(['NONE', 4])
    expect(await boundsOf(broker.wire, topic)).toEqual([4, 6, 6])
    expect(await valuesIn(broker.wire, topic)).toEqual(['2a', '2b'])
    expect((await fetchFrom(broker.wire, topic, { offset: 3 })).error).toBe('OFFSET_OUT_OF_RANGE')
    expect((await produceTo(broker.wire, topic, ['next'])).logStartOffset).toBe(4)
    // Never back.
    expect(await deleteBelow(broker.wire, topic, 2)).toEqual(['NONE', 4])
  })

  contract('in the middle of a batch', async (broker) => {
    const topic = await filled(broker, 2)
    expect(await deleteBelow(broker.wire, topic, 1)).toEqual(['NONE', 1])
    expect((await offsetAt(broker.wire, topic, -2)).offset).toBe(1)
    expect((await fetchFrom(broker.wire, topic, { offset: 1 })).seen.map(({ value }) => value)).toEqual([
      '0b',
      '1a',
      '1b',
    ])
    expect((await fetchFrom(broker.wire, topic, { offset: 0 })).error).toBe('OFFSET_OUT_OF_RANGE')
  })

  contract('of all there is, by -1', async (broker) => {
    const topic = await filled(broker, 2)
    expect(await deleteBelow(broker.wire, topic, -1)).toEqual(['NONE', 4])
    expect(await boundsOf(broker.wire, topic)).toEqual([4, 4, 4])
    expect((await produceTo(broker.wire, topic, ['next'])).baseOffset).toBe(4)
  })

  contract('beyond the end, or of a partition that there is not', async (broker) => {
    const topic = await filled(broker, 1)
    expect(await deleteBelow(broker.wire, topic, 3)).toEqual(['OFFSET_OUT_OF_RANGE', -1])
    expect(await deleteBelow(broker.wire, topic, 1, 8)).toEqual(['UNKNOWN_TOPIC_OR_PARTITION', -1])
  })

  contract('is refused in a topic that is only compacted', async (broker) => {
    const topic = await broker.topic(1, { 'cleanup.policy': 'compact' })
    await produceTo(broker.wire, topic, ['a'])
    expect((await deleteBelow(broker.wire, topic, 1))[0]).toBe('POLICY_VIOLATION')
  })

  contract('takes aborted transactions off the list', async (broker) => {
    const topic = await broker.topic()
    const producer = await Producer.open(broker)
    await producer.produce(topic, ['a'])
    await producer.end(false)
    await producer.complete()
    await produceTo(broker.wire, topic, ['b'])
    await settled(
      () => boundsOf(broker.wire, topic),
      ([, stable]) => stable === 3,
    )
    expect(await deleteBelow(broker.wire, topic, 2)).toEqual(['NONE', 2])
    const fetched = await fetchFrom(broker.wire, topic, { offset: 2, isolation: 'read_committed' })
    expect(fetched.abortedTransactions).toEqual([])
    expect(fetched.seen.map(({ value }) => value)).toEqual(['b'])
  })
})

describe('OffsetForLeaderEpoch', () => {
  contract('of the epoch that is, and of a later one', async (broker) => {
    const topic = await filled(broker, 2)
    const current = await broker.wire.ask(offsetForLeaderEpoch, { topic, leaderEpoch: 0 })
    expect(current).toEqual({ errorCode: 0, leaderEpoch: 0, endOffset: 4 })
    const later = await broker.wire.ask(offsetForLeaderEpoch, { topic, leaderEpoch: 5 })
    expect(later).toEqual({ errorCode: 0, leaderEpoch: -1, endOffset: -1 })
  })

  contract('holds the leader epoch of the client against its own', async (broker) => {
    const topic = await filled(broker, 1)
    const ask = { topic, leaderEpoch: 0, currentLeaderEpoch: 3 }
    expect(nameOf((await broker.wire.ask(offsetForLeaderEpoch, ask)).errorCode)).toBe('UNKNOWN_LEADER_EPOCH')
  })

  contract('of a partition that there is not', async (broker) => {
    const topic = await broker.topic()
    const found = await broker.wire.ask(offsetForLeaderEpoch, { topic, partition: 3, leaderEpoch: 0 })
    expect(nameOf(found.errorCode)).toBe('UNKNOWN_TOPIC_OR_PARTITION')
  })
})

describe('a batch', () => {
  contract('comes back byte by byte as it was sent', async (broker) => {
    const topic = await broker.topic()
    const sent = batchOf(['a', 'b'])
    await produceTo(broker.wire, topic, ['a', 'b'])
    const { views } = await fetchFrom(broker.wire, topic)
    expect(views[0]?.sizeInBytes).toBe(sent.length)
    for (const view of views) view.checkCrc()
  })
})
