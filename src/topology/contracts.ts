// The contracts between the topology (what the user described) and the task (which runs it): nodes, processors and
// the context that a processor gets. The topology describes and does no I/O.
import type { Serde } from '../serde/serde.ts'
import type {
  KeyValueStore,
  KeyValueStoreWithHeaders,
  ReadOnlyKeyValueStore,
  ReadOnlyWindowStore,
  VersionedStore,
} from '../state/contracts.ts'
import type { Timestamped } from '../state/timestamped.ts'
import type { JoinTable } from '../state/join-table.ts'
import type { SessionTable } from '../state/session-table.ts'
import type { SlidingTable } from '../state/sliding-table.ts'
import type { TimeWindowTable } from '../state/time-window-table.ts'
import type { TimerTable } from '../state/timer-table.ts'
import type { WindowShape } from '../state/window-table.ts'
import type { HeldBack } from './held-back.ts'
import type { StreamRecord } from './stream-record.ts'

/** Where the record in hand came from. */
export interface RecordMetadata {
  readonly topic: string
  readonly partition: number
  readonly offset: number
}

export type PunctuationType = 'stream-time' | 'wall-clock'

/** `timestamp`: stream time or wall-clock time at the call, ms since the epoch. */
export type Punctuator = (timestamp: number) => void

/** Where the ticks of a punctuator lie. */
export interface ScheduleOptions {
  /**
   * The first tick is at this time, ms since the epoch, and the others follow at the interval; one in the past only says
   * where they lie (KIP-1146). Default: 0, so that they are on multiples of the interval.
   */
  readonly anchorMs?: number
}

export interface Cancellable {
  cancel(): void
}

/** A store of windows, as the operators that keep it use it. */
export type AnyWindowTable = TimeWindowTable | SessionTable | SlidingTable

/**
 * Work that would be too much for one record: it is done in portions between records. What is left of it follows from
 * the stores alone, so that it goes on after an abort or a restart.
 */
export interface PortionedWork {
  /**
   * Does the next `entriesMax` entries. `drop`: what they lead to failed before, so nothing is forwarded.
   * @returns whether there may be more
   */
  portion(entriesMax: number, drop: boolean): boolean
  /** The stores went back: what was remembered of them is void. */
  rewound?(): void
}

/** What is called with a record and answers later. One per node and task. */
export interface AsyncWork {
  /** Calls of this node and task that are open at once, at most. */
  readonly inFlightMax: number
  /** A call without an answer after so long has failed, ms. */
  readonly timeoutMs: number
  /** What it answers or throws may come later. */
  call(record: StreamRecord<unknown, unknown>, signal: AbortSignal): unknown
  /** Forwards what follows from the answer. */
  answered(record: StreamRecord<unknown, unknown>, answer: unknown): void
}

/** What a running processor can reach. One per processor node and task. */
export interface ProcessorContext {
  readonly applicationId: string
  /** `<subtopology>_<partition>` */
  readonly taskId: string
  readonly partition: number
  /** Sends a record to every child, or to the child (output) of that name. Only inside process or a punctuator. */
  forward(record: StreamRecord<never, never> | StreamRecord<unknown, unknown>, output?: string): void
  /** As `forward` of the record with this value; a topic takes it without a record being made for it. */
  forwardValue(record: StreamRecord<unknown, unknown>, value: unknown): void
  /** @throws STORE_NOT_DECLARED where the processor did not declare the store. */
  store(
    name: string,
  ):
    | KeyValueStore<never, never>
    | KeyValueStore<unknown, unknown>
    | KeyValueStoreWithHeaders<unknown, unknown>
    | ReadOnlyKeyValueStore<unknown, unknown>
    | ReadOnlyWindowStore<unknown, unknown>
    | VersionedStore<unknown, unknown>
  /**
   * A store that keeps the results of operators, with their timestamps; `VersionTable` where it is versioned, and
   * `WaitingRecords` where records wait in it.
   * @throws STORE_NOT_DECLARED as `store`
   */
  tableStore(name: string): TableStore
  /** A store of windows, or of a join, that an operator keeps. @throws STORE_NOT_DECLARED as `store` */
  windowTable(name: string): AnyWindowTable | JoinTable
  /** A store of timers. @throws STORE_NOT_DECLARED as `store` */
  timerTable(name: string): TimerTable
  /** Work between records: done after init, and whenever it is woken. Only inside init. @returns what wakes it */
  inPortions(work: PortionedWork): () => void
  /** What the table in this store holds back until the commit. */
  heldBack(store: string): HeldBack
  /**
   * Rings once when time has come to what the answered function was told last, ms; infinity is never. Nothing is in hand
   * then. Only inside init.
   */
  alarm(type: PunctuationType, ring: () => void): (dueMs: number) => void
  /** What follows from this record waits for an answer. Only in processors that are declared asynchronous. */
  awaitCall(work: AsyncWork, record: StreamRecord<unknown, unknown>): void
  /** The record in hand came too late for a window. */
  countLate(): void
  /** A timer is set, or is about to fire. */
  countTimer(what: TimerCount): void
  /**
   * Calls the punctuator every `intervalMs` of stream time or wall-clock time, between records, never concurrently.
   * Ticks that were missed collapse into one. Only inside init.
   */
  schedule(
    intervalMs: number,
    type: PunctuationType,
    punctuator: Punctuator,
    options?: ScheduleOptions,
  ): Cancellable
  /** Undefined inside a punctuator. */
  recordMetadata(): RecordMetadata | undefined
  /** Highest timestamp seen by this task, ms; -1 before its first record. Survives restarts. */
  streamTime(): number
  /** Wall-clock time, ms since the epoch. */
  wallClockTime(): number
}

