// Static members (KIP-345): a restart under the same instance id, and those who hold it wrongly.
import { describe, expect } from 'vitest'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Broker, contract } from '../support/contract/contract.ts'
import {
  describeGroup,
  joinOnce,
  leaveOnce,
  Member,
  type MemberOptions,
  pairUp,
} from '../support/contract/members.ts'
import { unique } from '../support/contract/names.ts'
import { answeredWithin } from '../support/contract/waits.ts'

/** Two static members; `a` leads. */
const pair = async (broker: Broker, options: MemberOptions = {}): Promise<{ a: Member; b: Member }> => {
  const a = await (await Member.open(broker, { ...options, instanceId: 'a' })).lead()
  const b = await Member.open(broker, { ...options, groupId: a.groupId, instanceId: 'b' })
  await pairUp(a, b)
  return { a, b }
}

const again = (
  broker: Broker,
  { groupId, instanceId }: Member,
  options: MemberOptions = {},
): Promise<Member> => Member.open(broker, { ...options, groupId, instanceId })

describe('a static member', () => {
  contract('joins without being given an id first', async ({ wire }) => {
    const joined = await joinOnce(wire, { groupId: unique('group'), groupInstanceId: 'one' })
    expect(joined).toMatchObject({ error: 'NONE', generationId: 1 })
    expect(joined.memberId).toMatch(/^one-[\w-]{36}$/)
    expect(joined.members.map(({ groupInstanceId }) => groupInstanceId)).toEqual(['one'])
  })

  for (const version of [5, 9]) {
    contract(
      `that restarts keeps its assignment without a rebalance (JoinGroup v${version})`,
      async (broker) => {
        const { a, b } = await pair(broker, { version })
        const restarted = await again(broker, b, { version })
        const joined = await restarted.join()
        expect(joined).toMatchObject({
          error: 'NONE',
          generationId: b.generationId,
          leader: a.memberId,
          members: [],
        })
        expect(restarted.memberId).not.toBe(b.memberId)
        expect((await restarted.sync()).assignment).toBe('of the second')
        expect(await a.heartbeat()).toBe('NONE')
        expect(await restarted.heartbeat()).toBe('NONE')
      },
    )
  }

  contract('that restarts as the leader is told to skip the assignment (v9)', async (broker) => {
    const { a, b } = await pair(broker)
    const restarted = await again(broker, a)
    const joined = await restarted.join()
    expect(joined).toMatchObject({
      ...{ error: 'NONE', generationId: a.generationId, leader: restarted.memberId, skipAssignment: true },
    })
    expect(Object.keys(joined.metadataOf).sort()).toEqual([restarted.memberId, b.memberId].sort())
    expect((await restarted.sync()).assignment).toBe('of the first')
    expect(await b.heartbeat()).toBe('NONE')
  })

  contract('that restarts as the leader is not told that it leads (v5)', async (broker) => {
    const { a } = await pair(broker, { version: 5 })
    const restarted = await again(broker, a, { version: 5 })
    const joined = await restarted.join()
    expect(joined).toMatchObject({ leader: a.memberId, skipAssignment: false, members: [] })
    expect((await restarted.sync()).assignment).toBe('of the first')
  })

  contract('that restarts with other metadata has its old assignment, and no rebalance', async (broker) => {
    const { a, b } = await pair(broker)
    const restarted = await again(broker, b, { metadata: 'other' })
    expect(await restarted.join()).toMatchObject({ error: 'NONE', generationId: b.generationId })
    expect((await restarted.sync()).assignment).toBe('of the second')
    expect(await a.heartbeat()).toBe('NONE')
  })

  contract('that restarts with another protocol begins a rebalance', async (broker) => {
    const { a, b } = await pair(broker, { protocols: ['range', 'sticky'] })
    const restarted = await again(broker, b, { protocols: ['sticky'] })
    const joining = restarted.join()
    await a.untilRebalance()
    const [ofLeader, ofRestarted] = await Promise.all([a.join(), joining])
    expect(ofLeader).toMatchObject({ generationId: b.generationId + 1, protocolName: 'sticky' })
    expect(ofRestarted.error).toBe('NONE')
  })

  contract('whose self was replaced is fenced in all it does', async (broker) => {
    const { b } = await pair(broker)
    await (await again(broker, b)).join()
    expect(await b.heartbeat()).toBe('FENCED_INSTANCE_ID')
    expect((await b.sync()).error).toBe('FENCED_INSTANCE_ID')
    expect(await b.commit(await broker.topic(), 1)).toBe('FENCED_INSTANCE_ID')
    expect((await b.join()).error).toBe('FENCED_INSTANCE_ID')
    expect(await b.leave()).toEqual(['FENCED_INSTANCE_ID'])
  })

  contract('with other metadata than before, under its own id, begins a rebalance', async (broker) => {
    const { a, b } = await pair(broker)
    b.metadata = 'changed'
    const joining = b.join()
    expect(await answeredWithin(joining, 200)).toBe(false)
    await a.untilRebalance()
    expect((await a.join()).metadataOf[b.memberId]).toBe('changed')
    expect((await joining).generationId).toBe(3)
  })

  contract('with an id that is not its own is fenced, and unknown where the instance is', async (broker) => {
    const { a } = await pair(broker)
    const { groupId } = a
    const other = await joinOnce(broker.wire, { groupId, groupInstanceId: 'a', memberId: 'somebody' })
    expect(other.error).toBe('FENCED_INSTANCE_ID')
    const unknown = await joinOnce(broker.wire, { groupId, groupInstanceId: 'c', memberId: 'somebody' })
    expect(unknown.error).toBe('UNKNOWN_MEMBER_ID')
  })

  contract('can be taken out by its instance id alone', async (broker) => {
    const { a, b } = await pair(broker)
    const leaving = [
      { memberId: '', instanceId: 'b' },
      { memberId: '', instanceId: 'nobody' },
    ]
    expect(await leaveOnce(broker.wire, a.groupId, leaving)).toEqual(['NONE', 'UNKNOWN_MEMBER_ID'])
    expect(await b.heartbeat()).toBe('UNKNOWN_MEMBER_ID')
    await a.untilRebalance()
    expect((await a.join()).members).toHaveLength(1)
  })

  contract('that is dead stays in the group for its session', async (broker) => {
    const { a, b } = await pair(broker, { sessionTimeoutMs: 1500, rebalanceTimeoutMs: 5000 })
    for (let times = 0; times < 5; times++) {
      await sleep(400)
      await a.heartbeat()
    }
    await a.untilRebalance()
    const joined = await a.join()
    expect(joined.members.map(({ groupInstanceId }) => groupInstanceId)).toEqual(['a'])
    expect(await b.heartbeat()).toBe('UNKNOWN_MEMBER_ID')
  })

  contract(
    'that is dead holds up a rebalance for the rebalance timeout, and is counted in',
    async (broker) => {
      const { a } = await pair(broker, { rebalanceTimeoutMs: 700 })
      const third = await Member.open(broker, { groupId: a.groupId, rebalanceTimeoutMs: 700 })
      const began = performance.now()
      const joining = third.join()
      await a.untilRebalance()
      const [ofLeader] = await Promise.all([a.join(), joining])
      expect(performance.now() - began).toBeGreaterThan(600)
      expect(ofLeader.members).toHaveLength(3)
    },
  )

  contract('is shown with its instance id', async (broker) => {
    const { a } = await pair(broker)
    const { members, state, protocolType, protocolName } = await describeGroup(broker.wire, a.groupId)
    expect({ state, protocolType, protocolName }).toEqual({
      ...{ state: 'Stable', protocolType: 'consumer', protocolName: 'range' },
    })
    const shown = members.map((one) => [one.groupInstanceId, one.clientId, one.assignment.toString()])
    expect(shown.sort()).toEqual([
      ['a', 'contract', 'of the first'],
      ['b', 'contract', 'of the second'],
    ])
    expect(members.every(({ clientHost }) => clientHost === '/127.0.0.1')).toBe(true)
  })

  contract('replaced while the group waits for members lets the old one go', async (broker) => {
    const { a, b } = await pair(broker)
    const third = await Member.open(broker, { groupId: a.groupId })
    const joining = third.join()
    await a.untilRebalance()
    const waiting = b.join()
    expect(await answeredWithin(waiting, 200)).toBe(false)
    const restarted = await again(broker, b)
    const replacing = restarted.join()
    expect((await waiting).error).toBe('FENCED_INSTANCE_ID')
    const [ofLeader, ofThird, ofRestarted] = await Promise.all([a.join(), joining, replacing])
    expect([ofLeader.error, ofThird.error, ofRestarted.error]).toEqual(['NONE', 'NONE', 'NONE'])
    expect(ofLeader.members).toHaveLength(3)
  })
})
