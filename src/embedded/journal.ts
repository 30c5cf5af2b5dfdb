// What the coordinators have to remember over a restart of the broker: the last value of each key, as in the compacted
// topics in which Kafka keeps it. In memory, or in a file.

/** Values are plain data (JSON). */
export interface Journal {
  /** The value from now on; null removes the key. It is kept before this returns. */
  put(kind: string, key: string, value: unknown): void
  /** Everything of a kind, in the order in which the keys were first put. */
  entries(kind: string): [key: string, value: unknown][]
  close(): void
}

/** A journal that ends with the process. */
export class MemoryJournal implements Journal {
  readonly #kinds = new Map<string, Map<string, unknown>>()

  put(kind: string, key: string, value: unknown): void {
    const entries = this.#kinds.get(kind) ?? new Map<string, unknown>()
    this.#kinds.set(kind, entries)
    if (value === null) entries.delete(key)
    else entries.set(key, value)
  }

  entries(kind: string): [key: string, value: unknown][] {
    return [...(this.#kinds.get(kind) ?? [])]
  }

  /** Number of keys that have a value. */
  get size(): number {
    let size = 0
    for (const entries of this.#kinds.values()) size += entries.size
    return size
  }

  *lines(): Iterable<[kind: string, key: string, value: unknown]> {
    for (const [kind, entries] of this.#kinds) for (const [key, value] of entries) yield [kind, key, value]
  }

  close(): void {}
}
