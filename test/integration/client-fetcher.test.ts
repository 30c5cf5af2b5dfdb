// The fetcher on a real broker, with transactions written by Kafka's own Java producer; the judge says what is right.
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { silentLogger } from '../../src/base/log.ts'
import { nodePorts } from '../../src/base/node-ports.ts'
import type { Cluster } from '../../src/client/cluster.ts'
import { type FetchedPartition, Fetcher, type FetcherOptions } from '../../src/client/fetcher.ts'
import { commitOffsets, fetchCommitted } from '../../src/client/offsets.ts'
import { createTopics, deleteRecords } from '../../src/client/topic-admin.ts'
import { connect, inMs, recordsOf, until } from '../support/client.ts'
import { type Judge, startJudge } from '../support/judge.ts'
import { kafkaBrokers, uniqueTopic } from '../support/kafka.ts'

let cluster: Cluster
let judge: Judge

beforeAll(async () => {
  judge = await startJudge(kafkaBrokers())
  cluster = await connect()
})

afterAll(async () => {
  await cluster.close()
  await judge.stop()
})

const fetchers: Fetcher[] = []

const newFetcher = (options: Partial<FetcherOptions> = {}): Fetcher => {
  const fetcher = new Fetcher(cluster, nodePorts, {
    role: 'fetch',
    isolation: 'read_committed',
    maxBytes: 1_000_000,
    partitionMaxBytes: 500_000,
    maxWaitMs: 500,
    bufferedBytesMax: 2_000_000,
    log: silentLogger,
    onData: () => {},
    ...options,
  })
  fetchers.push(fetcher)
  return fetcher
}

// Fetchers of one Cluster and role share the connection: there is one at a time.
afterEach(async () => {
  await Promise.all(fetchers.splice(0).map((fetcher) => fetcher.close()))
})

const newTopic = async (name: string, partitions = 1): Promise<string> => {
  const topic = uniqueTopic(name)
  await createTopics(cluster, nodePorts, [{ topic, partitions }], inMs(15_000))
  return topic
}

/** Takes until the position of the partition is `end`. */
const takeUntil = async (fetcher: Fetcher, end: number): Promise<FetchedPartition[]> => {
  const all: FetchedPartition[] = []
  await until(`reading up to ${end}`, () => {
    all.push(...fetcher.take())
    return all.some(({ nextOffset }) => nextOffset >= end)
  })
  return all
}

const values = (texts: readonly string[], partition = 0) => texts.map((value) => ({ partition, value }))

describe('read_committed', () => {
  it('gives what the Java consumer gives of interleaved transactions, from every offset and in small fetches', async () => {
    const topic = await newTopic('aborted')
    const long = await judge.openProducer({ transactionalId: uniqueTopic('long') })
    const short = await judge.openProducer({ transactionalId: uniqueTopic('short'), compression: 'lz4' })
    await long.begin()
    await long.send(topic, values(['a-aborted', 'b-aborted']))
    await short.begin()
    await short.send(topic, values(['c', 'd', 'e']))
    await short.commit()
    await short.begin()
    await short.send(topic, [{ partition: 0, key: Buffer.alloc(4), value: 'f-aborted' }])
    await short.abort()
    await long.send(topic, values(['g-aborted']))
    await long.abort()
    await long.begin()
    await long.send(topic, [{ partition: 0, key: Buffer.alloc(4), value: 'h' }])
    await long.commit()
    await judge.produce(topic, values(['i']))
    await long.close()
    await short.close()
    const dump = await judge.dump(topic)
    const end = dump.ends[0] as number
    expect(dump.records.map(({ value }) => value?.toString())).toEqual(['c', 'd', 'e', 'h', 'i'])
    const cases = Array.from({ length: end }, (_, from) => from)
    for (const from of cases) {
      const fetcher = newFetcher({ maxBytes: 100, partitionMaxBytes: 100 })
      fetcher.add(topic, 0, from)
      const expected = dump.records
        .filter(({ offset }) => offset >= from)
        .map(({ offset, value }) => ({ offset, value: value?.toString() }))
      expect(recordsOf(await takeUntil(fetcher, end), from)).toEqual(expected)
      await fetcher.close()
    }
  })

  it('moves past markers alone, and stops at an open transaction', async () => {
    const topic = await newTopic('markers')
    const producer = await judge.openProducer({ transactionalId: uniqueTopic('markers') })
    await producer.begin()
    await producer.send(topic, values(['x']))
    await producer.abort()
    await producer.begin()
    await producer.send(topic, values(['open']))
    const fetcher = newFetcher()
    fetcher.add(topic, 0, 0)
    const [first, ...others] = await takeUntil(fetcher, 2)
    expect(others).toEqual([])
    expect(first).toMatchObject({
      topic,
      partition: 0,
      batches: [],
      nextOffset: 2,
      highWatermark: 3,
      lastStableOffset: 2,
    })
    await nodePorts.timers.sleep(100)
    expect(fetcher.take()).toEqual([])
    expect(fetcher.progress(topic, 0)).toMatchObject({ position: 2, lastStableOffset: 2 })
    await producer.commit()
    await producer.close()
    expect(recordsOf(await takeUntil(fetcher, 4))).toEqual([{ offset: 2, value: 'open' }])
  })

  it('shows undecided records under read_uncommitted', async () => {
    const topic = await newTopic('uncommitted')
    const producer = await judge.openProducer({ transactionalId: uniqueTopic('uncommitted') })
    await producer.begin()
    await producer.send(topic, values(['open']))
    const fetcher = newFetcher({ isolation: 'read_uncommitted' })
    fetcher.add(topic, 0, 0)
    expect(recordsOf(await takeUntil(fetcher, 1))).toEqual([{ offset: 0, value: 'open' }])
    await producer.abort()
    await producer.close()
  })
})

