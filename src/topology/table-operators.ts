// The machines of tables: what keeps a table in a store, what changes on their way become, and how a key of a table is
// looked up by a join. A table is seen by others as changes (change.ts) and through a reader; where nobody wants
// changes, only its new values travel.
import { sameHeaders } from '../state/headed-values.ts'
import type { Timestamped } from '../state/timestamped.ts'
import type { Serde } from '../serde/serde.ts'
import { Change } from './change.ts'
import type { ProcessorContext, StoreDefinition, TableStore, VersionSettings } from './contracts.ts'
import { type AnyRecord, Operator } from './operators.ts'

type AnyChange = Change<unknown>
type Entry = Timestamped<unknown> | undefined

/** What a node that is a table sends on: changes, or new values alone. Known when the topology is complete. */
export interface Emission {
  changes: boolean
}

/** Looks keys of a table up: as they are now, writes of the record in hand included. */
export interface TableReader {
  get(key: unknown): Entry
  getOf(record: AnyRecord): Entry
  /** The row as it was, of a table with a history. */
  asOf?(key: unknown, timestamp: number): Entry
}

/** How a table can be read: out of these stores. */
export interface TableView {
  readonly stores: readonly StoreDefinition[]
  /** Where its rows can be read as of a time. */
  readonly history?: VersionSettings
  /** Of a table of windows: a window has closed when stream time has passed its end by so much, ms. */
  readonly closesAfterMs?: number
  /** @param latest also what is not told yet (per-commit.ts): for who does not follow the changes */
  read(context: ProcessorContext, latest?: boolean): TableReader
}

/** A table that is derived from another one, value by value; undefined: absent. */
export const derivedView = (
  parent: TableView,
  derive: (value: unknown, key: () => unknown) => unknown,
): TableView => ({
  ...parent,
  read(context, latest) {
    const reader = parent.read(context, latest)
    const derived = (entry: Entry, key: () => unknown): Entry => {
      const value = entry === undefined ? undefined : derive(entry.value, key)
      return value === undefined ? undefined : { value, timestamp: (entry as Timestamped<unknown>).timestamp }
    }
    return {
      get: (key) => derived(reader.get(key), () => key),
      getOf: (record) => derived(reader.getOf(record), () => record.key),
      asOf: (key, timestamp) => derived(reader.asOf?.(key, timestamp), () => key),
    }
  },
})

/** Of the two values of a key, either of which may be absent: the value of the joined table, or undefined. */
export type Combine = (left: unknown, right: unknown) => unknown

const later = (left: Entry, right: Entry): number =>
  Math.max(left?.timestamp ?? Number.NEGATIVE_INFINITY, right?.timestamp ?? Number.NEGATIVE_INFINITY)

const joined = (combine: Combine, left: Entry, right: Entry): Entry => {
  const value = combine(left?.value, right?.value)
  return value === undefined ? undefined : { value, timestamp: later(left, right) }
}

/** What a table says of its windows, for those that are made of it. */
export const windowsOf = ({
  closesAfterMs,
}: {
  readonly closesAfterMs?: number | undefined
}): Pick<TableView, 'closesAfterMs'> => (closesAfterMs === undefined ? {} : { closesAfterMs })

/** A window of a join has closed when it has on both sides. */
const closing = (left: TableView, right: TableView): Pick<TableView, 'closesAfterMs'> => {
  const { closesAfterMs: one } = left
  const { closesAfterMs: other } = right
  return one === undefined || other === undefined ? {} : { closesAfterMs: Math.max(one, other) }
}

export const joinedView = (left: TableView, right: TableView, combine: Combine): TableView => ({
  ...closing(left, right),
  stores: [...left.stores, ...right.stores],
  read(context, latest) {
    const [one, other] = [left.read(context, latest), right.read(context, latest)]
    return {
      get: (key) => joined(combine, one.get(key), other.get(key)),
      getOf: (record) => joined(combine, one.getOf(record), other.getOf(record)),
    }
  },
})

/** A node that is a table. */
export abstract class TableOperator extends Operator {
  readonly #emission: Emission

  constructor(emission: Emission) {
    super()
    this.#emission = emission
  }

  /** What a change is sent on as. */
  protected changeOf(before: unknown, after: unknown, isLatest: boolean = true): unknown {
    return this.#emission.changes ? new Change(before, after, isLatest) : (after ?? null)
  }

