// A store of windows of the test driver over all its partitions: read from the tasks themselves, looked up at each call,
// since a restart makes new ones.
import type { KeyValue, ReadOnlyWindowStore } from '../../state/contracts.ts'
import type { Windowed } from '../../serde/windowed.ts'
import type { DriverEngine } from './driver-engine.ts'
import { misused } from './misused.ts'

type Found = IterableIterator<KeyValue<Windowed<unknown>, unknown>>

export class WindowsView implements ReadOnlyWindowStore<unknown, unknown> {
  readonly name: string
  readonly #engine: DriverEngine
  readonly #partition: number | undefined

  /** @throws DRIVER_MISUSED where the store has no such partition */
  constructor(engine: DriverEngine, name: string, partition: number | undefined) {
    this.name = name
    this.#engine = engine
    this.#partition = partition
    if (this.#views.length === 0) throw misused(`the store has no partition ${partition}`, { store: name })
  }

  get(key: unknown, start: number): unknown {
    for (const view of this.#views) {
      const value = view.get(key, start)
      if (value !== undefined) return value
    }
    return undefined
  }

  fetch(key: unknown, from: number, to: number): Found {
    return this.#each((view) => view.fetch(key, from, to))
  }

  fetchAll(from: number, to: number): Found {
    return this.#each((view) => view.fetchAll(from, to))
  }

  all(): Found {
    return this.#each((view) => view.all())
  }

  get #views(): ReadOnlyWindowStore<unknown, unknown>[] {
    this.#engine.assertOpen()
    return this.#engine.tasks
      .owners(this.name)
      .filter(({ partition }) => this.#partition === undefined || partition === this.#partition)
      .map((task) => task.store(this.name) as ReadOnlyWindowStore<unknown, unknown>)
  }

  *#each(read: (view: ReadOnlyWindowStore<unknown, unknown>) => Found): Found {
    for (const view of this.#views) yield* read(view)
  }
}
