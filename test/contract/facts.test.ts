// Sequences of requests that a stream processor's guarantees stand on, or that break them where it takes no care: each
// is a fact about Kafka that test/integration/broker-facts-*.test.ts show in the context of ours.
import { describe, expect } from 'vitest'
import { contract } from '../support/contract/contract.ts'
import { boundsOf, type Produced, valuesIn } from '../support/contract/log.ts'
import { fetchOffset, fetchStableOffset, joinOnce, Member, pairUp } from '../support/contract/members.ts'
import { unique } from '../support/contract/names.ts'
import { initOnce, passed, Producer } from '../support/contract/producers.ts'
import { settled } from '../support/contract/waits.ts'

const identityOf = ({ generationId, memberId }: Member): { generationId: number; memberId: string } => ({
  ...{ generationId, memberId },
})

describe('nobody asks who owns a partition', () => {
  contract('a member that was put out and joined again commits its old transaction', async (broker) => {
    const [input, output] = [await broker.topic(2), await broker.topic()]
    const a = await (await Member.open(broker)).lead()
    const { groupId } = a
    const b = await Member.open(broker, { groupId })
    const [ofA, ofB] = [await Producer.open(broker), await Producer.open(broker)]
    await ofA.produce(output, ['a'])
    const before = identityOf(a)
    await a.leave()
    await b.lead()
    await ofB.produce(output, ['b'])
    expect(await ofB.commitOffsets(groupId, input, { 0: 10 }, { member: identityOf(b) })).toBe('NONE')
    await ofB.end(true)
    expect(await fetchStableOffset(broker.wire, groupId, input)).toMatchObject({ offset: 10 })
    expect(await ofA.commitOffsets(groupId, input, { 0: 5 }, { member: before })).toBe('UNKNOWN_MEMBER_ID')
    const again = await Member.open(broker, { groupId })
    await pairUp(b, again)
    expect(await ofA.commitOffsets(groupId, input, { 0: 5 }, { member: identityOf(again) })).toBe('NONE')
    expect((await ofA.end(true)).error).toBe('NONE')
    expect(await fetchStableOffset(broker.wire, groupId, input)).toMatchObject({ offset: 5 })
    await ofA.complete()
    expect((await valuesIn(broker.wire, output)).sort()).toEqual(['a', 'b'])
  })

  contract('Produce and EndTxn after TxnOffsetCommit are not held against the group', async (broker) => {
    const [input, changelog] = [await broker.topic(), await broker.topic()]
    const a = await (await Member.open(broker)).lead()
    const { groupId } = a
    const ofA = await Producer.open(broker)
    await ofA.produce(changelog, ['first'])
    expect(await ofA.commitOffsets(groupId, input, { 0: 5 }, { member: identityOf(a) })).toBe('NONE')
    await a.leave()
    await (await Member.open(broker, { groupId })).lead()
    expect((await fetchOffset(broker.wire, groupId, input)).error).toBe('UNSTABLE_OFFSET_COMMIT')
    // A successor that restores up to here restores too little.
    expect((await boundsOf(broker.wire, changelog))[2]).toBe(1)
    expect((await ofA.produce(changelog, ['second'])).error).toBe('NONE')
    expect((await ofA.end(true)).error).toBe('NONE')
    expect(await fetchStableOffset(broker.wire, groupId, input)).toMatchObject({ offset: 5 })
    await ofA.complete()
    expect(await valuesIn(broker.wire, changelog)).toEqual(['first', 'second'])
  })
})

describe('the outcome of an EndTxn that nobody answered', () => {
  contract('is exact after InitProducerId and OffsetFetch', async (broker) => {
    const topic = await broker.topic()
    const groupId = unique('group')
    const producer = await Producer.open(broker)
    const elsewhere = await broker.connect()
    let committed = ''
    for (let round = 0; round < 15; round++) {
      const { identity, transactionalId } = producer
      const metadata = `round ${round}`
      await producer.produce(topic, ['v'])
      await producer.commitOffsets(groupId, topic, { 0: round }, { metadata })
      // Never sent; applied; or under way while the producer is initialised.
      const how = round % 3
      const ended = how === 0 ? undefined : producer.endOnce(true, identity)
      if (how === 1) await ended
      const shown = round % 2 === 0 ? identity : undefined
      const initialised = await settled(() => initOnce(elsewhere, transactionalId, shown), passed)
      expect(initialised.error).toBe('NONE')
      producer.identity = initialised
      const found = await fetchOffset(elsewhere, groupId, topic)
      if ((await ended)?.error === 'NONE') committed = metadata
      expect(found).toMatchObject({ error: 'NONE', metadata: committed })
      // Sequences begin anew with the epoch.
      producer.forgetSequences()
    }
    expect(committed).not.toBe('')
  })
})

describe('the first produce of a transaction', () => {
  contract('right after EndTxn waits out its markers at the broker', async (broker) => {
    const topic = await broker.topic()
    const producer = await Producer.open(broker)
    for (let round = 0; round < 20; round++) {
      expect((await producer.produce(topic, [`${round}`], { once: true })).error).toBe('NONE')
      expect((await producer.end(true)).error).toBe('NONE')
    }
    await producer.complete()
    expect(await valuesIn(broker.wire, topic)).toHaveLength(20)
  })
})

