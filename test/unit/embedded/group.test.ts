// A group of the classic protocol at the embedded broker: rounds of a rebalance, sessions, static members and the move of
// its coordinator. What single requests are answered stands in the contract suite, which asks Kafka the same.
import { describe, expect, it } from 'vitest'
import type { JoinAnswer } from '../../../src/embedded/group-members.ts'
import { arrived, errorName, GroupStand } from './group-stand.ts'

const group = 'g'

/** Two dynamic members of a stable group: the first leads. */
const pair = async (
  stand: GroupStand,
  options: Parameters<GroupStand['join']>[1] = {},
): Promise<[JoinAnswer, JoinAnswer]> => {
  const first = await stand.alone(group, options)
  const second = stand.join(group, options)
  const again = stand.join(group, { ...options, memberId: first.memberId })
  const [a, b] = [await arrived(again), await arrived(second)]
  if (a === undefined || b === undefined) throw new Error('the members wait')
  stand.sync(group, b)
  stand.sync(group, a, { assignments: { [a.memberId]: 'A', [b.memberId]: 'B' } })
  return [a, b]
}

/** The first member of a group, which has not handed in an assignment. */
const joinedAlone = async (stand: GroupStand): Promise<JoinAnswer> => {
  const joined = stand.join(group)
  stand.pass(0)
  return (await arrived(joined)) as JoinAnswer
}

