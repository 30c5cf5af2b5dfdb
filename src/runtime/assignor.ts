// Who gets which task: the group protocol of millstream on top of Kafka's classic consumer protocol, so that ordinary
// lag tools understand the group. The leader assigns tasks by the rules of placement.ts.
//
// What a member says of itself and what it gets travels as versioned JSON in the userData. An assignment's userData is
// never empty: that also keeps a stray consumer of the new protocol out of the group.
import { createHash } from 'node:crypto'
import type { GroupMemberInfo, GroupProtocol } from '../client/group-protocol.ts'
import { MillstreamError } from '../errors.ts'
import {
  decodeAssignment,
  decodeSubscription,
  encodeAssignment,
  encodeSubscription,
  type TopicPartitions,
} from '../protocol/consumer-protocol.ts'
import type { Guarantee } from '../config/worker-settings.ts'
import type { TopologyGraph } from '../topology/contracts.ts'
import { type Claim, placeTasks, type Share } from './placement.ts'
import type { TaskPlan } from './task-plan.ts'
import { allMatched, type MatchedTopics } from './topic-patterns.ts'

/** The versions of MemberData and AssignmentData that this program reads and writes. */
const speaks: Versions = { min: 1, max: 1 }

interface Versions {
  readonly min: number
  readonly max: number
}

/** What a member is told: see `Share`. */
export interface Assignment extends Readonly<Share> {
  /** Hash of the leader's topology; undefined where the leader had nothing for this member. */
  readonly topology: string | undefined
  /** Topics by pattern that the group reads from now on; undefined where the topology has no pattern. */
  readonly matched: MatchedTopics | undefined
}

interface MemberData extends Claim {
  readonly speaks: Versions
  readonly guarantee: Guarantee
  /** See `topologyHash`: a member whose topology changed is to be given work anew. */
  readonly topology: string
  /** Absent with another guarantee than exactly_once, and from releases that did not tell it. */
  readonly transactionalId?: string | undefined
  /** Topics by pattern that it found. */
  readonly matched?: MatchedTopics | undefined
  /** Another number each time: a group answers a static member whose metadata are the same with its old assignment. */
  readonly join: number
}

interface AssignmentData extends Share {
  readonly version: number
  /** Of the leader that assigned the tasks. */
  readonly topology: string
  readonly matched?: MatchedTopics | undefined
}

/** Tells apart topologies with other tasks or inputs: 16 hexadecimal digits. */
export const topologyHash = (tasks: ReadonlyMap<string, TaskPlan>): string => {
  const lines = [...tasks.values()].map(
    ({ id, inputs }) => `${id} ${inputs.map(({ topic }) => topic).join(' ')}`,
  )
  return createHash('sha256').update(lines.join('\n')).digest('hex').slice(0, 16)
}

/** The topology as the group tells it apart, where topics by pattern decide about its tasks: without these. */
export const patternHash = ({ subtopologies }: TopologyGraph): string => {
  const lines = subtopologies.map(({ id, nodes }) => {
    const sources = nodes.filter((node) => node.kind === 'source')
    return `${id} ${sources.map(({ topic }) => topic.name).join(' ')}`
  })
  return createHash('sha256').update(lines.join('\n')).digest('hex').slice(0, 16)
}

export interface AssignorOptions {
  readonly tasks: ReadonlyMap<string, TaskPlan>
  readonly topics: readonly string[]
  /** Default: `topologyHash` of the tasks. */
  readonly topology?: string
  /** Where the topology has patterns: the topics that this worker found, and the tasks that some topics make. */
  readonly patterns?:
    | {
        found(): MatchedTopics
        tasks(matched: MatchedTopics): ReadonlyMap<string, TaskPlan>
      }
    | undefined
  readonly guarantee: Guarantee
  readonly standbyReplicas: number
  readonly standbyLagMax: number
  /** Under which this member opens its transactions; undefined: it opens none. */
  readonly transactionalId?: string | undefined
  readonly claim: () => Claim
}

const partitionsOf = (tasks: readonly TaskPlan[]): TopicPartitions[] => {
  const topics = new Map<string, number[]>()
  for (const { inputs } of tasks) {
    for (const { topic, partition } of inputs) {
      const list = topics.get(topic)
      if (list === undefined) topics.set(topic, [partition])
      else list.push(partition)
    }
  }
  return [...topics].map(([topic, partitions]) => ({ topic, partitions }))
}

