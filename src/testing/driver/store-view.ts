// A store of the test driver over all its partitions: the stores of the tasks themselves, looked up at each call, since
// a restart makes new ones.
import { partitionForKey } from '../../record/murmur2.ts'
import type { Serde } from '../../serde/serde.ts'
import type {
  EntryToPut,
  KeyValue,
  KeyValueStore,
  KeyValueStoreWithHeaders,
  ValueTimestampHeaders,
} from '../../state/contracts.ts'
import type { AnyStore } from '../../task/contracts.ts'
import type { StreamTask } from '../../task/stream-task.ts'
import type { StoreDefinition } from '../../topology/contracts.ts'
import type { DriverEngine } from './driver-engine.ts'
import { misused } from './misused.ts'

type WithHeaders = KeyValueStoreWithHeaders<unknown, unknown>

interface Owned {
  readonly task: StreamTask
  /** As a processor sees it. */
  readonly view: KeyValueStore<unknown, unknown>
  readonly store: AnyStore
}

/** Where the records of the key would be processed. */
export const ownerOf = <T>(definition: StoreDefinition, owned: readonly T[], key: unknown): T => {
  if (owned.length === 1) return owned[0] as T
  const serde = definition.plainKey ?? definition.key
  const bytes = serde.encode(key)
  return owned[partitionForKey(bytes, 0, bytes.length - (serde.partitionSuffixBytes ?? 0), owned.length)] as T
}

export class StoreView implements KeyValueStore<unknown, unknown> {
  readonly name: string
  readonly #engine: DriverEngine
  readonly #definition: StoreDefinition
  readonly #partition: number | undefined

  /** @throws DRIVER_MISUSED where the store has no such partition */
  constructor(engine: DriverEngine, definition: StoreDefinition, partition: number | undefined) {
    this.name = definition.name
    this.#engine = engine
    this.#definition = definition
    this.#partition = partition
    if (this.#owned.length === 0)
      throw misused(`the store has no partition ${partition}`, { store: this.name })
  }

  /** @throws DRIVER_MISUSED where several partitions have the key */
  get(key: unknown): unknown {
    return this.#holding(key)?.view.get(key)
  }

  has(key: unknown): boolean {
    return this.#owned.some(({ view }) => view.has(key))
  }

  range(
    from: unknown,
    to: unknown,
    options?: { readonly reverse?: boolean },
  ): IterableIterator<KeyValue<unknown, unknown>> {
    return this.#each((view) => view.range(from, to, options))
  }

  all(): IterableIterator<KeyValue<unknown, unknown>> {
    return this.#each((view) => view.all())
  }

  prefixScan<P>(
    prefix: P,
    serde: Serde<P>,
    options?: { readonly reverse?: boolean },
  ): IterableIterator<KeyValue<unknown, unknown>> {
    return this.#each((view) => view.prefixScan(prefix, serde, options))
  }

  put(key: unknown, value: unknown): void {
    const { task, store, view } = this.#holding(key) ?? this.#ownerOf(key)
    this.#engine.seed(task, store, () => view.put(key, value))
  }

  delete(key: unknown): void {
    const held = this.#holding(key)
    if (held !== undefined) this.#engine.seed(held.task, held.store, () => held.view.delete(key))
  }

  /** As `get`, of a store that keeps headers. */
  getEntry(key: unknown): ValueTimestampHeaders<unknown> | undefined {
    return (this.#holding(key)?.view as WithHeaders | undefined)?.getEntry(key)
  }

  /** As `put`, of a store that keeps headers. */
  putEntry(key: unknown, entry: EntryToPut<unknown>): void {
    const { task, store, view } = this.#holding(key) ?? this.#ownerOf(key)
    this.#engine.seed(task, store, () => (view as WithHeaders).putEntry(key, entry))
  }

  get #owned(): Owned[] {
    this.#engine.assertOpen()
    return this.#engine.tasks
      .owners(this.name)
      .filter(({ partition }) => this.#partition === undefined || partition === this.#partition)
      .map((task) => ({
        task,
        view: task.store(this.name) as KeyValueStore<unknown, unknown>,
        store: task.stores.get(this.name)?.store as AnyStore,
      }))
  }

  *#each(
    read: (view: KeyValueStore<unknown, unknown>) => IterableIterator<KeyValue<unknown, unknown>>,
  ): IterableIterator<KeyValue<unknown, unknown>> {
    for (const { view } of this.#owned) yield* read(view)
  }

  #holding(key: unknown): Owned | undefined {
    const [held, ...others] = this.#owned.filter(({ view }) => view.has(key))
    if (others.length === 0) return held
    const partitions = [held, ...others].map((one) => one?.task.partition)
    throw misused(`the partitions ${partitions.join(' and ')} have the key: ask for one of them`, {
      store: this.name,
    })
  }

  #ownerOf(key: unknown): Owned {
    return ownerOf(this.#definition, this.#owned, key)
  }
}
