// The DSL: streams, groups and tables. Each method adds a node to the graph and does nothing else; the machines are in
// operators.ts and processor.ts.
import type { ReadOf, SerdeOrSchema, WriteOf } from '../serde/serde-or-schema.ts'
import type { Partitioner, ProcessorInstance, TopicDefinition } from './contracts.ts'
import { addUserProcessor } from './add-processor.ts'
import {
  addStreamTableJoin,
  type AnyAsOfOptions,
  type AsOfOptions,
  type StreamTableJoin,
} from './as-of-join.ts'
import {
  addMapValuesAsync,
  addProcessAsync,
  type AnyAsyncSpec,
  type AsyncProcessorSpec,
  type NamedAsyncOptions,
} from './asynchronous.ts'
import { addGlobalJoin } from './global-join.ts'
import type { GlobalTable } from './global-table.ts'
import type { GraphBuilder, Upstream } from './graph-builder.ts'
// biome-ignore lint/suspicious/noImportCycles: a stream makes groups, whose windows make streams, when their methods are called
import { GroupedStream } from './grouped-stream.ts'
import {
  type AnyRecord,
  BranchOperator,
  DropNullKeysOperator,
  FilterOperator,
  FlatMapOperator,
  FlatMapValuesOperator,
  ForeachOperator,
  GroupByOperator,
  MapOperator,
  MapValuesOperator,
  type Mapped,
  PassOperator,
  PeekOperator,
  SelectKeyOperator,
} from './operators.ts'
import {
  type AnyProcessorSpec,
  type OutputsDeclared,
  type ProcessorSpec,
  type StoresDeclared,
  UserProcessor,
} from './processor.ts'
import type { TableOptions } from './per-commit.ts'
import {
  type GroupByOptions,
  type LooseRepartition,
  repartition,
  type RepartitionOptions,
} from './repartition.ts'
import { joinedStream, type JoinedStream } from './joined-stream.ts'
import type { JoinedIn, JoinWindows } from './join-windows.ts'
import type { ProcessResult, ProcessValuesResult } from './process-results.ts'
import { checkedChooser, type SinkOptions, type SinkTopic } from './sinks.ts'
import { type AnyJoin, connectStreamJoin, type StreamJoin } from './stream-join.ts'
import type { StreamJoiner } from './stream-join-operator.ts'
import type { StreamRecord } from './stream-record.ts'
import { functionProblem } from './synchronous.ts'
import type { AnyTimerStore } from './timers.ts'
import { type ValueOutputsDeclared, type ValueProcessorSpec, UserValueProcessor } from './value-processor.ts'
// biome-ignore lint/suspicious/noImportCycles: a stream makes tables and a table makes streams, when their methods are called
import { addKeptTable, type TableStream } from './table.ts'
import type { TableView } from './table-operators.ts'
import { type RowsStoreHandle, rowsOperator } from './versioned-table.ts'

/** The records of a stream that a join takes. */
type Joinable<K, V> = RecordStream<Exclude<K, null>, Exclude<V, null>>

/** A stream of records. Its methods describe what happens to each; they run nothing. */
export class RecordStream<K, V> {
  readonly #builder: GraphBuilder
  readonly #upstream: Upstream
  /** Whether the key may differ from the one that decided the partition. */
  readonly #keyChanged: boolean

  /** @internal Streams come from `t.stream` and from other streams. */
  constructor(builder: GraphBuilder, upstream: Upstream, keyChanged: boolean) {
    this.#builder = builder
    this.#upstream = upstream
    this.#keyChanged = keyChanged
  }

  /** Keeps the records for which the predicate holds. */
  filter<V2 extends V>(
    predicate: (record: StreamRecord<K, V>) => record is StreamRecord<K, V2>,
  ): RecordStream<K, V2>
  filter(predicate: (record: StreamRecord<K, V>) => boolean): RecordStream<K, V>
  filter(predicate: (record: never) => boolean): RecordStream<K, V> {
    const test = this.#function<(record: AnyRecord) => boolean>('filter', predicate)
    return this.#then('filter', () => new FilterOperator(test, true))
  }

  /** Keeps the records for which the predicate does not hold. */
  filterNot(predicate: (record: StreamRecord<K, V>) => boolean): RecordStream<K, V> {
    const test = this.#function<(record: AnyRecord) => boolean>('filterNot', predicate)
    return this.#then('filterNot', () => new FilterOperator(test, false))
  }

