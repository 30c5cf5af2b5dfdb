// Who gets which task: the group protocol of millstream on top of Kafka's classic consumer protocol, so that ordinary
// lag tools understand the group. The leader assigns tasks; a task stays where it is as long as the load is even.
//
// What a member says of itself and what it gets travels as versioned JSON in the userData. An assignment's userData is
// never empty: that also keeps a stray consumer of the new protocol out of the group.
import { createHash } from 'node:crypto'
import type { GroupProtocol } from '../client/group-protocol.ts'
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

/** The versions of MemberData and AssignmentData that this program reads and writes. */
const speaks: Versions = { min: 1, max: 1 }

interface Versions {
  readonly min: number
  readonly max: number
}

/** What a member claims when it joins. */
export interface Claim {
  /** Tasks that it works for and has not given up: nobody else gets them in this generation. */
  readonly running: readonly string[]
  /** The generation in which it got them; of two that claim the same task the later one is right. */
  readonly generation: number
  /** Tasks whose state lies on its disk. */
  readonly stored: readonly string[]
}

/** What a member is told. */
export interface Assignment {
  /** Hash of the leader's topology; undefined where the leader had nothing for this member. */
  readonly topology: string | undefined
  readonly tasks: readonly string[]
  /** Tasks of its claim that others are to get: it commits, closes them and joins again. */
  readonly revoking: readonly string[]
}

interface MemberData extends Claim {
  readonly speaks: Versions
  readonly guarantee: Guarantee
  /** See `topologyHash`: a member whose topology changed is to be given work anew. */
  readonly topology: string
  /** Another number each time: a group answers a static member whose metadata are the same with its old assignment. */
  readonly join: number
}

interface AssignmentData {
  readonly version: number
  /** Of the leader that assigned the tasks. */
  readonly topology: string
  readonly tasks: readonly string[]
  readonly revoking: readonly string[]
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

/**
 * Gives every task to one member, evenly: to the one that runs it, then to one that has its state, then to whoever has
 * least; nobody gets more than its share. A task that moves away from a member that runs it is given to nobody yet: the
 * member is told to give it up, and the join that follows finds it free. Deterministic for the same claims.
 */
export const assignTasks = (
  taskIds: readonly string[],
  claims: ReadonlyMap<string, Claim>,
): Map<string, { readonly tasks: string[]; readonly revoking: string[] }> => {
  const members = [...claims.keys()].sort()
  const owners = ownersOf(claims)
  const planned = new Map<string, string[]>(members.map((member) => [member, []]))
  const share = Math.floor(taskIds.length / Math.max(1, members.length))
  let extra = taskIds.length - share * members.length
  const free = new Set(taskIds)
  const take = (member: string, wanted: readonly string[]): void => {
    const own = planned.get(member) as string[]
    for (const task of wanted) {
      if (!free.has(task)) continue
      if (own.length >= share) {
        if (own.length > share || extra === 0) continue
        extra--
      }
      free.delete(task)
      own.push(task)
    }
  }
  const running = (member: string): string[] =>
    (claims.get(member)?.running ?? []).filter((task) => owners.get(task) === member)
  for (const member of members) take(member, running(member))
  for (const member of members) take(member, claims.get(member)?.stored ?? [])
  for (const task of taskIds) {
    if (!free.has(task)) continue
    const least = members.reduce((best, one) =>
      (planned.get(one)?.length ?? 0) < (planned.get(best)?.length ?? 0) ? one : best,
    )
    planned.get(least)?.push(task)
  }
  return new Map(
    members.map((member) => {
      const mine = planned.get(member) as string[]
      const tasks = mine.filter((task) => (owners.get(task) ?? member) === member)
      return [member, { tasks, revoking: running(member).filter((task) => !mine.includes(task)) }]
    }),
  )
}

/** Who runs each task. Two claims for one come from a member that was put out and does not know it: the later one counts. */
const ownersOf = (claims: ReadonlyMap<string, Claim>): ReadonlyMap<string, string> => {
  const owners = new Map<string, string>()
  for (const [member, { running, generation }] of claims) {
    for (const task of running) {
      const other = claims.get(owners.get(task) ?? '')
      if (other === undefined || other.generation < generation) owners.set(task, member)
    }
  }
  return owners
}

/** What the leader assigned: nothing, where it had nothing for this member. */
export const readAssignment = (assignment: Buffer): Assignment => {
  if (assignment.length === 0) return nothing
  const { userData } = decodeAssignment(assignment)
  if (userData === null || userData.length === 0) return nothing
  const { topology, tasks, revoking } = JSON.parse(userData.toString('utf8')) as AssignmentData
  return { topology, tasks, revoking }
}

const nothing: Assignment = { topology: undefined, tasks: [], revoking: [] }

export const createGroupProtocol = (options: AssignorOptions): GroupProtocol => {
  const topology = topologyHash(options.tasks)
  let joins = 0
  return {
    name: 'millstream',
    metadata: () => {
      const { guarantee } = options
      const data: MemberData = {
        speaks,
        guarantee,
        topology,
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
      }
      const result = new Map<string, Buffer>()
      for (const [memberId, { tasks, revoking }] of assignTasks([...options.tasks.keys()], claims)) {
        const data: AssignmentData = { version, topology, tasks, revoking }
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
