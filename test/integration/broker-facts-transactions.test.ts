// What a real broker does with transactions whose producer is late, stale, hasty or dead. Each test shows one fact with
// single requests, and says which decision of ours stands on it: if a later broker behaves in another way, it is known
// here first.
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { startKafka } from '../../src/testing/kafka/start-kafka.ts'
import type { Cluster } from '../../src/client/cluster.ts'
import { connect } from '../support/client.ts'
import { type Judge, startJudge } from '../support/judge.ts'
import { kafkaBrokers, uniqueTopic } from '../support/kafka.ts'
import { endOf, offsetOf, RawProducer, stableOffsetOf } from '../support/raw-protocol.ts'

let judge: Judge
let cluster: Cluster
const opened: RawProducer[] = []

beforeAll(async () => {
  judge = await startJudge(kafkaBrokers())
  cluster = await connect()
})

afterAll(async () => {
  await cluster?.close()
  await judge?.stop()
})

afterEach(async () => {
  for (const one of opened.splice(0)) await one.close()
})

const newTopic = async (name: string, partitions = 1): Promise<string> => {
  const topic = uniqueTopic(name)
  await judge.createTopics({ name: topic, partitions })
  return topic
}

const open = async (id: string, options?: Parameters<typeof RawProducer.open>[1]): Promise<RawProducer> => {
  const producer = await RawProducer.open(id, options)
  opened.push(producer)
  return producer
}

/** How often each answer came. */
const tally = (names: readonly string[]): Record<string, number> => {
  const counts: Record<string, number> = {}
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1
  return counts
}

describe('InitProducerId', () => {
  // Only a member in good standing takes its transactional.id back (src/runtime/worker.ts, #settleMembership), after
  // JoinGroup and before OffsetFetch; no tool of ours fences an owner that lives.
  it('without id and epoch takes the transactional id from an owner that is at work', async () => {
    const topic = await newTopic('steal')
    const owner = await open(uniqueTopic('steal'))
    await owner.produce(topic, 0, ['a'])
    await open(owner.transactionalId)
    expect(await owner.produce(topic, 0, ['b'])).toBe('INVALID_PRODUCER_EPOCH')
    expect((await owner.end(true)).error).toBe('PRODUCER_FENCED')
    expect((await judge.dump(topic)).records).toEqual([])
  })

  it('with a stale epoch is refused, and aborts what the owner has open all the same', async () => {
    const topic = await newTopic('stale')
    const zombie = await open(uniqueTopic('stale'))
    const owner = await open(zombie.transactionalId)
    await owner.produce(topic, 0, ['a'])
    expect(await zombie.initOnce(zombie.identity)).toBe('CONCURRENT_TRANSACTIONS')
    expect(await zombie.init(zombie.identity)).toBe('PRODUCER_FENCED')
    expect(await owner.produce(topic, 0, ['b'])).toBe('INVALID_PRODUCER_EPOCH')
    expect((await owner.end(true)).error).not.toBe('NONE')
    expect((await judge.dump(topic)).records).toEqual([])
  })

  // Recovery from an unanswered commit is InitProducerId, then OffsetFetch, and never a guess (src/runtime/worker.ts,
  // #prepare).
  it('then OffsetFetch: tells exactly what became of an EndTxn that nobody answered', async () => {
    const partitions = 10
    const topic = await newTopic('outcome', partitions)
    const group = uniqueTopic('outcome')
    const producer = await open(uniqueTopic('outcome'))
    const seen = { committed: 0, not: 0, unstable: 0 }
    let last = ''
    for (let round = 1; round <= 90; round++) {
      const { identity } = producer
      const metadata = `round ${round}`
      expect(await producer.produce(topic, round % partitions, ['v'])).toBe('NONE')
      const offsets = Object.fromEntries(Array.from({ length: partitions }, (_, index) => [index, round]))
      expect(await producer.commitOffsets(group, topic, offsets, { metadata })).toBe('NONE')
      // Applied; never sent; or on its way on another connection while the producer is initialised.
      const how = round % 3
      const ended = how === 1 ? undefined : producer.endOnce(true, { identity, role: 'admin' })
      if (how === 0) await ended
      const pending = await offsetOf(cluster, group, topic, 7)
      if (pending.error === 'UNSTABLE_OFFSET_COMMIT') seen.unstable++
      expect(await producer.init(round % 2 === 0 ? identity : undefined)).toBe('NONE')
      const found = await offsetOf(cluster, group, topic, 7)
      const committed = (await ended)?.error === 'NONE'
      seen[committed ? 'committed' : 'not']++
      if (committed) last = metadata
      expect(found).toMatchObject({ error: 'NONE', metadata: last })
    }
    expect(seen.committed).toBeGreaterThanOrEqual(30)
    expect(seen.not).toBeGreaterThanOrEqual(30)
    expect(seen.unstable).toBeGreaterThan(0)
  })
})

