// The tasks of the test driver: those of production, opened over stores in memory. What a task manager gets from a
// broker (committed offsets with their witnesses, changelogs) comes from the topics of the driver.
import { invariant } from '../../base/assert.ts'
import type { Logger } from '../../base/log.ts'
import type { Clock } from '../../base/ports.ts'
import { partitionId } from '../../base/topic-partition.ts'
import type { WorkerSettings } from '../../config/worker-settings.ts'
import { committedState, keepsDigests } from '../../runtime/digest-check.ts'
import { applyFetched } from '../../runtime/restorer.ts'
import { planTasks, type TaskPlan } from '../../runtime/task-plan.ts'
import { decodeWitness, type Witness } from '../../runtime/witness.ts'
import type { StoreEngine } from '../../state/contracts.ts'
import { MemoryEngine } from '../../state/memory-engine.ts'
import { storeFormatVersion } from '../../state/restore-decision.ts'
import { TransactionalStore } from '../../state/transactional-store.ts'
import type { CallSlots } from '../../task/async-calls.ts'
import type { AnyStore, TaskStore } from '../../task/contracts.ts'
import type { RecordCollector } from '../../task/record-collector.ts'
import { RecordQueue } from '../../task/record-queue.ts'
import type { GlobalStores } from '../../task/store-access.ts'
import { StreamTask } from '../../task/stream-task.ts'
import { TopicReplay, type TopicReplayOptions } from '../../task/topic-replay.ts'
import type { StoreDefinition, TopologyGraph } from '../../topology/contracts.ts'
import type { DriverTopics } from './driver-topics.ts'

/** What was committed for one input partition. */
export interface CommittedOffset {
  readonly offset: number
  /** The witness. */
  readonly metadata: string
}

export interface DriverTasksOptions {
  readonly graph: TopologyGraph
  readonly settings: WorkerSettings
  readonly topics: DriverTopics
  readonly globals: GlobalStores
  readonly collector: RecordCollector
  readonly committed: ReadonlyMap<string, CommittedOffset>
  readonly clock: Clock
  readonly log: Logger
  readonly slots: CallSlots
  /** Called when an asynchronous processor has an answer. */
  readonly notify: () => void
}

/** The longest key that a store on disk takes: a test is to meet the limit of production. */
export const diskKeyBytesMax = 1977

export class DiskLikeEngine extends MemoryEngine {
  override readonly keyBytesMax: number = diskKeyBytesMax
}

export class DriverTasks {
  readonly #options: DriverTasksOptions
  readonly #plans: ReadonlyMap<string, TaskPlan>
  /** What stands for the disk: engines by task and store. */
  readonly #engines = new Map<string, StoreEngine>()
  readonly #open = new Map<string, StreamTask>()

