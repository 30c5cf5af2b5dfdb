// Members of a group on a real broker: joining, rebalancing, static membership, leaving.
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { silentLogger } from '../../src/base/log.ts'
import { nodePorts } from '../../src/base/node-ports.ts'
import type { Cluster } from '../../src/client/cluster.ts'
import { GroupMember } from '../../src/client/group-member.ts'
import type { GroupMemberInfo, GroupMemberSettings, Joined } from '../../src/client/group-protocol.ts'
import {
  decodeSubscription,
  encodeAssignment,
  encodeSubscription,
} from '../../src/protocol/consumer-protocol.ts'
import { leaveGroup } from '../../src/protocol/leave-group.ts'
import { connect, inMs, until } from '../support/client.ts'
import { type Judge, startJudge } from '../support/judge.ts'
import { kafkaBrokers, uniqueTopic } from '../support/kafka.ts'

interface TestMember {
  readonly member: GroupMember
  readonly states: string[]
  /** How often it assigned as the leader. */
  readonly assigned: () => number
  join(): Promise<Joined>
}

const opened: { member: GroupMember; cluster: Cluster }[] = []
let judge: Judge

beforeAll(async () => {
  judge = await startJudge(kafkaBrokers())
})

afterAll(() => judge.stop())

afterEach(async () => {
  for (const { member, cluster } of opened.splice(0)) {
    member.close()
    await cluster.close()
  }
})

/** A member with connections of its own, as each worker has them. Its tag is what it tells and is assigned. */
const newMember = async (
  groupId: string,
  tag: string,
  settings: Partial<GroupMemberSettings> = {},
): Promise<TestMember> => {
  const cluster = await connect()
  const states: string[] = []
  let assigned = 0
  const protocol = {
    name: 'test',
    metadata: () =>
      encodeSubscription({
        topics: ['t'],
        userData: Buffer.from(tag),
        ownedPartitions: [],
        generationId: -1,
        rackId: null,
      }),
    assign: (members: readonly GroupMemberInfo[]) => {
      assigned++
      const tags = members.map(({ metadata }) => decodeSubscription(metadata).userData?.toString()).sort()
      return new Map(
        members.map(({ memberId, metadata }) => {
          const mine = decodeSubscription(metadata).userData?.toString()
          return [
            memberId,
            encodeAssignment({ partitions: [], userData: Buffer.from(`${mine} of ${tags.join()}`) }),
          ]
        }),
      )
    },
  }
  const member: GroupMember = new GroupMember(
    cluster,
    nodePorts,
    { groupId, sessionTimeoutMs: 6000, rebalanceTimeoutMs: 6000, heartbeatIntervalMs: 100, ...settings },
    protocol,
    silentLogger,
    () => states.push(member.state),
  )
  opened.push({ member, cluster })
  return { member, states, assigned: () => assigned, join: () => member.join() }
}

const isState = (member: GroupMember, state: string): boolean => member.state === state

const textOf = ({ assignment }: Joined): string => {
  const text = assignment.toString()
  return text.slice(text.search(/\w+ of /))
}

