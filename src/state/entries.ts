// What a store knows of its keys in memory, in two generations. And what goes down to the engine, in its order.
import type { ChangelogEntry, EngineWrite, KeyedRecord, StoredEntry } from './contracts.ts'
import { absent, EntryTable, unknown } from './entry-table.ts'
import { SortedKeys } from './sorted-keys.ts'
import { hashBytes, hashedFirst, hashedSecond } from './state-digest.ts'
import { latin1Of, type PlacedBytes, type StoreCodec } from './store-codec.ts'
import type { StoreMemory } from './store-memory.ts'

const noBytes: Buffer = Buffer.alloc(0)

/**
 * The entries of a store. Look-ups fill the young generation; when the memory of the worker is full it becomes the old one,
 * and the old one is dropped. An entry that is looked up again is copied into the young one, so what is used stays. What the
 * engine does not hold is never dropped: it is always in the young one.
 */
export class Entries {
  readonly #memory: StoreMemory
  #young = new EntryTable()
  /** Undefined before the first time that the memory was full. */
  #old: EntryTable | undefined
  /** Of the young one: not told to the memory, and told. */
  #carriedBytes = 0
  #toldBytes = 0
  // The record last seen, and its entry: an aggregation asks twice for the same record.
  lastRecord: KeyedRecord<unknown> | undefined
  lastEntry = -1

  constructor(memory: StoreMemory) {
    this.#memory = memory
  }

  /** Where the entries are: until the next look-up. */
  get table(): EntryTable {
    return this.#young
  }

  /** Looks the key up that was placed. @returns the number of its entry in `table`, until the next look-up that makes room (`age`) */
  locate({ source, start, length }: PlacedBytes): number {
    this.#memory.makeRoom()
    hashBytes(source, start, length)
    const first = hashedFirst()
    const second = hashedSecond()
    const known = this.#young.find(first, second, source, start, length)
    if (known >= 0) return known
    const old = this.#old?.find(first, second, source, start, length) ?? -1
    const id =
      old < 0
        ? this.#young.make(first, second, source, start, length)
        : this.#young.adopt(this.#old as EntryTable, old)
    this.tell()
    return id
  }

  /** As `locate`, with the key of this record. */
  locateFor(record: KeyedRecord<unknown>, placed: PlacedBytes): number {
    const entry = this.locate(placed)
    this.lastRecord = record
    this.lastEntry = entry
    return entry
  }

  /** What the engine has of an entry, where that is not known; undefined: nothing. */
  learn(id: number, bytes: Buffer | undefined): void {
    const table = this.#young
    if (table.valueLength(id) !== unknown) return
    table.setValue(id, bytes ?? noBytes, 0, bytes?.length ?? absent)
    this.tell()
  }

  /** Tells the memory what the entries take by now. */
  tell(): void {
    const bytes = this.#young.bytes - this.#carriedBytes
    if (bytes === this.#toldBytes) return
    this.#memory.cached(bytes - this.#toldBytes)
    this.#toldBytes = bytes
  }

  /**
   * The memory is full. @param unflushed what the engine does not hold: the numbers are changed to those that the entries
   * have from now on; an entry may be named twice. @returns what they take, bytes
   */
  age(...unflushed: readonly number[][]): number {
    this.lastRecord = undefined
    const left = this.#young
    const young = this.#old?.emptied(left.bytes) ?? new EntryTable()
    const { arena } = left
    for (const ids of unflushed) {
      for (const [index, id] of ids.entries()) {
        const start = left.keyStart(id)
        const known = young.find(left.hashFirst(id), left.hashSecond(id), arena, start, left.keyLength(id))
        ids[index] = known < 0 ? young.adopt(left, id) : known
      }
    }
    this.#old = left
    this.#young = young
    // Not told: what cannot be dropped would make the memory age again and again.
    this.#carriedBytes = young.bytes
    this.#toldBytes = 0
    return young.bytes
  }

  /** Forgets everything. */
  clear(): void {
    this.lastRecord = undefined
    this.#old = undefined
    this.#young = new EntryTable()
    this.#carriedBytes = 0
    this.#memory.cached(-this.#toldBytes)
    this.#toldBytes = 0
  }
}

/** Keys of some entries, in order; an entry may be named twice. */
export const sortedKeys = (table: EntryTable, ...lists: readonly (readonly number[])[]): SortedKeys =>
  SortedKeys.of(new Set(lists.flatMap((ids) => ids.map((id) => table.key(id)))))

/**
 * What is written and what the engine holds, in one order: a key that is in both is what was written.
 * @param dirty the keys that are written, @param engine what lies below, both in this order
 * @param written the value of such a key; null: it is absent
 */
export function* merged(
  dirty: Iterator<string>,
  engine: Iterator<StoredEntry>,
  reverse: boolean,
  written: (key: string) => Buffer | null,
): IterableIterator<StoredEntry> {
  let above = dirty.next()
  let below = engine.next()
  while (above.done !== true || below.done !== true) {
    const key = above.done === true ? undefined : above.value
    const behind = below.done === true ? undefined : below.value.key
    if (key === undefined || (behind !== undefined && (reverse ? behind > key : behind < key))) {
      yield below.value
      below = engine.next()
      continue
    }
    above = dirty.next()
    if (key === behind) below = engine.next()
    const value = written(key)
    if (value !== null) yield { key, value }
  }
}

const byKey = (one: EngineWrite, other: EngineWrite): number => (one.key < other.key ? -1 : 1)

/** What is committed of some entries, each of which is named once. */
export const sortedWrites = (table: EntryTable, ids: readonly number[]): EngineWrite[] =>
  ids.map((id) => ({ key: table.key(id), value: table.committed(id) })).sort(byKey)

/** Records of a changelog, of each key the last. @throws SERIALIZATION_FAILED when a key is longer than the engine takes */
export const lastWrites = <K, V>(
  entries: readonly ChangelogEntry[],
  codec: StoreCodec<K, V>,
): EngineWrite[] => {
  const last = new Map<string, Uint8Array | null>()
  for (const { key, value } of entries) {
    const text = latin1Of(key)
    codec.checkKeySize(text.length)
    last.set(text, value)
  }
  return [...last.keys()].sort().map((key) => ({ key, value: last.get(key) ?? null }))
}
