// What a test sees of the test driver: inputs, outputs and stores by the handles of the topology, time, transactions.
import type { Logger } from '../../base/log.ts'
import type { SettingsInput } from '../../config/settings.ts'
import type { RecordHeader } from '../../record/record-cursor.ts'
import type { Appended, ProducerRecord } from '../../runtime/create-producer.ts'
import type {
  KeyValue,
  KeyValueStore,
  KeyValueStoreWithHeaders,
  ReadOnlyKeyValueStore,
  ReadOnlyWindowStore,
  VersionedStore,
} from '../../state/contracts.ts'
import type { GlobalStoreHandle } from '../../topology/global-table.ts'
import type {
  HeadersStoreHandle,
  StoreHandle,
  TopicHandle,
  VersionedStoreHandle,
  WindowStoreHandle,
} from '../../topology/handles.ts'
import type { ReadOnlyStoreHandle } from '../../topology/read-only-store.ts'
import type { Timer, TimerStoreHandle } from '../../topology/timers.ts'
import type { WrapProcessor } from '../../topology/wrap.ts'

/** The settings of a worker that mean something without a broker; their defaults are those of a worker. */
export type TestDriverSettings = Pick<
  SettingsInput,
  | 'applicationId'
  | 'onFailure'
  | 'retryAttempts'
  | 'retryBackoffMs'
  | 'retryBackoffMaxMs'
  | 'afterRetries'
  | 'batchBytes'
  | 'asyncInFlightMax'
  | 'maxTaskIdleMs'
>

export interface TestDriverOptions {
  readonly settings?: TestDriverSettings
  /** Of each topic of the topology, or by the name of the topic (1 where it is not named). Default: 1. */
  readonly partitions?: number | Readonly<Record<string, number>>
  /** Topics that there are beside those that the topology names: a pattern finds its topics among them. */
  readonly topics?: readonly string[]
  /** Where the wall clock stands at first, ms since the epoch. Default: the first moment of 2026 (UTC). */
  readonly wallClock?: number
  /** More records, or ticks of the clock, than this in one call mean that it would never end. Default: 100,000. */
  readonly recordsMax?: number
  /** Where log lines go, for instance of records that are skipped; default: nowhere. */
  readonly log?: Logger
  /** As the option of a worker. */
  readonly wrapProcessor?: WrapProcessor
}

export interface SendOptions {
  /** Milliseconds since the epoch; default: the wall clock of the driver, and what the input was advanced by. */
  readonly timestamp?: number
  readonly headers?: readonly RecordHeader[]
  /** Default: that of the key, as a producer chooses it; in turn where the key is null. */
  readonly partition?: number
}

export type InputRecord<K, V> = ProducerRecord<K, V> & SendOptions

/** A topic that the topology reads. `K` and `V` are what its serdes write. */
export interface TestInput<K, V> {
  /** Name of the topic. */
  readonly topic: string
  /**
   * Appends a record. Without an open transaction it is processed at once, with all that follows from it over
   * repartition topics, and committed.
   * @throws MillstreamError SERIALIZATION_FAILED where a serde refuses the record (nothing is appended); and what
   * stopped the processing, see `TestDriver.run`
   */
  send(key: K, value: V, options?: SendOptions): Appended
  send(record: InputRecord<K, V>): Appended
  /** Sends one after the other, up to the first that fails. `advanceMs`: how far the time of the input moves after each. */
  sendAll(records: Iterable<InputRecord<K, V>>, options?: { readonly advanceMs?: number }): Appended[]
  /** Records that are sent from now on without a timestamp are so much later; the wall clock stays. */
  advanceTime(ms: number): void
}

/** A record that the topology wrote. */
export interface OutputRecord<K, V> {
  readonly key: K
  readonly value: V
  readonly timestamp: number
  readonly headers: readonly RecordHeader[]
  readonly partition: number
}

/**
 * The committed records of a topic from where they were not read yet, in the order in which they were committed; of one
 * transaction, partition by partition. All outputs of one topic share the place up to which it was read.
 */
export interface TestOutput<K, V> {
  /** Name of the topic. */
  readonly topic: string
  /** Whether everything is read. */
  readonly isEmpty: boolean
  /** The next record, or undefined. @throws DESERIALIZATION_FAILED where the serdes of the handle refuse it */
  read(): OutputRecord<K, V> | undefined
  readAll(): OutputRecord<K, V>[]
  /** `readAll`, keys and values alone. */
  readKeyValues(): KeyValue<K, V>[]
  /** Reads everything; the last value of each key. Keys are told apart by their bytes. */
  toMap(): Map<K, V>
}

export interface StoreViewOptions {
  /** Only this partition. Default: all of them, one after the other. */
  readonly partition?: number
}

/**
 * A store over all its partitions. Reads see the open transaction. `put` and `delete` seed it: they are a transaction
 * of their own, or part of the open one, and go to the changelog as if a processor had written.
 */
export type TestStore<K, V, KW = K, VW = V> = KeyValueStore<K, V, KW, VW>