describe('dynamic members', () => {
  it('join, are told of a rebalance, and share the work anew', async () => {
    const group = uniqueTopic('two')
    const a = await newMember(group, 'a')
    const alone = await a.join()
    expect(alone).toMatchObject({
      isLeader: true,
      memberId: a.member.memberId,
      generationId: a.member.generationId,
    })
    expect(textOf(alone)).toBe('a of a')
    const b = await newMember(group, 'b')
    const joining = b.join()
    await until('the rebalance', () => isState(a.member, 'rebalance-needed'))
    expect(a.states).toEqual(['rebalance-needed'])
    // It does not join by itself, and stays a member of its generation until it is told to.
    await nodePorts.timers.sleep(300)
    expect(a.member.state).toBe('rebalance-needed')
    expect(a.member.generationId).toBe(alone.generationId)
    const again = await a.join()
    const other = await joining
    expect([again, other].map(textOf)).toEqual(['a of a,b', 'b of a,b'])
    expect(other.generationId).toBe(again.generationId)
    expect(again.memberId).toBe(alone.memberId)
    expect((await judge.describeGroup(group)).state).toMatch(/stable/i)
    await b.member.leave('test')
    await until('the rebalance', () => isState(a.member, 'rebalance-needed'))
    expect(textOf(await a.join())).toBe('a of a')
  })

  it('join again after having been thrown out, as another member', async () => {
    const group = uniqueTopic('lost')
    const a = await newMember(group, 'a')
    const before = await a.join()
    const cluster = await connect()
    const node = await cluster.coordinator('group', group)
    const members = [{ memberId: before.memberId, groupInstanceId: null, reason: null }]
    await cluster.send(node, 'admin', leaveGroup, { groupId: group, members })
    await cluster.close()
    await until('the loss', () => isState(a.member, 'lost'))
    const after = await a.join()
    expect(after.memberId).not.toBe(before.memberId)
    expect(a.member.state).toBe('stable')
  })

  it('gives up a join that waits for others when it is closed or leaves', async () => {
    const group = uniqueTopic('waiting')
    const a = await newMember(group, 'a')
    await a.join()
    for (const end of ['close', 'leave'] as const) {
      const b = await newMember(group, 'b')
      const failed = expect(b.join()).rejects.toMatchObject({ code: 'CLOSED' })
      await nodePorts.timers.sleep(300)
      expect(b.member.state).toBe('joining')
      const began = inMs(0)
      if (end === 'close') b.member.close()
      else await b.member.leave('test')
      await failed
      expect(inMs(0) - began).toBeLessThan(2000)
    }
    expect((await judge.describeGroup(group)).state).not.toMatch(/dead/i)
  })

  it('names what the broker refuses', async () => {
    const group = uniqueTopic('refused')
    const short = await newMember(group, 'a', { sessionTimeoutMs: 1 })
    await expect(short.join()).rejects.toThrow(/INVALID_SESSION_TIMEOUT/)
    expect(short.member.state).toBe('lost')
  })
})

describe('static members', () => {
  it('take their place back without a rebalance, the leader without assigning', async () => {
    const group = uniqueTopic('static')
    const a = await newMember(group, 'a', { instanceId: 'a' })
    const b = await newMember(group, 'b', { instanceId: 'b' })
    await a.join()
    const joining = b.join()
    await until('the rebalance', () => isState(a.member, 'rebalance-needed'))
    const [first] = await Promise.all([a.join(), joining])
    expect(first.isLeader).toBe(true)
    a.member.close()
    const restarted = await newMember(group, 'a', { instanceId: 'a' })
    const back = await restarted.join()
    expect(back.generationId).toBe(first.generationId)
    expect(back.memberId).not.toBe(first.memberId)
    expect(textOf(back)).toBe('a of a,b')
    expect(restarted.assigned()).toBe(0)
    await nodePorts.timers.sleep(300)
    expect(b.member.state).toBe('stable')
  })

  it('are not waited for where they leave during their first join, before they know their id', async () => {
    const group = uniqueTopic('first-join')
    const a = await newMember(group, 'a', { instanceId: 'a' })
    await a.join()
    const b = await newMember(group, 'b', { instanceId: 'b' })
    const failed = expect(b.join()).rejects.toMatchObject({ code: 'CLOSED' })
    await until('the rebalance', () => isState(a.member, 'rebalance-needed'))
    // As a worker that is closed does.
    b.member.giveUpJoin()
    await failed
    expect(b.member.memberId).toBe('')
    await b.member.leave('test')
    expect(textOf(await a.join())).toBe('a of a')
    expect((await judge.describeGroup(group)).members).toHaveLength(1)
  })

  it('are fenced by a twin', async () => {
    const group = uniqueTopic('twin')
    const a = await newMember(group, 'a', { instanceId: 'same' })
    await a.join()
    const twin = await newMember(group, 'b', { instanceId: 'same' })
    // It tells something else than the old one, and is answered the old assignment all the same.
    expect(textOf(await twin.join())).toBe('a of a')
    await until('the fencing', () => isState(a.member, 'fenced'))
    expect(a.states).toEqual(['fenced'])
    await expect(a.join()).rejects.toMatchObject({ code: 'INSTANCE_FENCED' })
    expect(textOf(await twin.join())).toBe('b of b')
    expect(twin.assigned()).toBe(1)
  })
})
