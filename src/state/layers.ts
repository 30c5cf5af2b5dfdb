// The clean read cache of a store: what the engine holds, or is known not to hold, in two generations.
import { type Held, entryBytes } from './store-codec.ts'

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
