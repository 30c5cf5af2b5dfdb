// The DSL of tables: the latest value of each key. Each method adds nodes to the graph and does nothing else; the machines
// are in table-operators.ts.
import { type ReadOf, type SerdeOrSchema, type WriteOf, toSerde } from '../serde/serde-or-schema.ts'
import type { Serde } from '../serde/serde.ts'
import type { Windowed } from '../serde/windowed.ts'
import { changeSerde } from './change.ts'
import type { ProcessorInstance, StoreDefinition } from './contracts.ts'
import type { DraftNode, GraphBuilder, Upstream } from './graph-builder.ts'
import { emitted, type TableOptions } from './per-commit.ts'
import {
  connectForeignKeyJoin,
  ForeignResultOperator,
  type ForeignKeyJoin,
  responseSerde,
  subscriptionStore,
} from './foreign-key.ts'
// biome-ignore lint/suspicious/noImportCycles: a table makes groups and a group makes tables, when their methods are called
import { GroupedTable } from './grouped-table.ts'
import type { StoreHandle, VersionedStoreHandle } from './handles.ts'
import { PassOperator } from './operators.ts'
// biome-ignore lint/suspicious/noImportCycles: a stream makes tables and a table makes streams, when their methods are called
import { RecordStream } from './stream.ts'
import { repartitionPlace } from './places.ts'
import { type GroupByOptions, repartition, type Writing } from './repartition.ts'

import { addSuppress, type SuppressOptions, type UntilTimeLimit, type UntilWindowCloses } from './suppress.ts'
import { functionProblem } from './synchronous.ts'
import {
  type Combine,
  DeriveOperator,
  derivedView,
  type Emission,
  JoinSideOperator,
  joinedView,
  KeepOperator,
  type Regroup,
  RegroupOperator,
  type TableView,
  ToStreamOperator,
  windowsOf,
} from './table-operators.ts'
import { storeView } from './versioned-table.ts'

/** A store that can hold a table of `K` and `V`. */
export type TableStoreHandle<K, V> = StoreHandle<unknown, V, K, V>

/** A row under the key by which it is grouped. */
export interface Row<K, V> {
  readonly key: K
  readonly value: V
}

/** What a join by a foreign key is made of. `FS`, `VS`: serdes of the foreign key and of the values of the other table. */
export interface ForeignKeyOptions<F, V2, K, R, FS extends SerdeOrSchema, VS extends SerdeOrSchema>
  extends TableOptions {
  /** Its topics and its store of subscriptions are named after it. */
  readonly name: string
  readonly foreignKey: Writing<F, FS>
  readonly value: Writing<V2, VS>
  /** Where the joined table is kept. */
  readonly store: TableStoreHandle<K, R>
}

type AnyStoreHandle = StoreHandle<unknown, unknown, never, never>

/** What the methods of a table are given that may keep their result. */
type KeptIn = readonly [store: AnyStoreHandle | undefined, options: TableOptions | undefined]

/** A table as the other side of a join. */
interface Side {
  readonly view: TableView
  /** Its node, which tells changes from now on. */
  changes(): Upstream
}

interface KeptOptions extends TableOptions {
  /** Stores that the node reads beside its own. */
  readonly alsoReads?: readonly StoreDefinition[]
  /** Of the table that it is made of. */
  readonly windows?: Pick<TableView, 'closesAfterMs'>
}

/** @internal A node whose table is kept in a store. */
export const addKeptTable = (
  builder: GraphBuilder,
  upstream: readonly Upstream[],
  operator: string,
  store: AnyStoreHandle | VersionedStoreHandle<unknown, unknown, never, never>,
  create: (definition: StoreDefinition, emission: Emission) => ProcessorInstance,
  { alsoReads = [], emit, windows = {} }: KeptOptions = {},
): TableStream<never, never> => {
  const definition = store as unknown as StoreDefinition
  const emission: Emission = { changes: false }
  const node = builder.addProcessor(upstream, {
    name: `${operator}-${store.name}`,
    operator,
    stores: [definition, ...alsoReads],
    outputs: undefined,
    mustLead: false,
    create: () => create(definition, emission),
  })
  builder.keepTable(store.name, node.name)
  const kept = { upstream: { node, output: '' }, view: { ...storeView(definition), ...windows }, emission }
  const told = emitted(builder, kept, store, emit)
  return new TableStream(builder, told.upstream, told.view, told.emission)
}

