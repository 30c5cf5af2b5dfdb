// A key-value store under transactions: the states that an entry goes through, and when.
//
//   written    by the open transaction, over what was there before (the overlay)
//   waiting    committed in Kafka, not yet in the engine
//   clean      equal to the engine, kept as long as there is memory
//   engine     the data, with the checkpoint up to which they follow the changelog
//
// Kafka holds every committed write, so the engine may lag: its checkpoint is that of what was flushed, and a restart
// replays the tail of the changelog. A flush is one sorted local transaction instead of one per Kafka transaction.
import { invariant } from '../base/assert.ts'
import { wrong } from '../base/wrong-builds.ts'
import type { Serde } from '../serde/serde.ts'
import type {
  ChangelogEntry,
  ChangeVisitor,
  Checkpoint,
  KeyedRecord,
  KeyValue,
  KeyValueStore,
  StoredEntry,
  StoreEngine,
  StoreIdentity,
  TransactionalStoreOptions,
} from './contracts.ts'
import { Entries, lastWrites, sortedWrites } from './entries.ts'
import { absent, unknown } from './entry-table.ts'
import { FlushPace } from './flush-pace.ts'
import { HotEntry } from './hot-entry.ts'
import { OpenRanges } from './open-ranges.ts'
import { Overlay } from './overlay.ts'
import type { SortedKeys } from './sorted-keys.ts'
import { StoreCodec, prefixBounds } from './store-codec.ts'
import { StoreDigest, withDigest } from './store-digest.ts'
import { StoreMemory } from './store-memory.ts'
import { assertForward, storeClosed, writtenTooLate } from './store-errors.ts'

const noBytes: Buffer = Buffer.alloc(0)

export class TransactionalStore<K, V> implements KeyValueStore<K, V> {
  readonly name: string
  /** Grows when something else than its own transactions changes what it holds. */
  loads: number = 0
  /**
   * Nothing vouches for what it holds: a changelog that was written without transactions may hold writes of records that were
   * never committed, and are there though nobody has put them yet.
   */
  doubted: boolean = false
  readonly #engine: StoreEngine
  readonly #codec: StoreCodec<K, V>
  readonly #memory: StoreMemory
  readonly #pace: FlushPace
  readonly #known: Entries
  readonly #digest: StoreDigest | undefined

  readonly #overlay: Overlay
  #hot: HotEntry<V> | undefined
  /** Committed, and not in the engine. */
  #waiting: number[] = []
  #waitingBytes = 0
  /** Of what is committed, flushed or not. */
  #checkpoint: Checkpoint | undefined
  #flushedCheckpoint: Checkpoint | undefined

  /** No record is in hand: a write now would miss the changelog of its transaction, or land in another one. */
  #sealed = false

  readonly #ranges: OpenRanges
  #closed = false

  constructor(options: TransactionalStoreOptions<K, V>) {
    const { name, key, value, engine } = options
    this.name = name
    this.#engine = engine
    const changeBytesMax = options.changeBytesMax ?? Number.POSITIVE_INFINITY
    this.#codec = new StoreCodec(name, key, value, engine.keyBytesMax, changeBytesMax)
    this.#memory = options.memory ?? new StoreMemory()
    this.#pace = new FlushPace(options.clock, this.#memory.turns, options.flushIntervalMs)
    this.#known = new Entries(this.#memory)
    this.#ranges = new OpenRanges(name, engine)
    this.#overlay = new Overlay(this.#known)
    this.#flushedCheckpoint = engine.checkpoint()
    this.#checkpoint = this.#flushedCheckpoint
    if (options.digest === true) this.#digest = new StoreDigest(engine, this.#checkpoint?.digest)
    this.#memory.join(this)
  }

  /** Its entries end with headers, which its changelog has as headers (headed-values.ts). */
  get keepsHeaders(): boolean {
    return this.#codec.keepsHeaders
  }

  // ---- reads and writes of processors

  /** @throws SERIALIZATION_FAILED when the serde refuses the key; DESERIALIZATION_FAILED when it refuses the stored value. */
  get(key: K): V | undefined {
    return this.#read(this.#entry(key))
  }

  has(key: K): boolean {
    return this.#lengthOf(this.#entry(key)) >= 0
  }

  put(key: K, value: V): void {
    this.#put(this.#entry(key), value)
  }

