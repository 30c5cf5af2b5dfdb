// The DSL of groups: streams whose records of one key are in one partition, to be aggregated.
import type { GraphBuilder, Upstream } from './graph-builder.ts'
import type { StoreHandle } from './handles.ts'
import type { AnyRecord } from './operators.ts'
import type { StreamRecord } from './stream-record.ts'
import { functionProblem } from './synchronous.ts'
// biome-ignore lint/suspicious/noImportCycles: a group makes tables, which make streams and groups, when their methods are called
import { addKeptTable, type TableStream } from './table.ts'
import { StreamAggregation } from './table-operators.ts'
// biome-ignore lint/suspicious/noImportCycles: as above, windows make streams
import { inWindows, type SessionStream, type WindowedStream } from './windowed-stream.ts'
import type { AnyWindows, Sessions, SlidingWindows, TimeWindows } from './windows.ts'

/** A stream whose records of one key are in one partition: ready to be aggregated into a store. */
export class GroupedStream<K, V> {
  readonly #builder: GraphBuilder
  readonly #upstream: Upstream

  /** @internal */
  constructor(builder: GraphBuilder, upstream: Upstream) {
    this.#builder = builder
    this.#upstream = upstream
  }

  /** The records of each key in windows. */
  windowedBy(windows: TimeWindows | SlidingWindows): WindowedStream<K, V>
  windowedBy(windows: Sessions): SessionStream<K, V>
  windowedBy(windows: AnyWindows): WindowedStream<K, V> | SessionStream<K, V> {
    return inWindows(this.#builder, this.#upstream, windows)
  }

  /** Counts the records of each key. Records whose key or value is null are left out. */
  count(store: StoreHandle<unknown, number, K, number>): TableStream<K, number> {
    return this.#aggregate('count', store, (_record, present) => ((present as number | undefined) ?? 0) + 1)
  }

  /** Combines the values of each key; the first one is taken as it is. Records whose key or value is null are left out. */
  reduce(store: StoreHandle<unknown, V, K, V>, reduce: (aggregate: V, value: V) => V): TableStream<K, V> {
    this.#builder.problem(functionProblem(reduce, `reduce into store ${store.name}`))
    const combine = reduce as (aggregate: unknown, value: unknown) => unknown
    return this.#aggregate('reduce', store, ({ value }, present) =>
      present === undefined ? value : combine(present, value),
    )
  }

  /** Folds the records of each key into a value. Records whose key or value is null are left out. */
  aggregate<A, AW>(
    store: StoreHandle<unknown, A, K, AW>,
    fold: {
      readonly initial: () => NoInfer<A>
      readonly add: (record: StreamRecord<K, V>, aggregate: NoInfer<A>) => NoInfer<AW>
    },
  ): TableStream<K, AW> {
    const { initial, add } = fold
    this.#builder.problem(functionProblem(initial, `initial of the aggregate into store ${store.name}`))
    this.#builder.problem(functionProblem(add, `add of the aggregate into store ${store.name}`))
    const looseAdd = add as (record: AnyRecord, aggregate: unknown) => unknown
    return this.#aggregate('aggregate', store, (record, present) =>
      looseAdd(record, present === undefined ? initial() : present),
    )
  }

  #aggregate<V2>(
    operator: string,
    store: StoreHandle<unknown, unknown, never, never>,
    next: (record: AnyRecord, present: unknown) => unknown,
  ): TableStream<K, V2> {
    return addKeptTable(
      this.#builder,
      [this.#upstream],
      operator,
      store,
      (definition, emission) => new StreamAggregation(definition, emission, next),
    ) as unknown as TableStream<K, V2>
  }
}
