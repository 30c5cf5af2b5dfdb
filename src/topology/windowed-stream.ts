// The DSL of windows: grouped streams in windows, and the tables that they are aggregated into. The machines are in
// window-operators.ts.
import { longestMs } from '../base/calendar.ts'
import type { Windowed } from '../serde/windowed.ts'
import type { WindowShape } from '../state/window-table.ts'
import type { ProcessorInstance, StoreDefinition } from './contracts.ts'
import type { DraftNode, GraphBuilder, Upstream } from './graph-builder.ts'
import type { WindowStoreHandle } from './handles.ts'
import { lateOf } from './late.ts'
import type { AnyRecord } from './operators.ts'
import { emitted, type TablePart } from './per-commit.ts'
// biome-ignore lint/suspicious/noImportCycles: a stream makes windows and windows make streams, when their methods are called
import { RecordStream } from './stream.ts'
import { type SessionFold, SessionAggregation } from './session-operator.ts'
import { SlidingAggregation } from './sliding-operator.ts'
import type { StreamRecord } from './stream-record.ts'
import { functionProblem } from './synchronous.ts'
// biome-ignore lint/suspicious/noImportCycles: as above, tables make streams
import { TableStream } from './table.ts'
import {
  CalendarAggregation,
  TimeWindowAggregation,
  type WindowEmission,
  type WindowFold,
  windowView,
} from './window-operators.ts'
import {
  type AnyWindows,
  type CalendarWindows,
  type Sessions,
  type SlidingWindows,
  type TimeWindows,
  windowProblems,
} from './windows.ts'

/** When the results of windows are told. */
export interface WindowOptions {
  /**
   * on-update (default): with each record. on-close: each window once, when stream time has passed its end by the grace,
   * in the order of time. per-commit: of each window the last change, when the transaction commits.
   */
  readonly emit?: 'on-update' | 'on-close' | 'per-commit'
}

type AnyWindowStore = WindowStoreHandle<unknown, unknown, never, never>

/**
 * A table of windows: the value of each key in each window. `V0` is what the records carry that it is made of; `N` is null
 * where a window can be taken out again.
 */
export class WindowedTable<K, V, V0, N extends null = never> extends TableStream<Windowed<K>, V, N> {
  readonly #builder: GraphBuilder
  readonly #aggregation: DraftNode
  readonly #windowEmission: WindowEmission

  /** @internal Such tables come from aggregations by windows. */
  constructor(
    builder: GraphBuilder,
    { upstream, view, emission }: TablePart,
    aggregation: DraftNode,
    windowEmission: WindowEmission,
  ) {
    super(builder, upstream, view, emission)
    this.#builder = builder
    this.#aggregation = aggregation
    this.#windowEmission = windowEmission
  }

  /** The records that came when a window of theirs had closed already, as they came. They are counted in any case. */
  late(): RecordStream<K, V0> {
    const upstream = lateOf(this.#aggregation, this.#windowEmission)
    return new RecordStream<K, V0>(this.#builder, upstream, false)
  }
}

/** What the aggregations of a stream in windows have in common. */
class WindowsBase<K, V, W extends AnyWindows> {
  protected readonly windows: W
  readonly #builder: GraphBuilder
  readonly #upstream: Upstream

  /** @internal Comes from `windowedBy`. */
  constructor(builder: GraphBuilder, upstream: Upstream, windows: W) {
    this.#builder = builder
    this.#upstream = upstream
    this.windows = windows
    for (const problem of windowProblems(windows))
      builder.problem(`the windows after ${upstream.node.name}: ${problem}`)
  }

  protected function<F>(part: string, store: { readonly name: string }, given: unknown): F {
    this.#builder.problem(functionProblem(given, `${part} into store ${store.name}`))
    return given as F
  }

  protected keep<V2, N extends null>(
    operator: string,
    store: AnyWindowStore,
    options: WindowOptions | undefined,
    create: (definition: StoreDefinition, emission: WindowEmission) => ProcessorInstance,
  ): WindowedTable<K, V2, V, N> {
    const builder = this.#builder
    const definition = store as unknown as StoreDefinition
    const emission: WindowEmission = { changes: false, late: false, onClose: options?.emit === 'on-close' }
    const node = builder.addProcessor([this.#upstream], {
      name: `${operator}-${store.name}`,
      operator,
      stores: [definition],
      outputs: undefined,
      mustLead: false,
      create: () => create(definition, emission),
    })
    builder.keepWindows(store.name, node.name, this.#shape(store))
    const view = windowView(definition, this.windows)
    const table = emitted(
      builder,
      { upstream: { node, output: '' }, view, emission },
      store,
      options?.emit,
      true,
    )
    return new WindowedTable<K, V2, V, N>(builder, table, node, emission)
  }

  #shape(store: AnyWindowStore): WindowShape {
    const windows: AnyWindows = this.windows
    const least = retentionLeast(windows)
    const retentionMs = store.windows?.retentionMs ?? least
    if (!(retentionMs >= least) || !Number.isSafeInteger(retentionMs))
      this.#builder.problem(
        `store ${store.name}: retentionMs is ${retentionMs}, but ${needed[windows.kind]} takes ${least} ms`,
      )
    if (windows.kind === 'sessions') return Object.freeze({ kind: 'sessions', retentionMs })
    if (windows.kind === 'calendar') {
      const { every, timeZone } = windows
      return Object.freeze({ kind: 'calendar', every, timeZone, retentionMs })
    }
    const { sizeMs } = windows
    return Object.freeze(
      windows.kind === 'time'
        ? { kind: 'time', sizeMs, advanceMs: windows.advanceMs, retentionMs }
        : { kind: 'sliding', sizeMs, retentionMs },
    )
  }
}

/** What a store needs its windows for, so that it has to keep them that long. */
const needed: Readonly<Record<AnyWindows['kind'], string>> = {
  time: 'what comes within size and grace',
  sessions: 'what comes within gap and grace',
  calendar: 'what comes within the longest of these windows and grace',
  sliding: 'a new window, which is made of those up to twice its size and the grace before,',
}

const retentionLeast = (windows: AnyWindows): number => {
  if (windows.kind === 'sessions') return windows.gapMs + windows.graceMs
  if (windows.kind === 'calendar') return (longestMs[windows.every] ?? 0) + windows.graceMs
  return windows.sizeMs * (windows.kind === 'time' ? 1 : 2) + windows.graceMs
}

type LooseAdd = (record: AnyRecord, aggregate: unknown) => unknown
type LooseCombine = (aggregate: unknown, value: unknown) => unknown

/** A grouped stream in windows: ready to be aggregated into a store of windows. Records whose key is null are left out. */
export class WindowedStream<K, V> extends WindowsBase<K, V, TimeWindows | SlidingWindows | CalendarWindows> {
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
    const combine = this.function<LooseCombine>('reduce', store, reduce)
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
    const initial = this.function<() => unknown>('initial of the aggregate', store, fold.initial)
    const add = this.function<LooseAdd>('add of the aggregate', store, fold.add)
    return this.#aggregate('windowedAggregate', store, options, (record, present) =>
      add(record, present === undefined ? initial() : present),
    )
  }

  #aggregate<V2>(
    operator: string,
    store: AnyWindowStore,
    options: WindowOptions | undefined,
    fold: WindowFold,
  ): WindowedTable<K, V2, V> {
    const { windows } = this
    return this.keep(operator, store, options, (definition, emission) => {
      if (windows.kind === 'time') return new TimeWindowAggregation(definition, windows, emission, fold)
      return windows.kind === 'calendar'
        ? new CalendarAggregation(definition, windows, emission, fold)
        : new SlidingAggregation(definition, windows, emission, fold)
    })
  }
}

