// A global store of the test driver: looked up at each call, since a restart makes another one.
import type { Serde } from '../../serde/serde.ts'
import type { KeyValue, ReadOnlyKeyValueStore } from '../../state/contracts.ts'
import { globalViewOf } from '../../task/store-access.ts'
import type { DriverEngine } from './driver-engine.ts'

type View = ReadOnlyKeyValueStore<unknown, unknown>

export class GlobalView implements View {
  readonly name: string
  readonly #engine: DriverEngine

  constructor(engine: DriverEngine, name: string) {
    this.name = name
    this.#engine = engine
  }

  get(key: unknown): unknown {
    return this.#view.get(key)
  }

  has(key: unknown): boolean {
    return this.#view.has(key)
  }

  range(
    from: unknown,
    to: unknown,
    options?: { readonly reverse?: boolean },
  ): IterableIterator<KeyValue<unknown, unknown>> {
    return this.#view.range(from, to, options)
  }

  prefixScan<P>(
    prefix: P,
    serde: Serde<P>,
    options?: { readonly reverse?: boolean },
  ): IterableIterator<KeyValue<unknown, unknown>> {
    return this.#view.prefixScan(prefix, serde, options)
  }

  all(): IterableIterator<KeyValue<unknown, unknown>> {
    return this.#view.all()
  }

  get #view(): View {
    this.#engine.assertOpen()
    return globalViewOf(this.#engine.globals.stores.get(this.name) as Parameters<typeof globalViewOf>[0])
  }
}
