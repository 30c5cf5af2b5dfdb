// The stores of a task: opened under their identity, and what each of them lacks of its changelog.
import { invariant } from '../base/assert.ts'
import type { Logger } from '../base/log.ts'
import type { Ports } from '../base/ports.ts'
import { partitionId } from '../base/topic-partition.ts'
import { wrong } from '../base/wrong-builds.ts'
import type { Cluster } from '../client/cluster.ts'
import {
  type CommittedPosition,
  fetchCommitted,
  type ListedPosition,
  listOffsets,
} from '../client/offsets.ts'
import type { WorkerSettings } from '../config/worker-settings.ts'
import { ensureError } from '../errors.ts'
import type { StoreIdentity } from '../state/contracts.ts'
import { openStoreEngine, type OpenStoreEngineOptions, storedCheckpoint } from '../state/open-store-engine.ts'
import {
  decideRestore,
  headedFormatVersion,
  type RestoreDecision,
  storeFormatVersion,
} from '../state/restore-decision.ts'
import type { StateDirectory } from '../state/state-directory.ts'
import type { StoreMemory } from '../state/store-memory.ts'
import { TransactionalStore } from '../state/transactional-store.ts'
import type { AnyStore, TaskStore } from '../task/contracts.ts'
import { TopicReplay } from '../task/topic-replay.ts'
import type { StoreDefinition } from '../topology/contracts.ts'
import { restoreTopicName } from '../topology/internal-topics.ts'
import { keepsDigests } from './digest-check.ts'
import type { RestoreJob } from './restorer.ts'
import type { TaskPlan } from './task-plan.ts'
import type { TopicCatalog } from './topic-catalog.ts'

export interface StoreParts {
  readonly cluster: Cluster
  readonly ports: Ports
  readonly settings: WorkerSettings
  readonly catalog: TopicCatalog
  readonly directory: StateDirectory
  readonly memory: StoreMemory
  readonly log: Logger
}

export interface OpenStore extends TaskStore {
  readonly identity: StoreIdentity
}

/** A task with its stores, whether it runs or not. */
export interface TaskStores {
  readonly plan: TaskPlan
  readonly stores: ReadonlyMap<string, OpenStore>
}

/** Where the changelogs of some stores begin and end. */
export interface ChangelogLimits {
  readonly starts: readonly ListedPosition[]
  readonly ends: readonly ListedPosition[]
  /** What their tasks have committed of their inputs, by `partitionId`: where read-only stores end. */
  readonly committed: CommittedInputs
}

export type CommittedInputs = ReadonlyMap<string, Pick<CommittedPosition, 'offset'>>

/** A read-only store that was filled through other serdes, or in another way, is filled anew. */
const writtenFrom = (topic: string, { key, value, filling }: StoreDefinition): string => {
  if (filling === undefined) return topic
  const read = filling.source.topic
  const through = filling.update === undefined ? '' : ' through a function'
  return `${topic} (${read.key.name}, ${read.value.name}) as (${key.name}, ${value.name})${through}`
}

const engineOptions = (
  { settings, catalog, cluster, directory, ports }: StoreParts,
  plan: TaskPlan,
  definition: StoreDefinition,
): OpenStoreEngineOptions => {
  const topic = restoreTopicName(settings.applicationId, definition)
  return {
    disk: ports.disk,
    kind: definition.engine,
    directory: directory.storeDirectory(plan.id, definition.name),
    identity: {
      formatVersion: definition.headers === true ? headedFormatVersion : storeFormatVersion,
      applicationId: settings.applicationId,
      clusterId: cluster.clusterId,
      store: definition.name,
      changelogTopic: writtenFrom(topic, definition),
      changelogTopicId: catalog.topicId(topic),
      partition: plan.partition,
      guarantee: settings.guarantee,
    },
  }
}

