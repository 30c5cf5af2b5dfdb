// `millstream members`: who is in the group of an application, and the removal of instances that no longer run. After a
// scale-down nobody else can know that a static member is gone for good.
import { nodePorts } from '../base/node-ports.ts'
import { Cluster } from '../client/cluster.ts'
import {
  describeGroup,
  type GroupDescription,
  type GroupMemberDescription,
  removeInstances,
} from '../client/groups.ts'
import type { WorkerSettings } from '../config/worker-settings.ts'
import { MillstreamError } from '../errors.ts'
import { readAssignment } from '../runtime/assignor.ts'
import type { CommandLine } from './arguments.ts'
import { loadSettings } from './load-settings.ts'
import type { Terminal } from './terminal.ts'

export interface MemberRow {
  /** null: a dynamic member. */
  readonly instance: string | null
  readonly member: string
  readonly client: string
  readonly host: string
  /** null: the group rebalances, or this is no member of ours. */
  readonly tasks: readonly string[] | null
}

/** Stands in for the name of a topology, which this command does not have. */
const noApplication = 'no-application-id-given'

const settingsOf = (line: CommandLine): WorkerSettings => {
  const settings = loadSettings(line, noApplication)
  if (settings.applicationId !== noApplication) return settings
  throw new MillstreamError('SETTING_INVALID', {
    what: 'applicationId is missing: it names the group',
    where: { setting: 'applicationId' },
    fix: 'Give --application-id, MILLSTREAM_APPLICATION_ID, or applicationId in the settings file.',
  })
}

const tasksOf = ({ assignment }: GroupMemberDescription): readonly string[] | null => {
  if (assignment.length === 0) return null
  try {
    const { tasks } = readAssignment(assignment)
    return Array.isArray(tasks) ? tasks : null
  } catch {
    // Another program uses the group: it is shown all the same.
    return null
  }
}

export const memberRows = (group: GroupDescription): MemberRow[] =>
  group.members
    .map((member) => ({
      instance: member.instanceId ?? null,
      member: member.memberId,
      client: member.clientId,
      host: member.host,
      tasks: tasksOf(member),
    }))
    .sort((a, b) => (a.instance ?? a.member).localeCompare(b.instance ?? b.member, 'en', { numeric: true }))

/** Columns as wide as their widest cell. */
const table = (rows: readonly (readonly string[])[]): string => {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows
    .map((row) => `${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')}`.trimEnd())
    .map((line) => `${line}\n`)
    .join('')
}

const tasksText = (tasks: readonly string[] | null): string => {
  if (tasks === null) return '?'
  return tasks.length === 0 ? 'none' : tasks.join(' ')
}

/** The group as a table for people. */
export const describeMembers = (group: GroupDescription): string => {
  const { groupId, state, members } = group
  const count = `${members.length} ${members.length === 1 ? 'member' : 'members'}`
  const head = `group ${groupId}: ${state === 'Dead' ? 'does not exist' : `${state}, ${count}`}\n`
  if (members.length === 0) return head
  const rows = memberRows(group).map(({ instance, member, client, host, tasks }) => [
    instance ?? '(dynamic)',
    member,
    client,
    host,
    state,
    tasksText(tasks),
  ])
  return `${head}\n${table([['instance', 'member', 'client', 'host', 'state', 'tasks'], ...rows])}`
}

const unknown = (what: string, group: GroupDescription): MillstreamError =>
  new MillstreamError('MEMBER_UNKNOWN', {
    what,
    where: { group: group.groupId },
    fix: `Its instances: ${
      group.members
        .map(({ instanceId }) => instanceId)
        .filter((id) => id !== undefined)
        .join(', ') || 'none'
    }. Nothing was removed.`,
  })

/**
 * The instances to remove: those that are named, and with `missingFrom` those whose ordinal is not below it.
 * @throws MillstreamError MEMBER_UNKNOWN, SETTING_INVALID
 */
export const chooseInstances = (
  group: GroupDescription,
  named: readonly string[],
  missingFrom: number | undefined,
): string[] => {
  const ids = group.members.flatMap(({ instanceId }) => instanceId ?? [])
  const strangers = named.filter((name) => !ids.includes(name))
  if (strangers.length > 0) throw unknown(`the group has no member ${strangers.join(', ')}`, group)
  if (missingFrom === undefined) return [...new Set(named)]
  const ordinals = ids.flatMap((id) => {
    const [, name, ordinal] = /^(.+)-(\d+)$/.exec(id) ?? []
    return name === undefined ? [] : [{ id, name, ordinal: Number(ordinal) }]
  })
  const names = [...new Set(ordinals.map(({ name }) => name))]
  if (names.length > 1) {
    throw new MillstreamError('SETTING_INVALID', {
      what: `the group has instances of several StatefulSets (${names.join(', ')}): which of them was scaled is not known`,
      where: { group: group.groupId, setting: '--missing-from' },
      fix: 'Name the instances to remove.',
    })
  }
  const gone = ordinals.filter(({ ordinal }) => ordinal >= missingFrom).map(({ id }) => id)
  return [...new Set([...named, ...gone])]
}

const requestsMs = (settings: WorkerSettings): number =>
  nodePorts.clock.monotonic() + 2 * settings.requestTimeoutMs

const remove = async (
  line: CommandLine,
  settings: WorkerSettings,
  cluster: Cluster,
  print: (text: string) => void,
): Promise<void> => {
  const { applicationId } = settings
  const group = await describeGroup(cluster, nodePorts, applicationId, requestsMs(settings))
  const instances = chooseInstances(group, line.instances, line.missingFrom)
  if (instances.length > 0)
    await removeInstances(cluster, nodePorts, applicationId, instances, requestsMs(settings))
  print(instances.length === 0 ? 'nothing to remove\n' : `removed ${instances.join(', ')}\n`)
}

/** @throws MillstreamError MEMBER_UNKNOWN, SETTING_INVALID, AUTHORIZATION_FAILED, and what connecting throws */
export const members = async (
  line: CommandLine,
  terminal: Terminal,
  print: (text: string) => void,
): Promise<void> => {
  const settings = settingsOf(line)
  const removing = line.command === 'members remove'
  if (removing && line.instances.length === 0 && line.missingFrom === undefined) {
    throw new MillstreamError('SETTING_INVALID', {
      what: 'no member to remove was named',
      fix: 'Name instances (millstream members remove orders-3 orders-4), or give --missing-from N.',
    })
  }
  const cluster = await Cluster.connect(settings, nodePorts, terminal)
  try {
    if (removing) return await remove(line, settings, cluster, print)
    const group = await describeGroup(cluster, nodePorts, settings.applicationId, requestsMs(settings))
    const { groupId, state } = group
    print(
      line.json
        ? `${JSON.stringify({ group: groupId, state, members: memberRows(group) }, null, 2)}\n`
        : describeMembers(group),
    )
  } finally {
    await cluster.close()
  }
}