describe('a rebalance', () => {
  it('tells the leader all members, and gives everybody what it hands in', async () => {
    const stand = new GroupStand()
    const first = await stand.alone(group)
    const second = stand.join(group, { protocols: { range: 'y' } })
    expect(stand.stateOf(group)).toBe('PreparingRebalance')
    expect(stand.heartbeat(group, first)).toBe('REBALANCE_IN_PROGRESS')
    const a = await arrived(stand.join(group, { memberId: first.memberId }))
    const b = await arrived(second)
    expect(a).toMatchObject({ generationId: 2, leader: first.memberId, memberId: first.memberId })
    expect(a?.members.map(({ metadata }) => String(metadata))).toEqual(['x', 'y'])
    expect(b).toMatchObject({ generationId: 2, leader: first.memberId, members: [] })
    if (a === undefined || b === undefined) throw new Error('the members wait')
    const follower = stand.sync(group, b)
    expect(await arrived(follower)).toBeUndefined()
    const leader = stand.sync(group, a, { assignments: { [a.memberId]: 'A', [b.memberId]: 'B' } })
    expect(String((await arrived(leader))?.assignment)).toBe('A')
    expect(String((await arrived(follower))?.assignment)).toBe('B')
    expect(stand.stateOf(group)).toBe('Stable')
  })

  it('waits the largest rebalance timeout, then goes on without the members that did not join again', async () => {
    const stand = new GroupStand()
    const first = await stand.alone(group, { rebalanceTimeoutMs: 5000 })
    const second = stand.join(group, { rebalanceTimeoutMs: 1000 })
    stand.pass(4999)
    expect(await arrived(second)).toBeUndefined()
    stand.pass(1)
    expect(await arrived(second)).toMatchObject({ generationId: 2, errorCode: 0 })
    expect(stand.heartbeat(group, first)).toBe('UNKNOWN_MEMBER_ID')
  })

  it('keeps a static member that did not join again, until it has not asked for its assignment either', async () => {
    const stand = new GroupStand()
    const first = await stand.alone(group, { instanceId: 'i', sessionTimeoutMs: 60_000 })
    const second = stand.join(group)
    stand.pass(3000)
    const b = await arrived(second)
    if (b === undefined) throw new Error('the member waits')
    expect(b.leader).toBe(b.memberId)
    expect(b.members).toHaveLength(2)
    stand.sync(group, b, { assignments: {} })
    expect(stand.heartbeat(group, { ...first, generationId: 2 }, 'i')).toBe('NONE')
    stand.pass(3000)
    expect(stand.heartbeat(group, { ...first, generationId: 2 }, 'i')).toBe('UNKNOWN_MEMBER_ID')
    expect(stand.stateOf(group)).toBe('PreparingRebalance')
  })

  it('waits for a member that was told its id and has not come back with it', async () => {
    const stand = new GroupStand()
    const first = await stand.alone(group)
    stand.joinOnce(group, { sessionTimeoutMs: 6000, rebalanceTimeoutMs: 20_000 })
    const again = stand.join(group, { memberId: first.memberId, rebalanceTimeoutMs: 20_000 })
    expect(await arrived(again)).toBeUndefined()
    stand.pass(6000)
    expect((await arrived(again))?.generationId).toBe(2)
  })

  it('is begun by a leader that joins again, and by a follower with other metadata alone', async () => {
    const stand = new GroupStand()
    const [a, b] = await pair(stand)
    expect((await arrived(stand.join(group, { memberId: b.memberId })))?.generationId).toBe(2)
    expect(stand.stateOf(group)).toBe('Stable')
    stand.join(group, { memberId: b.memberId, protocols: { range: 'other' } })
    expect(stand.heartbeat(group, a)).toBe('REBALANCE_IN_PROGRESS')
    const next = await arrived(stand.join(group, { memberId: a.memberId }))
    expect(next?.generationId).toBe(3)
    stand.sync(group, next as JoinAnswer)
    stand.join(group, { memberId: a.memberId })
    expect(stand.stateOf(group)).toBe('PreparingRebalance')
  })

  it('is not begun by a member that did not hear the answer to its join, and asks again', async () => {
    const stand = new GroupStand()
    const answer = await joinedAlone(stand)
    const again = await arrived(stand.join(group, { memberId: answer.memberId }))
    expect(again).toEqual(answer)
    expect(stand.stateOf(group)).toBe('CompletingRebalance')
  })

  it('sends members that wait for their assignment back to join', async () => {
    const stand = new GroupStand()
    const [a, b] = await pair(stand)
    const joins = [
      stand.join(group, { memberId: b.memberId, protocols: { range: '2' } }),
      stand.join(group, { memberId: a.memberId }),
    ] as const
    const follower = stand.sync(group, (await arrived(joins[0])) as JoinAnswer)
    stand.join(group, { memberId: a.memberId, protocols: { range: '2' } })
    expect(errorName((await arrived(follower))?.errorCode)).toBe('REBALANCE_IN_PROGRESS')
  })

  it('begins anew where the assignment is larger than a record of the offsets topic may be', async () => {
    const stand = new GroupStand()
    const answer = await joinedAlone(stand)
    const fits = { [answer.memberId]: 'x'.repeat(1_000_000) }
    const tooLarge = { [answer.memberId]: 'x'.repeat(1_048_588) }
    const refused = await arrived(stand.sync(group, answer, { assignments: tooLarge }))
    expect(errorName(refused?.errorCode)).toBe('UNKNOWN_SERVER_ERROR')
    expect(stand.heartbeat(group, answer)).toBe('REBALANCE_IN_PROGRESS')
    const again = await arrived(stand.join(group, { memberId: answer.memberId }))
    const taken = await arrived(stand.sync(group, again as JoinAnswer, { assignments: fits }))
    expect(taken?.assignment).toHaveLength(1_000_000)
  })

  it('takes the assignor that all know and most like best', async () => {
    const stand = new GroupStand()
    const first = await stand.alone(group, { protocols: { p: '', q: '' } })
    const others = [
      stand.join(group, { protocols: { r: '', q: '', p: '' } }),
      stand.join(group, { protocols: { q: '', p: '' } }),
    ]
    const a = await arrived(stand.join(group, { memberId: first.memberId, protocols: { p: '', q: '' } }))
    expect(a?.protocolName).toBe('q')
    for (const other of others) expect((await arrived(other))?.protocolName).toBe('q')
    const stranger = stand.join(group, { protocols: { r: '' } })
    expect(errorName(stranger.answer?.errorCode)).toBe('INCONSISTENT_GROUP_PROTOCOL')
  })

  it('waits for more members at first, as long as they come and the rebalance timeout allows it', async () => {
    const stand = new GroupStand({ initialRebalanceDelayMs: 1000 })
    const first = stand.join(group, { rebalanceTimeoutMs: 2500 })
    stand.pass(900)
    const second = stand.join(group)
    stand.pass(100)
    expect(await arrived(first)).toBeUndefined()
    stand.pass(900)
    const third = stand.join(group)
    stand.pass(599)
    expect(await arrived(second)).toBeUndefined()
    stand.pass(501)
    for (const one of [first, second, third]) expect((await arrived(one))?.generationId).toBe(1)
  })
})

