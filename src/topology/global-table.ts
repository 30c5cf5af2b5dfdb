// The DSL of global tables: a topic as a table that every worker holds whole, so that any task may read any key of it.
// What keeps the rows is in task/global-store.ts; what joins them is in global-join.ts.
import type { SerdeOrSchema, ReadOf, WriteOf } from '../serde/serde-or-schema.ts'
import type { Serde } from '../serde/serde.ts'
import type { KeyValueStore } from '../state/contracts.ts'
import { timestamped } from '../state/timestamped.ts'
import type { GlobalTableDefinition, GlobalUpdate, StoreDefinition } from './contracts.ts'
import { store, type StoreOptions, type TopicHandle } from './handles.ts'
import { nameProblem, topicNameProblem } from './names.ts'
import type { StreamRecord } from './stream-record.ts'
import { functionProblem } from './synchronous.ts'

/** A store that every worker holds whole. `K`, `V`: what is read; `KW`, `VW`: what may be written; `N`: its name. */
export interface GlobalStoreHandle<K, V, KW = K, VW = V, N extends string = string> extends StoreDefinition {
  readonly name: N
  readonly key: Serde<K, KW>
  readonly value: Serde<V, VW>
  readonly windows?: never
  readonly readOnly?: never
  readonly global: true
  /** For types only, never there. */
  readonly accepts?: (key: KW, value: VW) => void
}

/** A global store has no changelog of its own: its topic is what it is loaded from, also when its serdes change. */
export type GlobalStoreOptions<KS extends SerdeOrSchema, VS extends SerdeOrSchema> = Pick<
  StoreOptions<KS, VS>,
  'key' | 'value' | 'engine'
>

/**
 * Declares a store for `t.globalTable` or `t.globalStore`; processors that declare it may read it.
 * @throws TOPOLOGY_INVALID where a serde is none, or a schema is asynchronous.
 */
export const globalStore = <const N extends string, KS extends SerdeOrSchema, VS extends SerdeOrSchema>(
  name: N,
  options: GlobalStoreOptions<KS, VS>,
): GlobalStoreHandle<ReadOf<KS>, ReadOf<VS>, WriteOf<KS>, WriteOf<VS>, N> =>
  Object.freeze({ ...store(name, options), global: true })

/** What `t.globalTable` keeps. */
export interface GlobalTableOptions<K, V> {
  readonly store: GlobalStoreHandle<unknown, V, K, V>
}

/** What `t.globalStore` keeps, and how. */
export interface GlobalStoreSettings<K, V, SK, SV, KW, VW> {
  readonly store: GlobalStoreHandle<SK, SV, KW, VW>
  /**
   * Called with each record of the topic, in the order of its partition: while the table is loaded, before any task
   * runs, and from then on as records come. It runs in every worker, so it must come to the same everywhere; a worker that
   * lost its last writes to the disk calls it again.
   */
  readonly process: (record: StreamRecord<K, V>, store: KeyValueStore<SK, SV, KW, VW>) => void
}

/** A table that every worker holds whole. Streams join it by any key: `joinGlobal`, `leftJoinGlobal`. */
export class GlobalTable<K, V> {
  readonly #store: StoreDefinition
  readonly #owner: GlobalTables
  /** For types only, never there. */
  declare readonly accepts?: (key: K) => V

  /** @internal Global tables come from `t.globalTable` and `t.globalStore`. */
  constructor(store: StoreDefinition, owner: GlobalTables) {
    this.#store = store
    this.#owner = owner
  }

  /** @internal */
  get store(): StoreDefinition {
    return this.#store
  }

  /** @internal Whose topology it belongs to. */
  get owner(): GlobalTables {
    return this.#owner
  }
}

/** Values with the timestamps of their records, as tables keep them. */
const keptStore = (store: StoreDefinition): StoreDefinition =>
  Object.freeze({ ...store, value: timestamped(store.value) as never, plainValue: store.value })

/** The global tables of one topology while it is described, and who reads them. */
export class GlobalTables {
  readonly #tables = new Map<string, { readonly handle: StoreDefinition; table: GlobalTableDefinition }>()
  readonly #read = new Map<string, StoreDefinition>()
  readonly #problem: (text: string | undefined) => void

  /** @param problem notes a mistake; undefined is none */
  constructor(problem: (text: string | undefined) => void) {
    this.#problem = problem
  }

  /** @param update what is done with a record; undefined: it is a row */
  add<K, V>(
    topic: TopicHandle<unknown, unknown, never, never>,
    store: StoreDefinition,
    update?: GlobalUpdate,
  ): GlobalTable<K, V> {
    const { name } = store
    this.#problem(topicNameProblem(topic.name))
    this.#problem(nameProblem('a store', name))
    if (store.global !== true)
      this.#problem(`store ${name} is to be held whole by every worker: declare it with globalStore`)
    if (update !== undefined) this.#problem(functionProblem(update, `process of global store ${name}`))
    if (store.headers !== undefined) this.#problem(`global store ${name}: headers are not kept here`)
    if (this.#tables.has(name)) this.#problem(`two stores are named ${name}`)
    const source = Object.freeze({
      kind: 'source' as const,
      name: `${topic.name}-global-source`,
      children: [],
      topic: topic as never,
      repartition: false,
      timestampExtractor: topic.timestampExtractor,
    })
    const table = Object.freeze({ name, source, store: keptStore(store), update })
    this.#tables.set(name, { handle: store, table })
    return new GlobalTable(store, this)
  }

  /** Of the stores that a node declares: the names of those that are global. */
  readBy(stores: readonly StoreDefinition[]): readonly string[] {
    const globals = stores.filter(({ global }) => global === true)
    for (const store of globals) this.#read.set(store.name, store)
    return Object.freeze([...new Set(globals.map(({ name }) => name))])
  }

  /** @param stores the other stores @param owned names of those that operators keep */
  finish(stores: Iterable<string>, owned: ReadonlyMap<string, string>): readonly GlobalTableDefinition[] {
    for (const store of stores) if (this.#tables.has(store)) this.#problem(`two stores are named ${store}`)
    for (const [name, handle] of this.#read) {
      const known = this.#tables.get(name)?.handle
      if (owned.has(name))
        this.#problem(`store ${name} is a global store, which ${owned.get(name)} cannot keep: use store`)
      else if (known === undefined)
        this.#problem(`store ${name} is a global store, but neither t.globalTable nor t.globalStore fills it`)
      else if (known !== handle) this.#problem(`two stores are named ${name}`)
    }
    return Object.freeze([...this.#tables.values()].map(({ table }) => table))
  }
}