  /** `put` of a key that is known not to be there, so that nobody reads what is, unless the store is `doubted`. */
  insert(key: K, value: V): void {
    const entry = this.#entry(key)
    if (!this.doubted) {
      this.#known.learn(entry, undefined)
      invariant(this.#lengthOf(entry) < 0, 'what is inserted is not there', { store: this.name })
    }
    this.#put(entry, value)
  }

  delete(key: K): void {
    this.#delete(this.#entry(key))
  }

  /** `get(record.key)`, without decoding and encoding the key where its bytes are at hand. */
  getOf(record: KeyedRecord<K>): V | undefined {
    return this.#read(this.#entryOf(record))
  }

  /** `put(record.key, value)`, without decoding and encoding the key where its bytes are at hand. */
  putOf(record: KeyedRecord<K>, value: V): void {
    this.#put(this.#entryOf(record), value)
  }

  /** `delete(record.key)`, without decoding and encoding the key where its bytes are at hand. */
  deleteOf(record: KeyedRecord<K>): void {
    this.#delete(this.#entryOf(record))
  }

  /** The one entry that is read and written by nothing else from now on. @param bytesOf about what its value takes */
  hotEntry(this: TransactionalStore<string, V>, key: string, bytesOf: (value: V) => number): HotEntry<V> {
    this.#hot ??= new HotEntry(key, this, bytesOf)
    this.#overlay.hot = this.#hot
    invariant(this.#hot.key === key, 'a store has one hot entry', { store: this.name })
    return this.#hot
  }

  range(
    from: K | undefined,
    to: K | undefined,
    options?: { readonly reverse?: boolean },
  ): IterableIterator<KeyValue<K, V>> {
    const low = from === undefined ? undefined : this.#codec.key(from)
    const high = to === undefined ? undefined : this.#codec.key(to)
    return this.#decoded(this.rawRange(low, high, options?.reverse))
  }

  all(): IterableIterator<KeyValue<K, V>> {
    return this.range(undefined, undefined)
  }

  prefixScan<P>(
    prefix: P,
    serde: Serde<P>,
    options?: { readonly reverse?: boolean },
  ): IterableIterator<KeyValue<K, V>> {
    const { from, to } = prefixBounds(serde, prefix)
    return this.#decoded(this.rawRange(from, to, options?.reverse))
  }

  /** As `range`, with keys and values as they lie there. */
  rawRange(
    low: string | undefined,
    high: string | undefined,
    reverse = false,
  ): IterableIterator<StoredEntry> {
    this.#assertOpen()
    if (this.#hot?.isChanged && (high === undefined || this.#hot.key < high)) this.#settle()
    const dirty = (): SortedKeys => this.#overlay.sorted(this.#waiting)
    return this.#ranges.over({ low, high, reverse }, dirty, (key) => this.#bytesOf(key))
  }

  /** Writes an entry by its bytes; null deletes it. @param present what is there, where it is at hand: it need not be read */
  putRaw(key: string, bytes: Uint8Array | null, present?: Buffer): void {
    this.#codec.placeRawKey(key)
    const entry = this.#known.locate(this.#codec)
    if (present !== undefined) this.#known.learn(entry, present)
    if (bytes === null) return this.#write(entry, noBytes, 0, absent)
    this.#codec.placeBytes(bytes)
    this.#codec.checkChangeSize(key.length)
    this.#write(entry, this.#codec.source, 0, bytes.length)
  }

  #entryOf(record: KeyedRecord<K>): number {
    const known = this.#known
    if (record === known.lastRecord) return known.lastEntry
    this.#codec.placeKeyOf(record)
    return known.locateFor(record, this.#codec)
  }

  #entry(key: K): number {
    this.#codec.placeKey(key)
    return this.#known.locate(this.#codec)
  }

  /** Of the value, or `absent`. */
  #lengthOf(entry: number): number {
    const { table } = this.#known
    const length = table.valueLength(entry)
    if (length !== unknown) return length
    this.#assertOpen()
    const bytes = this.#engine.get(table.key(entry))
    this.#known.learn(entry, bytes)
    return bytes?.length ?? absent
  }

  #read(entry: number): V | undefined {
    const length = this.#lengthOf(entry)
    if (length < 0) return undefined
    const { table } = this.#known
    const start = table.valueStart(entry)
    return this.#codec.valueIn(table.arena, start, start + length)
  }