describe('a session', () => {
  it('ends without a heartbeat, and the others rebalance', async () => {
    const stand = new GroupStand()
    const [a, b] = await pair(stand)
    stand.pass(9000)
    expect(stand.heartbeat(group, a)).toBe('NONE')
    stand.pass(1000)
    expect(stand.heartbeat(group, b)).toBe('UNKNOWN_MEMBER_ID')
    expect(stand.heartbeat(group, a)).toBe('REBALANCE_IN_PROGRESS')
  })

  it('does not end while the member waits for the others', async () => {
    const stand = new GroupStand()
    const [a, b] = await pair(stand, { rebalanceTimeoutMs: 60_000 })
    const waiting = stand.join(group, {
      memberId: b.memberId,
      protocols: { range: 'new' },
      rebalanceTimeoutMs: 60_000,
    })
    for (let passed = 0; passed < 30_000; passed += 5000) {
      stand.pass(5000)
      stand.heartbeat(group, a)
    }
    stand.join(group, { memberId: a.memberId })
    expect((await arrived(waiting))?.generationId).toBe(3)
  })

  it('of the last member leaves an empty group with a generation of its own, and no timers', async () => {
    const stand = new GroupStand()
    await stand.alone(group)
    stand.pass(10_000)
    expect(stand.stateOf(group)).toBe('Empty')
    expect(stand.groups.get(group)?.generationId).toBe(2)
    expect(stand.timers).toBe(0)
  })
})

describe('a static member', () => {
  it('comes back under a new id without a rebalance; the old id is fenced', async () => {
    const stand = new GroupStand()
    const first = await stand.alone(group, { instanceId: 'i' })
    const back = await arrived(stand.join(group, { instanceId: 'i', protocols: { range: 'other' } }))
    expect(back).toMatchObject({ generationId: 1, skipAssignment: true, leader: back?.memberId })
    expect(back?.members).toHaveLength(1)
    expect(back?.memberId).not.toBe(first.memberId)
    const answer = await arrived(stand.sync(group, back as JoinAnswer, { instanceId: 'i' }))
    expect(String(answer?.assignment)).toBe('all')
    expect(stand.heartbeat(group, first, 'i')).toBe('FENCED_INSTANCE_ID')
    expect(stand.heartbeat(group, first)).toBe('UNKNOWN_MEMBER_ID')
  })

  it('that led is told its old id as the leader below v9, and assigns nothing', async () => {
    const stand = new GroupStand()
    const first = await stand.alone(group, { instanceId: 'i' })
    const back = await arrived(stand.join(group, { instanceId: 'i', version: 5 }))
    expect(back).toMatchObject({ leader: first.memberId, skipAssignment: false, members: [] })
  })

  it('that comes back with another assignor begins a rebalance', async () => {
    const stand = new GroupStand()
    await stand.alone(group, { instanceId: 'i', protocols: { p: '', q: '' } })
    const back = await arrived(stand.join(group, { instanceId: 'i', protocols: { q: '' } }))
    expect(back).toMatchObject({ generationId: 2, protocolName: 'q', skipAssignment: false })
  })

  it('is fenced where it waits', async () => {
    const stand = new GroupStand()
    const first = await stand.alone(group, { instanceId: 'i' })
    stand.join(group, { instanceId: 'other', rebalanceTimeoutMs: 9000 })
    stand.pass(2000)
    stand.joinOnce(group)
    const waiting = stand.join(group, { memberId: first.memberId, instanceId: 'i' })
    expect(await arrived(waiting)).toBeUndefined()
    stand.join(group, { instanceId: 'i' })
    expect(errorName((await arrived(waiting))?.errorCode)).toBe('FENCED_INSTANCE_ID')
  })

  it('is put out by its instance id alone', async () => {
    const stand = new GroupStand()
    await stand.alone(group, { instanceId: 'i' })
    const unknown = { memberId: '', instanceId: 'j' }
    const known = { memberId: '', instanceId: 'i' }
    const stale = { memberId: 'x', instanceId: 'i' }
    expect(stand.leave(group, unknown, stale, known)).toEqual([
      'UNKNOWN_MEMBER_ID',
      'FENCED_INSTANCE_ID',
      'NONE',
    ])
    expect(stand.stateOf(group)).toBe('Empty')
  })
})

