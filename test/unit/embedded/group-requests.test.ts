// The requests of groups at the embedded broker through the codecs of our client: each goes out as the client writes it,
// and its answer is read as the client reads it, in every version that both speak.
import { describe, expect, it } from 'vitest'
import { codes } from '../../../src/embedded/codes.ts'
import type { AnyHandler } from '../../../src/embedded/request-handler.ts'
import { deleteGroupsHandler } from '../../../src/embedded/requests/delete-groups.ts'
import { describeGroupsHandler } from '../../../src/embedded/requests/describe-groups.ts'
import { heartbeatHandler } from '../../../src/embedded/requests/heartbeat.ts'
import { joinGroupHandler } from '../../../src/embedded/requests/join-group.ts'
import { leaveGroupHandler } from '../../../src/embedded/requests/leave-group.ts'
import { listGroupsHandler } from '../../../src/embedded/requests/list-groups.ts'
import { offsetCommitHandler } from '../../../src/embedded/requests/offset-commit.ts'
import { offsetDeleteHandler } from '../../../src/embedded/requests/offset-delete.ts'
import { offsetFetchHandler } from '../../../src/embedded/requests/offset-fetch.ts'
import { syncGroupHandler } from '../../../src/embedded/requests/sync-group.ts'
import { txnOffsetCommitHandler } from '../../../src/embedded/requests/txn-offset-commit.ts'
import type { Api } from '../../../src/protocol/api.ts'
import { encodeSubscription } from '../../../src/protocol/consumer-protocol.ts'
import { describeGroups } from '../../../src/protocol/describe-groups.ts'
import { heartbeat } from '../../../src/protocol/heartbeat.ts'
import { joinGroup } from '../../../src/protocol/join-group.ts'
import { leaveGroup } from '../../../src/protocol/leave-group.ts'
import { offsetCommit } from '../../../src/protocol/offset-commit.ts'
import { offsetFetch } from '../../../src/protocol/offset-fetch.ts'
import { syncGroup } from '../../../src/protocol/sync-group.ts'
import { txnOffsetCommit } from '../../../src/protocol/txn-offset-commit.ts'
import { Reader, Writer } from '../../../src/protocol/wire.ts'
import { errorName, GroupStand } from './group-stand.ts'

/** Over the wire, there and back. */
const send = async <Request, Response>(
  stand: GroupStand,
  handler: AnyHandler,
  api: Api<Request, Response>,
  version: number,
  request: Request,
): Promise<Response> => {
  expect([handler.key, handler.name, handler.flexibleFrom]).toEqual([api.key, api.name, api.flexibleFrom])
  const out = new Writer()
  api.encode(out, version, request)
  const reader = new Reader(out.toBuffer())
  reader.begin(api.name, version >= handler.flexibleFrom)
  const decoded = handler.decode(reader, version) as object
  reader.finish()
  const pending = stand.ask<unknown>(handler, decoded, version)
  stand.pass(0)
  const back = new Writer()
  back.flexible = version >= handler.flexibleFrom
  handler.encode(back, version, await pending)
  return api.decode(new Reader(back.toBuffer()), version)
}

const versionsOf = (handler: AnyHandler, api: Api<never, unknown>): number[] => {
  const from = Math.max(handler.versions[0], api.versions[0])
  const to = Math.min(handler.versions[1], api.versions[1])
  return Array.from({ length: to - from + 1 }, (_, at) => from + at)
}

const groupId = 'g'
const static1 = { groupId, groupInstanceId: 'i' }
const join = {
  ...static1,
  memberId: '',
  sessionTimeoutMs: 10_000,
  rebalanceTimeoutMs: 3000,
  protocolType: 'consumer',
  protocols: [{ name: 'p', metadata: Buffer.from('metadata') }],
  reason: 'because',
}
const offset = { partition: 0, offset: 2 ** 40, leaderEpoch: 5, metadata: 'über' }
const topics = [{ topic: 'a', partitions: [offset, { ...offset, partition: 3, metadata: null }] }]
const committed = [
  {
    topic: 'a',
    partitions: [
      { ...offset, errorCode: 0 },
      { ...offset, partition: 3, metadata: '', errorCode: 0 },
    ],
  },
]
const noErrors = [
  {
    topic: 'a',
    partitions: [
      { partition: 0, errorCode: 0 },
      { partition: 3, errorCode: 0 },
    ],
  },
]
const asked = [{ topic: 'a', partitions: [0, 3] }]

