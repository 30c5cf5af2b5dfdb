// Groups of the classic protocol with dynamic members: JoinGroup, SyncGroup, Heartbeat and LeaveGroup.
import { describe, expect } from 'vitest'
import { setTimeout as sleep } from 'node:timers/promises'
import { contract } from '../support/contract/contract.ts'
import { describeGroup, joinOnce, leaveOnce, Member, pairUp } from '../support/contract/members.ts'
import { unique } from '../support/contract/names.ts'
import { sessionTimeoutMsMax, sessionTimeoutMsMin } from '../support/contract/settings.ts'
import { answeredWithin, settled } from '../support/contract/waits.ts'

describe('JoinGroup', () => {
  contract('gives a new member its id first, which it joins with (KIP-394)', async ({ wire }) => {
    const groupId = unique('group')
    const first = await joinOnce(wire, { groupId })
    expect(first).toMatchObject({ error: 'MEMBER_ID_REQUIRED', generationId: -1, leader: '', members: [] })
    // Client id and a random part.
    expect(first.memberId).toMatch(/^contract-[\w-]{36}$/)
    const joined = await joinOnce(wire, { groupId, memberId: first.memberId })
    expect(joined).toMatchObject({
      ...{ error: 'NONE', generationId: 1, memberId: first.memberId, leader: first.memberId },
      ...{ protocolType: 'consumer', protocolName: 'range', skipAssignment: false },
    })
    expect(joined.metadataOf).toEqual({ [first.memberId]: 'm' })
  })

  contract('with an id that the group does not know is refused', async (broker) => {
    const member = await (await Member.open(broker)).lead()
    const { groupId } = member
    const unknown = await joinOnce(broker.wire, { groupId, memberId: 'somebody' })
    expect(unknown).toMatchObject({ error: 'UNKNOWN_MEMBER_ID', memberId: 'somebody', generationId: -1 })
    expect((await joinOnce(broker.wire, { groupId: unique('new'), memberId: 'somebody' })).error).toBe(
      'UNKNOWN_MEMBER_ID',
    )
  })

  contract('holds the session timeout against the bounds of the broker', async ({ wire }) => {
    const join = async (sessionTimeoutMs: number): Promise<string> =>
      (await joinOnce(wire, { sessionTimeoutMs })).error
    expect(await join(sessionTimeoutMsMin - 1)).toBe('INVALID_SESSION_TIMEOUT')
    expect(await join(sessionTimeoutMsMin)).toBe('MEMBER_ID_REQUIRED')
    expect(await join(sessionTimeoutMsMax)).toBe('MEMBER_ID_REQUIRED')
    expect(await join(sessionTimeoutMsMax + 1)).toBe('INVALID_SESSION_TIMEOUT')
  })

  contract('without a group, a type or a protocol is refused', async ({ wire }) => {
    expect((await joinOnce(wire, { groupId: '' })).error).toBe('INVALID_GROUP_ID')
    expect((await joinOnce(wire, { protocols: [] })).error).toBe('INCONSISTENT_GROUP_PROTOCOL')
    expect((await joinOnce(wire, { protocolType: '' })).error).toBe('INCONSISTENT_GROUP_PROTOCOL')
  })

  contract('of another type, or without a common protocol, is refused', async (broker) => {
    const { groupId } = await (await Member.open(broker)).lead()
    const join = async (options: { protocolType?: string; protocols?: string[] }): Promise<string> =>
      (await (await Member.open(broker, { groupId, ...options })).join()).error
    expect(await join({ protocolType: 'connect' })).toBe('INCONSISTENT_GROUP_PROTOCOL')
    expect(await join({ protocols: ['sticky'] })).toBe('INCONSISTENT_GROUP_PROTOCOL')
  })

  contract('of two members: one leads and is told of both', async (broker) => {
    const first = await (await Member.open(broker, { metadata: 'one' })).lead()
    const second = await Member.open(broker, { groupId: first.groupId, metadata: 'two' })
    const [ofFirst, ofSecond] = await pairUp(first, second)
    expect(ofFirst).toMatchObject({ error: 'NONE', generationId: 2, leader: first.memberId })
    expect(ofFirst.metadataOf).toEqual({ [first.memberId]: 'one', [second.memberId]: 'two' })
    expect(ofSecond).toMatchObject({ error: 'NONE', generationId: 2, leader: first.memberId, members: [] })
  })

  contract('chooses the protocol that all know, by their votes', async (broker) => {
    const first = await Member.open(broker, { protocols: ['a', 'b', 'c'] })
    await first.join()
    await first.sync({}, { protocolName: 'a' })
    const second = await Member.open(broker, { groupId: first.groupId, protocols: ['c', 'b'] })
    const third = await Member.open(broker, { groupId: first.groupId, protocols: ['c', 'a', 'b'] })
    const joining = [second.join(), third.join()]
    await first.untilRebalance()
    await settled(
      async () => (await describeGroup(broker.wire, first.groupId)).members.length,
      (count) => count === 3,
    )
    const joined = await Promise.all([first.join(), ...joining])
    // All know b and c; two vote for c.
    expect(joined.map(({ protocolName }) => protocolName)).toEqual(['c', 'c', 'c'])
  })

  contract('of a member of old (v5) without an id is answered one as well', async ({ wire }) => {
    const answer = await joinOnce(wire, {}, 5)
    expect(answer.error).toBe('MEMBER_ID_REQUIRED')
    expect(answer.memberId).not.toBe('')
  })

  contract('again as the leader begins a rebalance, also with the same metadata', async (broker) => {
    const member = await (await Member.open(broker)).lead()
    expect((await member.join()).generationId).toBe(2)
    // Before it has synced it is only told again.
    expect((await member.join()).generationId).toBe(2)
    await member.sync()
    expect((await member.join()).generationId).toBe(3)
  })

  contract(
    'again as a follower with the same metadata is answered the generation that is',
    async (broker) => {
      const leader = await (await Member.open(broker)).lead()
      const follower = await Member.open(broker, { groupId: leader.groupId })
      await pairUp(leader, follower)
      const again = await follower.join()
      expect(again).toMatchObject({ error: 'NONE', generationId: 2, leader: leader.memberId, members: [] })
      expect(await leader.heartbeat()).toBe('NONE')
    },
  )

  contract('again as a follower with other metadata begins a rebalance', async (broker) => {
    const leader = await (await Member.open(broker)).lead()
    const follower = await Member.open(broker, { groupId: leader.groupId })
    await pairUp(leader, follower)
    follower.metadata = 'changed'
    const joining = follower.join()
    await leader.untilRebalance()
    const [ofLeader, ofFollower] = await Promise.all([leader.join(), joining])
    expect([ofLeader.generationId, ofFollower.generationId]).toEqual([3, 3])
    expect(ofLeader.metadataOf[follower.memberId]).toBe('changed')
  })

  contract('waits for all members, no longer than the rebalance timeout', async (broker) => {
    const slow = await (await Member.open(broker, { rebalanceTimeoutMs: 700 })).lead()
    const second = await Member.open(broker, { groupId: slow.groupId, rebalanceTimeoutMs: 700 })
    const began = performance.now()
    const joined = await second.join()
    expect(performance.now() - began).toBeGreaterThan(600)
    // The one that did not join again is out.
    expect(joined).toMatchObject({ error: 'NONE', generationId: 2, leader: second.memberId })
    expect(Object.keys(joined.metadataOf)).toEqual([second.memberId])
    expect(await slow.heartbeat()).toBe('UNKNOWN_MEMBER_ID')
  })
})