/** The machine of one processor node inside one task. Synchronous: what it forwards is part of the record in hand. */
export interface ProcessorInstance {
  init?(context: ProcessorContext): void
  process(record: StreamRecord<unknown, unknown>): void
  close?(): void
  /**
   * A record is not looked at any more when `process` has returned: what is taken from it is decoded or copied. Absent: not
   * known, so that the bytes of its records stay.
   */
  readonly keepsNoRecord?: boolean
}

/**
 * What tables use of a store of timestamped values: the key is taken from the record, in its raw bytes where the record
 * still has them in the serde of the store.
 */
export interface TableStore {
  readonly name: string
  get(key: unknown): Timestamped<unknown> | undefined
  getOf(record: StreamRecord<unknown, unknown>): Timestamped<unknown> | undefined
  putOf(record: StreamRecord<unknown, unknown>, value: Timestamped<unknown>): void
  deleteOf(record: StreamRecord<unknown, unknown>): void
}

export interface TopicDefinition {
  /** Of topics by pattern: the pattern as text. */
  readonly name: string
  /** Every topic whose whole name matches. */
  readonly pattern?: RegExp
  readonly key: Serde<unknown>
  readonly value: Serde<unknown>
  /** Undefined: it is a failure like any other. */
  readonly onInvalidTimestamp?: InvalidTimestampPolicy | undefined
}

export type TimestampExtractor = (record: StreamRecord<unknown, unknown>, partitionTime: number) => number

/** What becomes of a record whose timestamp is negative, or no whole number. */
export type InvalidTimestampPolicy = 'fail' | 'skip' | 'partition-time' | 'wall-clock'

interface NodeBase {
  /** Unique in the topology, stable over code edits as far as the user named it. */
  readonly name: string
  /** Names of the nodes that get what this node forwards. */
  readonly children: readonly string[]
}

export interface SourceNode extends NodeBase {
  readonly kind: 'source'
  readonly topic: TopicDefinition
  /** The topic is an internal repartition topic: `topic.name` is the plain name given by the user. */
  readonly repartition: boolean
  readonly timestampExtractor: TimestampExtractor | undefined
  /** It fills a read-only store: all of it is read, wherever else the group begins. */
  readonly fills?: true
}

export interface ProcessorNode extends NodeBase {
  readonly kind: 'processor'
  /** The operator, for descriptions: `filter`, `count`, `process`. */
  readonly operator: string
  readonly stores: readonly string[]
  /** Global stores that it reads; absent for none. */
  readonly globals?: readonly string[]
  /** Child node by output name, for processors with named outputs. */
  readonly outputs: Readonly<Record<string, string>> | undefined
  /** Where it has named outputs: the children that get what is forwarded without a name. */
  readonly unnamed?: readonly string[]
  /** Its records wait for a call; nothing with a store stands before it. */
  readonly asynchronous?: true
  create(): ProcessorInstance
}

/**
 * The partition of an output record, or several that each get it; none where the list is empty. `partitions`: how many the
 * topic has.
 */
export type Partitioner = (
  record: StreamRecord<unknown, unknown>,
  partitions: number,
) => number | readonly number[]

export interface SinkNode extends NodeBase {
  readonly kind: 'sink'
  /** The topics this sink may write: one, or those a chooser picks from. */
  readonly topics: readonly TopicDefinition[]
  readonly repartition: boolean
  /** Picks one of `topics` per record; undefined where there is one topic. */
  readonly choose: ((record: StreamRecord<unknown, unknown>) => TopicDefinition) | undefined
  /** Undefined: by the key, as a producer does. */
  readonly partition: Partitioner | undefined
}