  /** A change from nothing to nothing is none. */
  protected emit(
    record: AnyRecord,
    before: unknown,
    after: unknown,
    timestamp: number,
    isLatest: boolean = true,
  ): void {
    if (before === undefined && after === undefined) return
    this.context.forward(record.withValueAt(this.changeOf(before, after, isLatest), timestamp))
  }
}

/** A node that keeps its table in a store. */
export abstract class KeptTable extends TableOperator {
  protected store!: TableStore
  protected readonly definition: StoreDefinition

  constructor(definition: StoreDefinition, emission: Emission) {
    super(emission)
    this.definition = definition
  }

  override init(context: ProcessorContext): void {
    super.init(context)
    this.store = context.tableStore(this.definition.name)
  }

  /** Puts the row (undefined: takes it out), and tells the change. */
  protected keep(record: AnyRecord, old: Entry, after: unknown, timestamp: number): void {
    const isNull = after === undefined || this.definition.value.encodesNull?.(after) === true
    if (isNull) this.store.deleteOf(record)
    else this.store.putOf(record, { value: after, timestamp })
    this.emit(record, old?.value, isNull ? undefined : after, timestamp)
  }
}

export const sameBytes = (serde: Serde<unknown>, one: unknown, other: unknown): boolean =>
  serde.primitive === true
    ? Object.is(one, other)
    : Buffer.compare(serde.encode(one), serde.encode(other)) === 0

/**
 * Takes the records of a topic or a stream as rows: the last one of a key counts, null takes it out. A record that
 * brings what is there already, not earlier, is no change (KIP-557); headers count where they are kept.
 */
export class RowsOperator extends KeptTable {
  process(record: AnyRecord): void {
    if (record.keyIsNull) return
    const old = this.store.getOf(record)
    if (record.valueIsNull) return this.keep(record, old, undefined, record.timestamp)
    const { value, timestamp } = record
    const isKnown =
      old !== undefined && timestamp >= old.timestamp && sameBytes(this.definition.value, old.value, value)
    // Where headers are kept they are part of the row.
    if (isKnown && (old.headers === undefined || sameHeaders(old.headers, record.headers))) return
    this.keep(record, old, value, timestamp)
  }
}

/** Keeps the changes that come in as a table of its own. */
export class KeepOperator extends KeptTable {
  process(record: AnyRecord): void {
    const { after, isLatest } = record.value as AnyChange
    if (isLatest) this.keep(record, this.store.getOf(record), after, record.timestamp)
  }
}

/** Derives a table value by value: `filter`, `mapValues`. */
export class DeriveOperator extends TableOperator {
  readonly #derive: (value: unknown, key: () => unknown) => unknown

  constructor(derive: (value: unknown, key: () => unknown) => unknown, emission: Emission) {
    super(emission)
    this.#derive = derive
  }

  process(record: AnyRecord): void {
    const { before, after, isLatest } = record.value as AnyChange
    const key = (): unknown => record.key
    this.emit(
      record,
      before === undefined ? undefined : this.#derive(before, key),
      after === undefined ? undefined : this.#derive(after, key),
      record.timestamp,
      isLatest,
    )
  }
}

/** What becomes of the changes of one side of a join. */
export class JoinSideOperator extends TableOperator {
  readonly #view: TableView
  readonly #combine: Combine
  #other!: TableReader

  /** @param other the other side @param combine of this side and the other one */
  constructor(other: TableView, combine: Combine, emission: Emission) {
    super(emission)
    this.#view = other
    this.#combine = combine
  }

  override init(context: ProcessorContext): void {
    super.init(context)
    this.#other = this.#view.read(context)
  }

  process(record: AnyRecord): void {
    const { before, after, isLatest } = record.value as AnyChange
    if (!isLatest) return
    const other = this.#other.getOf(record)
    this.emit(
      record,
      this.#combine(before, other?.value),
      this.#combine(after, other?.value),
      other === undefined ? record.timestamp : Math.max(record.timestamp, other.timestamp),
    )
  }
}

/** New values of a table as records; a row that is taken out is a null. */
export class ToStreamOperator extends Operator {
  readonly keepsNoRecord = true
  process(record: AnyRecord): void {
    const { after } = record.value as AnyChange
    this.context.forwardValue(record, after ?? null)
  }
}

/** A row under another key; undefined: it belongs to no group. */
export type Regroup = (value: unknown, key: unknown) => { readonly key: unknown; readonly value: unknown }

/**
 * Sends the changes of a table to the groups of its rows. A row that changes its group leaves the old one first; within
 * one group both sides travel as one change, so that no aggregate is seen without either.
 */