/** @throws STORE_FOREIGN, STORE_FAILED */
export const openTaskStores = (parts: StoreParts, plan: TaskPlan): ReadonlyMap<string, OpenStore> => {
  const { catalog, ports, log } = parts
  const stores = new Map<string, OpenStore>()
  for (const definition of plan.subtopology.stores) {
    const options = engineOptions(parts, plan, definition)
    const { engine, rebuilt } = openStoreEngine(options)
    if (rebuilt !== undefined) sayRebuilt(log, plan.id, definition.name, rebuilt)
    const changelog = catalog.changelog(definition)
    const { name, key, value } = definition
    const store = new TransactionalStore({
      name,
      key,
      value,
      engine,
      clock: ports.clock,
      // A read-only store writes nothing to a topic.
      changeBytesMax: definition.filling === undefined ? changelog.batchBytesMax : Number.POSITIVE_INFINITY,
      digest: definition.filling === undefined && keepsDigests(parts.settings),
      memory: parts.memory,
    })
    stores.set(name, { definition, identity: options.identity, store: store as AnyStore, changelog })
  }
  return stores
}

/** Closes each store, also when one of them fails to: Kafka holds what it could not flush. */
export const closeTaskStores = (log: Logger, { plan, stores }: TaskStores, flush: boolean): void => {
  for (const { store } of stores.values()) {
    try {
      store.close({ flush })
    } catch (error) {
      log.warn('a store failed to close', {
        task: plan.id,
        store: store.name,
        cause: ensureError(error).message,
      })
    }
  }
}

/** How far open stores have followed their changelogs: offsets, summed. */
export const positionOf = ({ stores }: TaskStores): number => {
  let sum = 0
  for (const { store } of stores.values()) sum += store.checkpoint()?.changelogOffset ?? 0
  return sum
}

/** The same of stores that are closed, from the disk. */
export const storedPosition = (parts: StoreParts, plan: TaskPlan): number => {
  let sum = 0
  for (const definition of plan.subtopology.stores)
    sum += storedCheckpoint(engineOptions(parts, plan, definition))?.changelogOffset ?? 0
  return sum
}

const changelogsOf = (tasks: readonly TaskStores[]): { topic: string; partition: number }[] =>
  tasks.flatMap(({ plan: { partition }, stores }) =>
    [...stores.values()].filter(hasPartition(partition)).map(({ changelog }) => ({
      topic: changelog.name,
      partition,
    })),
  )

/** The topic of a read-only store may have fewer partitions than its sub-topology: then nobody asks the others for a key. */
const hasPartition =
  (partition: number) =>
  ({ changelog }: OpenStore): boolean =>
    partition < changelog.partitions

/** The high watermarks of the changelogs of these tasks. */
export const changelogEnds = async (
  { cluster, ports, settings }: StoreParts,
  tasks: readonly TaskStores[],
): Promise<ListedPosition[]> => {
  const isolation = wrong('restore-to-last-stable-offset') ? 'read_committed' : 'read_uncommitted'
  const deadline = ports.clock.monotonic() + 2 * settings.requestTimeoutMs
  return await listOffsets(cluster, ports, changelogsOf(tasks), 'latest', isolation, deadline)
}

/** @param ends where they are known already */
export const changelogLimits = async (
  parts: StoreParts,
  tasks: readonly TaskStores[],
  ends?: readonly ListedPosition[],
): Promise<Pick<ChangelogLimits, 'starts' | 'ends'>> => {
  const { cluster, ports, settings } = parts
  const deadline = ports.clock.monotonic() + 2 * settings.requestTimeoutMs
  const changelogs = changelogsOf(tasks)
  const starts = await listOffsets(cluster, ports, changelogs, 'earliest', 'read_uncommitted', deadline)
  return { starts, ends: ends ?? (await changelogEnds(parts, tasks)) }
}