/**
 * A table: the latest value of each key. `N` is null where a key can be taken out again, and never where it cannot.
 * Without a store of its own a derived table is worked out from the tables it comes from whenever somebody looks.
 */
export class TableStream<K, V, N extends null = never> {
  readonly #builder: GraphBuilder
  readonly #upstream: Upstream
  readonly #view: TableView
  readonly #emission: Emission

  /** @internal Tables come from `t.table`, from aggregations and from other tables. */
  constructor(builder: GraphBuilder, upstream: Upstream, view: TableView, emission: Emission) {
    this.#builder = builder
    this.#upstream = upstream
    this.#view = view
    this.#emission = emission
  }

  /** @internal How a join looks its rows up. */
  get view(): TableView {
    return this.#view
  }

  /** The changes of the table as records: each new value of a key, and null for a key that is taken out. */
  toStream(): RecordStream<K, V | N> {
    const emission = this.#emission
    const node = this.#node([this.#upstream], 'toStream', [], () =>
      emission.changes ? new ToStreamOperator() : new PassOperator(),
    )
    return new RecordStream<K, V | N>(this.#builder, { node, output: '' }, false)
  }

  /** Keeps the rows for which the predicate holds; a row for which it holds no longer is taken out. */
  filter<V2 extends V>(
    predicate: (value: V, key: K) => value is V2,
    store?: TableStoreHandle<K, V2>,
    options?: TableOptions,
  ): TableStream<K, V2, null>
  filter(
    predicate: (value: V, key: K) => boolean,
    store?: TableStoreHandle<K, V>,
    options?: TableOptions,
  ): TableStream<K, V, null>
  filter(
    predicate: (value: V, key: K) => boolean,
    store?: AnyStoreHandle,
    options?: TableOptions,
  ): TableStream<K, V, null> {
    const test = this.#function<(value: unknown, key: unknown) => boolean>('filter', predicate)
    return this.#derive('filter', (value, key) => (test(value, key()) ? value : undefined), [store, options])
  }

