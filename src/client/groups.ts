// Groups as a tool sees them, from outside: who is in a group, what it has committed, and the removal of members that
// no longer run. The runtime's own membership is group-member.ts.
import type { Ports } from '../base/ports.ts'
import { type DescribedGroup, describeGroups } from '../protocol/describe-groups.ts'
import { brokerError } from '../protocol/error-codes.ts'
import { leaveGroup } from '../protocol/leave-group.ts'
import { offsetFetch } from '../protocol/offset-fetch.ts'
import { brokerFailure } from './broker-failure.ts'
import type { Cluster } from './cluster.ts'
import { withCoordinator } from './coordinator.ts'

export interface GroupMemberDescription {
  readonly memberId: string
  readonly instanceId: string | undefined
  readonly clientId: string
  readonly host: string
  /** Empty while the group rebalances. */
  readonly assignment: Buffer
}

export interface GroupDescription {
  readonly groupId: string
  /** As Kafka names it: Stable, PreparingRebalance, CompletingRebalance, Empty, Dead (there is no such group). */
  readonly state: string
  readonly members: readonly GroupMemberDescription[]
}

const NONE = 0
const UNKNOWN_SERVER_ERROR = -1

/**
 * A group that does not exist is `Dead` and has no members.
 * @param deadline on the monotonic clock
 * @throws MillstreamError AUTHORIZATION_FAILED (the right Describe on the group), REQUEST_TIMED_OUT
 */
export const describeGroup = async (
  cluster: Cluster,
  ports: Ports,
  groupId: string,
  deadline: number,
): Promise<GroupDescription> => {
  const attempt = async (node: number): Promise<DescribedGroup> => {
    const response = await cluster.send(node, 'admin', describeGroups, { groupIds: [groupId] })
    const [group] = response.groups
    if (group !== undefined) return group
    throw brokerFailure('DescribeGroups', UNKNOWN_SERVER_ERROR, { group: groupId }, 'it names no group')
  }
  const found = await withCoordinator(cluster, ports, 'group', groupId, attempt, deadline, 'DescribeGroups')
  if (brokerError(found.errorCode).name === 'GROUP_ID_NOT_FOUND') {
    return { groupId, state: 'Dead', members: [] }
  }
  if (found.errorCode !== NONE) {
    throw brokerFailure('DescribeGroups', found.errorCode, { group: groupId }, found.errorMessage)
  }
  const members = found.members.map(({ memberId, groupInstanceId, clientId, clientHost, assignment }) => ({
    memberId,
    instanceId: groupInstanceId ?? undefined,
    clientId,
    host: clientHost.replace(/^\//, ''),
    assignment: Buffer.from(assignment),
  }))
  return { groupId, state: found.state, members }
}

/**
 * Takes static members out of the group at once (KIP-345). One that is gone already is no mistake.
 * @param deadline on the monotonic clock
 * @throws MillstreamError AUTHORIZATION_FAILED (the right Read on the group), REQUEST_TIMED_OUT, BROKER_ERROR
 */
export const removeInstances = async (
  cluster: Cluster,
  ports: Ports,
  groupId: string,
  instanceIds: readonly string[],
  deadline: number,
): Promise<void> => {
  const members = instanceIds.map((groupInstanceId) => ({
    memberId: '',
    groupInstanceId,
    reason: 'removed by millstream members remove',
  }))
  const answer = await withCoordinator(
    cluster,
    ports,
    'group',
    groupId,
    (node) => cluster.send(node, 'admin', leaveGroup, { groupId, members }),
    deadline,
    'LeaveGroup',
  )
  for (const { errorCode, groupInstanceId } of [{ ...answer, groupInstanceId: null }, ...answer.members]) {
    const { name } = brokerError(errorCode)
    if (errorCode === NONE || name === 'UNKNOWN_MEMBER_ID' || name === 'GROUP_ID_NOT_FOUND') continue
    throw brokerFailure('LeaveGroup', errorCode, { group: groupId, instance: groupInstanceId ?? undefined })
  }
}

/**
 * Topics for which the group has committed offsets, stable or not.
 * @param deadline on the monotonic clock
 * @throws MillstreamError AUTHORIZATION_FAILED (the right Describe on the group), REQUEST_TIMED_OUT
 */
export const committedTopics = async (
  cluster: Cluster,
  ports: Ports,
  groupId: string,
  deadline: number,
): Promise<string[]> => {
  const request = { groupId, topics: null, requireStable: false }
  const response = await withCoordinator(
    cluster,
    ports,
    'group',
    groupId,
    (node) => cluster.send(node, 'coordinator', offsetFetch, request),
    deadline,
    'OffsetFetch',
  )
  if (brokerError(response.errorCode).name === 'GROUP_ID_NOT_FOUND') return []
  if (response.errorCode !== NONE) throw brokerFailure('OffsetFetch', response.errorCode, { group: groupId })
  return response.topics
    .filter(({ partitions }) => partitions.some(({ offset }) => offset >= 0))
    .map(({ topic }) => topic)
}