  /** Answers a new key and value for each record: `{ key, value, timestamp?, headers? }` or a record. */
  map<K2, V2>(map: (record: StreamRecord<K, V>) => Mapped<K2, V2>): RecordStream<K2, V2> {
    const call = this.#function<(record: AnyRecord) => Mapped<unknown, unknown>>('map', map)
    return this.#then('map', () => new MapOperator(call), true)
  }

  /** Answers a new value for each record. The key is kept, and with it the partition. */
  mapValues<V2>(map: (value: V, record: StreamRecord<K, V>) => V2): RecordStream<K, V2> {
    const call = this.#function<(value: unknown, record: AnyRecord) => unknown>('mapValues', map)
    return this.#then('mapValues', () => new MapValuesOperator(call))
  }

  /**
   * As `mapValues`, with an answer that comes later: several calls are open at once, those of one key one after the other,
   * and what follows is in the order of the records. After a crash what was not committed is called for again.
   */
  mapValuesAsync<V2>(
    map: (value: V, record: StreamRecord<K, V>, signal: AbortSignal) => Promise<V2> | V2,
    options?: NamedAsyncOptions,
  ): RecordStream<K, Awaited<V2>> {
    const upstream = addMapValuesAsync(this.#builder, this.#upstream, map, options)
    return new RecordStream(this.#builder, upstream, this.#keyChanged)
  }

  /** Answers any number of keys and values for each record. */
  flatMap<K2, V2>(map: (record: StreamRecord<K, V>) => Iterable<Mapped<K2, V2>>): RecordStream<K2, V2> {
    const call = this.#function<(record: AnyRecord) => Iterable<Mapped<unknown, unknown>>>('flatMap', map)
    return this.#then('flatMap', () => new FlatMapOperator(call), true)
  }

  /** Answers any number of values for each record. The key is kept, and with it the partition. */
  flatMapValues<V2>(map: (value: V, record: StreamRecord<K, V>) => Iterable<V2>): RecordStream<K, V2> {
    const call = this.#function<(value: unknown, record: AnyRecord) => Iterable<unknown>>(
      'flatMapValues',
      map,
    )
    return this.#then('flatMapValues', () => new FlatMapValuesOperator(call))
  }

  /** Answers a new key for each record. */
  selectKey<K2>(select: (record: StreamRecord<K, V>) => K2): RecordStream<K2, V> {
    const call = this.#function<(record: AnyRecord) => unknown>('selectKey', select)
    return this.#then('selectKey', () => new SelectKeyOperator(call), true)
  }

  /** Looks at each record and hands it on. Its side effects may happen more than once. */
  peek(look: (record: StreamRecord<K, V>) => void): RecordStream<K, V> {
    const call = this.#function<(record: AnyRecord) => unknown>('peek', look)
    return this.#then('peek', () => new PeekOperator(call))
  }

  /** Ends the stream in a function. Its side effects may happen more than once. */
  foreach(act: (record: StreamRecord<K, V>) => void): void {
    const call = this.#function<(record: AnyRecord) => unknown>('foreach', act)
    this.#add('foreach', () => new ForeachOperator(call), false)
  }

  /**
   * Splits the stream: each record goes to the first branch whose predicate holds, in the order of the object. A record
   * for which none holds ends here; `() => true` as the last one takes the rest.
   */
  branch<B extends Readonly<Record<string, (record: StreamRecord<K, V>) => boolean>>>(
    branches: B,
  ): { readonly [N in keyof B]: RecordStream<K, V> } {
    for (const [name, predicate] of Object.entries(branches)) this.#function(`branch ${name}`, predicate)
    const loose = { ...branches } as unknown as Readonly<Record<string, (record: AnyRecord) => boolean>>
    const names = Object.keys(loose)
    const node = this.#builder.addProcessor([this.#upstream], {
      name: undefined,
      operator: 'branch',
      stores: [],
      outputs: names,
      mustLead: true,
      create: () => new BranchOperator(loose),
    })
    const streams = names.map((output) => [
      output,
      new RecordStream<K, V>(this.#builder, { node, output }, this.#keyChanged),
    ])
    return Object.fromEntries(streams) as { readonly [N in keyof B]: RecordStream<K, V> }
  }

