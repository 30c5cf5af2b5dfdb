// Committed offsets of a group, and the ends of partitions.
//
// OffsetFetch asks for stable offsets (KIP-447): while a transaction that commits offsets of a partition is undecided,
// the answer is UNSTABLE_OFFSET_COMMIT, and whoever took the old offset would process its records again.
import type { Ports } from '../base/ports.ts'
import { partitionId, type TopicPartition } from '../base/topic-partition.ts'
import { wrong } from '../base/wrong-builds.ts'
import { MillstreamError } from '../errors.ts'
import { brokerError, reactionFor } from '../protocol/error-codes.ts'
import {
  EARLIEST_TIMESTAMP,
  type IsolationLevel,
  LATEST_TIMESTAMP,
  listOffsets as listOffsetsApi,
} from '../protocol/list-offsets.ts'
import { offsetCommit } from '../protocol/offset-commit.ts'
import { offsetFetch } from '../protocol/offset-fetch.ts'
import { byTopic, firstError, isRepeatable } from './answers.ts'
import { Backoff } from './backoff.ts'
import { brokerFailure } from './broker-failure.ts'
import type { Cluster } from './cluster.ts'
import { withCoordinator } from './coordinator.ts'
import type { LeftOpen } from './left-open.ts'

export interface CommittedPosition extends TopicPartition {
  /** Next offset to read, or -1 where the group has committed none. */
  readonly offset: number
  /** -1 where it was committed without one. */
  readonly leaderEpoch: number
  readonly metadata: string
}

export interface ListedPosition extends TopicPartition {
  readonly offset: number
  /** -1 where the partition is empty. */
  readonly leaderEpoch: number
}

/** Who commits: the coordinator refuses what another generation or a newer self has taken over. */
export interface GroupIdentity {
  readonly groupId: string
  readonly memberId: string
  readonly generationId: number
  readonly instanceId: string | undefined
}

export interface OffsetEntry extends TopicPartition {
  readonly offset: number
  readonly leaderEpoch?: number
  readonly metadata?: string
}

const NONE = 0

/**
 * The committed offsets of these partitions, in their order, all of them stable.
 * @param deadline on the monotonic clock; an undecided transaction lasts until its timeout (transactionTimeoutMs of
 * its owner) plus the broker's clean-up interval at most
 * @param leftOpen ends what would last longer
 * @throws MillstreamError REQUEST_TIMED_OUT (names the partitions that stay unstable), AUTHORIZATION_FAILED
 */
export const fetchCommitted = async (
  cluster: Cluster,
  ports: Ports,
  group: string,
  partitions: readonly TopicPartition[],
  deadline: number,
  leftOpen?: LeftOpen,
): Promise<CommittedPosition[]> => {
  const found = new Map<string, CommittedPosition>()
  const startedMs = ports.clock.monotonic()
  const backoff = new Backoff(ports, { maxMs: 500 })
  let missing = partitions
  while (missing.length > 0) {
    const topics = byTopic(missing).map((entry) => ({
      topic: entry.topic,
      partitions: entry.partitions.map(({ partition }) => partition),
    }))
    const request = { groupId: group, topics, requireStable: !wrong('offsets-without-require-stable') }
    const response = await withCoordinator(
      cluster,
      ports,
      'group',
      group,
      (node) => cluster.send(node, 'coordinator', offsetFetch, request),
      deadline,
      'OffsetFetch',
    )
    if (response.errorCode !== NONE) throw brokerFailure('OffsetFetch', response.errorCode, { group })
    for (const { topic, partitions: answers } of response.topics) {
      for (const { partition, offset, leaderEpoch, metadata, errorCode } of answers) {
        // Mostly UNSTABLE_OFFSET_COMMIT.
        if (reactionFor(errorCode, 'OffsetFetch') === 'retry') continue
        if (errorCode !== NONE) throw brokerFailure('OffsetFetch', errorCode, { topic, partition, group })
        found.set(partitionId(topic, partition), {
          topic,
          partition,
          offset,
          leaderEpoch,
          metadata: metadata ?? '',
        })
      }
    }
    missing = missing.filter(({ topic, partition }) => !found.has(partitionId(topic, partition)))
    if (missing.length === 0) break
    leftOpen?.suspectOffsets(group, startedMs)
    if (!(await backoff.wait(deadline))) throw stayedUnstable(group, missing)
  }
  return partitions.map(
    ({ topic, partition }) => found.get(partitionId(topic, partition)) as CommittedPosition,
  )
}

const stayedUnstable = (group: string, missing: readonly TopicPartition[]): MillstreamError =>
  new MillstreamError('REQUEST_TIMED_OUT', {
    what: `the committed offsets of ${missing.map(({ topic, partition }) => partitionId(topic, partition)).join(', ')} stayed undecided: a transaction that writes them is still open`,
    where: { group },
    fix: 'It ends at the transaction timeout of its owner at the latest. "kafka-transactions list" shows it.',
  })

/**
 * The first or the next offset of each partition, in their order. 'latest' is the high watermark under
 * read_uncommitted and the last stable offset under read_committed.
 * @param deadline on the monotonic clock
 * @throws MillstreamError REQUEST_TIMED_OUT, TOPIC_MISSING, AUTHORIZATION_FAILED
 */