describe('requests side by side in one transaction', () => {
  contract('for one partition on one connection are taken in order', async (broker) => {
    const topic = await broker.topic()
    const producer = await Producer.open(broker)
    for (let round = 0; round < 5; round++) {
      const burst = await Promise.all(
        [0, 1, 2, 3].map((sequence) =>
          producer.produce(topic, [`${round} ${sequence}`], { sequence, once: true }),
        ),
      )
      expect(burst.map(({ error }) => error)).toEqual(['NONE', 'NONE', 'NONE', 'NONE'])
      await producer.end(true)
    }
    await producer.complete()
    const expected = [0, 1, 2, 3, 4].flatMap((round) => [0, 1, 2, 3].map((at) => `${round} ${at}`))
    expect(await valuesIn(broker.wire, topic)).toEqual(expected)
  })

  contract('for new partitions are taken, or put back with an answer that passes', async (broker) => {
    const partitions = 8
    const topic = await broker.topic(partitions)
    const groupId = unique('group')
    const producer = await Producer.open(broker)
    const others = await Promise.all(
      Array.from({ length: partitions }, async () => {
        const other = await Producer.open(broker)
        return other.wire
      }),
    )
    const passing = [
      'NONE',
      'NOT_ENOUGH_REPLICAS',
      'CONCURRENT_TRANSACTIONS',
      'COORDINATOR_LOAD_IN_PROGRESS',
      'NETWORK_EXCEPTION',
    ]
    const at = (wire: (typeof others)[number]): Producer => producer.over(wire)
    const sent = await Promise.all([
      ...others.map((wire, partition) =>
        at(wire).produce(topic, ['v'], { partition, sequence: 0, once: true }),
      ),
      producer.commitOffsets(groupId, topic, { 0: 1 }, { once: true }).then((error) => ({ error })),
    ])
    for (const { error } of sent) expect(passing).toContain(error)
    const again: Produced[] = []
    for (const [partition, wire] of others.entries())
      again.push(await at(wire).produce(topic, ['v'], { partition, sequence: 0 }))
    // Also those that had been taken: the sequence makes them one.
    expect(again.map(({ error, baseOffset }) => [error, baseOffset])).toEqual(others.map(() => ['NONE', 0]))
    expect(await producer.commitOffsets(groupId, topic, { 0: 1 })).toBe('NONE')
    expect((await producer.end(true)).error).toBe('NONE')
    await producer.complete()
    for (let partition = 0; partition < partitions; partition++)
      expect(await valuesIn(broker.wire, topic, 'read_committed', partition)).toEqual(['v'])
  })
})

describe('version 1 of transactions', () => {
  contract('lets the late ghost of a TxnOffsetCommit into the next transaction', async (broker) => {
    const topic = await broker.topic()
    const groupId = unique('group')
    const producer = await Producer.open(broker, { version: 1 })
    for (const offsets of [[5], [9, 5]]) {
      expect(await producer.addOffsets(groupId)).toBe('NONE')
      for (const offset of offsets)
        expect(await producer.commitOffsets(groupId, topic, { 0: offset })).toBe('NONE')
      expect((await producer.end(true)).error).toBe('NONE')
    }
    expect(await fetchStableOffset(broker.wire, groupId, topic)).toMatchObject({ offset: 5 })
  })

  contract('is what version 2 ends: there the ghost is refused by its epoch', async (broker) => {
    const topic = await broker.topic()
    const groupId = unique('group')
    const producer = await Producer.open(broker)
    const { identity } = producer
    await producer.commitOffsets(groupId, topic, { 0: 5 })
    await producer.end(true)
    await producer.commitOffsets(groupId, topic, { 0: 9 })
    expect(await producer.commitOffsets(groupId, topic, { 0: 5 }, { identity })).toBe(
      'INVALID_PRODUCER_EPOCH',
    )
    await producer.end(true)
    expect(await fetchStableOffset(broker.wire, groupId, topic)).toMatchObject({ offset: 9 })
  })
})

describe('one connection for two members', () => {
  contract('lets the join of one hold up the heartbeat of the other', async (broker) => {
    const a = await (await Member.open(broker, { instanceId: 'a', rebalanceTimeoutMs: 800 })).lead()
    const began = performance.now()
    const request = { groupId: a.groupId, groupInstanceId: 'b', rebalanceTimeoutMs: 800 }
    const joining = joinOnce(a.wire, request)
    await a.heartbeat()
    expect(performance.now() - began).toBeGreaterThan(700)
    expect((await joining).error).toBe('NONE')
  })
})

describe('an assignment', () => {
  contract('larger than a record may be is refused', async (broker) => {
    const member = await Member.open(broker)
    await member.join()
    const { error } = await member.sync({ [member.memberId]: 'x'.repeat(1_100_000) })
    expect(error).toBe('UNKNOWN_SERVER_ERROR')
  })
})