export class RegroupOperator extends Operator {
  readonly #regroup: Regroup
  readonly #key: Serde<unknown>

  constructor(regroup: Regroup, key: Serde<unknown>) {
    super()
    this.#regroup = regroup
    this.#key = key
  }

  process(record: AnyRecord): void {
    const { before, after, isLatest } = record.value as AnyChange
    if (!isLatest) return
    const left = this.#row(record, before)
    const entered = this.#row(record, after)
    if (left !== undefined && entered !== undefined && sameBytes(this.#key, left.key, entered.key)) {
      this.context.forward(record.withKeyAndValue(entered.key, new Change(left.value, entered.value)))
      return
    }
    if (left !== undefined)
      this.context.forward(record.withKeyAndValue(left.key, new Change(left.value, undefined)))
    if (entered !== undefined)
      this.context.forward(record.withKeyAndValue(entered.key, new Change(undefined, entered.value)))
  }

  #row(record: AnyRecord, value: unknown): ReturnType<Regroup> | undefined {
    if (value === undefined) return undefined
    const row = this.#regroup(value, record.key)
    const isRow = row.key !== null && row.key !== undefined && row.value !== null && row.value !== undefined
    return isRow ? row : undefined
  }
}

/**
 * Shared by the aggregations of streams: one store, and the records that count. Records without a key or a value are left
 * out, as in Kafka Streams: the one belongs to no group, the other adds nothing. An aggregate is as late as its latest record.
 */
export class StreamAggregation extends KeptTable {
  readonly keepsNoRecord = true
  readonly #next: (record: AnyRecord, present: unknown) => unknown

  /** @param next the next value of the record's key, given the present one (undefined: none) */
  constructor(
    definition: StoreDefinition,
    emission: Emission,
    next: (record: AnyRecord, present: unknown) => unknown,
  ) {
    super(definition, emission)
    this.#next = next
  }

  process(record: AnyRecord): void {
    if (record.keyIsNull || record.valueIsNull) return
    const old = this.store.getOf(record)
    const next = this.#next(record, old?.value)
    const { timestamp } = record
    this.keep(
      record,
      old,
      next ?? null,
      old !== undefined && old.timestamp > timestamp ? old.timestamp : timestamp,
    )
  }
}

/** How the rows of a group become its aggregate. `aggregate` undefined: there is none yet. */
export interface TableFold {
  add(record: AnyRecord, aggregate: unknown): unknown
  subtract(record: AnyRecord, aggregate: unknown): unknown
}

/** The aggregations of tables: what a row gave is taken out before what it gives now comes in. */
export class TableAggregation extends KeptTable {
  readonly #fold: TableFold

  constructor(definition: StoreDefinition, emission: Emission, fold: TableFold) {
    super(definition, emission)
    this.#fold = fold
  }

  process(record: AnyRecord): void {
    if (record.keyIsNull) return
    const { before, after } = record.value as AnyChange
    const old = this.store.getOf(record)
    let aggregate = old?.value
    if (before !== undefined && aggregate !== undefined)
      aggregate = this.#fold.subtract(record.withValue(before), aggregate) ?? undefined
    if (after !== undefined) aggregate = this.#fold.add(record.withValue(after), aggregate) ?? undefined
    this.keep(record, old, aggregate, Math.max(record.timestamp, old?.timestamp ?? record.timestamp))
  }
}

/**
 * Joins each record of a stream with the row of its key as it is now. Without a row: left out, or joined with undefined
 * (`outer`). A record without a value is left out, and so is one without a key, which only an outer join keeps (KIP-962).
 */
export class StreamTableJoinOperator extends Operator {
  readonly #view: TableView
  readonly #join: (value: unknown, row: unknown, record: AnyRecord) => unknown
  readonly #outer: boolean
  #table!: TableReader

  constructor(
    view: TableView,
    join: (value: unknown, row: unknown, record: AnyRecord) => unknown,
    outer: boolean,
  ) {
    super()
    this.#view = view
    this.#join = join
    this.#outer = outer
  }

  override init(context: ProcessorContext): void {
    super.init(context)
    this.#table = this.#view.read(context, true)
  }

  process(record: AnyRecord): void {
    if (record.valueIsNull || (record.keyIsNull && !this.#outer)) return
    const row = record.keyIsNull ? undefined : this.#table.getOf(record)
    if (row === undefined && !this.#outer) return
    this.context.forwardValue(record, this.#join(record.value, row?.value, record))
  }
}