/** A group that does not exist, and would have the same coordinator. */
const missing = ({ broker: { nodes } }: GroupStand): string => {
  const names = ['x1', 'x2', 'x3', 'x4']
  return names.find((name) => nodes.coordinator('group', name) === nodes.coordinator('group', groupId)) ?? ''
}

describe('a member over the wire', () => {
  it.each(versionsOf(joinGroupHandler, joinGroup))('joins with JoinGroup v%i', async (version) => {
    const stand = new GroupStand()
    const answer = await send(stand, joinGroupHandler, joinGroup, version, join)
    const { memberId } = answer
    expect(memberId).toBe('i-uuid-1')
    expect(answer).toEqual({
      throttleTimeMs: 0,
      errorCode: 0,
      generationId: 1,
      protocolType: version >= 7 ? 'consumer' : null,
      protocolName: 'p',
      leader: memberId,
      skipAssignment: false,
      memberId,
      members: [{ memberId, groupInstanceId: 'i', metadata: Buffer.from('metadata') }],
    })
  })

  it.each(versionsOf(syncGroupHandler, syncGroup))(
    'takes its assignment with SyncGroup v%i',
    async (version) => {
      const stand = new GroupStand()
      const { memberId } = await send(stand, joinGroupHandler, joinGroup, 9, join)
      const answer = await send(stand, syncGroupHandler, syncGroup, version, {
        ...static1,
        memberId,
        generationId: 1,
        protocolType: 'consumer',
        protocolName: 'p',
        assignments: [{ memberId, assignment: Buffer.from('work') }],
      })
      expect(answer).toEqual({
        throttleTimeMs: 0,
        errorCode: 0,
        protocolType: version >= 5 ? 'consumer' : null,
        protocolName: version >= 5 ? 'p' : null,
        assignment: Buffer.from('work'),
      })
    },
  )

  it('beats, is described, and leaves', async () => {
    for (const version of versionsOf(heartbeatHandler, heartbeat)) {
      const stand = new GroupStand()
      const { memberId } = await stand.alone(groupId, { instanceId: 'i' })
      const beat = { ...static1, memberId, generationId: 1 }
      const { errorCode } = await send(stand, heartbeatHandler, heartbeat, version, beat)
      expect(errorCode).toBe(0)
    }
    for (const version of versionsOf(describeGroupsHandler, describeGroups)) {
      const stand = new GroupStand()
      const { memberId } = await stand.alone(groupId, { instanceId: 'i' })
      const request = { groupIds: [groupId, missing(stand)] }
      const { groups } = await send(stand, describeGroupsHandler, describeGroups, version, request)
      expect(groups[0]).toMatchObject({ groupId, state: 'Stable', protocolType: 'consumer' })
      expect(groups[0]?.members).toEqual([
        {
          memberId,
          groupInstanceId: 'i',
          clientId: 'client',
          clientHost: '/127.0.0.1',
          metadata: Buffer.from('x'),
          assignment: Buffer.from('all'),
        },
      ])
      const error = version >= 6 ? 'GROUP_ID_NOT_FOUND' : 'NONE'
      expect([errorName(groups[1]?.errorCode), groups[1]?.state]).toEqual([error, 'Dead'])
    }
    for (const version of versionsOf(leaveGroupHandler, leaveGroup)) {
      const stand = new GroupStand()
      await stand.alone(groupId, { instanceId: 'i' })
      const gone = { memberId: '', groupInstanceId: 'i', reason: null }
      const answer = await send(stand, leaveGroupHandler, leaveGroup, version, {
        groupId,
        members: [gone, gone],
      })
      expect(answer.members).toEqual([
        { memberId: '', groupInstanceId: 'i', errorCode: 0 },
        { memberId: '', groupInstanceId: 'i', errorCode: codes.UNKNOWN_MEMBER_ID },
      ])
    }
  })

  it('of the oldest versions has no instance id, and leaves by itself', async () => {
    const stand = new GroupStand()
    const joined = stand.join(groupId, { version: 0 })
    stand.pass(0)
    await Promise.resolve()
    const writer = new Writer()
    writer.string(groupId).string(joined.answer?.memberId ?? '')
    const request = leaveGroupHandler.decode(new Reader(writer.toBuffer()), 0)
    const answer = stand.ask<never>(leaveGroupHandler, request, 0)
    const back = new Writer()
    leaveGroupHandler.encode(back, 0, answer)
    expect(back.toBuffer()).toEqual(Buffer.from([0, 0]))
    expect(stand.stateOf(groupId)).toBe('Empty')
  })
})

