// What a real broker does with members of a group that are late, dead, restarted or not ours (classic protocol). Each
// test shows one fact with single requests, and says which decision of ours stands on it: if a later broker behaves in
// another way, it is known here first.
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { Cluster } from '../../src/client/cluster.ts'
import { decodeAssignment } from '../../src/protocol/consumer-protocol.ts'
import { connect, inMs } from '../support/client.ts'
import { type Judge, startJudge } from '../support/judge.ts'
import { kafkaBrokers, uniqueTopic } from '../support/kafka.ts'
import {
  assigned,
  endOf,
  offsetOf,
  RawMember,
  type RawMemberOptions,
  RawProducer,
  stableOffsetOf,
} from '../support/raw-protocol.ts'

let judge: Judge
let cluster: Cluster
const opened: { close(): Promise<void> }[] = []

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

const newProducer = async (name: string): Promise<RawProducer> => {
  const producer = await RawProducer.open(uniqueTopic(name))
  opened.push(producer)
  return producer
}

const newMember = async (group: string, options: RawMemberOptions): Promise<RawMember> => {
  const member = await RawMember.open(group, options)
  if (options.cluster === undefined) opened.push(member.cluster)
  return member
}

/** Waits until the group has begun to rebalance, as a member in it hears. */
const untilRebalance = async (member: RawMember): Promise<void> =>
  await expect.poll(() => member.heartbeat(), { interval: 10 }).toBe('REBALANCE_IN_PROGRESS')

/** Whether this is answered within a second. */
const answered = async (asked: Promise<unknown>): Promise<boolean> =>
  await Promise.race([asked.then(() => true), sleep(1000).then(() => false)])

const partitionsIn = (assignment: Buffer): readonly number[] =>
  decodeAssignment(assignment).partitions.flatMap(({ partitions }) => [...partitions])

describe('a member that was put out and joined again', () => {
  // A transaction is bound to the member id of its first record (src/runtime/transaction.ts, #boundTo), and the group
  // member never joins again by itself (src/client/group-member.ts): the broker would not notice.
  it('commits its old transaction with the new generation: the broker never asks who owns the partition', async () => {
    const [input, out] = [await newTopic('kicked', 2), await newTopic('kicked-out')]
    const group = uniqueTopic('kicked')
    const [a, b] = [await newMember(group, { topics: [input] }), await newMember(group, { topics: [input] })]
    const [ofA, ofB] = [await newProducer('kicked-a'), await newProducer('kicked-b')]
    await a.takeAll(input, [0, 1])
    expect(await ofA.produce(out, 0, ['a0', 'a1', 'a2', 'a3', 'a4'])).toBe('NONE')
    const before = a.identity
    await a.kick()
    await b.takeAll(input, [0, 1])
    await ofB.produce(out, 0, ['b0', 'b1', 'b2', 'b3', 'b4', 'b5', 'b6', 'b7', 'b8', 'b9'])
    expect(await ofB.commitOffsets(group, input, { 0: 10 }, { member: b.identity })).toBe('NONE')
    expect((await ofB.end(true)).error).toBe('NONE')
    expect(await stableOffsetOf(cluster, group, input, 0)).toMatchObject({ offset: 10 })
    expect(await a.heartbeat()).toBe('UNKNOWN_MEMBER_ID')
    expect(await ofA.commitOffsets(group, input, { 0: 5 }, { member: before })).toBe('UNKNOWN_MEMBER_ID')
    a.memberId = ''
    const joining = a.join()
    await untilRebalance(b)
    const [joined] = await Promise.all([b.join(), joining])
    const leader = joined.answer.leader === b.memberId ? b : a
    const assignments = [
      [b.memberId, assigned(input, [0, 1])],
      [a.memberId, assigned(input, [])],
    ] as const
    await Promise.all([a, b].map((one) => one.sync(one === leader ? assignments : [])))
    // Partition 0 belongs to the other one.
    expect(await ofA.commitOffsets(group, input, { 0: 5 }, { member: a.identity })).toBe('NONE')
    expect((await ofA.end(true)).error).toBe('NONE')
    expect(await stableOffsetOf(cluster, group, input, 0)).toMatchObject({ offset: 5 })
    await expect.poll(async () => (await judge.dump(out)).records.length).toBe(15)
  })
})

