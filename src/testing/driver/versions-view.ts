// A versioned store of the test driver over all its partitions: the stores of the tasks themselves, looked up at each call,
// since a restart makes new ones.
import type { KeyValue, KeyVersion, VersionedStore } from '../../state/contracts.ts'
import type { AnyStore } from '../../task/contracts.ts'
import type { StreamTask } from '../../task/stream-task.ts'
import type { StoreDefinition } from '../../topology/contracts.ts'
import type { DriverEngine } from './driver-engine.ts'
import { misused } from './misused.ts'
import { ownerOf } from './store-view.ts'

type View = VersionedStore<unknown, unknown>

interface Owned {
  readonly task: StreamTask
  readonly view: View
}

export class VersionsView implements VersionedStore<unknown, unknown> {
  readonly name: string
  readonly #engine: DriverEngine
  readonly #definition: StoreDefinition
  readonly #partition: number | undefined

  /** @throws DRIVER_MISUSED where the store has no such partition */
  constructor(engine: DriverEngine, definition: StoreDefinition, partition: number | undefined) {
    this.name = definition.name
    this.#engine = engine
    this.#definition = definition
    this.#partition = partition
    if (this.#owned.length === 0)
      throw misused(`the store has no partition ${partition}`, { store: this.name })
  }

  get(key: unknown): unknown {
    return this.#first((view) => view.get(key))
  }

  asOf(key: unknown, timestamp: number): unknown {
    return this.#first((view) => view.asOf(key, timestamp))
  }

  *versions(key: unknown, from?: number, to?: number): IterableIterator<KeyVersion<unknown>> {
    for (const { view } of this.#owned) yield* view.versions(key, from, to)
  }

  *range(
    from: unknown,
    to: unknown,
    options?: { readonly reverse?: boolean },
  ): IterableIterator<KeyValue<unknown, unknown>> {
    for (const { view } of this.#owned) yield* view.range(from, to, options)
  }

  all(): IterableIterator<KeyValue<unknown, unknown>> {
    return this.range(undefined, undefined)
  }

  put(key: unknown, value: unknown, timestamp: number): boolean {
    return this.#write(key, (view) => view.put(key, value, timestamp))
  }

  delete(key: unknown, timestamp: number): boolean {
    return this.#write(key, (view) => view.delete(key, timestamp))
  }

  get #owned(): Owned[] {
    this.#engine.assertOpen()
    return this.#engine.tasks
      .owners(this.name)
      .filter(({ partition }) => this.#partition === undefined || partition === this.#partition)
      .map((task) => ({ task, view: task.store(this.name) as View }))
  }

  #first(read: (view: View) => unknown): unknown {
    for (const { view } of this.#owned) {
      const found = read(view)
      if (found !== undefined) return found
    }
    return undefined
  }

  #write(key: unknown, write: (view: View) => boolean): boolean {
    const { task, view } = ownerOf(this.#definition, this.#owned, key)
    let written = false
    this.#engine.seed(task, task.stores.get(this.name)?.store as AnyStore, () => {
      written = write(view)
    })
    return written
  }
}
