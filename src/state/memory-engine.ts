// The engine that keeps a store in memory: for tests, for small stores, and where a restore at each start is fine.
import type { Checkpoint, EngineWrite, StoreEngine, StoreIdentity } from './contracts.ts'

/** First index whose key is not below `bound`. */
const lowerBound = (keys: readonly string[], bound: string): number => {
  let low = 0
  let high = keys.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((keys[middle] as string) < bound) low = middle + 1
    else high = middle
  }
  return low
}

export class MemoryEngine implements StoreEngine {
  readonly kind = 'memory'
  readonly persistent = false
  readonly keyBytesMax: number = 0x7fffffff
  readonly #entries = new Map<string, Buffer>()
  // Sorted on demand: a store that is never scanned pays nothing for order. Undefined after a key came or went.
  #sorted: string[] | undefined
  #checkpoint: Checkpoint | undefined
  #identity: StoreIdentity | undefined

  get(key: string): Buffer | undefined {
    const value = this.#entries.get(key)
    return value === undefined ? undefined : Buffer.from(value)
  }

  *range(
    from: string | undefined,
    to: string | undefined,
    reverse: boolean,
  ): IterableIterator<{ key: string; value: Buffer }> {
    // Strings of one char per byte compare as unsigned bytes, so the default order is the engine's order.
    this.#sorted ??= [...this.#entries.keys()].sort()
    const keys = this.#sorted
    const start = from === undefined ? 0 : lowerBound(keys, from)
    const end = to === undefined ? keys.length : lowerBound(keys, to)
    for (let step = 0; step < end - start; step++) {
      const key = keys[reverse ? end - 1 - step : start + step] as string
      yield { key, value: Buffer.from(this.#entries.get(key) as Buffer) }
    }
  }

  write(writes: readonly EngineWrite[], checkpoint: Checkpoint): void {
    const before = this.#entries.size
    let inserted = false
    for (const { key, value } of writes) {
      if (value === null) this.#entries.delete(key)
      else {
        inserted ||= !this.#entries.has(key)
        this.#entries.set(key, Buffer.from(value))
      }
    }
    if (inserted || this.#entries.size !== before) this.#sorted = undefined
    this.#checkpoint = checkpoint
  }

  checkpoint(): Checkpoint | undefined {
    return this.#checkpoint
  }

  identity(): StoreIdentity | undefined {
    return this.#identity
  }

  reset(identity: StoreIdentity): void {
    this.#entries.clear()
    this.#sorted = undefined
    this.#checkpoint = undefined
    this.#identity = identity
  }

  count(): number {
    return this.#entries.size
  }

  sync(): void {}

  close(): void {}
}