/** A grouped stream in sessions: ready to be aggregated into a store of windows. Records whose key is null are left out. */
export class SessionStream<K, V> extends WindowsBase<K, V, Sessions> {
  /** Counts the records of each session, those without a value as well. */
  count(
    store: WindowStoreHandle<unknown, number, K, number>,
    options?: WindowOptions,
  ): WindowedTable<K, number, V, null> {
    return this.#aggregate('sessionCount', store, options, {
      initial: () => 0,
      add: (_record, count) => (count as number) + 1,
      merge: (count, other) => (count as number) + (other as number),
    })
  }

  /** Combines the values of each session; the first one is taken as it is. Of sessions that become one, their values. */
  reduce(
    store: WindowStoreHandle<unknown, V, K, V>,
    reduce: (aggregate: V, value: V) => V,
    options?: WindowOptions,
  ): WindowedTable<K, V, V, null> {
    const combine = this.function<LooseCombine>('reduce', store, reduce)
    const merge: LooseCombine = (aggregate, value) =>
      aggregate === undefined || aggregate === null ? value : combine(aggregate, value)
    return this.#aggregate('sessionReduce', store, options, {
      initial: () => undefined,
      add: ({ value }, aggregate) => merge(aggregate, value),
      merge,
    })
  }

  /** Folds the records of each session into a value; `merge` puts those of sessions together that become one. */
  aggregate<A, AW>(
    store: WindowStoreHandle<unknown, A, K, AW>,
    fold: {
      readonly initial: () => NoInfer<A>
      readonly add: (record: StreamRecord<K, V>, aggregate: NoInfer<A>) => NoInfer<AW>
      readonly merge: (aggregate: NoInfer<A>, other: NoInfer<A>) => NoInfer<A>
    },
    options?: WindowOptions,
  ): WindowedTable<K, AW, V, null> {
    return this.#aggregate('sessionAggregate', store, options, {
      initial: this.function('initial of the aggregate', store, fold.initial),
      add: this.function('add of the aggregate', store, fold.add),
      merge: this.function('merge of the aggregate', store, fold.merge),
    })
  }

  #aggregate<V2>(
    operator: string,
    store: AnyWindowStore,
    options: WindowOptions | undefined,
    fold: SessionFold,
  ): WindowedTable<K, V2, V, null> {
    const { windows } = this
    return this.keep(
      operator,
      store,
      options,
      (definition, emission) => new SessionAggregation(definition, windows, emission, fold),
    )
  }
}

/** @internal */
export const inWindows = <K, V>(
  builder: GraphBuilder,
  upstream: Upstream,
  windows: AnyWindows,
): WindowedStream<K, V> | SessionStream<K, V> =>
  windows.kind === 'sessions'
    ? new SessionStream(builder, upstream, windows)
    : new WindowedStream(builder, upstream, windows)