export const listOffsets = async (
  cluster: Cluster,
  ports: Ports,
  partitions: readonly TopicPartition[],
  position: 'earliest' | 'latest',
  isolation: IsolationLevel,
  deadline: number,
): Promise<ListedPosition[]> => {
  const found = new Map<string, ListedPosition>()
  const backoff = new Backoff(ports)
  for (;;) {
    const missing = partitions.filter(({ topic, partition }) => !found.has(partitionId(topic, partition)))
    if (missing.length === 0) break
    const unknown = missing.filter(
      ({ topic, partition }) => cluster.partition(topic, partition) === undefined,
    )
    if (unknown.length > 0) await lookUp(cluster, unknown)
    const timestamp = position === 'earliest' ? EARLIEST_TIMESTAMP : LATEST_TIMESTAMP
    const failures = await Promise.all(
      byLeader(cluster, missing).map(([node, mine]) =>
        askLeader(cluster, node, mine, timestamp, isolation, found),
      ),
    )
    if (found.size >= new Set(partitions.map(({ topic, partition }) => partitionId(topic, partition))).size)
      break
    if (await backoff.wait(deadline)) continue
    throw new MillstreamError('REQUEST_TIMED_OUT', {
      what: `no leader told the ${position} offset in time; at last: ${failures.find((text) => text !== '') ?? 'none is known'}`,
      where: { partitions: missing.map(({ topic, partition }) => partitionId(topic, partition)).join(', ') },
      fix: 'Look at the health of the brokers: these partitions have no leader that answers.',
    })
  }
  return partitions.map(({ topic, partition }) => found.get(partitionId(topic, partition)) as ListedPosition)
}

const lookUp = async (cluster: Cluster, partitions: readonly TopicPartition[]): Promise<void> => {
  await cluster.refreshMetadata([...new Set(partitions.map(({ topic }) => topic))])
  for (const { topic, partition } of partitions) {
    const count = cluster.topic(topic)?.partitions
    if (count !== undefined && partition < count) continue
    throw new MillstreamError('TOPIC_MISSING', {
      what: count === undefined ? 'the topic does not exist' : `the topic has ${count} partitions only`,
      where: { topic, partition },
      fix: 'Create the topic, or correct its name.',
    })
  }
}

const byLeader = (cluster: Cluster, partitions: readonly TopicPartition[]): [number, TopicPartition[]][] => {
  const leaders = new Map<number, TopicPartition[]>()
  for (const entry of partitions) {
    const leader = cluster.partition(entry.topic, entry.partition)?.leader
    if (leader === undefined) continue
    const list = leaders.get(leader)
    if (list === undefined) leaders.set(leader, [entry])
    else list.push(entry)
  }
  return [...leaders]
}

/** @returns the last passing failure, or ''. Partitions whose leader moved stay missing, with fresh metadata. */
const askLeader = async (
  cluster: Cluster,
  node: number,
  partitions: readonly TopicPartition[],
  timestamp: number,
  isolationLevel: IsolationLevel,
  found: Map<string, ListedPosition>,
): Promise<string> => {
  const topics = byTopic(partitions).map((entry) => ({
    topic: entry.topic,
    partitions: entry.partitions.map(({ topic, partition }) => ({
      partition,
      currentLeaderEpoch: cluster.partition(topic, partition)?.leaderEpoch ?? -1,
      timestamp,
    })),
  }))
  let failure = ''
  try {
    const response = await cluster.send(node, 'admin', listOffsetsApi, { isolationLevel, topics })
    for (const { topic, partitions: answers } of response.topics) {
      for (const { partition, errorCode, offset, leaderEpoch } of answers) {
        if (errorCode === NONE)
          found.set(partitionId(topic, partition), { topic, partition, offset, leaderEpoch })
        else {
          const reaction = reactionFor(errorCode, 'ListOffsets')
          if (reaction !== 'retry' && reaction !== 'refresh-metadata') {
            throw brokerFailure('ListOffsets', errorCode, { topic, partition })
          }
          failure = `${partitionId(topic, partition)}: ${brokerError(errorCode).name}`
        }
      }
    }
  } catch (error) {
    if (!isRepeatable(error)) throw error
    failure = error.message
  }
  if (failure !== '') await lookUp(cluster, partitions).catch(throwUnlessRepeatable)
  return failure
}

const throwUnlessRepeatable = (error: unknown): void => {
  if (!isRepeatable(error)) throw error
}

/**
 * OffsetCommit without a transaction, for at-least-once.
 * @param deadline on the monotonic clock
 * @param signal nothing is sent once it is aborted
 * @throws MillstreamError MEMBERSHIP_LOST (also while the group hands out assignments: commit before joining),
 * INSTANCE_FENCED, AUTHORIZATION_FAILED, REQUEST_TIMED_OUT; BROKER_ERROR with the partition for the rest, for instance
 * metadata that is too large
 */
export const commitOffsets = async (
  cluster: Cluster,
  ports: Ports,
  identity: GroupIdentity,
  offsets: readonly OffsetEntry[],
  deadline: number,
  signal?: AbortSignal,
): Promise<void> => {
  const { groupId, memberId, generationId, instanceId } = identity
  const topics = byTopic(offsets).map((entry) => ({
    topic: entry.topic,
    partitions: entry.partitions.map(({ partition, offset, leaderEpoch = -1, metadata = '' }) => ({
      partition,
      offset,
      leaderEpoch,
      metadata,
    })),
  }))
  const request = { groupId, memberId, generationId, groupInstanceId: instanceId ?? null, topics }
  const response = await withCoordinator(
    cluster,
    ports,
    'group',
    groupId,
    async (node) => {
      const answer = await cluster.send(node, 'coordinator', offsetCommit, request)
      const codes = answer.topics.flatMap((topic) => topic.partitions.map(({ errorCode }) => errorCode))
      return { errorCode: firstError(codes), answer }
    },
    deadline,
    'OffsetCommit',
    signal,
  )
  for (const { topic, partitions } of response.answer.topics) {
    for (const { partition, errorCode } of partitions) {
      if (errorCode !== NONE)
        throw brokerFailure('OffsetCommit', errorCode, { topic, partition, group: groupId })
    }
  }
}