describe('the session', () => {
  contract('of an id that was given and not used ends', async ({ wire }) => {
    const groupId = unique('group')
    const { memberId } = await joinOnce(wire, { groupId, sessionTimeoutMs: sessionTimeoutMsMin })
    await sleep(sessionTimeoutMsMin * 2)
    expect((await joinOnce(wire, { groupId, memberId })).error).toBe('UNKNOWN_MEMBER_ID')
  })

  contract('of a member that waits in JoinGroup goes on', async (broker) => {
    const slow = await (await Member.open(broker, { rebalanceTimeoutMs: 8000 })).lead()
    const { groupId } = slow
    const waiting = await Member.open(broker, { groupId, sessionTimeoutMs: sessionTimeoutMsMin })
    const joining = waiting.join()
    for (let times = 0; times < 3; times++) {
      await sleep(sessionTimeoutMsMin)
      expect(await slow.heartbeat()).toBe('REBALANCE_IN_PROGRESS')
    }
    const joined = await slow.join()
    expect(joined.members).toHaveLength(2)
    expect((await joining).error).toBe('NONE')
  })
})

describe('SyncGroup', () => {
  contract('gives each member what the leader assigned to it', async (broker) => {
    const leader = await (await Member.open(broker)).lead('everything')
    const follower = await Member.open(broker, { groupId: leader.groupId })
    await pairUp(leader, follower)
    // Asked again it is answered again.
    expect(await leader.sync()).toMatchObject({
      error: 'NONE',
      assignment: 'of the first',
      protocolName: 'range',
    })
    expect(await follower.sync()).toMatchObject({ error: 'NONE', assignment: 'of the second' })
  })

  contract('of a follower waits for the leader', async (broker) => {
    const leader = await (await Member.open(broker)).lead()
    const follower = await Member.open(broker, { groupId: leader.groupId })
    const joining = follower.join()
    await leader.untilRebalance()
    await Promise.all([leader.join(), joining])
    const waiting = follower.sync()
    expect(await answeredWithin(waiting, 300)).toBe(false)
    expect((await describeGroup(broker.wire, leader.groupId)).state).toBe('CompletingRebalance')
    await leader.sync({ [follower.memberId]: 'at last' })
    expect(await waiting).toMatchObject({ error: 'NONE', assignment: 'at last' })
    // Who is not named has nothing.
    expect(await leader.sync()).toMatchObject({ error: 'NONE', assignment: '' })
    expect((await describeGroup(broker.wire, leader.groupId)).state).toBe('Stable')
  })

  contract('with another generation, member, type or protocol is refused', async (broker) => {
    const member = await (await Member.open(broker)).lead()
    const { generationId, memberId } = member
    expect((await member.sync({}, { protocolName: 'sticky' })).error).toBe('INCONSISTENT_GROUP_PROTOCOL')
    expect((await member.sync({}, { protocolType: 'connect' })).error).toBe('INCONSISTENT_GROUP_PROTOCOL')
    // From v5 on both are to be named (KIP-559).
    expect((await member.sync({}, { protocolType: null, protocolName: null })).error).toBe(
      'INCONSISTENT_GROUP_PROTOCOL',
    )
    member.generationId = generationId + 1
    expect((await member.sync()).error).toBe('ILLEGAL_GENERATION')
    member.generationId = generationId
    member.memberId = 'somebody'
    expect((await member.sync()).error).toBe('UNKNOWN_MEMBER_ID')
    member.memberId = memberId
    expect((await member.sync()).error).toBe('NONE')
  })

  contract('while the group rebalances again is refused', async (broker) => {
    const leader = await (await Member.open(broker)).lead()
    const second = await Member.open(broker, { groupId: leader.groupId })
    const joining = second.join()
    await leader.untilRebalance()
    expect((await leader.sync()).error).toBe('REBALANCE_IN_PROGRESS')
    await Promise.all([leader.join(), joining])
    // The follower waits for the leader, when a third one comes.
    const waiting = second.sync()
    const third = await Member.open(broker, { groupId: leader.groupId })
    const late = third.join()
    expect((await waiting).error).toBe('REBALANCE_IN_PROGRESS')
    const [ofLeader] = await Promise.all([leader.join(), second.join(), late])
    expect(ofLeader.members).toHaveLength(3)
  })

  contract('of nobody who is known', async (broker) => {
    const member = await Member.open(broker)
    member.memberId = 'somebody'
    expect((await member.sync()).error).toBe('UNKNOWN_MEMBER_ID')
  })

  contract('carries an assignment of many bytes', async (broker) => {
    const assignment = 'x'.repeat(300_000)
    const member = await (await Member.open(broker)).lead(assignment)
    expect((await member.sync()).assignment).toBe(assignment)
  })
})

