// The contracts of state: what a processor sees of a store, what a store is made of, and what it needs of an engine.
import type { Clock } from '../base/ports.ts'
import type { RecordHeader } from '../record/record-cursor.ts'
import type { Serde } from '../serde/serde.ts'
import type { Windowed } from '../serde/windowed.ts'
import type { StoreMemory } from './store-memory.ts'

/** A key and its value, as read from a store. */
export interface KeyValue<K, V> {
  readonly key: K
  readonly value: V
}

/**
 * What a reader may do with a key-value store. Reads see the writes of the open transaction. `K` and `V` are what is
 * read; `KW` is what may be written (it differs from `K` for schemas that transform).
 */
export interface ReadOnlyKeyValueStore<K, V, KW = K> {
  readonly name: string
  /** The value, or undefined where the key is absent. */
  get(key: KW): V | undefined
  has(key: KW): boolean
  /** Entries with from <= key < to in the order of the encoded keys (bytes, unsigned). Do not write while iterating. */
  range(
    from: KW | undefined,
    to: KW | undefined,
    options?: { readonly reverse?: boolean },
  ): IterableIterator<KeyValue<K, V>>
  /** All entries, ordered by encoded key. */
  all(): IterableIterator<KeyValue<K, V>>
  /** Entries whose encoded key begins with the bytes of the prefix, as its serde writes it; ordered as those of `range`. */
  prefixScan<P>(
    prefix: P,
    serde: Serde<P>,
    options?: { readonly reverse?: boolean },
  ): IterableIterator<KeyValue<K, V>>
}

/** What a processor may do with a key-value store. */
export interface KeyValueStore<K, V, KW = K, VW = V> extends ReadOnlyKeyValueStore<K, V, KW> {
  /** @throws SERIALIZATION_FAILED when a serde refuses the key or the value. */
  put(key: KW, value: VW): void
  /** Removes the key; nothing happens where it is absent. */
  delete(key: KW): void
}

/** A value with the timestamp and the headers of the record that wrote it. */
export interface ValueTimestampHeaders<V> {
  readonly value: V
  /** Milliseconds since the epoch. */
  readonly timestamp: number
  readonly headers: readonly RecordHeader[]
}

/** An entry of a store that keeps headers. */
export interface KeyValueWithHeaders<K, V> extends KeyValue<K, V>, ValueTimestampHeaders<V> {}

/** What is written with `putEntry`. What is left out is that of the record in hand, as it came from its topic. */
export interface EntryToPut<V> {
  readonly value: V
  /** Milliseconds since the epoch. Without a record in hand: stream time. */
  readonly timestamp?: number
  /** Without a record in hand: none. */
  readonly headers?: readonly RecordHeader[]
}

/**
 * A key-value store that keeps headers (KIP-1271). What `put` writes has the timestamp and the headers of the record in
 * hand; they come with each entry of `range`, `all` and `prefixScan`.
 */
export interface KeyValueStoreWithHeaders<K, V, KW = K, VW = V> extends KeyValueStore<K, V, KW, VW> {
  /** The value with its timestamp and its headers, or undefined where the key is absent. */
  getEntry(key: KW): ValueTimestampHeaders<V> | undefined
  /** @throws SERIALIZATION_FAILED when a serde refuses the key or the value, or the headers are none. */
  putEntry(key: KW, entry: EntryToPut<VW>): void
  range(
    from: KW | undefined,
    to: KW | undefined,
    options?: { readonly reverse?: boolean },
  ): IterableIterator<KeyValueWithHeaders<K, V>>
  all(): IterableIterator<KeyValueWithHeaders<K, V>>
  prefixScan<P>(
    prefix: P,
    serde: Serde<P>,
    options?: { readonly reverse?: boolean },
  ): IterableIterator<KeyValueWithHeaders<K, V>>
}

/**
 * What a reader may do with a store of windows. Reads see the writes of the open transaction; a window that is past its
 * retention is not found. Times in ms since the epoch. Do not write while iterating.
 */
export interface ReadOnlyWindowStore<K, V, KW = K> {
  readonly name: string
  /** The value of the window that starts then, or undefined. */
  get(key: KW, start: number): V | undefined
  /** Windows of the key with from <= start < to, the oldest first. */
  fetch(key: KW, from: number, to: number): IterableIterator<KeyValue<Windowed<K>, V>>
  /** Windows of all keys with from <= start < to, ordered by start and then by encoded key. */
  fetchAll(from: number, to: number): IterableIterator<KeyValue<Windowed<K>, V>>
  all(): IterableIterator<KeyValue<Windowed<K>, V>>
}

/** A value of a key as long as it was or is valid: from <= time < to, ms since the epoch. `to` undefined: it is the latest. */
export interface KeyVersion<V> {
  readonly value: V
  readonly from: number
  readonly to: number | undefined
}

/**
 * What a reader may do with a versioned store. Reads see the writes of the open transaction. The history of a store reaches
 * back from the highest timestamp that was written to it. Times in ms since the epoch. Do not write while iterating.
 */
