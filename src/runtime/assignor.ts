// Who gets which task: the group protocol of millstream on top of Kafka's classic consumer protocol, so that ordinary
// lag tools understand the group. The leader assigns tasks; a task stays where it is as long as the load is even.
//
// What a member says of itself and what it gets travels as versioned JSON in the userData. An assignment's userData is
// never empty: that also keeps a stray consumer of the new protocol out of the group.
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
  /** Tasks that the member runs or has state of. */
  readonly tasks: readonly string[]
}

interface AssignmentData {
  readonly version: number
  readonly tasks: readonly string[]
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
    const least = members.reduce((best, one) => ((assigned.get(one)?.length ?? 0) < (assigned.get(best)?.length ?? 0) ? one : best))
    assigned.get(least)?.push(task)
  }
  return assigned
}

export const decodeTasks = (assignment: Buffer): string[] => {
  const { userData } = decodeAssignment(assignment)
  if (userData === null || userData.length === 0) return []
  return [...(JSON.parse(userData.toString('utf8')) as AssignmentData).tasks]
}

export const createGroupProtocol = (options: AssignorOptions): GroupProtocol => ({
  name: 'millstream',
  metadata: () => {
    const data: MemberData = { version: dataVersion, guarantee: options.guarantee, tasks: options.owned() }
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
      const data: AssignmentData = { version: dataVersion, tasks }
      const plans = tasks.map((id) => options.tasks.get(id) as TaskPlan)
      result.set(memberId, encodeAssignment({ partitions: partitionsOf(plans), userData: Buffer.from(JSON.stringify(data)) }))
    }
    return result
  },
})

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