/** What the group has committed of the topics that fill read-only stores of these tasks, whoever runs them. */
export const committedInputs = async (
  { cluster, ports, settings }: StoreParts,
  tasks: readonly TaskStores[],
): Promise<CommittedInputs> => {
  const inputs = tasks.flatMap(({ plan }) => plan.inputs.filter(({ source }) => source.fills))
  if (inputs.length === 0) return new Map()
  const deadline = ports.clock.monotonic() + 2 * settings.requestTimeoutMs
  const found = await fetchCommitted(cluster, ports, settings.applicationId, inputs, deadline)
  return new Map(found.map((one) => [partitionId(one.topic, one.partition), one]))
}

/** What each store has to read; a store that cannot be continued is emptied. */
export const restoreJobs = (
  parts: StoreParts,
  { plan, stores }: TaskStores,
  limits: ChangelogLimits,
): RestoreJob[] =>
  [...stores.values()].filter(hasPartition(plan.partition)).map((open) => {
    const job = restoreJob(parts, plan, open, limits)
    const { definition, store } = open
    if (definition.filling === undefined) return job
    const { settings, ports, log } = parts
    const { partition, from, to: end } = job
    const replay = new TopicReplay({
      definition: { ...definition, filling: definition.filling },
      store,
      partition,
      from,
      end,
      policy: { action: settings.onFailure, afterRetries: settings.afterRetries },
      clock: ports.clock,
      log,
    })
    return { ...job, replay }
  })

const restoreJob = (
  { ports, catalog, log }: StoreParts,
  { id: taskId, partition }: TaskPlan,
  { definition, store, changelog, identity }: OpenStore,
  { starts, ends, committed }: ChangelogLimits,
): RestoreJob => {
  const topic = changelog.name
  const logStartOffset = offsetOf(starts, topic, partition)
  const highWatermark = offsetOf(ends, topic, partition)
  // Where the group has committed nothing, the task begins at the start.
  const processed = committed.get(partitionId(topic, partition))?.offset ?? -1
  const to =
    definition.filling === undefined
      ? highWatermark
      : Math.min(highWatermark, processed < 0 ? logStartOffset : processed)
  const checkpoint = store.checkpoint()
  const decision =
    definition.filling !== undefined && checkpoint !== undefined && checkpoint.changelogOffset > to
      ? beyondCommitted(checkpoint.changelogOffset, to)
      : decideRestore({
          expected: identity,
          stored: identity,
          checkpoint,
          logStartOffset,
          highWatermark,
          nowMs: ports.clock.now(),
          deleteRetentionMs: catalog.deleteRetentionMs(topic),
        })
  if (decision.action === 'rebuild') {
    sayRebuilt(log, taskId, store.name, decision.reason)
    store.reset(identity)
  }
  const from = decision.action === 'resume' ? decision.from : logStartOffset
  return { taskId, store, topic, partition, from: definition.filling ? Math.min(from, to) : from, to }
}

/** Whether a read-only store holds more than is told to be committed. */
export const isBeyond = ({ plan, stores }: TaskStores, committed: CommittedInputs): boolean =>
  [...stores.values()].some(({ definition, store, changelog }) => {
    if (definition.filling === undefined) return false
    const told = committed.get(partitionId(changelog.name, plan.partition))?.offset ?? 0
    return (store.checkpoint()?.changelogOffset ?? 0) > told
  })

/** What was put into a read-only store and has not had its turn comes again, in its turn. */
const beyondCommitted = (offset: number, committed: number): RestoreDecision => ({
  action: 'rebuild',
  reason: `its offset ${offset} lies beyond the offset ${committed} that is committed`,
})

const offsetOf = (list: readonly ListedPosition[], topic: string, partition: number): number => {
  const found = list.find((one) => one.topic === topic && one.partition === partition)
  invariant(found !== undefined, 'ListOffsets answers every partition', { topic, partition })
  return found.offset
}

const sayRebuilt = (log: Logger, task: string, store: string, reason: string): void =>
  log.warn('a store is rebuilt from its changelog', { task, store, reason })
