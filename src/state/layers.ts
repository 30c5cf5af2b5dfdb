// The clean read cache of a store: what the engine holds, or is known not to hold, in two generations. And what goes
// down to the engine, in its order.
import type { ChangelogEntry, EngineWrite } from './contracts.ts'
import { absent, entryBytes, type Held, latin1Of, type StoreCodec } from './store-codec.ts'

/**
 * Reads fill the young generation; when it is full it becomes the old one, and the old one is dropped. A key that is
 * read again moves to the young generation, so what is used stays.
 */
export class ReadCache {
  readonly #bytesMax: number
  #young = new Map<string, Held>()
  #old = new Map<string, Held>()
  #youngBytes = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
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
    this.#youngBytes += entryBytes(key, held)
    if (this.#youngBytes > this.#bytesMax) this.#turn(new Map(), 0)
  }

  /**
   * What was just flushed becomes the young generation. Older values of its keys may stay behind in the old generation:
   * the young one hides them, and both age together, so they are never seen again.
   */
  flushed(entries: Map<string, Held>, bytes: number): void {
    this.#turn(entries, bytes)
  }

  clear(): void {
    this.#young = new Map()
    this.#old = new Map()
    this.#youngBytes = 0
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