describe('a coordinator that moves', () => {
  it('takes the group along as it was stable, and forgets the rebalance that had begun', async () => {
    const stand = new GroupStand()
    const first = await stand.alone(group)
    const second = stand.join(group)
    const { nodes } = stand.broker
    const other = 3 - nodes.coordinator('group', group)
    nodes.moveCoordinator('group', group, other, 500)
    expect(errorName((await arrived(second))?.errorCode)).toBe('NOT_COORDINATOR')
    expect(stand.stateOf(group)).toBe('Stable')
    // Loading: a heartbeat is answered as if all were well.
    expect(stand.heartbeat(group, { ...first, generationId: 99 })).toBe('NONE')
    stand.pass(500)
    expect(stand.heartbeat(group, { ...first, generationId: 99 })).toBe('ILLEGAL_GENERATION')
    expect(stand.heartbeat(group, first)).toBe('NONE')
  })

  it('gives each member a session from the end of its loading on', async () => {
    const stand = new GroupStand()
    await stand.alone(group)
    stand.pass(9000)
    stand.broker.nodes.moveCoordinator('group', group, 1, 500)
    stand.pass(10_499)
    expect(stand.stateOf(group)).toBe('Stable')
    stand.pass(1)
    expect(stand.stateOf(group)).toBe('Empty')
  })

  it('leaves groups alone that it does not coordinate', async () => {
    const stand = new GroupStand()
    await stand.alone('g1')
    const waiting = stand.join('g1')
    stand.broker.nodes.moveCoordinator('group', 'g2', 1)
    expect(await arrived(waiting)).toBeUndefined()
    expect(stand.stateOf('g1')).toBe('PreparingRebalance')
  })

  it('because its node is down answers those that wait', async () => {
    const stand = new GroupStand()
    await stand.alone(group)
    const waiting = stand.join(group)
    const { nodes } = stand.broker
    nodes.setUp(nodes.coordinator('group', group), false)
    expect(errorName((await arrived(waiting))?.errorCode)).toBe('NOT_COORDINATOR')
  })
})

describe('closing', () => {
  it('ends all timers and answers everybody', async () => {
    const stand = new GroupStand()
    await stand.alone(group)
    await stand.alone('static', { instanceId: 'i' })
    stand.join('static', { instanceId: 'i' })
    const waiting = stand.join(group)
    stand.joinOnce(group)
    stand.groups.close()
    expect(stand.timers).toBe(0)
    expect(errorName((await arrived(waiting))?.errorCode)).toBe('COORDINATOR_NOT_AVAILABLE')
  })
})