describe('a transaction that timed out', () => {
  // INVALID_PRODUCER_EPOCH need not mean a newer self (src/protocol/error-codes.ts: `recover`, after a heartbeat); and
  // transactionTimeoutMs + 10 s < sessionTimeoutMs (src/config/short-sessions.ts) is about the clean-up interval.
  it('shows as a producer epoch that is no longer valid, after the clean-up interval, and an abort heals it', async () => {
    const topic = await newTopic('timeout', 2)
    const names = ['produce', 'elsewhere', 'offsets', 'commit', 'abort', 'init'] as const
    const producers = await Promise.all(
      names.map((name) => open(uniqueTopic(`timeout-${name}`), { timeoutMs: 1000 })),
    )
    const [produce, elsewhere, offsets, commit, abort, init] = producers as [
      RawProducer,
      RawProducer,
      RawProducer,
      RawProducer,
      RawProducer,
      RawProducer,
    ]
    for (const one of producers) await one.produce(topic, 0, ['x'])
    const ends = async (): Promise<number[]> => [
      await endOf(cluster, topic, 0, 'read_committed'),
      await endOf(cluster, topic, 0, 'read_uncommitted'),
    ]
    const began = performance.now()
    await expect.poll(ends, { timeout: 15_000, interval: 50 }).toEqual([12, 12])
    expect(performance.now() - began).toBeGreaterThan(900)
    expect(await produce.produce(topic, 0, ['y'], { once: true })).toBe('INVALID_PRODUCER_EPOCH')
    const { identity } = produce
    const ended = await produce.end(false)
    expect(ended).toMatchObject({ error: 'NONE', producerId: identity.producerId })
    expect(ended.producerEpoch).toBeGreaterThan(identity.producerEpoch)
    expect(await produce.produce(topic, 0, ['y'], { once: true })).toBe('NONE')
    expect(await elsewhere.produce(topic, 1, ['y'], { once: true })).toBe('INVALID_PRODUCER_EPOCH')
    const group = uniqueTopic('timeout')
    expect(await offsets.commitOffsets(group, topic, { 0: 1 }, { once: true })).toBe('INVALID_PRODUCER_EPOCH')
    // Not a word of it being aborted: at EndTxn the outcome is to be looked up.
    expect((await commit.end(true)).error).toBe('INVALID_TXN_STATE')
    expect((await abort.end(false)).error).toBe('NONE')
    expect(await init.init(init.identity)).toBe('NONE')
  }, 30_000)
})

