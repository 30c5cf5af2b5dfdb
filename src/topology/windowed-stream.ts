// The DSL of windows: grouped streams in windows, and the tables that they are aggregated into. The machines are in
// window-operators.ts.
import type { Windowed } from '../serde/windowed.ts'
import type { StoreDefinition } from './contracts.ts'
import type { GraphBuilder, Upstream } from './graph-builder.ts'
import type { WindowStoreHandle } from './handles.ts'
import { type AnyRecord, lateOutput } from './operators.ts'
// biome-ignore lint/suspicious/noImportCycles: a stream makes windows and windows make streams, when their methods are called
import { RecordStream } from './stream.ts'
import type { StreamRecord } from './stream-record.ts'
import { functionProblem } from './synchronous.ts'
// biome-ignore lint/suspicious/noImportCycles: as above, tables make streams
import { TableStream } from './table.ts'
import { WindowAggregation, type WindowEmission, type WindowFold, windowView } from './window-operators.ts'
import { type TimeWindows, windowProblems } from './windows.ts'

/** When the results of windows are told. */
export interface WindowOptions {
  /**
   * on-update (default): with each record. on-close: each window once, when stream time has passed its end by the grace,
   * in the order of time.
   */
  readonly emit?: 'on-update' | 'on-close'
}

type AnyWindowStore = WindowStoreHandle<unknown, unknown, never, never>

/** A table of windows: the value of each key in each window. */
export class WindowedTable<K, V, V0> extends TableStream<Windowed<K>, V> {
  readonly #builder: GraphBuilder
  readonly #upstream: Upstream
  readonly #windowEmission: WindowEmission

  /** @internal Such tables come from aggregations by windows. */
  constructor(builder: GraphBuilder, upstream: Upstream, store: StoreDefinition, emission: WindowEmission) {
    super(builder, upstream, windowView(store), emission)
    this.#builder = builder
    this.#upstream = upstream
    this.#windowEmission = emission
  }

  /** The records that came when a window of theirs had closed already, as they came. They are counted in any case. */
  late(): RecordStream<K, V0> {
    const { node } = this.#upstream
    this.#windowEmission.late = true
    if (!node.children.has(lateOutput)) node.children.set(lateOutput, [])
    return new RecordStream<K, V0>(this.#builder, { node, output: lateOutput }, false)
  }
}

/** A grouped stream in windows: ready to be aggregated into a store of windows. Records whose key is null are left out. */
export class WindowedStream<K, V> {
  readonly #builder: GraphBuilder
  readonly #upstream: Upstream
  readonly #windows: TimeWindows

  /** @internal Comes from `windowedBy`. */
  constructor(builder: GraphBuilder, upstream: Upstream, windows: TimeWindows) {
    this.#builder = builder
    this.#upstream = upstream
    this.#windows = windows
    for (const problem of windowProblems(windows))
      builder.problem(`the windows after ${upstream.node.name}: ${problem}`)
  }

  /** Counts the records of each key and window, those without a value as well. */
  count(
    store: WindowStoreHandle<unknown, number, K, number>,
    options?: WindowOptions,
  ): WindowedTable<K, number, V> {
    const next: WindowFold = (_record, present) => ((present as number | undefined) ?? 0) + 1
    return this.#aggregate('windowedCount', store, options, next)
  }

  /** Combines the values of each key and window; the first one is taken as it is. */
  reduce(
    store: WindowStoreHandle<unknown, V, K, V>,
    reduce: (aggregate: V, value: V) => V,
    options?: WindowOptions,
  ): WindowedTable<K, V, V> {
    this.#builder.problem(functionProblem(reduce, `reduce into store ${store.name}`))
    const combine = reduce as (aggregate: unknown, value: unknown) => unknown
    return this.#aggregate('windowedReduce', store, options, ({ value }, present) =>
      present === undefined ? value : combine(present, value),
    )
  }

  /** Folds the records of each key and window into a value. */
  aggregate<A, AW>(
    store: WindowStoreHandle<unknown, A, K, AW>,
    fold: {
      readonly initial: () => NoInfer<A>
      readonly add: (record: StreamRecord<K, V>, aggregate: NoInfer<A>) => NoInfer<AW>
    },
    options?: WindowOptions,
  ): WindowedTable<K, AW, V> {
    const { initial, add } = fold
    this.#builder.problem(functionProblem(initial, `initial of the aggregate into store ${store.name}`))
    this.#builder.problem(functionProblem(add, `add of the aggregate into store ${store.name}`))
    const looseAdd = add as (record: AnyRecord, aggregate: unknown) => unknown
    return this.#aggregate('windowedAggregate', store, options, (record, present) =>
      looseAdd(record, present === undefined ? initial() : present),
    )
  }

  #aggregate<V2>(
    operator: string,
    store: AnyWindowStore,
    options: WindowOptions | undefined,
    fold: WindowFold,
  ): WindowedTable<K, V2, V> {
    const builder = this.#builder
    const windows = this.#windows
    const definition = store as unknown as StoreDefinition
    const emission: WindowEmission = { changes: false, late: false, onClose: options?.emit === 'on-close' }
    const node = builder.addProcessor([this.#upstream], {
      name: `${operator}-${store.name}`,
      operator,
      stores: [definition],
      outputs: undefined,
      mustLead: false,
      create: () => new WindowAggregation(definition, windows, emission, fold),
    })
    const { sizeMs, advanceMs, graceMs } = windows
    const least = sizeMs + graceMs
    const retentionMs = store.windows?.retentionMs ?? least
    if (!(retentionMs >= least) || !Number.isSafeInteger(retentionMs))
      builder.problem(
        `store ${store.name}: retentionMs is ${retentionMs}, but the windows take records until ${least} ms after their start (size and grace)`,
      )
    builder.keepWindows(store.name, node.name, Object.freeze({ sizeMs, advanceMs, retentionMs }))
    return new WindowedTable<K, V2, V>(builder, { node, output: '' }, definition, emission)
  }
}
