// The handles that a user declares once and passes around: topics, stores, and the outputs of a processor. They carry
// the types of what is read and what may be written.
import { type ReadOf, type SerdeOrSchema, type WriteOf, toSerde } from '../serde/serde-or-schema.ts'
import type { Serde } from '../serde/serde.ts'
import type {
  EngineKind,
  InvalidTimestampPolicy,
  StoreDefinition,
  TimestampExtractor,
  TopicDefinition,
  VersionSettings,
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
  readonly pattern?: never
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
  readonly timers?: never
  readonly versions?: never
  /** For types only, never there. */
  readonly accepts?: (key: KW, value: VW) => void
}

/** A key-value store. `K`, `V`: what is read; `KW`, `VW`: what may be written; `N`: its name. */
export interface StoreHandle<K, V, KW = K, VW = V, N extends string = string> extends StoreDefinition {
  readonly name: N
  readonly key: Serde<K, KW>
  readonly value: Serde<V, VW>
  readonly windows?: never
  readonly global?: never
  readonly readOnly?: never
  readonly timers?: never
  readonly versions?: never
  /** For types only, never there. */
  readonly accepts?: (key: KW, value: VW) => void
}

/** A key-value store that keeps headers. Type parameters as those of `StoreHandle`. */
export interface HeadersStoreHandle<K, V, KW = K, VW = V, N extends string = string>
  extends StoreHandle<K, V, KW, VW, N> {
  readonly headers: true
}

/** A versioned store. `K`, `V`: what is read; `KW`, `VW`: what may be written; `N`: its name. */
export interface VersionedStoreHandle<K, V, KW = K, VW = V, N extends string = string>
  extends StoreDefinition {
  readonly name: N
  readonly key: Serde<K, KW>
  readonly value: Serde<V, VW>
  readonly windows?: never
  readonly timers?: never
  readonly versions: VersionSettings
  readonly global?: never
  /** For types only, never there. */
  readonly accepts?: (key: KW, value: VW) => void
}

export interface TopicOptions<KS extends SerdeOrSchema, VS extends SerdeOrSchema> {
  readonly key: KS
  readonly value: VS
  /**
   * The timestamp of a record in ms since the epoch, where it is not the one that the record carries. `partitionTime` is the
   * highest timestamp of the records before it in its partition, also of those that were left out, -1 before the first one. It
   * survives restarts, but for global tables and read-only stores, where it is 0 then.
   */
  readonly timestamp?: (record: StreamRecord<ReadOf<KS>, ReadOf<VS>>, partitionTime: number) => number
  /**
   * What becomes of a record whose timestamp is negative or no whole number: it stops the worker (`fail`), is left out and
   * counted (`skip`), or gets the highest timestamp before it in its partition (`partition-time`; where there is none, it
   * fails) or the time at which it is read (`wall-clock`, another one when it is read again). Default: as `onFailure` says.
   */
  readonly onInvalidTimestamp?: InvalidTimestampPolicy
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
    onInvalidTimestamp: options.onInvalidTimestamp,
  })

export interface StoreOptions<
  KS extends SerdeOrSchema,
  VS extends SerdeOrSchema,
  PS extends SerdeOrSchema = Serde<Uint8Array>,
  H extends boolean = boolean,
> {
  readonly key: KS
  readonly value: VS
  /** Of what the values mean: raised with each change after which older ones cannot be read as they are. Default 1. */
  readonly version?: number
  /**
   * Makes a value of an earlier version one of this version; null removes it. A store that was written in an earlier version is
   * migrated at the start, whole, each entry once. `old`: what `previous` reads, or the bytes.
   */
  readonly migrate?: (old: ReadOf<PS>, fromVersion: number) => WriteOf<VS> | null
  /** Reads the values of earlier versions. Default: their bytes. */
  readonly previous?: PS
  /** Where the committed data live: on disk (default) or in memory. */
  readonly engine?: EngineKind
  /** Settings of the changelog topic that override ours. */
  readonly changelog?: Readonly<Record<string, string>>
  /**
   * How long an entry lives, in ms of stream time after the timestamp of the record that wrote it. Then it is read as
   * absent, and deleted a little later. Nobody is told. Default: until it is removed.
   */
  readonly ttlMs?: number
  /**
   * Keep the headers of the record that wrote an entry with it, and its timestamp (KIP-1271). In the changelog they are the
   * headers of the record. Default false.
   */
  readonly headers?: H
}

/**
 * Declares a key-value store: its name and the serdes of its keys and values (a Standard Schema means JSON).
 * @throws TOPOLOGY_INVALID where a serde is none, or a schema is asynchronous.
 */
export const store = <
  const N extends string,
  KS extends SerdeOrSchema,
  VS extends SerdeOrSchema,
  PS extends SerdeOrSchema = Serde<Uint8Array>,
  const H extends boolean = false,
>(
  name: N,
  options: StoreOptions<KS, VS, PS, H>,
): H extends true
  ? HeadersStoreHandle<ReadOf<KS>, ReadOf<VS>, WriteOf<KS>, WriteOf<VS>, N>
  : StoreHandle<ReadOf<KS>, ReadOf<VS>, WriteOf<KS>, WriteOf<VS>, N> =>
  Object.freeze({
    name,
    key: toSerde(options.key, `the key of store ${name}`, changelogPlace('key', name)),
    value: toSerde(options.value, `the value of store ${name}`, changelogPlace('value', name)),
    engine: options.engine ?? 'lmdb',
    changelogSettings: options.changelog ?? {},
    ...(options.ttlMs === undefined ? {} : { ttlMs: options.ttlMs }),
    ...(options.headers === undefined || options.headers === (false as never)
      ? {}
      : { headers: options.headers }),
    ...(options.version === undefined ? {} : { version: options.version }),
    ...(options.migrate === undefined
      ? {}
      : { migrate: options.migrate as NonNullable<StoreDefinition['migrate']> }),
    ...(options.previous === undefined
      ? {}
      : { previous: toSerde(options.previous, `previous of store ${name}`) }),
  }) as never

export interface WindowStoreOptions<KS extends SerdeOrSchema, VS extends SerdeOrSchema>
  extends Omit<StoreOptions<KS, VS>, 'ttlMs' | 'headers'> {
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

export interface VersionedStoreOptions<KS extends SerdeOrSchema, VS extends SerdeOrSchema>
  extends Omit<StoreOptions<KS, VS>, 'ttlMs' | 'headers'> {
  /** How far back it can be read and written, in ms before the highest timestamp that was written to it. */
  readonly historyMs: number
}

/**
 * Declares a versioned store, which keeps what each key was before: its name and the serdes of keys and values (KIP-889).
 * @throws TOPOLOGY_INVALID where a serde is none, or a schema is asynchronous.
 */
export const versionedStore = <const N extends string, KS extends SerdeOrSchema, VS extends SerdeOrSchema>(
  name: N,
  options: VersionedStoreOptions<KS, VS>,
): VersionedStoreHandle<ReadOf<KS>, ReadOf<VS>, WriteOf<KS>, WriteOf<VS>, N> =>
  Object.freeze({ ...store(name, options), versions: Object.freeze({ historyMs: options.historyMs }) })

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