describe('positions', () => {
  it('throws away what was read before a seek, and reads at the new place without waiting out a long poll', async () => {
    const topic = await newTopic('seek')
    await judge.produce(topic, values(['a', 'b', 'c']))
    const fetcher = newFetcher({ maxWaitMs: 8000 })
    fetcher.add(topic, 0, 0)
    await until('data', () => fetcher.bufferedBytes > 0)
    fetcher.seek(topic, 0, 1)
    expect(fetcher.take()).toEqual([])
    // Twice: just after a request was sent, and while one has been waiting for long.
    const began = inMs(0)
    expect(recordsOf(await takeUntil(fetcher, 3), 1).map(({ value }) => value)).toEqual(['b', 'c'])
    await nodePorts.timers.sleep(100)
    fetcher.seek(topic, 0, 2)
    expect(recordsOf(await takeUntil(fetcher, 3), 2).map(({ value }) => value)).toEqual(['c'])
    expect(inMs(0) - began).toBeLessThan(2000)
  })

  it('throws away the answer to a request that was sent before a seek', async () => {
    const topic = await newTopic('in-flight')
    for (const value of ['a', 'b', 'c']) await judge.produce(topic, values([value]))
    for (let round = 0; round < 5; round++) {
      const fetcher = newFetcher({ maxWaitMs: 100 })
      fetcher.add(topic, 0, 2)
      // Longer than it takes to plan and to send (the connection is open from the second round on), shorter than the
      // way to the broker and back.
      for (let turn = 0; turn < 5; turn++) await Promise.resolve()
      fetcher.seek(topic, 0, 0)
      expect(recordsOf(await takeUntil(fetcher, 3)).map(({ value }) => value)).toEqual(['a', 'b', 'c'])
      await nodePorts.timers.sleep(50)
      expect(fetcher.take()).toEqual([])
      // Not closed before it is idle: closing would break the connection.
      fetcher.remove(topic, 0)
      await nodePorts.timers.sleep(150)
    }
  })

  it('asks for nothing of a paused partition, and goes on with it at once while another one is idle', async () => {
    const topic = await newTopic('pause', 2)
    const fetcher = newFetcher({ maxWaitMs: 8000 })
    fetcher.add(topic, 0, 0)
    fetcher.add(topic, 1, 0)
    fetcher.pause(topic, 0)
    await judge.produce(topic, values(['a'], 0))
    await nodePorts.timers.sleep(300)
    expect(recordsOf(fetcher.take())).toEqual([])
    const began = inMs(0)
    fetcher.resume(topic, 0)
    expect(recordsOf(await takeUntil(fetcher, 1)).map(({ value }) => value)).toEqual(['a'])
    expect(inMs(0) - began).toBeLessThan(2000)
    fetcher.remove(topic, 0)
    await judge.produce(topic, values(['b'], 0))
    await judge.produce(topic, values(['c'], 1))
    expect(recordsOf(await takeUntil(fetcher, 1)).map(({ value }) => value)).toEqual(['c'])
  })

  it('tells once of a partition that has nothing, and again after a seek', async () => {
    const topic = await newTopic('empty', 2)
    await judge.produce(topic, values(['a'], 0))
    const fetcher = newFetcher({ maxWaitMs: 20 })
    const nothing = { topic, partition: 1, batches: [], nextOffset: 0, highWatermark: 0, lastStableOffset: 0 }
    for (let round = 0; round < 2; round++) {
      fetcher.add(topic, 0, 0)
      fetcher.add(topic, 1, 0)
      const taken: FetchedPartition[] = []
      await until('both', () => {
        taken.push(...fetcher.take())
        return taken.length >= 2
      })
      await nodePorts.timers.sleep(100)
      taken.push(...fetcher.take())
      expect(taken.length).toBe(2)
      expect(taken.find(({ partition }) => partition === 1)).toMatchObject(nothing)
    }
  })

  it('keeps to its limit of bytes, and loses nothing by it', async () => {
    const topic = await newTopic('limit')
    const value = 'v'.repeat(10_000)
    for (let batch = 0; batch < 20; batch++) await judge.produce(topic, values([value, value]))
    const fetcher = newFetcher({ maxBytes: 30_000, partitionMaxBytes: 30_000, bufferedBytesMax: 50_000 })
    fetcher.add(topic, 0, 0)
    await nodePorts.timers.sleep(500)
    expect(fetcher.bufferedBytes).toBeGreaterThan(50_000)
    expect(fetcher.bufferedBytes).toBeLessThan(50_000 + 2 * 30_000)
    expect(recordsOf(await takeUntil(fetcher, 40)).map(({ offset }) => offset)).toEqual(
      Array.from({ length: 40 }, (_, n) => n),
    )
    expect(fetcher.bufferedBytes).toBe(0)
  })

  it('reports a position below the log with the range that is there, until it is sought', async () => {
    const topic = await newTopic('range')
    await judge.produce(topic, values(['a', 'b', 'c']))
    await deleteRecords(cluster, nodePorts, [{ topic, partition: 0, offset: 2 }], inMs(10_000))
    const fetcher = newFetcher()
    fetcher.add(topic, 0, 0)
    const error = await until('the failure', () => {
      try {
        fetcher.take()
        return undefined
      } catch (thrown) {
        return thrown
      }
    })
    expect(error).toMatchObject({
      code: 'OFFSET_OUT_OF_RANGE',
      where: { topic, partition: 0, offset: 0, logStartOffset: 2, highWatermark: 3 },
    })
    expect(() => fetcher.take()).toThrow(/OFFSET_OUT_OF_RANGE/)
    fetcher.seek(topic, 0, 2)
    expect(recordsOf(await takeUntil(fetcher, 3), 2).map(({ value }) => value)).toEqual(['c'])
  })

  it('reports a topic that was deleted, and one that was created anew', async () => {
    const topic = await newTopic('deleted')
    const other = await newTopic('anew')
    await judge.produce(topic, values(['a']))
    const fetcher = newFetcher({ maxWaitMs: 100 })
    fetcher.add(topic, 0, 0)
    fetcher.add(other, 0, 0)
    await takeUntil(fetcher, 1)
    const failure = (): unknown => {
      try {
        fetcher.take()
        return undefined
      } catch (thrown) {
        return thrown
      }
    }
    await judge.deleteTopics(topic)
    expect(await until('the failure', failure)).toMatchObject({ code: 'TOPIC_MISSING', where: { topic } })
    fetcher.remove(topic, 0)
    await judge.deleteTopics(other)
    await judge.createTopics({ name: other, partitions: 1 })
    expect(await until('the failure', failure)).toMatchObject({
      code: 'TOPIC_MISMATCH',
      where: { topic: other },
    })
  })
})

