// Who gets which task: the group protocol of millstream on top of Kafka's classic consumer protocol, so that ordinary
// lag tools understand the group. The leader assigns tasks; a task stays where it is as long as the load is even.
//
// What a member says of itself and what it gets travels as versioned JSON in the userData. An assignment's userData is
// never empty: that also keeps a stray consumer of the new protocol out of the group.
import { createHash } from 'node:crypto'
import type { GroupProtocol } from '../client/group-member.ts'
import { MillstreamError } from '../errors.ts'
import {
  decodeAssignment,
  decodeSubscription,
  encodeAssignment,
  encodeSubscription,
  type TopicPartitions,
} from '../protocol/consumer-protocol.ts'
import type { Guarantee } from '../config/worker-settings.ts'
import type { TaskPlan } from './task-plan.ts'

const dataVersion = 1

interface MemberData {
  readonly version: number
  readonly guarantee: Guarantee
  /** See `topologyHash`: a member whose topology changed is to be given work anew. */
  readonly topology: string
  /** Tasks that the member runs or has state of. */
  readonly tasks: readonly string[]
  /** Another number each time: a group answers a static member whose metadata are the same with its old assignment. */
  readonly join: number
}

interface AssignmentData {
  readonly version: number
  /** Of the leader that assigned the tasks. */
  readonly topology: string
  readonly tasks: readonly string[]
}

/** Tells apart topologies with other tasks or inputs: 16 hexadecimal digits. */
export const topologyHash = (tasks: ReadonlyMap<string, TaskPlan>): string => {
  const lines = [...tasks.values()].map(
    ({ id, inputs }) => `${id} ${inputs.map(({ topic }) => topic).join(' ')}`,
  )
  return createHash('sha256').update(lines.join('\n')).digest('hex').slice(0, 16)
}

export interface AssignorOptions {
  readonly tasks: ReadonlyMap<string, TaskPlan>
  readonly topics: readonly string[]
  readonly guarantee: Guarantee
  /** Tasks that this member runs or has state of. */
  readonly owned: () => readonly string[]
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

/**
 * Gives every task to one member: to one that has it already as long as that member is not above its share, the rest to
 * whoever has least. Deterministic for the same members and claims.
 */
export const assignTasks = (
  taskIds: readonly string[],
  claims: ReadonlyMap<string, readonly string[]>,
): Map<string, string[]> => {
  const members = [...claims.keys()].sort()
  const assigned = new Map<string, string[]>(members.map((member) => [member, []]))
  const share = Math.floor(taskIds.length / Math.max(1, members.length))
  let extra = taskIds.length - share * members.length
  const free = new Set(taskIds)
  for (const member of members) {
    const own = assigned.get(member) as string[]
    for (const task of claims.get(member) ?? []) {
      if (!free.has(task)) continue
      if (own.length >= share) {
        if (own.length > share || extra === 0) continue
        extra--
      }
      free.delete(task)
      own.push(task)
    }
  }
  for (const task of taskIds) {
    if (!free.has(task)) continue
    const least = members.reduce((best, one) =>
      (assigned.get(one)?.length ?? 0) < (assigned.get(best)?.length ?? 0) ? one : best,
    )
    assigned.get(least)?.push(task)
  }
  return assigned
}

/** What the leader assigned: nothing, where it had nothing for this member. */
export const readAssignment = (
  assignment: Buffer,
): { readonly topology: string | undefined; readonly tasks: readonly string[] } => {
  if (assignment.length === 0) return { topology: undefined, tasks: [] }
  const { userData } = decodeAssignment(assignment)
  if (userData === null || userData.length === 0) return { topology: undefined, tasks: [] }
  return JSON.parse(userData.toString('utf8')) as AssignmentData
}

export const createGroupProtocol = (options: AssignorOptions): GroupProtocol => {
  const topology = topologyHash(options.tasks)
  let joins = 0
  return {
    name: 'millstream',
    metadata: () => {
      const { guarantee } = options
      const data: MemberData = {
        version: dataVersion,
        guarantee,
        topology,
        tasks: options.owned(),
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
      const claims = new Map<string, readonly string[]>()
      for (const { memberId, metadata } of members) {
        const data = readMember(metadata)
        if (data.guarantee !== options.guarantee) {
          throw new MillstreamError('SETTING_INVALID', {
            what: `the group mixes the guarantees ${options.guarantee} and ${data.guarantee}`,
            where: { member: memberId, setting: 'guarantee' },
            fix: 'Run all workers of an application with the same guarantee.',
          })
        }
        claims.set(memberId, data.tasks)
      }
      const result = new Map<string, Buffer>()
      for (const [memberId, tasks] of assignTasks([...options.tasks.keys()], claims)) {
        const data: AssignmentData = { version: dataVersion, topology, tasks }
        const plans = tasks.map((id) => options.tasks.get(id) as TaskPlan)
        result.set(
          memberId,
          encodeAssignment({ partitions: partitionsOf(plans), userData: Buffer.from(JSON.stringify(data)) }),
        )
      }
      return result
    },
  }
}

const readMember = (metadata: Buffer): MemberData => {
  try {
    const { userData } = decodeSubscription(metadata)
    const data = JSON.parse(userData?.toString('utf8') ?? '') as MemberData
    if (data.version >= 1 && Array.isArray(data.tasks)) return data
  } catch (error) {
    throw foreignMember(error)
  }
  throw foreignMember(undefined)
}

const foreignMember = (cause: unknown): MillstreamError =>
  new MillstreamError('SETTING_INVALID', {
    what: 'a member of the group is no millstream worker of this application',
    where: { setting: 'applicationId' },
    fix: 'The application id is the group id: use it for this application alone.',
    cause,
  })
