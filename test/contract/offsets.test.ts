// OffsetCommit, OffsetFetch and OffsetDelete, and the requests of administrators about groups.
import { describe, expect } from 'vitest'
import { offsetFetch } from '../../src/protocol/offset-fetch.ts'
import { contract } from '../support/contract/contract.ts'
import {
  commitOnce,
  describeGroup,
  fetchOffset,
  joinOnce,
  Member,
  subscribed,
} from '../support/contract/members.ts'
import { nameOf, unique } from '../support/contract/names.ts'
import {
  deleteGroups,
  deleteTopics,
  listGroups,
  offsetDelete,
  offsetFetchOfGroups,
} from '../support/contract/other-apis.ts'
import { offsetMetadataBytesMax } from '../support/contract/settings.ts'
import { settled } from '../support/contract/waits.ts'
import type { Wire } from '../support/contract/wire.ts'

describe('OffsetCommit', () => {
  contract('of a member is read back with its metadata and leader epoch', async (broker) => {
    const topic = await broker.topic()
    const member = await (await Member.open(broker)).lead()
    expect(await member.commit(topic, 7, { metadata: 'note', leaderEpoch: 3 })).toBe('NONE')
    expect(await fetchOffset(broker.wire, member.groupId, topic)).toEqual({
      ...{ error: 'NONE', offset: 7, metadata: 'note', leaderEpoch: 3 },
    })
    // The last one counts, also where it is lower.
    expect(await member.commit(topic, 5)).toBe('NONE')
    expect(await fetchOffset(broker.wire, member.groupId, topic)).toMatchObject({ offset: 5, metadata: '' })
  })

  contract('of a member is held against its generation and its id', async (broker) => {
    const topic = await broker.topic()
    const member = await (await Member.open(broker)).lead()
    const { generationId } = member
    expect(await member.commit(topic, 1, { generationId: generationId - 1 })).toBe('ILLEGAL_GENERATION')
    expect(await member.commit(topic, 1, { generationId: generationId + 1 })).toBe('ILLEGAL_GENERATION')
    expect(await member.commit(topic, 1, { memberId: 'somebody' })).toBe('UNKNOWN_MEMBER_ID')
    expect(await member.commit(topic, 1, { generationId: -1 })).toBe('ILLEGAL_GENERATION')
    expect(await fetchOffset(broker.wire, member.groupId, topic)).toMatchObject({ error: 'NONE', offset: -1 })
  })

  contract('of nobody is taken while the group is empty, and only then', async (broker) => {
    const topic = await broker.topic()
    const groupId = unique('group')
    expect(await commitOnce(broker.wire, groupId, topic, 3)).toBe('NONE')
    expect(await fetchOffset(broker.wire, groupId, topic)).toMatchObject({ offset: 3 })
    const member = await (await Member.open(broker, { groupId })).lead()
    expect(await commitOnce(broker.wire, groupId, topic, 4)).toBe('UNKNOWN_MEMBER_ID')
    await member.leave()
    expect(await commitOnce(broker.wire, groupId, topic, 5)).toBe('NONE')
    expect(await fetchOffset(broker.wire, groupId, topic)).toMatchObject({ offset: 5 })
  })

  contract('with a generation in a group that there is not', async (broker) => {
    const topic = await broker.topic()
    const answer = await commitOnce(broker.wire, unique('group'), topic, 3, {
      generationId: 1,
      memberId: 'x',
    })
    expect(answer).toBe('ILLEGAL_GENERATION')
  })

  contract('with too long a metadata is refused', async (broker) => {
    const topic = await broker.topic()
    const groupId = unique('group')
    const commit = (length: number): Promise<string> =>
      commitOnce(broker.wire, groupId, topic, 1, { metadata: 'x'.repeat(length) })
    expect(await commit(offsetMetadataBytesMax)).toBe('NONE')
    expect(await commit(offsetMetadataBytesMax + 1)).toBe('OFFSET_METADATA_TOO_LARGE')
  })

  contract('of a topic that there is not', async ({ wire }) => {
    expect(await commitOnce(wire, unique('group'), unique('unknown'), 1)).toBe('UNKNOWN_TOPIC_OR_PARTITION')
  })

  contract('of a partition that there is not', async (broker) => {
    const topic = await broker.topic()
    const groupId = unique('group')
    expect(await commitOnce(broker.wire, groupId, topic, 1, { partition: 5 })).toBe(
      'UNKNOWN_TOPIC_OR_PARTITION',
    )
  })

  contract('of a group without a name', async (broker) => {
    const topic = await broker.topic()
    expect(await commitOnce(broker.wire, '', topic, 1)).toBe('NONE')
    expect(await commitOnce(broker.wire, '', topic, 1, { generationId: 1, memberId: 'x' })).toBe(
      'UNKNOWN_MEMBER_ID',
    )
  })

  contract('during a rebalance is taken, and after JoinGroup not before SyncGroup', async (broker) => {
    const topic = await broker.topic()
    const first = await (await Member.open(broker)).lead()
    const second = await Member.open(broker, { groupId: first.groupId })
    const joining = second.join()
    await first.untilRebalance()
    expect(await first.commit(topic, 1)).toBe('NONE')
    await Promise.all([first.join(), joining])
    expect(await first.commit(topic, 2)).toBe('REBALANCE_IN_PROGRESS')
    await first.sync({})
    expect(await first.commit(topic, 3)).toBe('NONE')
  })
})

