// The global tables of the test driver: those of production, over stores in memory, loaded from the topics of the driver
// before anything is processed, and told of each new record before the next one is processed.
import type { Logger } from '../../base/log.ts'
import type { Clock } from '../../base/ports.ts'
import type { WorkerSettings } from '../../config/worker-settings.ts'
import type { StoreEngine } from '../../state/contracts.ts'
import { storeFormatVersion } from '../../state/restore-decision.ts'
import { MemoryEngine } from '../../state/memory-engine.ts'
import { TransactionalStore } from '../../state/transactional-store.ts'
import { GlobalStore } from '../../task/global-store.ts'
import type { GlobalTableDefinition } from '../../topology/contracts.ts'
import { DiskLikeEngine } from './driver-tasks.ts'
import type { DriverTopics } from './driver-topics.ts'

export interface DriverGlobalsOptions {
  readonly tables: readonly GlobalTableDefinition[]
  readonly settings: WorkerSettings
  readonly topics: DriverTopics
  readonly clock: Clock
  readonly log: Logger
}

export class DriverGlobals {
  readonly #options: DriverGlobalsOptions
  /** What stands for the disk. */
  readonly #engines = new Map<string, StoreEngine>()
  readonly #open = new Map<string, GlobalStore>()

  constructor(options: DriverGlobalsOptions) {
    this.#options = options
  }

  /** By name. */
  get stores(): ReadonlyMap<string, GlobalStore> {
    return this.#open
  }

  open(): void {
    const { tables, settings, topics, clock, log } = this.#options
    for (const table of tables) {
      const { name, key, value } = table.store
      const engine = this.#engine(table)
      const store = new TransactionalStore<unknown, unknown>({ name, key, value, engine, clock })
      const policy = { action: settings.onFailure, afterRetries: settings.afterRetries }
      const opened = new GlobalStore({ table, store, policy, clock, log })
      const { partitions } = topics.log(opened.topic)
      const known = store.checkpoint()?.positions
      opened.begin(partitions.map((_, partition) => known?.[partition] ?? 0))
      this.#open.set(name, opened)
    }
    this.feed()
  }

  /**
   * Takes in what is new in their topics.
   * @throws MillstreamError of a record that failed; it is passed over at the next call
   */
  feed(): void {
    const { topics } = this.#options
    for (const table of this.#open.values()) {
      this.#update(table)
      for (const [partition, position] of table.positions.entries()) {
        const fetched = topics.log(table.topic).partitions[partition]?.fetch(position)
        if (fetched !== undefined && fetched.nextOffset > position) table.add(partition, fetched)
      }
      this.#update(table)
    }
  }

  #update(table: GlobalStore): void {
    try {
      table.update(Number.POSITIVE_INFINITY)
    } catch (error) {
      table.passOver()
      throw error
    }
  }

  /** @param keepState what stands for the disk stays as it is; else it is empty then */
  close({ keepState }: { readonly keepState: boolean }): void {
    // As after a crash: what was not flushed yet is read from the topic again.
    for (const { store } of this.#open.values()) store.close({ flush: false })
    this.#open.clear()
    if (!keepState) this.#engines.clear()
  }

  #engine({ name, source, store: { engine: kind } }: GlobalTableDefinition): StoreEngine {
    const known = this.#engines.get(name)
    if (known !== undefined) return known
    const engine = kind === 'lmdb' ? new DiskLikeEngine() : new MemoryEngine()
    engine.reset({
      formatVersion: storeFormatVersion,
      applicationId: this.#options.settings.applicationId,
      clusterId: 'test-driver',
      store: name,
      changelogTopic: source.topic.name,
      changelogTopicId: '',
      partition: -1,
      guarantee: this.#options.settings.guarantee,
    })
    this.#engines.set(name, engine)
    return engine
  }
}