describe('Heartbeat', () => {
  contract('says how the member stands', async (broker) => {
    const member = await (await Member.open(broker)).lead()
    const { generationId } = member
    expect(await member.heartbeat()).toBe('NONE')
    expect(await member.heartbeat({ generationId: generationId + 1 })).toBe('ILLEGAL_GENERATION')
    expect(await member.heartbeat({ generationId: generationId - 1 })).toBe('ILLEGAL_GENERATION')
    expect(await member.heartbeat({ memberId: 'somebody' })).toBe('UNKNOWN_MEMBER_ID')
    const second = await Member.open(broker, { groupId: member.groupId })
    const joining = second.join()
    await member.untilRebalance()
    await Promise.all([member.join(), joining])
    expect(await member.heartbeat({ generationId })).toBe('ILLEGAL_GENERATION')
    // Between JoinGroup and SyncGroup it is as good as any.
    expect(await member.heartbeat()).toBe('NONE')
  })

  contract('of a group that there is not', async (broker) => {
    const member = await Member.open(broker)
    expect(await member.heartbeat({ memberId: 'somebody', generationId: 1 })).toBe('UNKNOWN_MEMBER_ID')
  })

  contract('keeps a member in the group; without it the session ends', async (broker) => {
    const sessionTimeoutMs = 1500
    const member = await (await Member.open(broker, { sessionTimeoutMs })).lead()
    const { groupId } = member
    const other = await Member.open(broker, { groupId, sessionTimeoutMs: 30_000 })
    await pairUp(member, other)
    for (let times = 0; times < 4; times++) {
      await sleep(500)
      expect(await member.heartbeat()).toBe('NONE')
    }
    expect(await other.heartbeat()).toBe('NONE')
    await other.untilRebalance()
    const joined = await other.join()
    expect(joined).toMatchObject({ error: 'NONE', generationId: 3, leader: other.memberId })
    expect(await member.heartbeat()).toBe('UNKNOWN_MEMBER_ID')
  })
})