describe('offsets over the wire', () => {
  const plain = { groupId, generationId: -1, memberId: '', groupInstanceId: null, topics }

  it('are committed and fetched in each version', async () => {
    for (const version of versionsOf(offsetCommitHandler, offsetCommit)) {
      const stand = new GroupStand()
      const answer = await send(stand, offsetCommitHandler, offsetCommit, version, plain)
      expect(answer.topics).toEqual(noErrors)
      for (const fetchVersion of versionsOf(offsetFetchHandler, offsetFetch)) {
        for (const topicsAsked of [asked, null]) {
          const request = { groupId, topics: topicsAsked, requireStable: true }
          const fetched = await send(stand, offsetFetchHandler, offsetFetch, fetchVersion, request)
          expect(fetched).toEqual({ throttleTimeMs: 0, errorCode: 0, topics: committed })
        }
      }
    }
  })

  it('are pending with TxnOffsetCommit in each version, which v5 adds to the transaction', async () => {
    for (const version of versionsOf(txnOffsetCommitHandler, txnOffsetCommit)) {
      const stand = new GroupStand()
      const admitted: unknown[][] = []
      stand.admit = (...args) => {
        admitted.push(args)
        return codes.NONE
      }
      const request = { ...plain, transactionalId: 't', producerId: 2 ** 35, producerEpoch: 3 }
      for (const _ of [1, 2]) {
        const answer = await send(stand, txnOffsetCommitHandler, txnOffsetCommit, version, request)
        expect(answer.topics).toEqual(noErrors)
      }
      const partition = stand.groups.partitionOf(groupId)
      // Once: the partition of the offsets is part of the transaction from then on.
      expect(admitted).toEqual([
        ['t', 2 ** 35, 3, [{ topic: '__consumer_offsets', partition }], version >= 5],
      ])
      const ask = { groupId, topics: [{ topic: 'a', partitions: [0] }], requireStable: true }
      const old = await send(stand, offsetFetchHandler, offsetFetch, 8, { ...ask, requireStable: false })
      expect(old.topics[0]?.partitions[0]?.errorCode).toBe(codes.NONE)
      const unstable = await send(stand, offsetFetchHandler, offsetFetch, 8, ask)
      expect(unstable.topics[0]?.partitions[0]).toEqual({
        partition: 0,
        offset: -1,
        leaderEpoch: -1,
        metadata: '',
        errorCode: codes.UNSTABLE_OFFSET_COMMIT,
      })
    }
  })

  it('are refused as the transaction coordinator says, by the names that each version knows', async () => {
    const answerTo = async (version: number, code: number): Promise<string> => {
      const stand = new GroupStand()
      stand.admit = () => code
      const request = { ...plain, transactionalId: 't', producerId: 1, producerEpoch: 3 }
      const answer = await send(stand, txnOffsetCommitHandler, txnOffsetCommit, version, request)
      expect(stand.stateOf(groupId)).toBe('none')
      return errorName(answer.topics[0]?.partitions[0]?.errorCode)
    }
    expect(await answerTo(3, codes.INVALID_TXN_STATE)).toBe('INVALID_TXN_STATE')
    expect(await answerTo(4, codes.INVALID_TXN_STATE)).toBe('TRANSACTION_ABORTABLE')
    expect(await answerTo(5, codes.CONCURRENT_TRANSACTIONS)).toBe('CONCURRENT_TRANSACTIONS')
    expect(await answerTo(5, codes.INVALID_PRODUCER_EPOCH)).toBe('INVALID_PRODUCER_EPOCH')
  })

  it('of a topic that a member subscribes to stay; others are deleted', async () => {
    const stand = new GroupStand()
    const subscription = {
      topics: ['a'],
      userData: Buffer.alloc(0),
      ownedPartitions: [],
      generationId: -1,
      rackId: null,
    }
    const metadata = String(encodeSubscription(subscription, 0))
    await stand.alone(groupId, { protocols: { p: metadata } })
    for (const topic of ['a', 'b']) {
      stand.groups.offsets.commit(groupId, topic, 0, { offset: 1, leaderEpoch: -1, metadata: '' })
    }
    const both = ['a', 'b'].map((topic) => ({ topic, partitions: [{ partition: 0 }] }))
    const { topics: answers } = stand.ask<{ topics: typeof noErrors }>(offsetDeleteHandler, {
      groupId,
      topics: both,
    })
    const errors = answers.map(({ topic, partitions }) => [topic, errorName(partitions[0]?.errorCode)])
    expect(errors).toEqual([
      ['a', 'GROUP_SUBSCRIBED_TO_TOPIC'],
      ['b', 'NONE'],
    ])
    expect([...stand.groups.offsets.topics(groupId).keys()]).toEqual(['a'])
  })
})

