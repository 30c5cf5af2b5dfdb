// The DSL of read-only stores (KIP-813): a topic as the changelog of a store of tasks. Its records are read as an input
// of the tasks, each in its own turn, and fill the store; a restore reads the same topic (task/topic-replay.ts).
import type { ReadOf, SerdeOrSchema, WriteOf } from '../serde/serde-or-schema.ts'
import type { Serde } from '../serde/serde.ts'
import type { KeyedRecord, KeyValueStore } from '../state/contracts.ts'
import type {
  GlobalUpdate,
  ProcessorContext,
  ProcessorInstance,
  StoreDefinition,
  StoreFilling,
} from './contracts.ts'
import type { GraphBuilder } from './graph-builder.ts'
import { store, type StoreOptions, type TopicHandle } from './handles.ts'
import type { StreamRecord } from './stream-record.ts'
import { functionProblem, refusePromise } from './synchronous.ts'

/** A store that a topic fills. `K`, `V`: what is read; `KW`, `VW`: what may be written; `N`: its name. */
export interface ReadOnlyStoreHandle<K, V, KW = K, VW = V, N extends string = string>
  extends StoreDefinition {
  readonly name: N
  readonly key: Serde<K, KW>
  readonly value: Serde<V, VW>
  readonly windows?: never
  readonly global?: never
  readonly timers?: never
  readonly versions?: never
  readonly readOnly: true
  /** For types only, never there. */
  readonly accepts?: (key: KW, value: VW) => void
}

/** A read-only store has no changelog of its own: its topic is what it is restored from, also when its serdes change. */
export type ReadOnlyStoreOptions<KS extends SerdeOrSchema, VS extends SerdeOrSchema> = Pick<
  StoreOptions<KS, VS>,
  'key' | 'value' | 'engine'
>

/**
 * Declares a store for `t.readOnlyStore`; processors that declare it may read it.
 * @throws TOPOLOGY_INVALID where a serde is none, or a schema is asynchronous.
 */
export const readOnlyStore = <const N extends string, KS extends SerdeOrSchema, VS extends SerdeOrSchema>(
  name: N,
  options: ReadOnlyStoreOptions<KS, VS>,
): ReadOnlyStoreHandle<ReadOf<KS>, ReadOf<VS>, WriteOf<KS>, WriteOf<VS>, N> =>
  Object.freeze({ ...store(name, options), readOnly: true })

/** What a topic fills. */
export interface ReadOnlyRows<K, V> {
  readonly store: ReadOnlyStoreHandle<unknown, unknown, K, V>
  readonly process?: never
}

/** What a topic fills, and how. */
export interface ReadOnlyStoreSettings<K, V, SK, SV, KW, VW> {
  readonly store: ReadOnlyStoreHandle<SK, SV, KW, VW>
  /**
   * Called with each record of the topic, in the order of its partition: in the record's turn, and again while the store is
   * restored. What it writes may hang on the record and on the store alone; what compaction has taken out of the topic
   * does not come again.
   */
  readonly process: (record: StreamRecord<K, V>, store: KeyValueStore<SK, SV, KW, VW>) => void
}

/** What a record needs of the store that it fills. */
interface FilledStore extends KeyValueStore<unknown, unknown> {
  putOf(record: KeyedRecord<unknown>, value: unknown): void
  deleteOf(record: KeyedRecord<unknown>): void
}

/** Puts a record into the store: as a row, or as the function of the user does. */
export const fill = (
  { update }: StoreFilling,
  filled: FilledStore,
  record: StreamRecord<unknown, unknown>,
): void => {
  if (update !== undefined) {
    const result: unknown = update(record, filled)
    if (result !== undefined) refusePromise(result)
  } else if (record.keyIsNull) return
  else if (record.valueIsNull) filled.deleteOf(record)
  else filled.putOf(record, record.value)
}

class FillOperator implements ProcessorInstance {
  readonly #name: string
  readonly #filling: StoreFilling
  #store!: FilledStore

  constructor(name: string, filling: StoreFilling) {
    this.#name = name
    this.#filling = filling
  }

  init(context: ProcessorContext): void {
    this.#store = context.tableStore(this.#name) as unknown as FilledStore
  }

  process(record: StreamRecord<unknown, unknown>): void {
    fill(this.#filling, this.#store, record)
  }
}

/** Adds the topic as an input, and the node that fills the store from it. */
export const addReadOnlyStore = (
  builder: GraphBuilder,
  topic: TopicHandle<unknown, unknown, never, never>,
  filled: StoreDefinition,
  update: GlobalUpdate | undefined,
): void => {
  const { name } = filled
  if (filled.readOnly !== true)
    builder.problem(`store ${name} is to be filled by topic ${topic.name}: declare it with readOnlyStore`)
  // Nobody fetches schemas while a store is restored.
  if ([topic, filled].some(({ key, value }) => key.remote !== undefined || value.remote !== undefined))
    builder.problem(`read-only store ${name}: serdes of a schema registry are not taken here`)
  if (update !== undefined) builder.problem(functionProblem(update, `process of read-only store ${name}`))
  const upstream = builder.addSource(topic, topic.timestampExtractor, false, true)
  const filling: StoreFilling = Object.freeze({
    source: Object.freeze({
      kind: 'source' as const,
      name: upstream.node.name,
      children: [],
      topic,
      repartition: false,
      timestampExtractor: topic.timestampExtractor,
      fills: true as const,
    }),
    update,
  })
  builder.fillStore(name, filling)
  builder.addProcessor([upstream], {
    name: undefined,
    operator: 'readOnlyStore',
    stores: [filled],
    outputs: undefined,
    mustLead: false,
    create: () => new FillOperator(name, filling),
  })
}

/** What is wrong with how a store is used. @param keeper the operator that keeps its results there, if one does */
export const readOnlyProblem = (
  { name, readOnly }: StoreDefinition,
  filling: StoreFilling | undefined,
  keeper: string | undefined,
): string | undefined => {
  if (readOnly !== true) return undefined
  if (keeper !== undefined)
    return `store ${name} is a read-only store, which ${keeper} cannot keep: use store`
  return filling === undefined
    ? `store ${name} is a read-only store, but no t.readOnlyStore fills it`
    : undefined
}