describe('OffsetFetch', () => {
  contract('of what was never committed', async (broker) => {
    const topic = await broker.topic()
    const nothing = { error: 'NONE', offset: -1, metadata: '', leaderEpoch: -1 }
    expect(await fetchOffset(broker.wire, unique('group'), topic)).toEqual(nothing)
    const member = await (await Member.open(broker)).lead()
    expect(await fetchOffset(broker.wire, member.groupId, topic)).toEqual(nothing)
    expect(await fetchOffset(broker.wire, member.groupId, unique('unknown'))).toEqual(nothing)
  })

  contract('of all that a group has', async (broker) => {
    const [one, two] = [await broker.topic(2), await broker.topic()]
    const groupId = unique('group')
    await commitOnce(broker.wire, groupId, one, 1, { partition: 0 })
    await commitOnce(broker.wire, groupId, one, 2, { partition: 1 })
    await commitOnce(broker.wire, groupId, two, 3)
    for (const version of [7, 8]) {
      const answer = await broker.wire.ask(
        offsetFetch,
        { groupId, topics: null, requireStable: true },
        version,
      )
      const found = answer.topics.flatMap(({ topic, partitions }) =>
        partitions.map(({ partition, offset }) => `${topic} ${partition} ${offset}`),
      )
      expect(found.sort()).toEqual([`${one} 0 1`, `${one} 1 2`, `${two} 0 3`].sort())
    }
    const none = await broker.wire.ask(offsetFetch, {
      groupId: unique('none'),
      topics: null,
      requireStable: true,
    })
    expect(none).toMatchObject({ errorCode: 0, topics: [] })
  })

  contract('of several groups at once (v8)', async (broker) => {
    const topic = await broker.topic()
    const groups = [unique('group'), unique('group'), unique('none')]
    for (const [index, groupId] of groups.slice(0, 2).entries())
      await commitOnce(broker.wire, groupId, topic, index + 1)
    const answer = await broker.wire.ask(offsetFetchOfGroups, { groups, topic })
    expect(answer).toEqual(
      groups.map((groupId, index) => ({ groupId, errorCode: 0, offset: index < 2 ? index + 1 : -1 })),
    )
  })

  contract('of a topic that was deleted: its offsets went with it', async (broker) => {
    const topic = await broker.topic()
    const groupId = unique('group')
    await commitOnce(broker.wire, groupId, topic, 4)
    await broker.wire.ask(deleteTopics, { names: [topic] })
    const found = await settled(
      () => fetchOffset(broker.wire, groupId, topic),
      ({ offset }) => offset === -1,
    )
    expect(found).toMatchObject({ error: 'NONE', offset: -1 })
  })

  contract('of a topic without partitions is empty', async (broker) => {
    const topic = await broker.topic()
    const request = { groupId: unique('group'), topics: [{ topic, partitions: [] }], requireStable: true }
    expect((await broker.wire.ask(offsetFetch, request)).topics).toEqual([{ topic, partitions: [] }])
  })
})

