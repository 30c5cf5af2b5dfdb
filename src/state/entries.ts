// What a store knows of its keys in memory: one entry per key, whatever happens to it, so that a record costs one look-up
// for its read, its write and the digest. And what goes down to the engine, in its order.
import type { ChangelogEntry, EngineWrite } from './contracts.ts'
import { absent, entryBytes, type Held, latin1Of, type StoreCodec } from './store-codec.ts'
import type { StoreMemory } from './store-memory.ts'

/** A key, and what is known of it. */
export class Entry {
  readonly key: string
  /** What a read finds; undefined as long as nobody looked into the engine. */
  value: Held
  /** Of a key that the open transaction wrote: what is below; undefined where that is not known. */
  below: Held = undefined
  /** The open transaction wrote it. */
  isWritten = false
  /** What is committed is not in the engine yet. */
  isWaiting = false

  constructor(key: string, value: Held) {
    this.key = key
    this.value = value
  }

  /** What is committed. */
  get committed(): Held {
    return this.isWritten ? this.below : this.value
  }
}

/**
 * The entries of a store in two generations. Reads fill the young one; when the memory of the worker is full it becomes the
 * old one, and the old one is dropped. An entry that is read again moves to the young one, so what is used stays. What the
 * engine does not hold is never dropped: a key has one entry, or none that differs from the engine.
 */
export class Entries {
  readonly #memory: StoreMemory
  #young = new Map<string, Entry>()
  #old = new Map<string, Entry>()
  #youngBytes = 0

  constructor(memory: StoreMemory) {
    this.#memory = memory
  }

  /** Undefined where nothing is known. */
  get(key: string): Entry | undefined {
    const young = this.#young.get(key)
    if (young !== undefined) return young
    const old = this.#old.get(key)
    if (old !== undefined) this.add(old)
    return old
  }

  /** A key of which nothing was known. */
  make(key: string, value: Held): Entry {
    const entry = new Entry(key, value)
    this.add(entry)
    return entry
  }

  /** Where it is not known, it is from now on. */
  add(entry: Entry): void {
    this.#young.set(entry.key, entry)
    this.grown(entryBytes(entry.key, entry.value))
  }

  /** Entries take so much more. What they take less is not told: the next generation counts anew. */
  grown(bytes: number): void {
    this.#youngBytes += bytes
    this.#memory.cached(bytes)
  }

  /** The memory is full. @param unflushed what the engine does not hold; an entry may be told twice */
  age(...unflushed: readonly (readonly Entry[])[]): void {
    this.#old = this.#young
    this.#young = new Map()
    this.#youngBytes = 0
    for (const entries of unflushed)
      for (const entry of entries) if (!this.#old.has(entry.key)) this.#young.set(entry.key, entry)
  }

  /** Forgets everything. */
  clear(): void {
    const left = this.#youngBytes
    this.#old = new Map()
    this.#young = new Map()
    this.#youngBytes = 0
    this.#memory.cached(-left)
  }
}

/** Keys of some entries in [low, high), each once, in order. */
export const keysWithin = (
  lists: readonly (readonly Entry[])[],
  low: string | undefined,
  high: string | undefined,
  reverse: boolean,
): string[] => {
  const keys = new Set<string>()
  for (const entries of lists) {
    for (const { key } of entries)
      if ((low === undefined || key >= low) && (high === undefined || key < high)) keys.add(key)
  }
  const sorted = [...keys].sort()
  return reverse ? sorted.reverse() : sorted
}

/**
 * What is written and what the engine holds, in one order: a key that is in both is what was written.
 * @param dirty the keys that are written, @param engine what lies below, both in this order
 * @param written what is held for such a key
 */
export function* merged<K, V>(
  dirty: Iterator<string>,
  engine: Iterator<{ readonly key: string; readonly value: Buffer }>,
  reverse: boolean,
  written: (key: string) => Held,
  codec: StoreCodec<K, V>,
): IterableIterator<{ readonly key: string; readonly held: Held }> {
  let above = dirty.next()
  let below = engine.next()
  while (above.done !== true || below.done !== true) {
    const key = above.done === true ? undefined : above.value
    const behind = below.done === true ? undefined : below.value.key
    if (key === undefined || (behind !== undefined && (reverse ? behind > key : behind < key))) {
      yield { key: behind as string, held: codec.heldFrom(below.value.value) }
      below = engine.next()
      continue
    }
    above = dirty.next()
    if (key === behind) below = engine.next()
    const held = written(key)
    if (held !== absent) yield { key, held }
  }
}

const byKey = (one: Entry, other: Entry): number => (one.key < other.key ? -1 : 1)

/** What is committed of some entries, each of which is told once. */
export const sortedWrites = <K, V>(entries: readonly Entry[], codec: StoreCodec<K, V>): EngineWrite[] =>
  entries.toSorted(byKey).map(({ key, committed }) => ({
    key,
    value: committed === absent ? null : codec.bytes(committed),
  }))

/** Records of a changelog, of each key the last. @throws SERIALIZATION_FAILED when a key is longer than the engine takes */
export const lastWrites = <K, V>(
  entries: readonly ChangelogEntry[],
  codec: StoreCodec<K, V>,
): EngineWrite[] => {
  const last = new Map<string, Uint8Array | null>()
  for (const { key, value } of entries) {
    const text = latin1Of(key)
    codec.checkKeySize(text)
    last.set(text, value)
  }
  return [...last.keys()].sort().map((key) => ({ key, value: last.get(key) ?? null }))
}