describe('offsets that were committed before the last produce', () => {
  // Every produce is acknowledged before TxnOffsetCommit is sent (src/runtime/transaction.ts, steps 2 and 3), and a new
  // owner asks for the high watermark only after a stable OffsetFetch (src/runtime/task-manager.ts, #prepare).
  it('let a successor restore too little: neither Produce nor EndTxn is held against the group', async () => {
    const [input, changelog] = [await newTopic('early'), await newTopic('early-changelog')]
    const group = uniqueTopic('early')
    const [a, b] = [await newMember(group, { topics: [input] }), await newMember(group, { topics: [input] })]
    const ofA = await newProducer('early-a')
    await a.takeAll(input, [0])
    await ofA.produce(changelog, 0, ['first'])
    expect(await ofA.commitOffsets(group, input, { 0: 5 }, { member: a.identity })).toBe('NONE')
    await a.kick()
    await b.takeAll(input, [0])
    expect(await offsetOf(cluster, group, input, 0)).toMatchObject({ error: 'UNSTABLE_OFFSET_COMMIT' })
    const restoredTo = await endOf(cluster, changelog, 0, 'read_uncommitted')
    expect(restoredTo).toBe(1)
    expect(await ofA.produce(changelog, 0, ['second'])).toBe('NONE')
    expect((await ofA.end(true)).error).toBe('NONE')
    expect(await stableOffsetOf(cluster, group, input, 0)).toMatchObject({ offset: 5 })
    await expect.poll(async () => (await judge.dump(changelog)).records.length).toBe(2)
    expect((await judge.dump(changelog)).records.at(-1)?.offset).toBeGreaterThanOrEqual(restoredTo)
  })
})

describe('a static member that was restarted', () => {
  /** Two static members with a partition each; `a` leads. */
  const pair = async (
    version: number,
  ): Promise<{ input: string; more: string; a: RawMember; b: RawMember }> => {
    const [input, more] = [await newTopic('static', 2), await newTopic('static-more', 2)]
    const group = uniqueTopic('static')
    const options = { topics: [input], version, rebalanceTimeoutMs: 2000 }
    const a = await newMember(group, { ...options, instanceId: 'a' })
    const b = await newMember(group, { ...options, instanceId: 'b' })
    await a.takeAll(input, [0, 1])
    const joining = b.join()
    await untilRebalance(a)
    await Promise.all([a.join(), joining])
    const assignments = [
      [a.memberId, assigned(input, [0], Buffer.from('a'))],
      [b.memberId, assigned(input, [1], Buffer.from('b'))],
    ] as const
    await Promise.all([a.sync(assignments), b.sync()])
    return { input, more, a, b }
  }

  // An assignment names the topology it was made for, and a worker whose topology is another one joins a second time
  // (src/runtime/worker.ts, #rejoin), with a number in its metadata that is never the same (src/runtime/assignor.ts).
  it.each([5, 9])('is answered its old assignment and tells nobody (JoinGroup v%i)', async (version) => {
    const { input, more, a, b } = await pair(version)
    const { groupId } = a
    const again = await newMember(groupId, { ...a.options, topics: [input, more], userData: 'an empty disk' })
    const { answer } = await again.join()
    expect(answer.generationId).toBe(a.generationId)
    expect(again.memberId).not.toBe(a.memberId)
    // v9 says that it leads and need not assign; v5 hides from it that it leads.
    expect(answer).toMatchObject({
      skipAssignment: version === 9,
      leader: version === 9 ? again.memberId : a.memberId,
    })
    expect(answer.members).toHaveLength(version === 9 ? 2 : 0)
    const { assignment } = await again.sync()
    expect(decodeAssignment(assignment).partitions).toEqual([{ topic: input, partitions: [0] }])
    expect(await b.heartbeat()).toBe('NONE')
    // The old self is out, and is told so in words that name the cause.
    expect(await a.heartbeat()).toBe('FENCED_INSTANCE_ID')
  })

  it('starts a rebalance with other metadata alone', async () => {
    const { a, b } = await pair(9)
    const again = await newMember(a.groupId, { ...b.options, userData: 'new' })
    await again.join()
    await again.sync()
    const { answer } = await again.join()
    expect(answer.generationId).toBe(b.generationId)
    expect(await a.heartbeat()).toBe('NONE')
    again.userData = Buffer.from('newer')
    const joining = again.join()
    expect(await answered(joining)).toBe(false)
    expect(await a.heartbeat()).toBe('REBALANCE_IN_PROGRESS')
    await a.join()
    expect((await joining).answer.generationId).toBe(b.generationId + 1)
  })

  // rebalanceTimeoutMs is short beside the session (src/config/relations.ts), and `members remove` takes instances out
  // that are gone for good.
  it('when it is dead holds up each rebalance for the rebalance timeout', async () => {
    const { input, a } = await pair(9)
    const third = await newMember(a.groupId, { topics: [input], rebalanceTimeoutMs: 2000 })
    const began = inMs(0)
    const joining = third.join()
    await untilRebalance(a)
    const [joined] = await Promise.all([a.join(), joining])
    expect(inMs(0) - began).toBeGreaterThan(1900)
    // The dead one is counted in all the same: its session is not over.
    expect(joined.answer.members).toHaveLength(3)
  })
})