/** What the leader assigned: nothing, where it had nothing for this member. */
export const readAssignment = (assignment: Buffer): Assignment => {
  if (assignment.length === 0) return nothing
  const { userData } = decodeAssignment(assignment)
  if (userData === null || userData.length === 0) return nothing
  const { topology, tasks, revoking, standbys, warming, matched } = JSON.parse(
    userData.toString('utf8'),
  ) as AssignmentData
  return { topology, tasks, revoking, standbys, warming, matched }
}

const nothing: Assignment = {
  topology: undefined,
  tasks: [],
  revoking: [],
  standbys: [],
  warming: [],
  matched: undefined,
}

export const createGroupProtocol = (options: AssignorOptions): GroupProtocol => {
  const { topology = topologyHash(options.tasks), patterns } = options
  let joins = 0
  return {
    name: 'millstream',
    metadata: () => {
      const { guarantee, transactionalId } = options
      const data: MemberData = {
        speaks,
        guarantee,
        topology,
        transactionalId,
        matched: patterns?.found(),
        ...options.claim(),
        join: joins++,
      }
      return encodeSubscription({
        topics: options.topics,
        userData: Buffer.from(JSON.stringify(data)),
        ownedPartitions: [],
        generationId: -1,
        rackId: null,
      })
    },
    assign: (members) => {
      const claims = new Map<string, Claim>()
      const found: (MatchedTopics | undefined)[] = []
      let version = speaks.max
      for (const { memberId, metadata } of members) {
        const data = readMember(metadata)
        version = Math.min(version, data.speaks.max)
        if (data.speaks.min > version) throw tooFarApart(memberId, data.speaks)
        if (data.guarantee !== options.guarantee) {
          throw new MillstreamError('SETTING_INVALID', {
            what: `the group mixes the guarantees ${options.guarantee} and ${data.guarantee}`,
            where: { member: memberId, setting: 'guarantee' },
            fix: 'Run all workers of an application with the same guarantee.',
          })
        }
        claims.set(memberId, data)
        found.push(data.matched)
      }
      const result = new Map<string, Buffer>()
      const matched = patterns === undefined ? undefined : allMatched(found)
      const tasks = patterns === undefined ? options.tasks : patterns.tasks(matched ?? {})
      const hasState = (id: string): boolean => (tasks.get(id)?.subtopology.stores.length ?? 0) > 0
      const shares = placeTasks([...tasks.keys()], claims, { ...options, hasState })
      for (const [memberId, share] of shares) {
        const data: AssignmentData = { version, topology, matched, ...share }
        const plans = share.tasks.map((id) => tasks.get(id) as TaskPlan)
        result.set(
          memberId,
          encodeAssignment({ partitions: partitionsOf(plans), userData: Buffer.from(JSON.stringify(data)) }),
        )
      }
      return result
    },
  }
}

/**
 * The transactional ids of these members: of whoever may have a transaction open with a right to it.
 * @returns undefined where one of them does not say its own, so that nobody can know
 */
export const transactionalIdsOf = (members: readonly GroupMemberInfo[]): ReadonlySet<string> | undefined => {
  const ids = new Set<string>()
  for (const { metadata } of members) {
    const { transactionalId } = readMember(metadata)
    if (transactionalId === undefined) return undefined
    ids.add(transactionalId)
  }
  return ids
}

const readMember = (metadata: Buffer): MemberData => {
  try {
    const { userData } = decodeSubscription(metadata)
    const data = JSON.parse(userData?.toString('utf8') ?? '') as MemberData
    if (data.speaks.min >= 1 && Array.isArray(data.running)) return data
  } catch (error) {
    throw foreignMember(error)
  }
  throw foreignMember(undefined)
}

const tooFarApart = (member: string, versions: Versions): MillstreamError =>
  new MillstreamError('SETTING_INVALID', {
    what: `a member of the group speaks versions ${versions.min} to ${versions.max} of its protocol, which not all others do`,
    where: { member, ours: `${speaks.min} to ${speaks.max}` },
    fix: 'Update the workers one release after the other.',
  })

const foreignMember = (cause: unknown): MillstreamError =>
  new MillstreamError('SETTING_INVALID', {
    what: 'a member of the group is no millstream worker of this application',
    where: { setting: 'applicationId' },
    fix: 'The application id is the group id: use it for this application alone.',
    cause,
  })
