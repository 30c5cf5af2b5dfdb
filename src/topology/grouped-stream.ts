// Grouped streams: records of one key in one partition, ready to be aggregated, windowed, or put together with others.
// biome-ignore lint/suspicious/noImportCycles: a group makes cogroups and a cogroup is aggregated as one, when their methods are called
import { type CogroupAdd, cogrouped, type CogroupedStream } from './cogroup.ts'
import type { GraphBuilder, Upstream } from './graph-builder.ts'
import type { StoreHandle } from './handles.ts'
import type { AnyRecord } from './operators.ts'
import type { TableOptions } from './per-commit.ts'
import type { StreamRecord } from './stream-record.ts'
import { functionProblem } from './synchronous.ts'
// biome-ignore lint/suspicious/noImportCycles: as above, tables make streams and streams make groups
import { addKeptTable, type TableStream } from './table.ts'
import { StreamAggregation } from './table-operators.ts'
// biome-ignore lint/suspicious/noImportCycles: as above
import { inWindows, type SessionStream, type WindowedStream } from './windowed-stream.ts'
import type {
  AnyWindows,
  CalendarWindows,
  Sessions,
  SlidingWindows,
  TimeWindows,
  UnlimitedWindows,
} from './windows.ts'

/** A stream whose records of one key are in one partition: ready to be aggregated into a store. */
export class GroupedStream<K, V> {
  readonly #builder: GraphBuilder
  readonly #upstream: Upstream

  /** @internal */
  constructor(builder: GraphBuilder, upstream: Upstream) {
    this.#builder = builder
    this.#upstream = upstream
  }

  /** @internal */
  get source(): { readonly builder: GraphBuilder; readonly upstream: Upstream } {
    return { builder: this.#builder, upstream: this.#upstream }
  }

  /** The first of several inputs of one aggregate, whose type stands at the parameter: `(record, sum: number) => …`. */
  cogroup<A>(add: CogroupAdd<K, V, A>): CogroupedStream<K, V, A> {
    return cogrouped(this.#builder, [], this.#upstream, add)
  }

  /** The records of each key in windows. */
  windowedBy(windows: TimeWindows | SlidingWindows | CalendarWindows | UnlimitedWindows): WindowedStream<K, V>
  windowedBy(windows: Sessions): SessionStream<K, V>
  windowedBy(windows: AnyWindows): WindowedStream<K, V> | SessionStream<K, V> {
    return inWindows(this.#builder, this.#upstream, windows)
  }

  /** Counts the records of each key. Records whose key or value is null are left out. */
  count(store: StoreHandle<unknown, number, K, number>, options?: TableOptions): TableStream<K, number> {
    return this.#aggregate(
      'count',
      store,
      options,
      (_record, present) => ((present as number | undefined) ?? 0) + 1,
    )
  }

  /** Combines the values of each key; the first one is taken as it is. Records whose key or value is null are left out. */
  reduce(
    store: StoreHandle<unknown, V, K, V>,
    reduce: (aggregate: V, value: V) => V,
    options?: TableOptions,
  ): TableStream<K, V> {
    this.#builder.problem(functionProblem(reduce, `reduce into store ${store.name}`))
    const combine = reduce as (aggregate: unknown, value: unknown) => unknown
    return this.#aggregate('reduce', store, options, ({ value }, present) =>
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
    options?: TableOptions,
  ): TableStream<K, AW> {
    const { initial, add } = fold
    this.#builder.problem(functionProblem(initial, `initial of the aggregate into store ${store.name}`))
    this.#builder.problem(functionProblem(add, `add of the aggregate into store ${store.name}`))
    const looseAdd = add as (record: AnyRecord, aggregate: unknown) => unknown
    return this.#aggregate('aggregate', store, options, (record, present) =>
      looseAdd(record, present === undefined ? initial() : present),
    )
  }

  #aggregate<V2>(
    operator: string,
    store: StoreHandle<unknown, unknown, never, never>,
    options: TableOptions | undefined,
    next: (record: AnyRecord, present: unknown) => unknown,
  ): TableStream<K, V2> {
    return addKeptTable(
      this.#builder,
      [this.#upstream],
      operator,
      store,
      (definition, emission) => new StreamAggregation(definition, emission, next),
      options,
    ) as unknown as TableStream<K, V2>
  }
}
