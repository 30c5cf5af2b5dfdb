// The stores of a task: opened under their identity, and what each of them lacks of its changelog.
import { invariant } from '../base/assert.ts'
import type { Logger } from '../base/log.ts'
import type { Ports } from '../base/ports.ts'
import { wrong } from '../base/wrong-builds.ts'
import type { Cluster } from '../client/cluster.ts'
import { type ListedPosition, listOffsets } from '../client/offsets.ts'
import type { WorkerSettings } from '../config/worker-settings.ts'
import { ensureError } from '../errors.ts'
import type { StoreIdentity } from '../state/contracts.ts'
import { openStoreEngine, type OpenStoreEngineOptions, storedCheckpoint } from '../state/open-store-engine.ts'
import { decideRestore, headedFormatVersion, storeFormatVersion } from '../state/restore-decision.ts'
import type { StateDirectory } from '../state/state-directory.ts'
import type { StoreMemory } from '../state/store-memory.ts'
import { TransactionalStore } from '../state/transactional-store.ts'
import type { AnyStore, TaskStore } from '../task/contracts.ts'
import type { StoreDefinition } from '../topology/contracts.ts'
import { changelogTopicName } from '../topology/internal-topics.ts'
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
}

const engineOptions = (
  { settings, catalog, cluster, directory, ports }: StoreParts,
  plan: TaskPlan,
  definition: StoreDefinition,
): OpenStoreEngineOptions => {
  const topic = changelogTopicName(settings.applicationId, definition.name)
  return {
    disk: ports.disk,
    kind: definition.engine,
    directory: directory.storeDirectory(plan.id, definition.name),
    identity: {
      formatVersion: definition.headers === true ? headedFormatVersion : storeFormatVersion,
      applicationId: settings.applicationId,
      clusterId: cluster.clusterId,
      store: definition.name,
      changelogTopic: topic,
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
      memory: parts.memory,
      changeBytesMax: changelog.batchBytesMax,
      digest: keepsDigests(parts.settings),
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
    [...stores.values()].map(({ changelog }) => ({ topic: changelog.name, partition })),
  )

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
): Promise<ChangelogLimits> => {
  const { cluster, ports, settings } = parts
  const deadline = ports.clock.monotonic() + 2 * settings.requestTimeoutMs
  const changelogs = changelogsOf(tasks)
  const starts = await listOffsets(cluster, ports, changelogs, 'earliest', 'read_uncommitted', deadline)
  return { starts, ends: ends ?? (await changelogEnds(parts, tasks)) }
}

/** What each store has to read; a store that cannot be continued is emptied. */
export const restoreJobs = (
  { ports, catalog, log }: StoreParts,
  { plan, stores }: TaskStores,
  { starts, ends }: ChangelogLimits,
): RestoreJob[] => {
  const { partition } = plan
  return [...stores.values()].map(({ store, changelog, identity }) => {
    const logStartOffset = offsetOf(starts, changelog.name, partition)
    const highWatermark = offsetOf(ends, changelog.name, partition)
    const decision = decideRestore({
      expected: identity,
      stored: identity,
      checkpoint: store.checkpoint(),
      logStartOffset,
      highWatermark,
      nowMs: ports.clock.now(),
      deleteRetentionMs: catalog.deleteRetentionMs(changelog.name),
    })
    if (decision.action === 'rebuild') {
      sayRebuilt(log, plan.id, store.name, decision.reason)
      store.reset(identity)
    }
    const from = decision.action === 'resume' ? decision.from : logStartOffset
    return { taskId: plan.id, store, topic: changelog.name, partition, from, to: highWatermark }
  })
}

const offsetOf = (list: readonly ListedPosition[], topic: string, partition: number): number => {
  const found = list.find((one) => one.topic === topic && one.partition === partition)
  invariant(found !== undefined, 'ListOffsets answers every partition', { topic, partition })
  return found.offset
}

const sayRebuilt = (log: Logger, task: string, store: string, reason: string): void =>
  log.warn('a store is rebuilt from its changelog', { task, store, reason })
