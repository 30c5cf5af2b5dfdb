// TxnOffsetCommit: offsets that are pending until their transaction ends (KIP-98, KIP-447, KIP-890).
import { describe, expect } from 'vitest'
import { offsetFetch } from '../../src/protocol/offset-fetch.ts'
import { contract } from '../support/contract/contract.ts'
import { commitOnce, fetchOffset, Member } from '../support/contract/members.ts'
import { nameOf, unique } from '../support/contract/names.ts'
import { Producer, refusedAs } from '../support/contract/producers.ts'
import { offsetMetadataBytesMax } from '../support/contract/settings.ts'
import { settled } from '../support/contract/waits.ts'

describe('TxnOffsetCommit', () => {
  contract('is pending until the transaction is committed', async (broker) => {
    const topic = await broker.topic()
    const groupId = unique('group')
    await commitOnce(broker.wire, groupId, topic, 1, { metadata: 'before' })
    const producer = await Producer.open(broker)
    expect(await producer.commitOffsets(groupId, topic, { 0: 9 }, { metadata: 'after' })).toBe('NONE')
    expect(await fetchOffset(broker.wire, groupId, topic)).toEqual({
      ...{ error: 'UNSTABLE_OFFSET_COMMIT', offset: -1, metadata: '', leaderEpoch: -1 },
    })
    expect(await fetchOffset(broker.wire, groupId, topic, { requireStable: false })).toMatchObject({
      ...{ error: 'NONE', offset: 1, metadata: 'before' },
    })
    await producer.end(true)
    const found = await settled(
      () => fetchOffset(broker.wire, groupId, topic),
      ({ error }) => error === 'NONE',
    )
    expect(found).toMatchObject({ offset: 9, metadata: 'after' })
  })

  contract('is gone when the transaction is aborted', async (broker) => {
    const topic = await broker.topic()
    const groupId = unique('group')
    await commitOnce(broker.wire, groupId, topic, 1)
    const producer = await Producer.open(broker)
    await producer.commitOffsets(groupId, topic, { 0: 9 })
    await producer.end(false)
    const found = await settled(
      () => fetchOffset(broker.wire, groupId, topic),
      ({ error }) => error === 'NONE',
    )
    expect(found).toMatchObject({ offset: 1 })
  })

  contract('is pending by partition', async (broker) => {
    const topic = await broker.topic(2)
    const groupId = unique('group')
    const producer = await Producer.open(broker)
    await producer.commitOffsets(groupId, topic, { 0: 9 })
    expect((await fetchOffset(broker.wire, groupId, topic)).error).toBe('UNSTABLE_OFFSET_COMMIT')
    const other = await fetchOffset(broker.wire, groupId, topic, { partition: 1 })
    expect(other).toMatchObject({ error: 'NONE', offset: -1 })
    const all = async (): Promise<string[]> => {
      const { topics } = await broker.wire.ask(offsetFetch, { groupId, topics: null, requireStable: true })
      return topics.flatMap(({ partitions }) => partitions.map(({ errorCode }) => nameOf(errorCode)))
    }
    // All that it has are those that were in force before.
    expect(await all()).toEqual([])
    await commitOnce(broker.wire, groupId, topic, 1, { partition: 1 })
    await commitOnce(broker.wire, groupId, topic, 1, { partition: 0 })
    expect((await all()).sort()).toEqual(['NONE', 'UNSTABLE_OFFSET_COMMIT'])
  })

  contract('is beaten by a plain commit that came later', async (broker) => {
    const topic = await broker.topic()
    const groupId = unique('group')
    const producer = await Producer.open(broker)
    await producer.commitOffsets(groupId, topic, { 0: 9 })
    expect(await commitOnce(broker.wire, groupId, topic, 4)).toBe('NONE')
    await producer.end(true)
    const found = await settled(
      () => fetchOffset(broker.wire, groupId, topic),
      ({ error }) => error === 'NONE',
    )
    expect(found).toMatchObject({ offset: 4 })
  })

  contract('of two producers: the one that came last counts, whichever ends last', async (broker) => {
    const topic = await broker.topic()
    const groupId = unique('group')
    const [one, two] = [await Producer.open(broker), await Producer.open(broker)]
    await one.commitOffsets(groupId, topic, { 0: 10 })
    await two.commitOffsets(groupId, topic, { 0: 20 })
    await two.end(true)
    await two.complete()
    expect((await fetchOffset(broker.wire, groupId, topic)).error).toBe('UNSTABLE_OFFSET_COMMIT')
    await one.end(true)
    const found = await settled(
      () => fetchOffset(broker.wire, groupId, topic),
      ({ error }) => error === 'NONE',
    )
    expect(found).toMatchObject({ offset: 20 })
  })

  contract('twice in a transaction: the last one counts', async (broker) => {
    const topic = await broker.topic()
    const groupId = unique('group')
    const producer = await Producer.open(broker)
    await producer.commitOffsets(groupId, topic, { 0: 9 })
    await producer.commitOffsets(groupId, topic, { 0: 5 })
    await producer.end(true)
    const found = await settled(
      () => fetchOffset(broker.wire, groupId, topic),
      ({ error }) => error === 'NONE',
    )
    expect(found).toMatchObject({ offset: 5 })
  })

  contract('of a member is held against its generation, id and instance (KIP-447)', async (broker) => {
    const topic = await broker.topic()
    const member = await (await Member.open(broker, { instanceId: 'one' })).lead()
    const { groupId, generationId, memberId, instanceId } = member
    const producer = await Producer.open(broker)
    const commit = (changes: {
      generationId?: number
      memberId?: string
      instanceId?: string
    }): Promise<string> =>
      producer.commitOffsets(
        groupId,
        topic,
        { 0: 1 },
        { member: { generationId, memberId, instanceId, ...changes } },
      )
    expect(await commit({ generationId: generationId - 1 })).toBe('ILLEGAL_GENERATION')
    expect(await commit({ generationId: generationId + 1 })).toBe('ILLEGAL_GENERATION')
    expect(await commit({ memberId: 'somebody' })).toBe('FENCED_INSTANCE_ID')
    expect(await commit({ memberId: 'somebody', instanceId: 'two' })).toBe('UNKNOWN_MEMBER_ID')
    expect(await commit({})).toBe('NONE')
  })

  contract('with a generation in a group that there is not', async (broker) => {
    const topic = await broker.topic()
    const producer = await Producer.open(broker)
    const member = { generationId: 1, memberId: 'somebody' }
    expect(await producer.commitOffsets(unique('none'), topic, { 0: 1 }, { member })).toBe(
      'ILLEGAL_GENERATION',
    )
  })

  contract('of nobody is taken also while the group has members', async (broker) => {
    const topic = await broker.topic()
    const { groupId } = await (await Member.open(broker)).lead()
    const producer = await Producer.open(broker)
    expect(await producer.commitOffsets(groupId, topic, { 0: 1 })).toBe('NONE')
  })

  contract('after a rebalance takes the new generation, in the same transaction', async (broker) => {
    const topic = await broker.topic()
    const first = await (await Member.open(broker)).lead()
    const producer = await Producer.open(broker)
    const old = { generationId: first.generationId, memberId: first.memberId }
    const second = await Member.open(broker, { groupId: first.groupId })
    const joining = second.join()
    await first.untilRebalance()
    const commit = (offset: number, member = { ...old, generationId: first.generationId }): Promise<string> =>
      producer.commitOffsets(first.groupId, topic, { 0: offset }, { member })
    // While members join, the old generation is the one that is.
    expect(await commit(1, old)).toBe('NONE')
    await Promise.all([first.join(), joining])
    expect(await commit(2, old)).toBe('ILLEGAL_GENERATION')
    // Even before SyncGroup has said whose the partition is.
    expect(await commit(3)).toBe('NONE')
    await producer.end(true)
    const found = await settled(
      () => fetchOffset(broker.wire, first.groupId, topic),
      ({ error }) => error === 'NONE',
    )
    expect(found).toMatchObject({ offset: 3 })
  })

  contract('of a member that was put out is refused, and taken from its new self', async (broker) => {
    const topic = await broker.topic()
    const member = await (await Member.open(broker)).lead()
    const { groupId } = member
    const old = { generationId: member.generationId, memberId: member.memberId }
    const producer = await Producer.open(broker)
    await producer.produce(topic, ['a'])
    await member.leave()
    expect(await producer.commitOffsets(groupId, topic, { 0: 5 }, { member: old })).toBe('UNKNOWN_MEMBER_ID')
    const back = await (await Member.open(broker, { groupId })).lead()
    const now = { generationId: back.generationId, memberId: back.memberId }
    expect(await producer.commitOffsets(groupId, topic, { 0: 5 }, { member: now })).toBe('NONE')
    expect((await producer.end(true)).error).toBe('NONE')
  })

  contract('with an older epoch, or of an unknown producer, is refused', async (broker) => {
    const topic = await broker.topic()
    const groupId = unique('group')
    const producer = await Producer.open(broker)
    const { identity } = producer
    await producer.commitOffsets(groupId, topic, { 0: 5 })
    await producer.end(true)
    // Before its marker is there it would still be let into the transaction that ends.
    await producer.complete()
    expect(await producer.commitOffsets(groupId, topic, { 0: 6 }, { identity })).toBe(
      'INVALID_PRODUCER_EPOCH',
    )
    const other = await Producer.open(broker)
    expect(await producer.commitOffsets(groupId, topic, { 0: 6 }, { identity: other.identity })).toBe(
      'INVALID_PRODUCER_ID_MAPPING',
    )
  })

  contract('where the group was not added to the transaction (version 1)', async (broker) => {
    const topic = await broker.topic()
    const groupId = unique('group')
    const producer = await Producer.open(broker, { version: 1 })
    const refused = (error: string, version: number): Promise<string> =>
      refusedAs(() => producer.commitOffsets(groupId, topic, { 0: 5 }, { version }), error)
    expect(await refused('TRANSACTION_ABORTABLE', 4)).toBe('TRANSACTION_ABORTABLE')
    expect(await refused('INVALID_TXN_STATE', 3)).toBe('INVALID_TXN_STATE')
    expect(await producer.addOffsets(groupId)).toBe('NONE')
    expect(await producer.commitOffsets(groupId, topic, { 0: 5 })).toBe('NONE')
    expect((await producer.end(true)).error).toBe('NONE')
    const found = await settled(
      () => fetchOffset(broker.wire, groupId, topic),
      ({ error }) => error === 'NONE',
    )
    expect(found).toMatchObject({ offset: 5 })
  })

  contract('adds the group to the transaction by itself (version 2)', async (broker) => {
    const topic = await broker.topic()
    const producer = await Producer.open(broker)
    await producer.commitOffsets(unique('group'), topic, { 0: 5 })
    const { state, topics } = await producer.describe()
    expect(state).toBe('Ongoing')
    expect(topics.map((one) => one.topic)).toEqual(['__consumer_offsets'])
  })

  contract('with too long a metadata, or of a partition that there is not', async (broker) => {
    const topic = await broker.topic()
    const groupId = unique('group')
    const producer = await Producer.open(broker)
    const metadata = 'x'.repeat(offsetMetadataBytesMax + 1)
    expect(await producer.commitOffsets(groupId, topic, { 0: 5 }, { metadata })).toBe(
      'OFFSET_METADATA_TOO_LARGE',
    )
    expect(await producer.commitOffsets(groupId, topic, { 3: 5 })).toBe('UNKNOWN_TOPIC_OR_PARTITION')
  })

  contract('ends the metadata of a tool: a plain commit has none of the old', async (broker) => {
    const topic = await broker.topic()
    const groupId = unique('group')
    const producer = await Producer.open(broker)
    await producer.commitOffsets(groupId, topic, { 0: 3 }, { metadata: 'witness' })
    await producer.end(true)
    await producer.complete()
    await commitOnce(broker.wire, groupId, topic, 0)
    expect(await fetchOffset(broker.wire, groupId, topic)).toMatchObject({ offset: 0, metadata: '' })
  })
})