describe('a rebalance in the middle of a transaction', () => {
  // A commit during a rebalance goes through or is repeated by the next generation (design section 7); the worker
  // commits before it joins (src/runtime/worker.ts, #rejoin).
  it('takes offsets of the old generation until it is over, then those of the new one, in the same transaction', async () => {
    const [input, out] = [await newTopic('mid', 2), await newTopic('mid-out')]
    const group = uniqueTopic('mid')
    const [a, b] = [await newMember(group, { topics: [input] }), await newMember(group, { topics: [input] })]
    const producer = await newProducer('mid')
    await a.takeAll(input, [0, 1])
    await producer.produce(out, 0, ['x'])
    const joining = b.join()
    await untilRebalance(a)
    const before = a.identity
    const commit = (offset: number, member = a.identity): Promise<string> =>
      producer.commitOffsets(group, input, { 0: offset }, { member, once: true })
    expect(await commit(1)).toBe('NONE')
    await Promise.all([a.join(), joining])
    expect(a.generationId).toBe(before.generationId + 1)
    expect(await commit(2, before)).toBe('ILLEGAL_GENERATION')
    // Even before SyncGroup has said whose the partition is.
    expect(await commit(2)).toBe('NONE')
    expect((await producer.end(true)).error).toBe('NONE')
    expect(await stableOffsetOf(cluster, group, input, 0)).toMatchObject({ offset: 2 })
  })
})

describe('one connection for two members', () => {
  // Each worker has a Cluster of its own, and each role in it a connection (src/client/cluster.ts).
  it('lets the join of one hold up the heartbeat of the other for the whole rebalance timeout', async () => {
    const input = await newTopic('shared', 2)
    const group = uniqueTopic('shared')
    const options = { topics: [input], rebalanceTimeoutMs: 2000, cluster: await connect() }
    opened.push(options.cluster)
    const a = await newMember(group, { ...options, instanceId: 'a' })
    const b = await newMember(group, { ...options, instanceId: 'b' })
    await a.takeAll(input, [0, 1])
    const began = inMs(0)
    const joining = b.join()
    expect(await a.heartbeat()).not.toBe('')
    expect(inMs(0) - began).toBeGreaterThan(1900)
    await joining
  })
})

describe('a consumer of the new group protocol (KIP-848)', () => {
  // No assignment goes without userData (src/runtime/assignor.ts): one empty assignment would let a stray in.
  it.each([
    ['is let in where no assignment carries userData', null, 'joined'],
    ['is refused where one carries userData', Buffer.from('ms'), 'GroupIdNotFoundException'],
  ])('%s', async (_, userData, outcome) => {
    const input = await newTopic('stray', 4)
    const member = await newMember(uniqueTopic('stray'), { topics: [input] })
    await member.join()
    const { assignment } = await member.sync([[member.memberId, assigned(input, [0, 1, 2, 3], userData)]])
    expect(partitionsIn(assignment)).toEqual([0, 1, 2, 3])
    expect(await judge.joinNewProtocol(member.groupId, input)).toBe(outcome)
  })
})

describe('userData', () => {
  // Ownership goes as compact as it can, all members together below 512 KB (design section 9); SyncGroup that is
  // answered so is an error with the size (src/client/group-member.ts, #sync).
  it.each([
    [600, 'NONE'],
    [1100, 'UNKNOWN_SERVER_ERROR'],
  ])('of %i KB: SyncGroup is answered %s', async (kilobytes, outcome) => {
    const input = await newTopic('large')
    const userData = 'x'.repeat(kilobytes * 1024)
    const member = await newMember(uniqueTopic('large'), { topics: [input], userData })
    expect((await member.join()).error).toBe('NONE')
    const { error } = await member.sync([[member.memberId, assigned(input, [0], Buffer.from('small'))]])
    expect(error).toBe(outcome)
  })
})