export type TopologyNode = SourceNode | ProcessorNode | SinkNode

export type EngineKind = 'lmdb' | 'memory'

export type TimerCount = 'timersSet' | 'timersFired'

/** Until when a suppressed table holds its changes back. */
export type HeldUntil = 'window-closes' | 'time-limit'

export interface StoreDefinition {
  readonly name: string
  /** Of what is stored: in a store of windows, of the whole key. */
  readonly key: Serde<unknown>
  /** The serde of the key alone, where `key` is that of a key in a window (state/window-table.ts). */
  readonly plainKey?: Serde<unknown>
  /** Of a store of windows: what its user says of it, and, once an aggregation keeps it, what windows they are. */
  readonly windows?: WindowSettings
  readonly windowShape?: WindowShape
  /** It holds changes of a table back (held-changes.ts): until when. What lies there follows from that. */
  readonly holdsChanges?: HeldUntil
  /** Of the store of a join: the serdes of the right and the left values. */
  readonly sides?: readonly [right: Serde<unknown>, left: Serde<unknown>]
  /** How long after its timestamp an entry lives, in stream time. Undefined: until it is removed. */
  readonly ttlMs?: number
  /** It keeps the headers of the records that write it (state/headed-values.ts). */
  readonly headers?: true
  /** Of a versioned store. */
  readonly versions?: VersionSettings
  /** It holds records that wait in a join: nobody else reads it. */
  readonly waiting?: true
  /** It keeps timers (state/timer-table.ts). */
  readonly timers?: true
  /** Of what is stored: where timestamps are kept, of a value with its timestamp. */
  readonly value: Serde<unknown>
  /** The serde of the value alone, where `value` is that of a value with its timestamp (state/timestamped.ts). */
  readonly plainValue?: Serde<unknown>
  readonly engine: EngineKind
  /** Of what its values mean, from 1. */
  readonly version?: number
  /** Makes values of an earlier version those of this one; what it gets is read with `previous`, or bytes. Null removes. */
  readonly migrate?: (old: unknown, fromVersion: number) => unknown
  readonly previous?: Serde<unknown>
  /** Version, kind and serdes in short, as they are committed (store-code.ts). */
  readonly layout?: string
  /** Topic settings of the changelog that override ours. */
  readonly changelogSettings: Readonly<Record<string, string>>
  /** Every worker holds it whole, and loads it from a topic of the user. */
  readonly global?: true
  /** It is declared to be filled by a topic of the user. */
  readonly readOnly?: true
  /** What fills it: that topic is its changelog. */
  readonly filling?: StoreFilling
}

/** How a read-only store is filled. */
export interface StoreFilling {
  /** As the node that is an input of its sub-topology. */
  readonly source: SourceNode
  /** Undefined: each record is a row. */
  readonly update: GlobalUpdate | undefined
}

/** What is done with a record of a global store, or of a read-only one: it may write the store. */
export type GlobalUpdate = (
  record: StreamRecord<unknown, unknown>,
  store: KeyValueStore<unknown, unknown>,
) => void

/** A table that every worker holds whole. */
export interface GlobalTableDefinition {
  /** Of its store. */
  readonly name: string
  /** What is read, all partitions of it; no node of a sub-topology. */
  readonly source: SourceNode
  /** Values with their timestamps. */
  readonly store: StoreDefinition
  /** Undefined: each record is a row. */
  readonly update: GlobalUpdate | undefined
}

/** What a user says of a versioned store. */
export interface VersionSettings {
  /** How far back it can be read and written, ms. */
  readonly historyMs: number
}

/** What a user says of a store of windows. */
export interface WindowSettings {
  /** How long after its start a window is kept, ms. Undefined: its length and its grace. */
  readonly retentionMs: number | undefined
}

export interface RepartitionDefinition {
  readonly name: string
  /**
   * Undefined: as many as the largest input of the sub-topology that writes it. `as-reader`: as many as the other inputs of
   * the one that reads it.
   */
  readonly partitions: number | 'as-reader' | undefined
  readonly settings: Readonly<Record<string, string>>
}

export interface Subtopology {
  readonly id: number
  readonly nodes: readonly TopologyNode[]
  readonly stores: readonly StoreDefinition[]
}

/** A validated topology. `Topology` is what a module exports; the runtime reads its graph. */
export interface TopologyGraph {
  readonly name: string
  readonly subtopologies: readonly Subtopology[]
  readonly globals: readonly GlobalTableDefinition[]
  readonly repartitions: readonly RepartitionDefinition[]
}

export interface Topology {
  readonly name: string
  readonly graph: TopologyGraph
}
