// `cogroup`: several grouped streams of one key that are folded into one value. Each input says how its records come in;
// behind it they go through one aggregation, so that there is one store, and one stream time for all of them.
import type { WindowStoreHandle, StoreHandle } from './handles.ts'
import type { GraphBuilder, Upstream } from './graph-builder.ts'
import { type AnyRecord, Operator, PassOperator } from './operators.ts'
// biome-ignore lint/suspicious/noImportCycles: a grouped stream makes cogroups and a cogroup is aggregated as one, when their methods are called
import { GroupedStream } from './grouped-stream.ts'
import type { StreamRecord } from './stream-record.ts'
import type { TableOptions } from './per-commit.ts'
import { functionProblem } from './synchronous.ts'
import type { TableStream } from './table.ts'
import type { SessionStream, WindowedStream, WindowedTable, WindowOptions } from './windowed-stream.ts'
import type { CalendarWindows, Sessions, SlidingWindows, TimeWindows, UnlimitedWindows } from './windows.ts'

/** How a record of one input comes into the aggregate of its key. */
export type CogroupAdd<K, V, A> = (record: StreamRecord<K, V>, aggregate: A) => A

type LooseAdd = CogroupAdd<unknown, unknown, unknown>

interface Input {
  readonly upstream: Upstream
  readonly add: LooseAdd
}

/** The input whose record is in hand. */
interface InHand {
  add: LooseAdd
}

/** Says how the records behind it are to be added: what a forward leads to ends before it returns. */
class CogroupInput extends Operator {
  readonly #add: LooseAdd
  readonly #inHand: InHand

  constructor(add: LooseAdd, inHand: InHand) {
    super()
    this.#add = add
    this.#inHand = inHand
  }

  process(record: AnyRecord): void {
    this.#inHand.add = this.#add
    this.context.forward(record)
  }
}

interface Merged {
  readonly upstream: Upstream
  readonly add: LooseAdd
}

/** Brings the inputs together. */
const merge = (builder: GraphBuilder, inputs: readonly Input[]): Merged => {
  const inHand: InHand = { add: (_record, aggregate) => aggregate }
  const part = (upstream: readonly Upstream[], create: () => Operator): Upstream => ({
    node: builder.addProcessor(upstream, {
      name: undefined,
      operator: 'cogroup',
      stores: [],
      outputs: undefined,
      mustLead: true,
      create,
    }),
    output: '',
  })
  const ways = inputs.map(({ upstream, add }) => part([upstream], () => new CogroupInput(add, inHand)))
  return {
    upstream: part(ways, () => new PassOperator()),
    add: (record, aggregate) => inHand.add(record, aggregate),
  }
}

/** Several grouped streams that become one value of each key. `V`: what their records carry. */
export class CogroupedStream<K, V, A> {
  readonly #builder: GraphBuilder
  readonly #inputs: readonly Input[]

  /** @internal Comes from `cogroup` of a grouped stream. */
  constructor(builder: GraphBuilder, inputs: readonly Input[]) {
    this.#builder = builder
    this.#inputs = inputs
  }

  /** One more input. Its topic needs as many partitions as those of the others. */
  cogroup<V2>(grouped: GroupedStream<K, V2>, add: CogroupAdd<K, V2, A>): CogroupedStream<K, V | V2, A> {
    const { builder, upstream } = grouped.source
    if (builder !== this.#builder) this.#builder.problem('a stream of another topology is in a cogroup')
    return cogrouped(this.#builder, this.#inputs, upstream, add as LooseAdd)
  }

  /** The inputs in windows. A window closes for all of them: their records share one stream time. */
  windowedBy(
    windows: TimeWindows | SlidingWindows | CalendarWindows | UnlimitedWindows,
  ): WindowedCogroup<K, V, A>
  windowedBy(windows: Sessions): SessionCogroup<K, V, A>
  windowedBy(windows: never): WindowedCogroup<K, V, A> | SessionCogroup<K, V, A> {
    const { upstream, add } = merge(this.#builder, this.#inputs)
    const made: unknown = new GroupedStream<K, V>(this.#builder, upstream).windowedBy(windows)
    return (windows as Sessions).kind === 'sessions'
      ? new SessionCogroup(made as SessionStream<K, V>, add)
      : new WindowedCogroup(made as WindowedStream<K, V>, add)
  }

  /** Folds the records of each key into a value. Records whose key or value is null are left out. */
  aggregate<AW extends A>(
    store: StoreHandle<unknown, A, K, AW>,
    fold: { readonly initial: () => NoInfer<A> },
    options?: TableOptions,
  ): TableStream<K, A> {
    const { upstream, add } = merge(this.#builder, this.#inputs)
    const loose = store as unknown as StoreHandle<unknown, unknown, K, unknown>
    const whole = { initial: fold.initial, add: add as never }
    const grouped = new GroupedStream<K, V>(this.#builder, upstream)
    return grouped.aggregate(loose, whole, options) as unknown as TableStream<K, A>
  }
}

/** @internal */
export const cogrouped = <K, V, A>(
  builder: GraphBuilder,
  inputs: readonly Input[],
  upstream: Upstream,
  add: unknown,
): CogroupedStream<K, V, A> => {
  builder.problem(functionProblem(add, `cogroup after ${upstream.node.name}`))
  return new CogroupedStream(builder, [...inputs, { upstream, add: add as LooseAdd }])
}

/** A cogroup in windows, ready to be aggregated into a store of windows. Records whose key is null are left out. */
export class WindowedCogroup<K, V, A> {
  readonly #windowed: WindowedStream<K, V>
  readonly #add: LooseAdd

  /** @internal */
  constructor(windowed: WindowedStream<K, V>, add: LooseAdd) {
    this.#windowed = windowed
    this.#add = add
  }

  /** Folds the records of each key and window into a value. */
  aggregate<AW extends A>(
    store: WindowStoreHandle<unknown, A, K, AW>,
    fold: { readonly initial: () => NoInfer<A> },
    options?: WindowOptions,
  ): WindowedTable<K, A, V> {
    const loose = store as unknown as WindowStoreHandle<unknown, unknown, K, unknown>
    const add = this.#add as never
    return this.#windowed.aggregate(loose, { initial: fold.initial, add }, options) as never
  }
}

/** A cogroup in sessions, ready to be aggregated into a store of windows. Records whose key is null are left out. */
export class SessionCogroup<K, V, A> {
  readonly #sessions: SessionStream<K, V>
  readonly #add: LooseAdd

  /** @internal */
  constructor(sessions: SessionStream<K, V>, add: LooseAdd) {
    this.#sessions = sessions
    this.#add = add
  }

  /** Folds the records of each session into a value; `merge` puts those of sessions together that become one. */
  aggregate<AW extends A>(
    store: WindowStoreHandle<unknown, A, K, AW>,
    fold: {
      readonly initial: () => NoInfer<A>
      readonly merge: (aggregate: NoInfer<A>, other: NoInfer<A>) => NoInfer<A>
    },
    options?: WindowOptions,
  ): WindowedTable<K, A, V, null> {
    const loose = store as unknown as WindowStoreHandle<unknown, unknown, K, unknown>
    const { initial, merge: put } = fold
    const whole = { initial, add: this.#add, merge: put as (one: unknown, other: unknown) => unknown }
    return this.#sessions.aggregate(loose, whole as never, options) as never
  }
}