describe('OffsetDelete', () => {
  contract('takes offsets away', async (broker) => {
    const topic = await broker.topic()
    const groupId = unique('group')
    await commitOnce(broker.wire, groupId, topic, 4)
    const answer = await broker.wire.ask(offsetDelete, { groupId, topic, partitions: [0] })
    expect(answer).toEqual({ errorCode: 0, partitionErrors: [0] })
    expect(await fetchOffset(broker.wire, groupId, topic)).toMatchObject({ offset: -1 })
  })

  contract('leaves what a member is subscribed to', async (broker) => {
    const [subscribed, other] = [await broker.topic(), await broker.topic()]
    const member = await (await Member.open(broker, { topics: [subscribed] })).lead()
    const { groupId } = member
    await member.commit(subscribed, 1)
    await member.commit(other, 1)
    const remove = (topic: string): Promise<{ errorCode: number; partitionErrors: number[] }> =>
      broker.wire.ask(offsetDelete, { groupId, topic, partitions: [0] })
    const refused = await remove(subscribed)
    expect([refused.errorCode, ...refused.partitionErrors.map(nameOf)]).toEqual([
      0,
      'GROUP_SUBSCRIBED_TO_TOPIC',
    ])
    expect(await remove(other)).toEqual({ errorCode: 0, partitionErrors: [0] })
    expect(await fetchOffset(broker.wire, groupId, subscribed)).toMatchObject({ offset: 1 })
  })

  contract('of a group that there is not', async (broker) => {
    const topic = await broker.topic()
    const answer = await broker.wire.ask(offsetDelete, { groupId: unique('none'), topic, partitions: [0] })
    expect(nameOf(answer.errorCode)).toBe('GROUP_ID_NOT_FOUND')
  })
})

const listed = async (wire: Wire, groupId: string, states: readonly string[] = []): Promise<unknown> =>
  (await wire.ask(listGroups, { states })).groups.find((group) => group.groupId === groupId)

describe('ListGroups and DescribeGroups', () => {
  contract('show a group through its states', async (broker) => {
    const { wire } = broker
    const member = await Member.open(broker)
    const { groupId } = member
    expect(await listed(wire, groupId)).toBeUndefined()
    await member.join()
    expect(await describeGroup(wire, groupId)).toMatchObject({ error: 'NONE', state: 'CompletingRebalance' })
    await member.sync({ [member.memberId]: 'mine' })
    expect(await listed(wire, groupId)).toEqual({ groupId, protocolType: 'consumer', state: 'Stable' })
    const described = await describeGroup(wire, groupId)
    expect(described).toMatchObject({
      ...{ error: 'NONE', groupId, state: 'Stable', protocolType: 'consumer', protocolName: 'range' },
      members: [
        { memberId: member.memberId, groupInstanceId: null, clientId: 'contract', clientHost: '/127.0.0.1' },
      ],
    })
    const [shown] = described.members
    expect([subscribed(shown?.metadata ?? Buffer.alloc(0)), shown?.assignment.toString()]).toEqual([
      'm',
      'mine',
    ])
    await member.leave()
    expect(await listed(wire, groupId)).toMatchObject({ state: 'Empty' })
    expect(await describeGroup(wire, groupId)).toMatchObject({ state: 'Empty', members: [] })
  })

  contract('choose groups by their state', async (broker) => {
    const { groupId } = await (await Member.open(broker)).lead()
    expect(await listed(broker.wire, groupId, ['Stable', 'Empty'])).toMatchObject({ state: 'Stable' })
    expect(await listed(broker.wire, groupId, ['Empty'])).toBeUndefined()
  })

  contract('of a group that there is not', async ({ wire }) => {
    expect(await describeGroup(wire, unique('none'))).toMatchObject({
      ...{ error: 'GROUP_ID_NOT_FOUND', state: 'Dead', members: [] },
    })
  })

  contract('show a group that has offsets alone', async (broker) => {
    const topic = await broker.topic()
    const groupId = unique('simple')
    await commitOnce(broker.wire, groupId, topic, 4)
    expect(await listed(broker.wire, groupId)).toMatchObject({ protocolType: '', state: 'Empty' })
    expect(await describeGroup(broker.wire, groupId)).toMatchObject({ error: 'NONE', state: 'Empty' })
  })
})

const remove = async (wire: Wire, group: string): Promise<string> =>
  nameOf((await wire.ask(deleteGroups, { groups: [group] }))[0]?.errorCode)

describe('DeleteGroups', () => {
  contract('takes an empty group away with its offsets', async (broker) => {
    const topic = await broker.topic()
    const member = await (await Member.open(broker)).lead()
    const { groupId } = member
    await member.commit(topic, 3)
    expect(await remove(broker.wire, groupId)).toBe('NON_EMPTY_GROUP')
    await member.leave()
    expect(await remove(broker.wire, groupId)).toBe('NONE')
    expect(await fetchOffset(broker.wire, groupId, topic)).toMatchObject({ offset: -1 })
    expect((await describeGroup(broker.wire, groupId)).state).toBe('Dead')
    expect(await remove(broker.wire, groupId)).toBe('GROUP_ID_NOT_FOUND')
  })

  contract('is refused for a group that was only asked into', async (broker) => {
    const groupId = unique('pending')
    await joinOnce(broker.wire, { groupId })
    // Somebody has been given an id in it.
    expect(['NON_EMPTY_GROUP', 'NONE']).toContain(await remove(broker.wire, groupId))
  })
})