describe('committed offsets', () => {
  it('waits until a transaction that writes them is decided', async () => {
    const topic = await newTopic('stable', 2)
    const group = uniqueTopic('group')
    const producer = await judge.openProducer({ transactionalId: uniqueTopic('stable') })
    await producer.begin()
    await producer.sendOffsets(group, [{ topic, partition: 0, offset: 7, metadata: 'w' }])
    const both = [
      { topic, partition: 1 },
      { topic, partition: 0 },
    ]
    await expect(fetchCommitted(cluster, nodePorts, group, both, inMs(300))).rejects.toThrow(
      /stayed undecided/,
    )
    const waiting = fetchCommitted(cluster, nodePorts, group, both, inMs(20_000))
    await nodePorts.timers.sleep(200)
    await producer.commit()
    await producer.close()
    expect(await waiting).toMatchObject([
      { topic, partition: 1, offset: -1 },
      { topic, partition: 0, offset: 7, metadata: 'w' },
    ])
  })

  it('commits without a transaction, and is refused without the membership', async () => {
    const topic = await newTopic('plain')
    const group = uniqueTopic('group')
    const nobody = { groupId: group, memberId: '', generationId: -1, instanceId: undefined }
    await commitOffsets(cluster, nodePorts, nobody, [{ topic, partition: 0, offset: 3 }], inMs(10_000))
    const [position] = await fetchCommitted(
      cluster,
      nodePorts,
      group,
      [{ topic, partition: 0 }],
      inMs(10_000),
    )
    expect(position).toEqual({ topic, partition: 0, offset: 3, leaderEpoch: -1, metadata: '' })
    const stranger = { ...nobody, memberId: 'stranger', generationId: 4 }
    await expect(
      commitOffsets(cluster, nodePorts, stranger, [{ topic, partition: 0, offset: 9 }], inMs(10_000)),
    ).rejects.toMatchObject({ code: 'MEMBERSHIP_LOST' })
  })
})