describe('LeaveGroup', () => {
  contract('begins a rebalance, and the last one leaves the group empty', async (broker) => {
    const first = await (await Member.open(broker)).lead()
    const second = await Member.open(broker, { groupId: first.groupId })
    await pairUp(first, second)
    expect(await first.leave()).toEqual(['NONE'])
    expect(await first.heartbeat()).toBe('UNKNOWN_MEMBER_ID')
    await second.untilRebalance()
    expect(await second.join()).toMatchObject({ generationId: 3, leader: second.memberId })
    expect(await second.leave()).toEqual(['NONE'])
    expect(await describeGroup(broker.wire, first.groupId)).toMatchObject({ state: 'Empty', members: [] })
  })

  contract('of somebody unknown is refused, each by itself', async (broker) => {
    const member = await (await Member.open(broker)).lead()
    const leaving = [{ memberId: 'somebody' }, { memberId: member.memberId }]
    expect(await leaveOnce(broker.wire, member.groupId, leaving)).toEqual(['UNKNOWN_MEMBER_ID', 'NONE'])
    expect(await leaveOnce(broker.wire, unique('unknown'), [{ memberId: 'x' }])).toEqual([
      'UNKNOWN_MEMBER_ID',
    ])
  })

  contract('takes an id back that was given and not used', async ({ wire }) => {
    const groupId = unique('group')
    const { memberId } = await joinOnce(wire, { groupId })
    expect(await leaveOnce(wire, groupId, [{ memberId }])).toEqual(['NONE'])
    expect((await joinOnce(wire, { groupId, memberId })).error).toBe('UNKNOWN_MEMBER_ID')
  })

  contract('while others wait in JoinGroup completes the rebalance', async (broker) => {
    const first = await (await Member.open(broker)).lead()
    const second = await Member.open(broker, { groupId: first.groupId })
    const joining = second.join()
    await first.untilRebalance()
    expect(await answeredWithin(joining, 200)).toBe(false)
    expect(await first.leave()).toEqual(['NONE'])
    expect(await joining).toMatchObject({ error: 'NONE', generationId: 2, leader: second.memberId })
  })
})

describe('a generation', () => {
  contract('goes on counting when a group was empty in between', async (broker) => {
    const first = await (await Member.open(broker)).lead()
    await first.leave()
    const next = await (await Member.open(broker, { groupId: first.groupId })).lead()
    // One for the group that became empty, too.
    expect([first.generationId, next.generationId]).toEqual([1, 3])
  })

  contract('ends without the leader when it does not sync within the rebalance timeout', async (broker) => {
    const member = await Member.open(broker, { rebalanceTimeoutMs: 600 })
    await member.join()
    await sleep(1000)
    expect(await member.heartbeat()).toBe('UNKNOWN_MEMBER_ID')
  })
})