/** What the tasks did since the driver was made. */
export interface TestDriverCounts {
  readonly processed: number
  readonly skipped: number
  readonly retried: number
  /** Records that came too late for a window. */
  readonly late: number
}

/** Runs a topology inside a test: synchronous, without a broker, a port or a timer. */
export interface TestDriver extends Disposable {
  /** Names of all topics as they are in Kafka: inputs, outputs, repartition topics and changelogs. */
  readonly topics: readonly string[]
  readonly counts: TestDriverCounts
  /** Milliseconds since the epoch. */
  readonly wallClock: number

  /** @throws DRIVER_MISUSED where the topology does not read the topic */
  input<K, V, KW, VW>(topic: TopicHandle<K, V, KW, VW>): TestInput<KW, VW>
  /**
   * Any topic of the topology by its name in Kafka, so also a repartition topic, read by the serdes of the handle.
   * @throws DRIVER_MISUSED where the topology has no such topic
   */
  output<K, V>(topic: TopicHandle<K, V, never, never>): TestOutput<K, V>
  /** The changelog of a store; null is a deletion. @throws DRIVER_MISUSED */
  changelog<K, V>(store: StoreHandle<K, V, never, never>): TestOutput<K, V | null>
  /** As below, of a store that keeps headers. */
  store<K, V, KW, VW>(
    store: HeadersStoreHandle<K, V, KW, VW>,
    options?: StoreViewOptions,
  ): KeyValueStoreWithHeaders<K, V, KW, VW>
  /** @throws DRIVER_MISUSED where the topology has no such store */
  store<K, V, KW, VW>(store: StoreHandle<K, V, KW, VW>, options?: StoreViewOptions): TestStore<K, V, KW, VW>
  /** As above, of a store of windows, which is read only. */
  store<K, V, KW, VW>(
    store: WindowStoreHandle<K, V, KW, VW>,
    options?: StoreViewOptions,
  ): ReadOnlyWindowStore<K, V, KW>
  /** As above, of a versioned store. `put` and `delete` seed it, as those of a store. */
  store<K, V, KW, VW>(
    store: VersionedStoreHandle<K, V, KW, VW>,
    options?: StoreViewOptions,
  ): VersionedStore<K, V, KW, VW>
  /** As above, of a global store, which is read only: it is fed from its topic. */
  store<K, V, KW, VW>(store: GlobalStoreHandle<K, V, KW, VW>): ReadOnlyKeyValueStore<K, V, KW>
  /** As above, of a read-only store: it is filled by `input` of its topic. */
  store<K, V, KW, VW>(
    store: ReadOnlyStoreHandle<K, V, KW, VW>,
    options?: StoreViewOptions,
  ): ReadOnlyKeyValueStore<K, V, KW>

  /** The timers that are set, those by stream time first, each kind in the order of time. @throws DRIVER_MISUSED */
  timers<K>(store: TimerStoreHandle<K, never>): Timer<K>[]

  /**
   * Highest timestamp seen, ms; -1 before the first record. Of the task that reads this partition of the topic, or
   * without a topic of all tasks.
   */
  streamTime(topic?: { readonly name: string }, partition?: number): number
  /**
   * Moves the wall clock. Punctuators fire and retries happen each at its own time on the way, as in a worker that has
   * nothing else to do. `jump`: as in one that stood still meanwhile, so that missed ticks collapse into one.
   */
  advanceWallClock(ms: number, options?: { readonly jump?: boolean }): void

  /**
   * Begins a transaction: what is sent from now on is processed at once, but other tasks and outputs see nothing of it
   * before `commit`. A record that fails ends it, as in a worker: what came before the record is committed.
   */
  begin(): void
  /** Commits the open transaction, and processes what follows from it. */
  commit(): void
  /**
   * Aborts the open transaction: outputs, stores and positions are as if nothing had been processed. Its records are
   * still in their topics: `run`, or the next record that is sent, has them processed again.
   */
  abort(): void
  /**
   * Processes whatever waits, and commits. A record that fails for good (`onFailure`) is undone and passed over, what
   * came before it is committed, and the error is thrown; the driver may be used further. A failed punctuator is undone
   * with its whole transaction, and comes again.
   * @throws MillstreamError with the place of the record: PROCESSING_FAILED, DESERIALIZATION_FAILED, …;
   * PUNCTUATOR_FAILED; TOPOLOGY_ENDLESS
   */
  run(): void
  /**
   * `run`, again with each answer of an asynchronous processor that comes in, until no call is open. A call that waits for
   * its next try begins when the clock is advanced.
   * @throws as `run`
   */
  settled(): Promise<void>
  /**
   * The worker dies and another one takes over: an open transaction is lost, processors are closed and made anew, stores
   * are restored from their changelogs, positions and stream time are those of the last commit. What waits is processed
   * by `run` or with the next record. `keepState`: local stores are still there, only what they lack is read.
   */
  restart(options?: { readonly keepState?: boolean }): void
  /** Closes the processors. A second call does nothing; any other call afterwards throws CLOSED. */
  close(): void
}
