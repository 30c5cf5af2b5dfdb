// The clean read cache of a store: what the engine holds, or is known not to hold, in two generations. And what goes
// down to the engine, in its order.
import type { ChangelogEntry, EngineWrite } from './contracts.ts'
import { absent, entryBytes, type Held, latin1Of, type StoreCodec } from './store-codec.ts'
import type { StoreMemory } from './store-memory.ts'

/**
 * Reads fill the young generation; when the memory of the worker is full it becomes the old one, and the old one is
 * dropped. A key that is read again moves to the young generation, so what is used stays.
 */
export class ReadCache {
  readonly #memory: StoreMemory
  #young = new Map<string, Held>()
  #old = new Map<string, Held>()
  #youngBytes = 0

  constructor(memory: StoreMemory) {
    this.#memory = memory
  }

  /** Undefined where nothing is known. */
  get(key: string): Held {
    const young = this.#young.get(key)
    if (young !== undefined) return young
    const old = this.#old.get(key)
    if (old !== undefined) this.add(key, old)
    return old
  }

  add(key: string, held: Held): void {
    this.#young.set(key, held)
    const bytes = entryBytes(key, held)
    this.#youngBytes += bytes
    this.#memory.cached(bytes)
  }

  /**
   * What was just flushed becomes the young generation. Older values of its keys may stay behind in the old generation:
   * the young one hides them, and both age together, so they are never seen again.
   */
  flushed(entries: Map<string, Held>, bytes: number): void {
    const left = this.#youngBytes
    this.#turn(entries, bytes)
    this.#memory.cached(bytes - left)
  }

  /** The memory is full. */
  age(): void {
    this.#turn(new Map(), 0)
  }

  clear(): void {
    const left = this.#youngBytes
    this.#old = new Map()
    this.#young = new Map()
    this.#youngBytes = 0
    this.#memory.cached(-left)
  }

  #turn(young: Map<string, Held>, bytes: number): void {
    this.#old = this.#young
    this.#young = young
    this.#youngBytes = bytes
  }
}

/** Keys of some layers in [low, high), each once, in order. */
export const keysWithin = (
  layers: readonly ReadonlyMap<string, Held>[],
  low: string | undefined,
  high: string | undefined,
  reverse: boolean,
): string[] => {
  const keys = new Set<string>()
  for (const layer of layers) {
    for (const key of layer.keys())
      if ((low === undefined || key >= low) && (high === undefined || key < high)) keys.add(key)
  }
  const sorted = [...keys].sort()
  return reverse ? sorted.reverse() : sorted
}

/** An entry as a layer holds it. */
export interface Entry {
  readonly key: string
  readonly held: Held
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
): IterableIterator<Entry> {
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

/** The entries of a layer. */
export const sortedWrites = <K, V>(
  entries: ReadonlyMap<string, Held>,
  codec: StoreCodec<K, V>,
): EngineWrite[] => {
  const keys = [...entries.keys()].sort()
  return keys.map((key) => {
    const held = entries.get(key)
    return { key, value: held === absent ? null : codec.bytes(held) }
  })
}

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