  constructor(options: DriverTasksOptions) {
    this.#options = options
    const { graph, settings, topics } = options
    this.#plans = planTasks(
      graph,
      settings.applicationId,
      topics.plan,
      (topic) => topics.partitionsOf(topic),
      (source) => topics.topicsOf(source),
    )
  }

  /** In the order of their ids. */
  get all(): StreamTask[] {
    return [...this.#open.values()]
  }

  /** The tasks that own a store, by partition. */
  owners(store: string): StreamTask[] {
    return this.all.filter(({ stores }) => stores.has(store))
  }

  /**
   * Opens every task: restores its stores, goes to what is committed, and runs the init of its processors.
   * @throws MillstreamError what an init threw
   */
  open(): void {
    for (const [id, plan] of this.#plans) {
      const task = this.#create(plan)
      this.#open.set(id, task)
      task.init()
    }
  }

  /** Closes every task. @param keepState what stands for the disk stays as it is; else it is empty then */
  close({ keepState }: { readonly keepState: boolean }): void {
    for (const task of this.#open.values()) {
      task.close()
      // As after a crash: what was not flushed yet is read from the changelog again.
      for (const { store } of task.stores.values()) store.close({ flush: false })
    }
    this.#open.clear()
    if (!keepState) this.#engines.clear()
  }

  #create(plan: TaskPlan): StreamTask {
    const { settings, topics, globals, collector, clock, log, committed, slots, notify } = this.#options
    const found = plan.inputs.map(({ topic, partition }) => committed.get(partitionId(topic, partition)))
    const witnesses = found.map((one) => decodeWitness(one?.metadata ?? ''))
    return new StreamTask({
      applicationId: settings.applicationId,
      id: plan.id,
      partition: plan.partition,
      subtopology: plan.subtopology,
      queues: plan.inputs.map(
        ({ topic, partition, source }, index) =>
          new RecordQueue(
            topic,
            partition,
            source,
            { offset: found[index]?.offset ?? 0, partitionTime: witnesses[index]?.partitionTime ?? -1 },
            () => clock.now(),
          ),
      ),
      stores: this.#stores(plan, witnesses),
      globals,
      collector,
      outputOf: (node, name) => topics.output(node, name),
      policy: { ...settings, action: settings.onFailure },
      clock,
      log,
      slots,
      notify,
      maxTaskIdleMs: settings.maxTaskIdleMs,
      streamTime: Math.max(-1, ...witnesses.map((witness) => witness?.streamTime ?? -1)),
    })
  }

  #stores(plan: TaskPlan, witnesses: readonly (Witness | undefined)[]): Map<string, TaskStore> {
    const stores = new Map<string, TaskStore>()
    for (const definition of plan.subtopology.stores) {
      const { name, key, value } = definition
      const changelog = this.#options.topics.changelog(definition)
      const store: AnyStore = new TransactionalStore({
        name,
        key,
        value,
        engine: this.#engine(plan, definition, changelog.name),
        clock: this.#options.clock,
        changeBytesMax: definition.filling === undefined ? changelog.batchBytesMax : Number.POSITIVE_INFINITY,
        digest: definition.filling === undefined && keepsDigests(this.#options.settings),
      })
      if (definition.filling === undefined) this.#restore(plan, store, changelog.name, witnesses)
      else this.#refill(plan, store, { ...definition, filling: definition.filling })
      stores.set(name, { definition, store, changelog })
    }
    return stores
  }

  #engine(plan: TaskPlan, { name, engine: kind }: StoreDefinition, changelogTopic: string): StoreEngine {
    const id = `${plan.id}/${name}`
    const known = this.#engines.get(id)
    if (known !== undefined) return known
    const engine = kind === 'lmdb' ? new DiskLikeEngine() : new MemoryEngine()
    engine.reset({
      formatVersion: storeFormatVersion,
      applicationId: this.#options.settings.applicationId,
      clusterId: 'test-driver',
      store: name,
      changelogTopic,
      changelogTopicId: '',
      partition: plan.partition,
      guarantee: this.#options.settings.guarantee,
    })
    this.#engines.set(id, engine)
    return engine
  }

  #restore(
    plan: TaskPlan,
    store: AnyStore,
    topic: string,
    witnesses: readonly (Witness | undefined)[],
  ): void {
    const { partition } = plan
    const changelog = this.#options.topics.log(topic).partitions[partition]
    invariant(changelog !== undefined, 'a changelog has a partition for each task', { topic, partition })
    const from = store.checkpoint()?.changelogOffset ?? 0
    const to = changelog.stableEnd
    const job = { taskId: plan.id, store, topic, partition, from, to }
    applyFetched(job, changelog.fetch(from), this.#options.clock.now())
    while (!store.scanDigest(Number.MAX_SAFE_INTEGER));
    const wanted = committedState(witnesses, store.name)?.digest || undefined
    invariant(wanted === undefined || wanted === store.digest, 'a restored store is what was committed', {
      task: plan.id,
      store: store.name,
    })
  }

  /** A read-only store, from its topic. */
  #refill(plan: TaskPlan, store: AnyStore, definition: TopicReplayOptions['definition']): void {
    const { topics, committed, clock, log } = this.#options
    const { partition } = plan
    const topic = definition.filling.source.topic.name
    const filled = topics.log(topic).partitions[partition]
    const from = store.checkpoint()?.changelogOffset ?? 0
    const end = committed.get(partitionId(topic, partition))?.offset ?? 0
    if (filled === undefined || from >= end) return
    // A record that failed for good was passed over, and is again.
    const policy = { action: 'skip', afterRetries: 'skip' } as const
    const replay = new TopicReplay({ definition, store, partition, from, end, policy, clock, log })
    replay.apply(filled.fetch(from), clock.now())
  }
}