describe('requests side by side in one transaction', () => {
  // Answers that are repeated with the same bytes (src/protocol/error-codes.ts), and one produce in flight per broker
  // (src/client/outbox.ts, docs/decisions/0004-one-produce-in-flight.md).
  it('for new partitions are put back, and go in when they are repeated', async () => {
    const partitions = 120
    const topic = await newTopic('parallel', partitions)
    // Else some of them have no leader yet.
    await judge.offsets(topic)
    const group = uniqueTopic('parallel')
    const producer = await open(uniqueTopic('parallel'))
    const roles = ['produce', 'fetch', 'restore', 'coordinator', 'group', 'admin'] as const
    const answers: string[] = []
    for (let round = 0; round < 20; round++) {
      const next = (index: number): number => (round * roles.length + index) % partitions
      const sent = await Promise.all([
        ...roles.map((role, index) => producer.produce(topic, next(index), ['v'], { role, once: true })),
        producer.commitOffsets(group, topic, { 0: round }, { once: true }),
      ])
      answers.push(...sent)
      await producer.end(false)
      await sleep(5)
    }
    const counts = tally(answers)
    expect(Object.keys(counts).sort()).toEqual(expect.arrayContaining(['NONE', 'NOT_ENOUGH_REPLICAS']))
    const passing = [
      'NONE',
      'NOT_ENOUGH_REPLICAS',
      'CONCURRENT_TRANSACTIONS',
      'COORDINATOR_LOAD_IN_PROGRESS',
      'NETWORK_EXCEPTION',
    ]
    expect(Object.keys(counts).filter((name) => !passing.includes(name))).toEqual([])
    // Every one goes in at last.
    const last = await Promise.all([
      ...roles.map((role, index) => producer.produce(topic, index, ['v'], { role })),
      producer.commitOffsets(group, topic, { 0: 20 }),
    ])
    expect(tally(last)).toEqual({ NONE: 7 })
    expect((await producer.end(true)).error).toBe('NONE')
  })

  it('for one partition overtake each other on two connections, never on one', async () => {
    const topic = await newTopic('pipelined')
    const [one, two] = [await open(uniqueTopic('pipelined')), await open(uniqueTopic('pipelined'))]
    const burst = async (producer: RawProducer, roles: readonly ('produce' | 'fetch')[]): Promise<string[]> =>
      await Promise.all(roles.map((role) => producer.produce(topic, 0, ['v'], { role, once: true })))
    const inOrder: string[] = []
    const crossed: string[] = []
    for (let round = 0; round < 50; round++) {
      inOrder.push(...(await burst(one, ['produce', 'produce', 'produce', 'produce'])))
      await one.end(true)
      crossed.push(...(await burst(two, ['produce', 'fetch', 'produce', 'fetch'])))
      await two.end(false)
    }
    expect(tally(inOrder)).toEqual({ NONE: 200 })
    expect(tally(crossed)).toHaveProperty('OUT_OF_ORDER_SEQUENCE_NUMBER')
  })
})

describe('the first produce of a transaction', () => {
  // After EndTxn nothing transactional is sent for 2 ms (src/client/transactional-producer.ts, markerWaitMs). The broker
  // puts such a produce back by 20 ms; here by 200, so that no other delay of a busy machine looks like it.
  it('waits out the markers of the one before at the broker right after EndTxn, a little later it does not', async () => {
    const brokerSettings = { 'add.partitions.to.txn.retry.backoff.ms': '200' }
    await using kafka = await startKafka({ backend: 'jvm', brokerSettings })
    await using own = await startJudge(kafka.brokers)
    const topic = uniqueTopic('marker')
    await own.createTopics({ name: topic })
    const producer = await open(uniqueTopic('marker'), { brokers: kafka.brokers })
    const markersWritten = async (): Promise<string | undefined> =>
      (await own.listTransactions()).find((one) => one.transactionalId === producer.transactionalId)?.state
    const slow = { 'at once': 0, later: 0 }
    let rounds = 0
    // How often "at once" is soon enough is the machine's: as many rounds as it takes.
    for (; slow['at once'] < 4 && rounds < 200; rounds++) {
      for (const when of ['at once', 'later'] as const) {
        if (when === 'later') await expect.poll(markersWritten, { interval: 5 }).toBe('CompleteCommit')
        const began = performance.now()
        expect(await producer.produce(topic, 0, ['v'], { once: true })).toBe('NONE')
        if (performance.now() - began > 190) slow[when]++
        await producer.end(true)
      }
    }
    console.log(`of ${rounds} each waited for the markers of the transaction before: ${JSON.stringify(slow)}`)
    expect(slow['at once']).toBe(4)
    expect(slow.later).toBeLessThan(slow['at once'] / 2)
  })
})

