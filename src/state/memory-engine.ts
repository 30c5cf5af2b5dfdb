// The engine that keeps a store in memory: for tests, for small stores, and where a restore at each start is fine.
import type { Checkpoint, EngineWrite, StoredEntry, StoreEngine, StoreIdentity } from './contracts.ts'
import { SortedKeys } from './sorted-keys.ts'

export class MemoryEngine implements StoreEngine {
  readonly kind = 'memory'
  readonly persistent = false
  readonly keyBytesMax: number = 0x7fffffff
  readonly #entries = new Map<string, Buffer>()
  // From the first scan on: a store that is never scanned pays nothing for order.
  #sorted: SortedKeys | undefined
  #checkpoint: Checkpoint | undefined
  #identity: StoreIdentity | undefined

  get(key: string): Buffer | undefined {
    const value = this.#entries.get(key)
    return value === undefined ? undefined : Buffer.from(value)
  }

  *range(from: string | undefined, to: string | undefined, reverse: boolean): IterableIterator<StoredEntry> {
    this.#sorted ??= SortedKeys.of(this.#entries.keys())
    for (const key of this.#sorted.within(from, to, reverse))
      yield { key, value: Buffer.from(this.#entries.get(key) as Buffer) }
  }

  write(writes: readonly EngineWrite[], checkpoint: Checkpoint): void {
    for (const { key, value } of writes) {
      if (value === null) {
        this.#entries.delete(key)
        this.#sorted?.delete(key)
      } else {
        if (!this.#entries.has(key)) this.#sorted?.add(key)
        this.#entries.set(key, Buffer.from(value))
      }
    }
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
