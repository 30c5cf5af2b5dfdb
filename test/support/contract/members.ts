// Members of groups for the cases of the contract: the requests of the classic group protocol, one at a time, and
// nothing by themselves.
import { decodeSubscription, encodeSubscription } from '../../../src/protocol/consumer-protocol.ts'
import { describeGroups, type DescribedGroup } from '../../../src/protocol/describe-groups.ts'
import { heartbeat } from '../../../src/protocol/heartbeat.ts'
import { type JoinGroupRequest, type JoinGroupResponse, joinGroup } from '../../../src/protocol/join-group.ts'
import { leaveGroup } from '../../../src/protocol/leave-group.ts'
import { offsetCommit } from '../../../src/protocol/offset-commit.ts'
import { offsetFetch } from '../../../src/protocol/offset-fetch.ts'
import { syncGroup } from '../../../src/protocol/sync-group.ts'
import type { Broker } from './contract.ts'
import { nameOf, unique } from './names.ts'
import { settled } from './waits.ts'
import type { Wire } from './wire.ts'

export interface MemberOptions {
  readonly groupId?: string
  readonly instanceId?: string | null
  readonly sessionTimeoutMs?: number
  readonly rebalanceTimeoutMs?: number
  readonly protocolType?: string
  readonly protocols?: readonly string[]
  readonly metadata?: string
  /** That it is subscribed to. */
  readonly topics?: readonly string[]
  /** Of JoinGroup. */
  readonly version?: number
}

export interface Joined extends JoinGroupResponse {
  readonly error: string
  readonly metadataOf: Readonly<Record<string, string>>
}

/** What a member says of itself: the coordinator reads it, so it has to be a subscription. */
const subscription = (userData: string, topics: readonly string[] = ['topic']): Buffer =>
  encodeSubscription({
    ...{
      topics,
      userData: Buffer.from(userData),
      ownedPartitions: [],
      generationId: -1,
      rackId: null,
    },
  })

/** The user data of a subscription. */
export const subscribed = (metadata: Buffer): string =>
  decodeSubscription(metadata).userData?.toString() ?? ''

export const joinOnce = async (
  wire: Wire,
  request: Partial<JoinGroupRequest>,
  version = 9,
): Promise<Joined> => {
  const answer = await wire.ask(
    joinGroup,
    {
      groupId: unique('group'),
      sessionTimeoutMs: 30_000,
      rebalanceTimeoutMs: 10_000,
      memberId: '',
      groupInstanceId: null,
      protocolType: 'consumer',
      protocols: [{ name: 'range', metadata: subscription('m') }],
      reason: null,
      ...request,
    },
    version,
  )
  const metadataOf = answer.members.map((one) => [one.memberId, subscribed(one.metadata)] as const)
  return { ...answer, error: nameOf(answer.errorCode), metadataOf: Object.fromEntries(metadataOf) }
}

export class Member {
  readonly wire: Wire
  readonly groupId: string
  readonly instanceId: string | null
  readonly #options: MemberOptions
  memberId = ''
  generationId = -1
  metadata: string

  private constructor(wire: Wire, options: MemberOptions) {
    this.wire = wire
    this.groupId = options.groupId ?? unique('group')
    this.instanceId = options.instanceId ?? null
    this.metadata = options.metadata ?? 'm'
    this.#options = options
  }

  static async open(broker: Broker, options: MemberOptions = {}): Promise<Member> {
    return new Member(await broker.connect(), options)
  }