  /** The records of both streams, each in its own order. */
  merge<K2, V2>(other: RecordStream<K2, V2>): RecordStream<K | K2, V | V2> {
    if (other.#builder !== this.#builder) this.#builder.problem('a stream of another topology is merged')
    const node = this.#builder.addProcessor([this.#upstream, other.#upstream], {
      name: undefined,
      operator: 'merge',
      stores: [],
      outputs: undefined,
      mustLead: true,
      create: () => new PassOperator(),
    })
    return new RecordStream<K | K2, V | V2>(
      this.#builder,
      { node, output: '' },
      this.#keyChanged || other.#keyChanged,
    )
  }

  /** Sends the records through a topic of ours, partitioned by their present key. */
  repartition<KS extends SerdeOrSchema, VS extends SerdeOrSchema>(
    options: RepartitionOptions<K, V, KS, VS>,
  ): RecordStream<ReadOf<KS>, ReadOf<VS>> {
    return new RecordStream(
      this.#builder,
      repartition(this.#builder, [this.#upstream], options as unknown as LooseRepartition),
      false,
    )
  }

  /** Groups by the key that the function answers, through a repartition topic. Records whose key is null end here. */
  groupBy<KS extends SerdeOrSchema, VS extends SerdeOrSchema>(
    select: (record: StreamRecord<K, V>) => WriteOf<KS>,
    options: GroupByOptions<V, KS, VS>,
  ): GroupedStream<ReadOf<KS>, ReadOf<VS>> {
    const call = this.#function<(record: AnyRecord) => unknown>('groupBy', select)
    const node = this.#add('groupBy', () => new GroupByOperator(call), true)
    const source = repartition(this.#builder, [{ node, output: '' }], options as unknown as LooseRepartition)
    return new GroupedStream(this.#builder, source)
  }

  /**
   * Groups by the present key. Where an operator before may have changed it, the records go through a repartition
   * topic, which then needs a name and serdes; where it is unchanged, the options are not used.
   */
  groupByKey(): GroupedStream<K, V>
  groupByKey<KS extends SerdeOrSchema, VS extends SerdeOrSchema>(
    options: RepartitionOptions<K, V, KS, VS>,
  ): GroupedStream<K | ReadOf<KS>, V | ReadOf<VS>>
  groupByKey(options?: unknown): GroupedStream<K, V> {
    if (!this.#keyChanged) return new GroupedStream(this.#builder, this.#upstream)
    const given = (options ?? {}) as Partial<LooseRepartition>
    if (given.name === undefined || given.key === undefined || given.value === undefined) {
      this.#builder.problem(
        `groupByKey after ${this.#upstream.node.name}, where the key may have changed, needs a repartition topic: give it { name, key, value }`,
      )
      return new GroupedStream(this.#builder, this.#upstream)
    }
    const node = this.#add('groupByKey', () => new DropNullKeysOperator(), true)
    return new GroupedStream(
      this.#builder,
      repartition(this.#builder, [{ node, output: '' }], given as LooseRepartition),
    )
  }

  /**
   * Runs a processor: a literal, whose types follow from this stream, or one made with `processor`. Answers a stream per
   * output; nothing, where it declares none.
   */
  process<
    const S extends StoresDeclared = Readonly<Record<never, never>>,
    O extends OutputsDeclared = undefined,
    T extends AnyTimerStore | undefined = undefined,
  >(spec: ProcessorSpec<K, V, S, O, T>): ProcessResult<O> {
    return this.#runs('process', spec, UserProcessor, true) as ProcessResult<O>
  }

  /**
   * Runs a processor that keeps the key: it forwards values (`outputs: valueOutput<V>()`), so that no repartition is
   * needed after it.
   */
  processValues<
    const S extends StoresDeclared = Readonly<Record<never, never>>,
    O extends ValueOutputsDeclared = undefined,
  >(spec: ValueProcessorSpec<K, V, S, O>): ProcessValuesResult<K, O> {
    return this.#runs('processValues', spec, UserValueProcessor, this.#keyChanged) as ProcessValuesResult<
      K,
      O
    >
  }

  /** Calls something for each record, and processes its answer: synchronously, in the order of the records, with stores. */
  processAsync<
    R,
    const S extends StoresDeclared = Readonly<Record<never, never>>,
    O extends OutputsDeclared = undefined,
  >(given: AsyncProcessorSpec<K, V, R, S, O>): ProcessResult<O> {
    const { upstream, spec } = addProcessAsync(
      this.#builder,
      this.#upstream,
      given as unknown as AnyAsyncSpec,
    )
    const calls = new RecordStream<K, V>(this.#builder, upstream, this.#keyChanged)
    return calls.#runs('processAsync', spec, UserProcessor, true) as ProcessResult<O>
  }

  /**
   * Takes the records as rows of a table: the last one of a key counts, null takes it out; in a versioned store, the latest
   * one. Records without a key are left out. A key that an operator before may have changed has to pass `repartition` first.
   */
  toTable<K2 extends K, V2 extends V>(
    store: RowsStoreHandle<K2, Exclude<V2, null>>,
    options?: TableOptions,
  ): TableStream<K2, Exclude<V2, null>, null> {
    this.#needsPartition(`the table in store ${store.name}`)
    return addKeptTable(
      this.#builder,
      [this.#upstream],
      'toTable',
      store,
      rowsOperator,
      options,
    ) as unknown as TableStream<K2, Exclude<V2, null>, null>
  }

  /**
   * Joins each record with the row of its key as it is when the record is processed, or, where the table is kept in a
   * versioned store, as it was at the time of the record; a record without one is left out, and so is one without a key or a
   * value. Both topics need the same number of partitions. With `graceMs` the records wait for versions that come late.
   */
  join<V2, N2 extends null, R>(
    table: TableStream<Exclude<K, null>, V2, N2>,
    joiner: (value: V, row: V2, record: StreamRecord<K, V>) => R,
    options?: AsOfOptions<Exclude<K, null>, Exclude<V, null>>,
  ): RecordStream<K, R>
  /**
   * Joins each record with those of the other stream that have its key and are within the windows, whichever comes first.
   * The result is as late as the later of both. Records without a key or a value are left out. Both topics need the same
   * number of partitions.
   */
  join<K2, V2, R>(
    right: RecordStream<K2, V2>,
    joiner: (left: Exclude<V, null>, right: Exclude<V2, null>, key: Exclude<K | K2, null>) => R,
    windows: JoinWindows,
    store: JoinedIn<K | K2, V, V2>,
  ): JoinedStream<Exclude<K | K2, null>, R, Joinable<K, V>, Joinable<K2, V2>>
  join(...given: AnyJoin): never {
    return this.#joinAny('join', given) as never
  }

  /** As `join`, where a record without a row, or without a key, is joined with undefined. */
  leftJoin<V2, N2 extends null, R>(
    table: TableStream<Exclude<K, null>, V2, N2>,
    joiner: (value: V, row: V2 | undefined, record: StreamRecord<K, V>) => R,
    options?: AsOfOptions<Exclude<K, null>, Exclude<V, null>>,
  ): RecordStream<K, R>
  /**
   * As `join` of streams, where a record of this one that met none is told alone when its window has closed, and one
   * without a key at once.
   */
  leftJoin<K2, V2, R>(
    right: RecordStream<K2, V2>,
    joiner: (left: Exclude<V, null>, right: Exclude<V2, null> | undefined, key: K | Exclude<K2, null>) => R,
    windows: JoinWindows,
    store: JoinedIn<K | K2, V, V2>,
  ): JoinedStream<K | Exclude<K2, null>, R, Joinable<K, V>, Joinable<K2, V2>>
  leftJoin(...given: AnyJoin): never {
    return this.#joinAny('leftJoin', given) as never
  }

  /** As `leftJoin` of streams, for the records of both. */
  outerJoin<K2, V2, R>(
    right: RecordStream<K2, V2>,
    joiner: (left: Exclude<V, null> | undefined, right: Exclude<V2, null> | undefined, key: K | K2) => R,
    windows: JoinWindows,
    store: JoinedIn<K | K2, V, V2>,
  ): JoinedStream<K | K2, R, Joinable<K, V>, Joinable<K2, V2>> {
    return this.#joinAny('outerJoin', [right, joiner, windows, store]) as never
  }

  /**
   * Joins each record with the row of a global table whose key the function answers (null: none), as the table is when
   * the record is processed. Left out are records without a row, and those without a value.
   */
  joinGlobal<GK, GV, R>(
    table: GlobalTable<GK, GV>,
    key: (record: StreamRecord<K, V>) => GK | null,
    joiner: (value: V, row: GV, record: StreamRecord<K, V>) => R,
  ): RecordStream<K, R> {
    return this.#joinGlobal('joinGlobal', table as never, key, joiner)
  }

  /** As `joinGlobal`, where a record without a row is joined with undefined. */
  leftJoinGlobal<GK, GV, R>(
    table: GlobalTable<GK, GV>,
    key: (record: StreamRecord<K, V>) => GK | null,
    joiner: (value: V, row: GV | undefined, record: StreamRecord<K, V>) => R,
  ): RecordStream<K, R> {
    return this.#joinGlobal('leftJoinGlobal', table as never, key, joiner)
  }

  /** Ends the stream in a topic, or in the topic that the function picks per record out of `topics`. */
  to(topic: SinkTopic<K, V>, options?: SinkOptions<K, V>): void
  to<T extends SinkTopic<K, V>>(
    choose: (record: StreamRecord<K, V>) => T,
    options: SinkOptions<K, V> & { readonly topics: readonly T[] },
  ): void
  to(
    target: TopicDefinition | ((record: StreamRecord<K, V>) => TopicDefinition),
    options?: SinkOptions<K, V> & { readonly topics?: readonly TopicDefinition[] },
  ): void {
    const partition =
      options?.partition && this.#function<Partitioner>('the partitioner of to', options.partition)
    if (typeof target !== 'function') {
      this.#builder.addSink([this.#upstream], [target], false, undefined, partition)
      return
    }
    const choose = this.#function<(record: AnyRecord) => TopicDefinition>('the chooser of to', target)
    const topics = options?.topics ?? []
    if (topics.length === 0) {
      this.#builder.problem(
        `the chooser after ${this.#upstream.node.name} has no topics: give to(choose, { topics: [...] }) those it picks from`,
      )
    }
    this.#builder.addSink([this.#upstream], topics, false, checkedChooser(choose, topics), partition)
  }

  #runs(operator: string, spec: object, machine: typeof UserProcessor, keyChanged: boolean): unknown {
    return addUserProcessor(
      this.#builder,
      this.#upstream,
      { operator, spec: spec as AnyProcessorSpec, machine },
      (upstream) => new RecordStream(this.#builder, upstream, keyChanged),
    )
  }

  #function<F>(place: string, given: unknown): F {
    this.#builder.problem(functionProblem(given, `${place} after ${this.#upstream.node.name}`))
    return given as F
  }

  #joinGlobal<R>(
    ...join: Parameters<typeof addGlobalJoin> extends [unknown, unknown, ...infer P] ? P : never
  ) {
    return new RecordStream<K, R>(
      this.#builder,
      addGlobalJoin(this.#builder, this.#upstream, ...join),
      this.#keyChanged,
    )
  }

  #joinAny(operator: StreamJoin['operator'], [other, joiner, windows, store]: AnyJoin): unknown {
    const builder = this.#builder
    if (!(other instanceof RecordStream)) {
      const { view } = other as TableStream<K, unknown>
      const options = windows as AnyAsOfOptions | undefined
      return this.#joinTable(operator, view, joiner, operator !== 'join', options)
    }
    if (other.#builder !== builder) builder.problem('a stream of another topology is joined')
    for (const side of [this, other]) side.#needsPartition(`the ${operator} of streams`)
    const [left, right] = [this.#upstream, other.#upstream]
    const call = this.#function<StreamJoiner>(operator, joiner)
    const join = connectStreamJoin(builder, {
      operator,
      left,
      right,
      joiner: call,
      windows: windows as JoinWindows | undefined,
      store,
    })
    return joinedStream(join, (upstream) => new RecordStream(builder, upstream, false))
  }

  #joinTable<R>(
    operator: string,
    view: TableView,
    joiner: unknown,
    outer: boolean,
    options: AnyAsOfOptions | undefined,
  ): RecordStream<K, R> {
    this.#needsPartition(`the ${operator} with a table`)
    const join = this.#function<StreamTableJoin['join']>(operator, joiner)
    const node = addStreamTableJoin(this.#builder, this.#upstream, operator, { view, join, outer }, options)
    return new RecordStream<K, R>(this.#builder, { node, output: '' }, false)
  }

  #needsPartition(what: string): void {
    if (!this.#keyChanged) return
    this.#builder.problem(
      `${what} after ${this.#upstream.node.name}: its key may have changed, so that it is in another partition than its rows or partners; send it through repartition first`,
    )
  }

  #add(operator: string, create: () => ProcessorInstance, mustLead: boolean): Upstream['node'] {
    return this.#builder.addProcessor([this.#upstream], {
      name: undefined,
      operator,
      stores: [],
      outputs: undefined,
      mustLead,
      create,
    })
  }

  #then<K2, V2>(operator: string, create: () => ProcessorInstance, changesKey = false): RecordStream<K2, V2> {
    return new RecordStream<K2, V2>(
      this.#builder,
      { node: this.#add(operator, create, true), output: '' },
      this.#keyChanged || changesKey,
    )
  }
}
