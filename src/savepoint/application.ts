// An application as it stands on the cluster, seen from outside: its topics and tasks, its group, its offsets.
import type { Ports } from '../base/ports.ts'
import { partitionId, type TopicPartition } from '../base/topic-partition.ts'
import { describeGroup, type GroupDescription } from '../client/groups.ts'
import { type CommittedPosition, fetchCommitted, listOffsets } from '../client/offsets.ts'
import { describeTopics } from '../client/topic-admin.ts'
import type { WorkerSettings } from '../config/worker-settings.ts'
import { MillstreamError } from '../errors.ts'
import type { TaskInput, TaskPlan } from '../runtime/task-plan.ts'
import { TopicCatalog } from '../runtime/topic-catalog.ts'
import type { StoreDefinition, TopologyGraph } from '../topology/contracts.ts'
import { changelogTopicName } from '../topology/internal-topics.ts'
import { patienceMs, type ReaderContext } from './committed-reader.ts'

/** The part of a store that one task owns. */
export interface StorePartition extends TopicPartition {
  readonly definition: StoreDefinition
  readonly task: TaskPlan
}

export interface Application {
  readonly catalog: TopicCatalog
  readonly tasks: ReadonlyMap<string, TaskPlan>
  readonly inputs: readonly TaskInput[]
  /** topic and partition: of the changelog. */
  readonly stores: readonly StorePartition[]
  /** Of topics by pattern, too. */
  readonly topicIdOf: (topic: string) => string
}

/**
 * @param create internal topics that are missing are created
 * @throws MillstreamError what TopicCatalog.prepare throws
 */
export const findApplication = async (
  { cluster, ports, settings, log }: ReaderContext,
  graph: TopologyGraph,
  create: boolean,
): Promise<Application> => {
  const { applicationId } = settings
  const createInternalTopics = create && settings.createInternalTopics
  const prepared = { ...settings, createInternalTopics }
  const catalog = await TopicCatalog.prepare(cluster, ports, graph, prepared, log)
  const tasks = catalog.tasks()
  const matched = await describeTopics(cluster, [...catalog.patterns.agreed.keys()])
  const matchedIds = new Map(matched.map(({ topic, topicId }) => [topic, topicId]))
  const stores = [...tasks.values()].flatMap((task) =>
    task.subtopology.stores
      // A read-only store is restored from its topic, up to the offset of that.
      .filter(({ filling }) => filling === undefined)
      .map((definition) => ({
        definition,
        task,
        topic: changelogTopicName(applicationId, definition.name),
        partition: task.partition,
      })),
  )
  return {
    catalog,
    tasks,
    inputs: [...tasks.values()].flatMap(({ inputs }) => inputs),
    stores,
    topicIdOf: (topic) => matchedIds.get(topic) ?? catalog.topicId(topic),
  }
}

/** What a savepoint calls the topic of an input: that of the user, or the plain name of a repartition topic. */
export const plainTopic = ({ topic, source }: TaskInput): string =>
  source.repartition ? source.topic.name : topic

/** A deadline on the monotonic clock for a question that is answered at once. */
export const soon = ({ ports, settings }: { ports: Ports; settings: WorkerSettings }): number =>
  ports.clock.monotonic() + 2 * settings.requestTimeoutMs

/**
 * Refuses an application whose group has members.
 * @param except a member of this instance id does not count
 * @throws MillstreamError GROUP_ACTIVE
 */
export const refuseMembers = async (context: ReaderContext, except?: string): Promise<GroupDescription> => {
  const { cluster, ports, settings } = context
  const group = await describeGroup(cluster, ports, settings.applicationId, soon(context))
  const members = group.members.filter(({ instanceId }) => instanceId === undefined || instanceId !== except)
  if (members.length === 0) return group
  const names = members.map(({ instanceId, memberId }) => instanceId ?? memberId)
  throw new MillstreamError('GROUP_ACTIVE', {
    what: `the group has ${members.length === 1 ? 'a member' : `${members.length} members`}: ${names.join(', ')}`,
    where: { group: settings.applicationId },
    fix: 'Stop all workers. One that was stopped without leaving counts until its session timeout (sessionTimeoutMs), or until `millstream members remove` takes it out.',
  })
}

/** Offsets that a group seems not to have are asked for this often, with this pause, before that is believed. */
const missingOffsetsAsked = 3
const missingOffsetsPauseMs = 250

/**
 * The committed offsets of these inputs by `partitionId`, all of them stable.
 * @throws MillstreamError REQUEST_TIMED_OUT where a transaction stays open
 */
export const readOffsets = async (
  { cluster, ports, settings }: ReaderContext,
  inputs: readonly TopicPartition[],
): Promise<ReadonlyMap<string, CommittedPosition>> => {
  const { applicationId } = settings
  const deadline = ports.clock.monotonic() + patienceMs(settings)
  const result = new Map<string, CommittedPosition>()
  let missing = inputs
  for (let asked = 0; missing.length > 0 && asked < missingOffsetsAsked; asked++) {
    // A coordinator that has just moved may answer "none" for a moment (KAFKA-20416): once is no proof.
    if (asked > 0) {
      cluster.forgetCoordinator('group', applicationId)
      await ports.timers.sleep(missingOffsetsPauseMs)
    }
    const found = await fetchCommitted(cluster, ports, applicationId, missing, deadline)
    for (const one of found) result.set(partitionId(one.topic, one.partition), one)
    missing = found.filter(({ offset }) => offset < 0)
  }
  return result
}

/** First offset and high watermark of each partition by `partitionId`. */
export const readEnds = async (
  context: ReaderContext,
  partitions: readonly TopicPartition[],
): Promise<ReadonlyMap<string, { readonly first: number; readonly end: number }>> => {
  const { cluster, ports } = context
  const level = 'read_uncommitted'
  const firsts = await listOffsets(cluster, ports, partitions, 'earliest', level, soon(context))
  const ends = await listOffsets(cluster, ports, partitions, 'latest', level, soon(context))
  return new Map(
    firsts.map(({ topic, partition, offset }, index) => [
      partitionId(topic, partition),
      { first: offset, end: ends[index]?.offset ?? offset },
    ]),
  )
}