describe('committed offsets', () => {
  // The witness in the metadata (src/runtime/witness.ts) is how a reset behind our back is noticed: the tool of Kafka
  // sets offsets by the same request of its admin client.
  it('lose their metadata when a tool sets them', async () => {
    const topic = await newTopic('reset')
    const group = uniqueTopic('reset')
    const producer = await open(uniqueTopic('reset'))
    await producer.produce(topic, 0, ['v'])
    await producer.commitOffsets(group, topic, { 0: 3 }, { metadata: 'witness' })
    await producer.end(true)
    expect(await stableOffsetOf(cluster, group, topic, 0)).toMatchObject({ offset: 3, metadata: 'witness' })
    await judge.setGroupOffsets(group, [{ topic, partition: 0, offset: 0 }])
    expect(await stableOffsetOf(cluster, group, topic, 0)).toMatchObject({ offset: 0, metadata: '' })
  })

  // Owners to be fenced are not found by the metadata but by ListTransactions (design section 7a).
  it('hide their metadata while they are pending, and an owner that died in its first transaction', async () => {
    const topic = await newTopic('hidden', 2)
    const group = uniqueTopic('hidden')
    const producer = await open(uniqueTopic('hidden'))
    await producer.produce(topic, 0, ['v'])
    await producer.commitOffsets(group, topic, { 0: 1 }, { metadata: 'first' })
    await producer.end(true)
    expect(await stableOffsetOf(cluster, group, topic, 0)).toMatchObject({ metadata: 'first' })
    await producer.produce(topic, 0, ['v'])
    await producer.commitOffsets(group, topic, { 0: 2 }, { metadata: 'second' })
    const pending = await offsetOf(cluster, group, topic, 0)
    expect(pending).toEqual({ error: 'UNSTABLE_OFFSET_COMMIT', offset: -1, metadata: '' })
    expect(await offsetOf(cluster, group, topic, 0, false)).toMatchObject({ offset: 1, metadata: 'first' })
    const died = await open(uniqueTopic('hidden-first'))
    await died.produce(topic, 1, ['v'])
    expect(await offsetOf(cluster, group, topic, 1)).toMatchObject({ error: 'NONE', offset: -1 })
    const ongoing = (await judge.listTransactions()).filter(({ state }) => state === 'Ongoing')
    expect(ongoing.map(({ transactionalId }) => transactionalId)).toContain(died.transactionalId)
    await producer.end(false)
  })
})

describe('version 1 of transactions', () => {
  /** A TxnOffsetCommit whose first try comes late, when the next transaction is open. */
  const haunt = async (of: Cluster, producer: RawProducer, topic: string): Promise<number> => {
    const group = uniqueTopic('ghost')
    const commit = (offset: number): Promise<string> =>
      producer.commitOffsets(group, topic, { 0: offset }, { version: 4 })
    expect(await producer.addOffsets(group)).toBe('NONE')
    expect(await commit(5)).toBe('NONE')
    expect((await producer.end(true, { version: 4 })).error).toBe('NONE')
    expect(await producer.addOffsets(group)).toBe('NONE')
    expect(await commit(9)).toBe('NONE')
    expect(await commit(5)).toBe('NONE')
    expect((await producer.end(true, { version: 4 })).error).toBe('NONE')
    return (await stableOffsetOf(of, group, topic, 0)).offset
  }

  // With version 1 every request that was ever repeated forces InitProducerId before the next transaction
  // (src/client/transactional-producer.ts, #ghostPossible).
  it('lets the late ghost of a TxnOffsetCommit into the next transaction (newest broker)', async () => {
    const topic = await newTopic('ghost')
    expect(await haunt(cluster, await open(uniqueTopic('ghost')), topic)).toBe(5)
  })

  it('lets the late ghost of a TxnOffsetCommit into the next transaction (Kafka 3.9)', async () => {
    await using kafka = await startKafka({ backend: 'jvm', version: '3.9' })
    await using old = await startJudge(kafka.brokers)
    const topic = uniqueTopic('ghost')
    await old.createTopics({ name: topic })
    const producer = await open(uniqueTopic('ghost'), { brokers: kafka.brokers })
    expect(producer.cluster.transactionVersion).toBe(1)
    expect(await haunt(producer.cluster, producer, topic)).toBe(5)
  })

  it('is what version 2 ends: there the ghost is refused by its epoch', async () => {
    const topic = await newTopic('no-ghost')
    const group = uniqueTopic('no-ghost')
    const producer = await open(uniqueTopic('no-ghost'))
    const { identity } = producer
    await producer.commitOffsets(group, topic, { 0: 5 })
    await producer.end(true)
    const next = producer.identity
    await producer.commitOffsets(group, topic, { 0: 9 })
    producer.identity = identity
    expect(await producer.commitOffsets(group, topic, { 0: 5 })).toBe('INVALID_PRODUCER_EPOCH')
    producer.identity = next
    await producer.end(true)
    expect(await stableOffsetOf(cluster, group, topic, 0)).toMatchObject({ offset: 9 })
  })
})
