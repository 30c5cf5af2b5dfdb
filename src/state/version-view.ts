// A versioned store as processors and tests see it: keys and values of the user.
import type { KeyValue, KeyVersion, VersionedStore } from './contracts.ts'
import type { VersionTable } from './version-table.ts'

export class VersionView<K, V> implements VersionedStore<K, V> {
  readonly #table: VersionTable

  constructor(table: VersionTable) {
    this.#table = table
  }

  get name(): string {
    return this.#table.name
  }

  get(key: K): V | undefined {
    return this.#table.get(key)?.value as V | undefined
  }

  asOf(key: K, timestamp: number): V | undefined {
    return this.#table.asOf(key, timestamp)?.value as V | undefined
  }

  versions(key: K, from: number = 0, to: number = Number.POSITIVE_INFINITY): IterableIterator<KeyVersion<V>> {
    return this.#table.versions(key, from, to) as IterableIterator<KeyVersion<V>>
  }

  range(
    from: K | undefined,
    to: K | undefined,
    options?: { readonly reverse?: boolean },
  ): IterableIterator<KeyValue<K, V>> {
    const rows = this.#table.rows(from, to, options?.reverse === true)
    return rows as IterableIterator<KeyValue<K, V>>
  }

  all(): IterableIterator<KeyValue<K, V>> {
    return this.range(undefined, undefined)
  }

  put(key: K, value: V, timestamp: number): boolean {
    return this.#table.put(key, value, timestamp) !== 'refused'
  }

  delete(key: K, timestamp: number): boolean {
    return this.#table.put(key, undefined, timestamp) !== 'refused'
  }
}