  #put(entry: number, value: V): void {
    const codec = this.#codec
    // A serde may read a store: the entry in hand keeps its number meanwhile.
    this.#memory.hold()
    try {
      if (codec.isNull(value)) return this.#delete(entry)
      const keyLength = this.#known.table.keyLength(entry)
      codec.checkKeySize(keyLength)
      codec.placeValue(value)
      codec.checkChangeSize(keyLength)
      this.#write(entry, codec.source, codec.start, codec.length)
    } finally {
      this.#memory.release()
    }
  }

  #delete(entry: number): void {
    // A key that is absent gets no tombstone: nothing changed, so the changelog has nothing to tell.
    if (this.#lengthOf(entry) >= 0) this.#write(entry, noBytes, 0, absent)
  }

  /** Writes the bytes of the hot entry, also when the record is finished that set it. */
  #settle(): void {
    const sealed = this.#sealed
    this.#sealed = false
    try {
      this.#hot?.settle()
    } finally {
      this.#sealed = sealed
    }
  }

  #write(entry: number, source: Buffer, start: number, length: number): void {
    this.touch()
    this.#overlay.write(entry, source, start, length)
  }

  // ---- the record in hand

  /** Begins a record: what is written from here on can be taken back by `undo`. */
  mark(): void {
    this.#sealed = false
    this.#overlay.mark()
  }

  /** Takes back what was written since the last `mark`. */
  undo(): void {
    this.#overlay.undo()
    this.#ranges.changed()
  }

  /** The record is finished: until the next `mark` a write throws CONTEXT_EXPIRED. */
  seal(): void {
    this.#sealed = true
    this.#known.lastRecord = undefined
    this.#codec.release()
  }

  // ---- the transaction

  /** About the bytes that the finished records of the open transaction wrote. */
  get uncommittedBytes(): number {
    return this.#overlay.bytes
  }

  /** Visits each key that the open transaction changed, once, with its last value. */
  drainChanges(visit: ChangeVisitor): void {
    this.#settle()
    const { table } = this.#known
    const digest = this.#digest?.begin() === true ? this.#digest : undefined
    for (const id of this.#overlay.ids) {
      digest?.change(table, id)
      visit(table.arena, table.keyStart(id), table.keyLength(id), table.valueStart(id), table.valueLength(id))
    }
    this.#digest?.told(this.#ranges.version)
  }

  /**
   * Digest of what is committed when the open transaction is, after its changes were drained; undefined: none is kept, or
   * it is not known.
   */
  get nextDigest(): string | undefined {
    return this.#digest?.nextTextAt(this.#ranges.version, this.name)
  }

  /**
   * The transaction is committed in Kafka: its writes become committed state, up to `checkpoint`.
   * @throws STORE_FAILED when the flush fails; what was committed stays readable, and a later commit flushes again.
   */
  commitOverlay(checkpoint: Checkpoint): void {
    this.#assertOpen()
    assertForward(this.name, this.#checkpoint, checkpoint)
    this.#settle()
    if (this.#digest?.isTold(this.#ranges.version) === false) this.drainChanges(() => {})
    this.#digest?.commit()
    this.#waits(this.#waitingBytes + this.#overlay.bytes)
    const isDue = this.#pace.committed(this.#overlay.ids.length)
    this.#overlay.commit(this.#waiting)
    this.#known.tell()
    this.#checkpoint = withDigest(checkpoint, this.#digest?.text)
    this.#ranges.changed()
    if (isDue) this.flush()
    this.#memory.flushExcess(this)
  }

  /** Committed, and not in the engine. */
  get committedBytes(): number {
    return this.#waitingBytes
  }

  /** The memory of the worker is full (StoreMemory). */
  age(): number {
    return this.#known.age(this.#waiting, ...this.#overlay.numbers())
  }

  #waits(bytes: number): void {
    this.#memory.waits(bytes - this.#waitingBytes)
    this.#waitingBytes = bytes
  }

  /** The transaction is aborted: its writes are gone. */
  dropOverlay(): void {
    if (wrong('overlay-kept-on-revoke')) return this.#overlay.commit(this.#waiting)
    this.#overlay.drop()
    this.#ranges.changed()
  }

  /** Writes what is committed to the engine, with its checkpoint, in one local transaction. @throws STORE_FAILED */
  flush(): void {
    this.#assertOpen()
    const checkpoint = this.#checkpoint
    if (checkpoint !== undefined && (this.#waiting.length > 0 || checkpoint !== this.#flushedCheckpoint)) {
      // What was drained stays so: another store may ask for the flush before the commit is answered (StoreMemory).
      const isTold = this.#digest?.isTold(this.#ranges.version)
      this.#ranges.changed()
      if (isTold === true) this.#digest?.told(this.#ranges.version)
      const { table } = this.#known
      this.#engine.write(sortedWrites(table, this.#waiting), checkpoint)
      for (const id of this.#waiting) table.setWaiting(id, false)
      this.#waiting = []
      this.#waits(0)
      this.#overlay.flushed()
      this.#flushedCheckpoint = checkpoint
    }
    invariant(this.#waiting.length === 0, 'nothing is committed without a checkpoint', { store: this.name })
    this.#pace.flushed()
  }

  // ---- restore

  /** How far the store has followed its changelog, flushed or not; undefined before its first commit. */
  checkpoint(): Checkpoint | undefined {
    return this.#checkpoint
  }

  /**
   * Applies records of the changelog in their order (the last one of a key wins), straight to the engine. No transaction
   * may be open. Larger batches are quicker: they are sorted and written as one local transaction.
   */
  applyChangelog(entries: readonly ChangelogEntry[], checkpoint: Checkpoint): void {
    this.#assertOpen()
    this.loads += 1
    invariant(this.#overlay.bytes === 0, 'no transaction is open while a store restores', {
      store: this.name,
    })
    assertForward(this.name, this.#checkpoint, checkpoint)
    this.#hot?.forget()
    this.flush()
    const writes = lastWrites(entries, this.#codec)
    this.#ranges.changed()
    this.#digest?.restored(writes)
    const reached = withDigest(checkpoint, this.#digest?.text)
    this.#engine.write(writes, reached)
    if (!wrong('cache-kept-over-reload') && !wrong('standby-with-stale-cache')) this.#known.clear()
    this.#checkpoint = reached
    this.#flushedCheckpoint = reached
  }

  /** Digest of what is committed; undefined: none is kept, or it is not known before a scan. */
  get digest(): string | undefined {
    return this.#digest?.text
  }

  /** The digest is not known any more: the next scan reads what lies in the engine. Only after a restore. */
  forgetDigest(): void {
    this.#digest?.forget()
  }

  /** Reads on through the engine until the digest is known. Only after a restore. @returns whether it is */
  scanDigest(entriesMax: number): boolean {
    if (this.#digest === undefined) return true
    this.flush()
    if (!this.#digest.scan(entriesMax)) return false
    if (this.#checkpoint !== undefined) this.#checkpoint = withDigest(this.#checkpoint, this.#digest.text)
    return true
  }

  /** Whether it holds nothing. Only after a restore. */
  isEmpty(): boolean {
    this.flush()
    return this.#engine.count() === 0
  }

  /**
   * Changes entries in the open transaction by their bytes, whatever the serdes say of the old ones. Only after a restore,
   * before anything is read. @param convert null deletes; undefined: it stays
   */
  rewrite(convert: (bytes: Buffer) => Uint8Array | null | undefined): void {
    for (const { key, value } of this.#engine.range(undefined, undefined, false)) {
      const bytes = convert(value)
      if (bytes !== undefined) this.putRaw(key, bytes)
    }
  }

  /** Removes everything and starts anew, before a rebuild from the changelog. */
  reset(identity: StoreIdentity): void {
    this.#assertOpen()
    this.loads += 1
    this.dropOverlay()
    this.#engine.reset(identity)
    this.#waiting = []
    this.#waits(0)
    this.#overlay.flushed()
    this.#known.clear()
    this.#digest?.forget()
    this.#checkpoint = undefined
    this.#flushedCheckpoint = undefined
  }

  /**
   * Drops the open transaction, flushes what is committed, and closes the engine. A second call does nothing.
   * `sync` (default true) makes the store survive a crash of the machine; a crash of the process it survives anyway.
   * `flush` false leaves the engine as it is: it is damaged, or somebody else's by now.
   */
  close(options?: { readonly sync?: boolean; readonly flush?: boolean }): void {
    if (this.#closed) return
    this.dropOverlay()
    try {
      if (options?.flush === false) return
      this.flush()
      if (options?.sync !== false) this.#engine.sync()
    } finally {
      this.#closed = true
      this.#known.clear()
      this.#memory.leave(this)
      this.#engine.close()
    }
  }

  /** Something is written: the transaction has to commit, and ranges that are open end. @throws CONTEXT_EXPIRED; CLOSED */
  touch(): void {
    this.#assertOpen()
    if (this.#sealed) throw writtenTooLate(this.name)
    this.#ranges.changed()
    this.#overlay.touch()
  }

  #assertOpen(): void {
    if (this.#closed) throw storeClosed(this.name)
  }

  *#decoded(entries: IterableIterator<StoredEntry>): IterableIterator<KeyValue<K, V>> {
    for (const { key, value } of entries)
      yield { key: this.#codec.keyOf(key), value: this.#codec.value(value) }
  }

  /** Null: it is absent. */
  #bytesOf(key: string): Buffer | null {
    this.#codec.placeRawKey(key)
    const entry = this.#known.locate(this.#codec)
    return this.#known.table.value(entry)
  }
}