  /** JoinGroup, once more where the broker only gave a member id. */
  async join(): Promise<Joined> {
    const { sessionTimeoutMs = 30_000, rebalanceTimeoutMs = 10_000, version = 9 } = this.#options
    const { protocols = ['range'], protocolType = 'consumer' } = this.#options
    const ask = (): Promise<Joined> =>
      joinOnce(
        this.wire,
        {
          ...{ groupId: this.groupId, sessionTimeoutMs, rebalanceTimeoutMs, protocolType },
          ...{ memberId: this.memberId, groupInstanceId: this.instanceId },
          protocols: protocols.map((name) => ({
            name,
            metadata: subscription(this.metadata, this.#options.topics),
          })),
        },
        version,
      )
    let joined = await ask()
    if (joined.error === 'MEMBER_ID_REQUIRED') {
      this.memberId = joined.memberId
      joined = await ask()
    }
    if (joined.error === 'NONE') {
      this.memberId = joined.memberId
      this.generationId = joined.generationId
    }
    return joined
  }

  /** SyncGroup; the leader gives each member id its assignment. */
  async sync(
    assignments: Readonly<Record<string, string>> = {},
    options: { protocolType?: string | null; protocolName?: string | null } = {},
  ): Promise<{ error: string; assignment: string; protocolName: string | null }> {
    const { groupId, generationId, memberId, instanceId } = this
    const { protocolType = 'consumer', protocolName = 'range' } = options
    const answer = await this.wire.ask(syncGroup, {
      ...{ groupId, generationId, memberId, groupInstanceId: instanceId, protocolType, protocolName },
      assignments: Object.entries(assignments).map(([id, text]) => {
        return { memberId: id, assignment: Buffer.from(text) }
      }),
    })
    const { assignment, protocolName: name } = answer
    return { error: nameOf(answer.errorCode), assignment: assignment.toString(), protocolName: name }
  }

  /** Joins a group that has nobody else, and assigns itself this. */
  async lead(assignment = 'all'): Promise<this> {
    const joined = await this.join()
    if (joined.error !== 'NONE') throw new Error(`JoinGroup was answered ${joined.error}`)
    const synced = await this.sync({ [this.memberId]: assignment })
    if (synced.error !== 'NONE') throw new Error(`SyncGroup was answered ${synced.error}`)
    return this
  }

  async heartbeat(changes: { generationId?: number; memberId?: string } = {}): Promise<string> {
    const { groupId, generationId, memberId, instanceId } = this
    const request = { groupId, generationId, memberId, groupInstanceId: instanceId, ...changes }
    return nameOf((await this.wire.ask(heartbeat, request)).errorCode)
  }

  /** Waits until the group rebalances, as a member in it hears. */
  async untilRebalance(): Promise<void> {
    const heard = await settled(
      () => this.heartbeat(),
      (error) => error === 'REBALANCE_IN_PROGRESS',
    )
    if (heard !== 'REBALANCE_IN_PROGRESS') throw new Error(`Heartbeat was answered ${heard}`)
  }

  leave(): Promise<string[]> {
    const { groupId, memberId, instanceId } = this
    return leaveOnce(this.wire, groupId, [{ memberId, instanceId }])
  }

  /** OffsetCommit of one offset. */
  commit(topic: string, offset: number, changes: CommitOptions = {}): Promise<string> {
    const { generationId, memberId, instanceId } = this
    return commitOnce(this.wire, this.groupId, topic, offset, {
      ...{ generationId, memberId, instanceId },
      ...changes,
    })
  }
}

/** LeaveGroup. @returns the error of the request where it has one, else that of each member */
export const leaveOnce = async (
  wire: Wire,
  groupId: string,
  leaving: readonly { readonly memberId: string; readonly instanceId?: string | null }[],
  version = 5,
): Promise<string[]> => {
  const members = leaving.map(({ memberId, instanceId = null }) => {
    return { memberId, groupInstanceId: instanceId, reason: 'it is told to' }
  })
  const answer = await wire.ask(leaveGroup, { groupId, members }, version)
  if (answer.errorCode !== 0) return [nameOf(answer.errorCode)]
  return answer.members.map(({ errorCode }) => nameOf(errorCode))
}

/** Joins `second` to the group of `first`, which leads, and gives each its assignment. */
export const pairUp = async (first: Member, second: Member): Promise<readonly [Joined, Joined]> => {
  const joining = second.join()
  await first.untilRebalance()
  const [ofFirst, ofSecond] = await Promise.all([first.join(), joining])
  const assignments = { [first.memberId]: 'of the first', [second.memberId]: 'of the second' }
  const isLeader = (one: Member): boolean => ofFirst.leader === one.memberId
  await Promise.all([first, second].map((one) => one.sync(isLeader(one) ? assignments : {})))
  return [ofFirst, ofSecond]
}

export interface CommitOptions {
  readonly generationId?: number
  readonly memberId?: string
  readonly instanceId?: string | null
  readonly metadata?: string | null
  readonly partition?: number
  readonly leaderEpoch?: number
}

export const commitOnce = async (
  wire: Wire,
  groupId: string,
  topic: string,
  offset: number,
  options: CommitOptions = {},
): Promise<string> => {
  const { generationId = -1, memberId = '', instanceId = null, metadata = '' } = options
  const partitions = [
    { partition: options.partition ?? 0, offset, leaderEpoch: options.leaderEpoch ?? -1, metadata },
  ]
  const request = { groupId, generationId, memberId, groupInstanceId: instanceId }
  const answer = await wire.ask(offsetCommit, { ...request, topics: [{ topic, partitions }] })
  return nameOf(answer.topics[0]?.partitions[0]?.errorCode)
}

export interface FetchedOffset {
  readonly error: string
  readonly offset: number
  readonly metadata: string | null
  readonly leaderEpoch: number
}

export const fetchOffset = async (
  wire: Wire,
  groupId: string,
  topic: string,
  { partition = 0, requireStable = true }: { partition?: number; requireStable?: boolean } = {},
): Promise<FetchedOffset> => {
  const request = { groupId, topics: [{ topic, partitions: [partition] }], requireStable }
  const answer = await wire.ask(offsetFetch, request)
  const found = answer.topics[0]?.partitions[0]
  if (found === undefined)
    throw new Error(`OffsetFetch was answered ${nameOf(answer.errorCode)} and no partition`)
  const { offset, metadata, leaderEpoch } = found
  return { error: nameOf(answer.errorCode || found.errorCode), offset, metadata, leaderEpoch }
}

/** OffsetFetch until nothing is pending any more. */
export const fetchStableOffset = (
  wire: Wire,
  groupId: string,
  topic: string,
  partition = 0,
): Promise<FetchedOffset> =>
  settled(
    () => fetchOffset(wire, groupId, topic, { partition }),
    ({ error }) => error !== 'UNSTABLE_OFFSET_COMMIT',
  )

export const describeGroup = async (
  wire: Wire,
  groupId: string,
): Promise<DescribedGroup & { readonly error: string }> => {
  const found = (await wire.ask(describeGroups, { groupIds: [groupId] })).groups[0]
  if (found === undefined) throw new Error('DescribeGroups was answered without the group')
  return { ...found, error: nameOf(found.errorCode) }
}
