// Grouped tables: rows under another key, ready to be aggregated with what goes in and what goes out.
import type { GraphBuilder, Upstream } from './graph-builder.ts'
import type { StoreHandle } from './handles.ts'
import type { AnyRecord } from './operators.ts'
import type { TableOptions } from './per-commit.ts'
import type { StreamRecord } from './stream-record.ts'
import { functionProblem } from './synchronous.ts'
// biome-ignore lint/suspicious/noImportCycles: a table makes groups and a group makes tables, when their methods are called
import { addKeptTable, type TableStoreHandle, type TableStream } from './table.ts'
import { TableAggregation, type TableFold } from './table-operators.ts'

type AnyStoreHandle = StoreHandle<unknown, unknown, never, never>

/** A table whose rows are regrouped: ready to be aggregated into a store. */
export class GroupedTable<K, V> {
  readonly #builder: GraphBuilder
  readonly #upstream: Upstream

  /** @internal */
  constructor(builder: GraphBuilder, upstream: Upstream) {
    this.#builder = builder
    this.#upstream = upstream
  }

  /** Counts the rows of each group; a group that lost its last row counts 0. */
  count(store: TableStoreHandle<K, number>, options?: TableOptions): TableStream<K, number> {
    return this.#aggregate('count', store, options, {
      add: (_record, aggregate) => ((aggregate as number | undefined) ?? 0) + 1,
      subtract: (_record, aggregate) => (aggregate as number) - 1,
    })
  }

  /** Combines the values of each group: `add` takes a value in, `subtract` takes one out. The first one is taken as it is. */
  reduce(
    store: TableStoreHandle<K, V>,
    reduce: {
      readonly add: (aggregate: V, value: V) => V
      readonly subtract: (aggregate: V, value: V) => V
    },
    options?: TableOptions,
  ): TableStream<K, V, null> {
    const add = this.#function<(aggregate: unknown, value: unknown) => unknown>('add', store, reduce.add)
    const subtract = this.#function<(aggregate: unknown, value: unknown) => unknown>(
      'subtract',
      store,
      reduce.subtract,
    )
    return this.#aggregate('reduce', store, options, {
      add: ({ value }, aggregate) => (aggregate === undefined ? value : add(aggregate, value)),
      subtract: ({ value }, aggregate) => subtract(aggregate, value),
    })
  }

  /** Folds the values of each group: `add` takes a record in, `subtract` takes out what it gave. */
  aggregate<A, AW>(
    store: StoreHandle<unknown, A, K, AW>,
    fold: {
      readonly initial: () => NoInfer<A>
      readonly add: (record: StreamRecord<K, V>, aggregate: NoInfer<A>) => NoInfer<AW>
      readonly subtract: (record: StreamRecord<K, V>, aggregate: NoInfer<A>) => NoInfer<AW>
    },
    options?: TableOptions,
  ): TableStream<K, AW, null> {
    type Fold = (record: AnyRecord, aggregate: unknown) => unknown
    const initial = this.#function<() => unknown>('initial', store, fold.initial)
    const add = this.#function<Fold>('add', store, fold.add)
    const subtract = this.#function<Fold>('subtract', store, fold.subtract)
    return this.#aggregate('aggregate', store, options, {
      add: (record, aggregate) => add(record, aggregate === undefined ? initial() : aggregate),
      subtract,
    })
  }

  #aggregate<V2, N2 extends null>(
    operator: string,
    store: AnyStoreHandle,
    options: TableOptions | undefined,
    fold: TableFold,
  ): TableStream<K, V2, N2> {
    return addKeptTable(
      this.#builder,
      [this.#upstream],
      operator,
      store,
      (definition, emission) => new TableAggregation(definition, emission, fold),
      options,
    ) as unknown as TableStream<K, V2, N2>
  }

  #function<F>(part: string, store: { readonly name: string }, given: unknown): F {
    this.#builder.problem(functionProblem(given, `${part} of the aggregate into store ${store.name}`))
    return given as F
  }
}
