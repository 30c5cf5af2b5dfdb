// Windows as processors, tests and queries read them: keys and values of the user, what is past its retention left out.
import type { KeyValue, ReadOnlyWindowStore } from './contracts.ts'
import type { Windowed } from '../serde/windowed.ts'
import type { WindowEntry, WindowTable } from './window-table.ts'

export class WindowView<K, V> implements ReadOnlyWindowStore<K, V> {
  readonly #table: WindowTable

  constructor(table: WindowTable) {
    this.#table = table
  }

  get name(): string {
    return this.#table.name
  }

  get(key: K, start: number): V | undefined {
    if (!Number.isSafeInteger(start)) return undefined
    for (const { value } of this.#table.ofKey(this.#table.keyBytes(key), start, start + 1)) return value as V
    return undefined
  }

  fetch(key: K, from: number, to: number): IterableIterator<KeyValue<Windowed<K>, V>> {
    return this.#entries(this.#table.ofKey(this.#table.keyBytes(key), from, to))
  }

  fetchAll(from: number, to: number): IterableIterator<KeyValue<Windowed<K>, V>> {
    return this.#entries(this.#table.between(from, to))
  }

  all(): IterableIterator<KeyValue<Windowed<K>, V>> {
    return this.fetchAll(0, Number.POSITIVE_INFINITY)
  }

  *#entries(found: Iterable<WindowEntry>): IterableIterator<KeyValue<Windowed<K>, V>> {
    for (const entry of found)
      yield { key: this.#table.windowed(entry) as Windowed<K>, value: entry.value as V }
  }
}
