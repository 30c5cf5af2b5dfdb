// The handles that a user declares once and passes around: topics, stores, and the outputs of a processor. They carry
// the types of what is read and what may be written.
import { type ReadOf, type SerdeOrSchema, type WriteOf, toSerde } from '../serde/serde-or-schema.ts'
import type { Serde } from '../serde/serde.ts'
import type {
  EngineKind,
  StoreDefinition,
  TimestampExtractor,
  TopicDefinition,
  WindowSettings,
} from './contracts.ts'
import { changelogPlace, topicPlace } from './places.ts'
import type { StreamRecord } from './stream-record.ts'

// The members of serdes are methods, which TypeScript compares loosely (bivariantly). `accepts` exists for the types
// alone: a function property is compared strictly, so a sink or store takes only what its serdes can write.

/** A topic as `topology` sees it. `K`, `V`: what is read; `KW`, `VW`: what may be written. */
export interface TopicHandle<K, V, KW = K, VW = V> extends TopicDefinition {
  readonly key: Serde<K, KW>
  readonly value: Serde<V, VW>
  /** @internal */ readonly timestampExtractor: TimestampExtractor | undefined
  /** For types only, never there. */
  readonly accepts?: (key: KW, value: VW) => void
}

/** A store of windows. `K`, `V`: what is read; `KW`, `VW`: what may be written; `N`: its name. */
export interface WindowStoreHandle<K, V, KW = K, VW = V, N extends string = string> extends StoreDefinition {
  readonly name: N
  readonly key: Serde<K, KW>
  readonly value: Serde<V, VW>
  readonly windows: WindowSettings
  /** For types only, never there. */
  readonly accepts?: (key: KW, value: VW) => void
}

/** A key-value store. `K`, `V`: what is read; `KW`, `VW`: what may be written; `N`: its name. */
export interface StoreHandle<K, V, KW = K, VW = V, N extends string = string> extends StoreDefinition {
  readonly name: N
  readonly key: Serde<K, KW>
  readonly value: Serde<V, VW>
  readonly windows?: never
  /** For types only, never there. */
  readonly accepts?: (key: KW, value: VW) => void
}

export interface TopicOptions<KS extends SerdeOrSchema, VS extends SerdeOrSchema> {
  readonly key: KS
  readonly value: VS
  /**
   * The timestamp of a record in ms since the epoch, where it is not the one that the record carries. `streamTime` is the
   * highest timestamp seen by the task, -1 before its first record.
   */
  readonly timestamp?: (record: StreamRecord<ReadOf<KS>, ReadOf<VS>>, streamTime: number) => number
}

/**
 * Declares a topic: its name and the serdes of its keys and values (a Standard Schema means JSON).
 * @throws TOPOLOGY_INVALID where a serde is none, or a schema is asynchronous.
 */
export const topic = <KS extends SerdeOrSchema, VS extends SerdeOrSchema>(
  name: string,
  options: TopicOptions<KS, VS>,
): TopicHandle<ReadOf<KS>, ReadOf<VS>, WriteOf<KS>, WriteOf<VS>> =>
  Object.freeze({
    name,
    key: toSerde(options.key, `the key of topic ${name}`, topicPlace('key', name)),
    value: toSerde(options.value, `the value of topic ${name}`, topicPlace('value', name)),
    timestampExtractor: options.timestamp as TimestampExtractor | undefined,
  })

export interface StoreOptions<KS extends SerdeOrSchema, VS extends SerdeOrSchema> {
  readonly key: KS
  readonly value: VS
  /** Where the committed data live: on disk (default) or in memory. */
  readonly engine?: EngineKind
  /** Settings of the changelog topic that override ours. */
  readonly changelog?: Readonly<Record<string, string>>
}

/**
 * Declares a key-value store: its name and the serdes of its keys and values (a Standard Schema means JSON).
 * @throws TOPOLOGY_INVALID where a serde is none, or a schema is asynchronous.
 */
export const store = <const N extends string, KS extends SerdeOrSchema, VS extends SerdeOrSchema>(
  name: N,
  options: StoreOptions<KS, VS>,
): StoreHandle<ReadOf<KS>, ReadOf<VS>, WriteOf<KS>, WriteOf<VS>, N> =>
  Object.freeze({
    name,
    key: toSerde(options.key, `the key of store ${name}`, changelogPlace('key', name)),
    value: toSerde(options.value, `the value of store ${name}`, changelogPlace('value', name)),
    engine: options.engine ?? 'lmdb',
    changelogSettings: options.changelog ?? {},
  })

export interface WindowStoreOptions<KS extends SerdeOrSchema, VS extends SerdeOrSchema>
  extends StoreOptions<KS, VS> {
  /** How long after its start a window is kept, ms. Default: its length and its grace, which is the least. */
  readonly retentionMs?: number
}

/**
 * Declares a store of windows, which an aggregation by windows keeps: its name and the serdes of keys and values.
 * @throws TOPOLOGY_INVALID where a serde is none, or a schema is asynchronous.
 */
export const windowStore = <const N extends string, KS extends SerdeOrSchema, VS extends SerdeOrSchema>(
  name: N,
  options: WindowStoreOptions<KS, VS>,
): WindowStoreHandle<ReadOf<KS>, ReadOf<VS>, WriteOf<KS>, WriteOf<VS>, N> =>
  Object.freeze({ ...store(name, options), windows: Object.freeze({ retentionMs: options.retentionMs }) })

/** The types of the records that a processor forwards to one of its outputs. */
export interface OutputType<K, V> {
  /** For types only, never there. */
  readonly carries?: readonly [K, V]
  /** @internal */ readonly output: true
}

/** The type of the values that a processor of values forwards to one of its outputs; the key is that of the record. */
export interface ValueOutputType<V> {
  /** For types only, never there. */
  readonly carries?: V
  /** @internal */ readonly output: 'value'
}

const anyOutput: OutputType<never, never> = Object.freeze({ output: true })
const anyValueOutput: ValueOutputType<never> = Object.freeze({ output: 'value' })

/** Declares an output of a processor: `outputs: { rejected: output<string, Transfer>() }`. */
export const output = <K, V>(): OutputType<K, V> => anyOutput

/** Declares an output of a processor of values: `outputs: valueOutput<number>()`. */
export const valueOutput = <V>(): ValueOutputType<V> => anyValueOutput