export interface ReadOnlyVersionedStore<K, V, KW = K> {
  readonly name: string
  /** The latest value, which never expires, or undefined where the key has none. */
  get(key: KW): V | undefined
  /**
   * The value that was valid at this time, or undefined. A time before the history is answered only where the latest value
   * was valid already.
   */
  asOf(key: KW, timestamp: number): V | undefined
  /** The values that were valid at some time with from <= time < to, the latest first. Default: the whole history. */
  versions(key: KW, from?: number, to?: number): IterableIterator<KeyVersion<V>>
  /** The latest values of the keys with from <= key < to in the order of the encoded keys. */
  range(
    from: KW | undefined,
    to: KW | undefined,
    options?: { readonly reverse?: boolean },
  ): IterableIterator<KeyValue<K, V>>
  /** The latest values of all keys, ordered by encoded key. */
  all(): IterableIterator<KeyValue<K, V>>
}

/** What a processor may do with a versioned store. A write may come out of order. */
export interface VersionedStore<K, V, KW = K, VW = V> extends ReadOnlyVersionedStore<K, V, KW> {
  /**
   * The key has this value from this time on, up to its next version.
   * @returns false where the time is before the history: nothing is written
   * @throws SERIALIZATION_FAILED when a serde refuses the key or the value.
   */
  put(key: KW, value: VW, timestamp: number): boolean
  /** The key has no value from this time on, up to its next version. @returns as `put` */
  delete(key: KW, timestamp: number): boolean
}

/** The bytes of an entry. The key is a string with one char (0-255) per byte. */
export interface StoredEntry {
  readonly key: string
  readonly value: Buffer
}

/** One write of a local transaction; `value` null deletes. Keys are strings with one char (0-255) per byte. */
export interface EngineWrite {
  readonly key: string
  readonly value: Uint8Array | null
}

/** How far a store has followed its changelog. Written in the same local transaction as the data. */
export interface Checkpoint {
  /** Next changelog offset to read: everything below is in the store. */
  readonly changelogOffset: number
  /** Leader epoch of the last applied record, -1 where unknown. */
  readonly leaderEpoch: number
  /** Wall-clock time at which the store was last known to be at the end of its changelog, ms since the epoch. */
  readonly caughtUpAtMs: number
  /** Digest of the entries (state-digest.ts); absent where none is kept. A store writes its own, whatever it is given. */
  readonly digest?: string
  /** Of a global store, by partition of its topic: next offset to read. `changelogOffset` is then their sum. */
  readonly positions?: readonly number[]
}

/** Whose data a store holds. A store whose identity differs from what the task expects is not this task's store. */
export interface StoreIdentity {
  readonly formatVersion: number
  readonly applicationId: string
  readonly clusterId: string
  readonly store: string
  readonly changelogTopic: string
  readonly changelogTopicId: string
  readonly partition: number
  readonly guarantee: string
}

/**
 * Where the committed data of one store of one task live. Keys are ordered as unsigned bytes. All calls are
 * synchronous. Implementations: LMDB, memory.
 */
export interface StoreEngine {
  readonly kind: string
  /** Whether what was written is there after the process died. */
  readonly persistent: boolean
  /** Longest key that it takes, in bytes. */
  readonly keyBytesMax: number
  /** The value, or undefined. The buffer belongs to the caller. */
  get(key: string): Buffer | undefined
  /** Entries with from <= key < to. The engine must not be written while an iterator is open. */
  range(from: string | undefined, to: string | undefined, reverse: boolean): IterableIterator<StoredEntry>
  /** Applies the writes (sorted by key, each key once) and the checkpoint in one atomic local transaction. */
  write(writes: readonly EngineWrite[], checkpoint: Checkpoint): void
  checkpoint(): Checkpoint | undefined
  identity(): StoreIdentity | undefined
  /** Removes all data and the checkpoint, and writes the identity. */
  reset(identity: StoreIdentity): void
  /** Number of entries. */
  count(): number
  /** Makes what was written survive a crash of the machine. */
  sync(): void
  close(): void
}

/** What the store needs of a record to find its key: `StreamRecord` has this shape. */
export interface KeyedRecord<K> {
  readonly key: K
  readonly keyBytes: KeyBytes<K> | undefined
}

/** Where the key of a record stands in the bytes of its batch, and the serde that reads it there. */
export interface KeyBytes<K> {
  readonly source: Buffer
  readonly keyStart: number
  /** -1: null. */
  readonly keyLength: number
  readonly keySerde: Serde<K, never>
}

/** One record of the changelog; `value` null deletes. The bytes may be reused after the call. */
export interface ChangelogEntry {
  readonly key: Uint8Array
  readonly value: Uint8Array | null
}

/**
 * Told of a change by the places of its key and of its value in `source`, which stay as they are until it returns. A length
 * of -1 deletes the key.
 */
export type ChangeVisitor = (
  source: Buffer,
  keyStart: number,
  keyLength: number,
  valueStart: number,
  valueLength: number,
) => void

export interface TransactionalStoreOptions<K, V> {
  readonly name: string
  readonly key: Serde<K>
  readonly value: Serde<V>
  readonly engine: StoreEngine
  readonly clock: Clock
  /** What it shares with the other stores of its worker. Default: one of its own, of the default size. */
  readonly memory?: StoreMemory
  /** Time between flushes at most, looked at when a transaction commits. Default 1000. */
  readonly flushIntervalMs?: number
  /** max.message.bytes of the changelog: a larger change is refused. Default: no limit. */
  readonly changeBytesMax?: number
  /** Keep a digest of the entries (state-digest.ts). Default false. */
  readonly digest?: boolean
}