  /** Keeps the rows for which the predicate does not hold. */
  filterNot(
    predicate: (value: V, key: K) => boolean,
    store?: TableStoreHandle<K, V>,
    options?: TableOptions,
  ): TableStream<K, V, null> {
    const test = this.#function<(value: unknown, key: unknown) => boolean>('filterNot', predicate)
    return this.#derive('filterNot', (value, key) => (test(value, key()) ? undefined : value), [
      store,
      options,
    ])
  }

  /** Answers a new value for each row. */
  mapValues<V2>(
    map: (value: V, key: K) => V2,
    store?: TableStoreHandle<K, V2>,
    options?: TableOptions,
  ): TableStream<K, V2, N> {
    const call = this.#function<(value: unknown, key: unknown) => unknown>('mapValues', map)
    return this.#derive('mapValues', (value, key) => call(value, key()), [store, options])
  }

  /** The rows of both tables that have the same key. Its timestamp is the later one of the two. */
  join<V2, N2 extends null, R>(
    other: TableStream<K, V2, N2>,
    joiner: (left: V, right: V2) => R,
    store?: TableStoreHandle<K, R>,
    options?: TableOptions,
  ): TableStream<K, R, null> {
    const call = this.#joiner('join', joiner)
    return this.#join(
      'join',
      other,
      (left, right) => (left === undefined || right === undefined ? undefined : call(left, right)),
      [store, options],
    )
  }

  /** Each row of this table, with the row of the same key of the other one or undefined. */
  leftJoin<V2, N2 extends null, R>(
    other: TableStream<K, V2, N2>,
    joiner: (left: V, right: V2 | undefined) => R,
    store?: TableStoreHandle<K, R>,
    options?: TableOptions,
  ): TableStream<K, R, null> {
    const call = this.#joiner('leftJoin', joiner)
    return this.#join(
      'leftJoin',
      other,
      (left, right) => (left === undefined ? undefined : call(left, right)),
      [store, options],
    )
  }

  /** Each key that either table has, with undefined for the side that has none. */
  outerJoin<V2, N2 extends null, R>(
    other: TableStream<K, V2, N2>,
    joiner: (left: V | undefined, right: V2 | undefined) => R,
    store?: TableStoreHandle<K, R>,
    options?: TableOptions,
  ): TableStream<K, R, null> {
    const call = this.#joiner('outerJoin', joiner)
    return this.#join(
      'outerJoin',
      other,
      (left, right) => (left === undefined && right === undefined ? undefined : call(left, right)),
      [store, options],
    )
  }

  /**
   * Joins each row with the row of the other table that its foreign key names. The function answers the foreign key; a row
   * with null has none. Works over two topics of ours, named after `name`, and the numbers of partitions may differ.
   */
  foreignKeyJoin<F, V2, N2 extends null, R, FS extends SerdeOrSchema, VS extends SerdeOrSchema>(
    other: TableStream<F, V2, N2>,
    foreignKey: (value: V, key: K) => F | null,
    joiner: (left: V, right: V2) => R,
    options: ForeignKeyOptions<F, V2, K, R, FS, VS>,
  ): TableStream<K, R, null> {
    const call = this.#joiner('foreignKeyJoin', joiner)
    const combine: Combine = (left, right) => (right === undefined ? undefined : call(left, right))
    return this.#foreignKeyJoin(other.#side, foreignKey, combine, options)
  }

  /** As `foreignKeyJoin`, where a row without a partner is joined with undefined. */
  foreignKeyLeftJoin<F, V2, N2 extends null, R, FS extends SerdeOrSchema, VS extends SerdeOrSchema>(
    other: TableStream<F, V2, N2>,
    foreignKey: (value: V, key: K) => F | null,
    joiner: (left: V, right: V2 | undefined) => R,
    options: ForeignKeyOptions<F, V2, K, R, FS, VS>,
  ): TableStream<K, R, null> {
    return this.#foreignKeyJoin(other.#side, foreignKey, this.#joiner('foreignKeyLeftJoin', joiner), options)
  }

  /**
   * Groups the rows by the key that the function answers, through a repartition topic. A row whose new key or value is
   * null belongs to no group.
   */
  groupBy<KS extends SerdeOrSchema, VS extends SerdeOrSchema>(
    regroup: (value: V, key: K) => Row<WriteOf<KS>, WriteOf<VS>>,
    options: Omit<GroupByOptions<unknown, KS, VS>, 'value'> & { readonly value: VS },
  ): GroupedTable<ReadOf<KS>, ReadOf<VS>> {
    const call = this.#function<Regroup>('groupBy', regroup)
    const { name } = options
    const key = toSerde(
      options.key,
      `the key of repartition topic ${name}`,
      repartitionPlace('key', name),
    ) as unknown as Serde<unknown>
    const value = toSerde(
      options.value,
      `the value of repartition topic ${name}`,
      repartitionPlace('value', name),
    ) as unknown as Serde<unknown>
    const node = this.#node([this.#changes()], 'groupBy', [], () => new RegroupOperator(call, key))
    const source = repartition(this.#builder, [{ node, output: '' }], {
      ...options,
      key,
      value: changeSerde(value) as unknown as Serde<unknown>,
    })
    return new GroupedTable(this.#builder, source)
  }

  /**
   * Holds changes back until the window of their key has closed, and tells each window once. The changes wait in a store
   * of their own, with these serdes.
   */
  suppress<KS extends SerdeOrSchema, VS extends SerdeOrSchema>(
    until: [K] extends [Windowed<unknown>] ? UntilWindowCloses : never,
    options: SuppressOptions<Writing<K, KS>, Writing<V, VS>>,
  ): TableStream<ReadOf<KS>, ReadOf<VS>>
  /** Holds changes back for a time, and tells the last one of each key then. */
  suppress<KS extends SerdeOrSchema, VS extends SerdeOrSchema>(
    until: UntilTimeLimit,
    options: SuppressOptions<Writing<K, KS>, Writing<V, VS>>,
  ): TableStream<ReadOf<KS>, ReadOf<VS>, N>
  suppress(until: UntilWindowCloses | UntilTimeLimit, options: unknown): unknown {
    const given = options as SuppressOptions<SerdeOrSchema, SerdeOrSchema>
    const { upstream, view, emission } = addSuppress(this.#builder, this.#changes(), this.#view, until, given)
    return new TableStream(this.#builder, upstream, view, emission)
  }

  /** The node, which tells changes from now on. */
  #changes(): Upstream {
    this.#emission.changes = true
    return this.#upstream
  }

  get #side(): Side {
    return { view: this.#view, changes: () => this.#changes() }
  }

  #derive<V2, N2 extends null>(
    operator: string,
    derive: (value: unknown, key: () => unknown) => unknown,
    kept: KeptIn,
  ): TableStream<K, V2, N2> {
    const emission: Emission = { changes: kept[0] !== undefined }
    const node = this.#node([this.#changes()], operator, [], () => new DeriveOperator(derive, emission))
    const view = derivedView(this.#view, derive)
    return this.#kept(operator, { node, output: '' }, view, emission, kept)
  }

  #join<V2, N2 extends null, R>(
    operator: string,
    other: TableStream<K, V2, N2>,
    combine: Combine,
    kept: KeptIn,
  ): TableStream<K, R, null> {
    if (other.#builder !== this.#builder) this.#builder.problem('a table of another topology is joined')
    const emission: Emission = { changes: kept[0] !== undefined }
    const side = (own: Upstream, { stores }: TableView, create: () => ProcessorInstance): Upstream => ({
      node: this.#node([own], operator, stores, create),
      output: '',
    })
    const left = side(
      this.#changes(),
      other.#view,
      () => new JoinSideOperator(other.#view, combine, emission),
    )
    const right = side(
      other.#changes(),
      this.#view,
      () => new JoinSideOperator(this.#view, (own, opposite) => combine(opposite, own), emission),
    )
    const node = this.#node([left, right], operator, [], () => new PassOperator())
    const view = joinedView(this.#view, other.#view, combine)
    return this.#kept(operator, { node, output: '' }, view, emission, kept)
  }

  #foreignKeyJoin<R>(
    other: Side,
    foreignKey: unknown,
    combine: Combine,
    given: unknown,
  ): TableStream<K, R, null> {
    const { name, store, emit, ...serdes } = given as ForeignKeyOptions<
      never,
      never,
      never,
      never,
      Serde<unknown>,
      Serde<unknown>
    >
    const key = store.key as unknown as Serde<unknown>
    const value = toSerde(
      serdes.value,
      `value of ${name}`,
      repartitionPlace('value', name),
    ) as unknown as Serde<unknown>
    const join: ForeignKeyJoin = {
      foreignKeyOf: this.#function('the foreign key', foreignKey),
      foreignKey: toSerde(
        serdes.foreignKey,
        `foreignKey of ${name}`,
        repartitionPlace('key', name),
      ) as unknown as Serde<unknown>,
      key,
      left: this.#view,
      right: other.view,
      combine,
      subscriptions: subscriptionStore(name),
    }
    const builder = this.#builder
    const changes = this.#changes()
    const responses = connectForeignKeyJoin(
      builder,
      name,
      join,
      responseSerde(value),
      changes,
      other.changes(),
    )
    return addKeptTable(
      builder,
      [changes, responses],
      'foreignKeyJoin',
      store,
      (definition, emission) => new ForeignResultOperator(definition, emission, join),
      { alsoReads: join.left.stores, ...(emit !== undefined && { emit }) },
    ) as unknown as TableStream<K, R, null>
  }

  #kept<V2, N2 extends null>(
    operator: string,
    upstream: Upstream,
    view: TableView,
    emission: Emission,
    [store, options]: KeptIn,
  ): TableStream<K, V2, N2> {
    if (store === undefined) {
      if (options?.emit !== undefined && options.emit !== 'on-update')
        this.#builder.problem(
          `${operator} at ${upstream.node.name}: emit is ${String(options.emit)}, but without a store it is told as what it is made of: give it one`,
        )
      return new TableStream(this.#builder, upstream, view, emission)
    }
    return addKeptTable(
      this.#builder,
      [upstream],
      operator,
      store,
      (definition, own) => new KeepOperator(definition, own),
      { windows: windowsOf(view), ...options },
    ) as unknown as TableStream<K, V2, N2>
  }

  #node(
    upstream: readonly Upstream[],
    operator: string,
    stores: readonly StoreDefinition[],
    create: () => ProcessorInstance,
  ): DraftNode {
    return this.#builder.addProcessor(upstream, {
      name: undefined,
      operator,
      stores,
      outputs: undefined,
      // A table is read by joins as well, so that nothing has to follow; a stream made of it has to lead somewhere.
      mustLead: operator === 'toStream',
      create,
    })
  }

  #joiner(operator: string, joiner: unknown): Combine {
    const call = this.#function<Combine>(operator, joiner)
    return (left, right) => call(left, right) ?? undefined
  }

  #function<F>(operator: string, given: unknown): F {
    this.#builder.problem(functionProblem(given, `${operator} after ${this.#upstream.node.name}`))
    return given as F
  }
}