describe('a coordinator that is somewhere else, or loading', () => {
  it('says so in every request', () => {
    const stand = new GroupStand()
    const { nodes } = stand.broker
    const here = nodes.coordinator('group', groupId)
    const member = { groupId, memberId: '', instanceId: null, generationId: 1 }
    const one = [{ topic: 'a', partitions: [{ ...offset }] }]
    const every = (nodeId: number): string[] => {
      const ask = <T>(handler: AnyHandler, request: object): T =>
        stand.ask<T>(handler, request, undefined, nodeId)
      const commits = [offsetCommitHandler, txnOffsetCommitHandler].map(
        (handler) => ask<typeof noErrors>(handler, { ...member, topics: one })[0]?.partitions[0]?.errorCode,
      )
      const named = {
        ...member,
        protocolType: 'p',
        protocolName: 'p',
        protocols: [],
        sessionTimeoutMs: 10_000,
      }
      const single = [joinGroupHandler, syncGroupHandler, leaveGroupHandler, offsetDeleteHandler].map(
        (handler) => ask<{ errorCode: number }>(handler, { ...named, topics: [], members: [] }).errorCode,
      )
      const groups = { groupIds: [groupId], groups: [{ groupId, topics: null }] }
      const listed = [describeGroupsHandler, offsetFetchHandler].map(
        (handler) => ask<{ errorCode: number }[]>(handler, groups)[0]?.errorCode,
      )
      const deleted = ask<{ errorCode: number }[]>(deleteGroupsHandler, [groupId])[0]?.errorCode
      return [...commits, ...single, ...listed, deleted].map((code) => errorName(code))
    }
    expect(new Set(every(3 - here))).toEqual(new Set(['NOT_COORDINATOR']))
    nodes.moveCoordinator('group', groupId, here, 100)
    expect(new Set(every(here))).toEqual(new Set(['COORDINATOR_LOAD_IN_PROGRESS']))
    expect(stand.stateOf(groupId)).toBe('none')
    stand.pass(100)
    expect(new Set(every(here)).has('COORDINATOR_LOAD_IN_PROGRESS')).toBe(false)
  })

  it('lists the groups that it coordinates, by state and type', async () => {
    const stand = new GroupStand()
    const ids = ['g1', 'g2', 'g3', 'g4']
    for (const id of ids) await stand.alone(id)
    stand.groups.getOrCreate('empty')
    const list = (nodeId: number, states: string[], types: string[]): string[] => {
      const request = { states, types }
      const { groups } = stand.ask<{ groups: { groupId: string }[] }>(listGroupsHandler, request, 5, nodeId)
      return groups.map(({ groupId: id }) => id)
    }
    const both = (states: string[], types: string[] = []): string[] =>
      [1, 2].flatMap((nodeId) => list(nodeId, states, types)).sort()
    expect(both([])).toEqual(['empty', ...ids])
    expect(list(1, [], []).length).toBeLessThan(5)
    expect(both(['stable', 'Dead'])).toEqual(ids)
    expect(both(['Empty'], ['Classic'])).toEqual(['empty'])
    expect(both([], ['consumer'])).toEqual([])
  })
})
