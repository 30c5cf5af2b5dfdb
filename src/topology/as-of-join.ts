// Streams joined with tables as they were: each record with the version of its row that was valid at the time of the record
// (KIP-914). With a grace the record waits first, so that versions which come late are seen (KIP-923).
import type { Timestamped } from '../state/timestamped.ts'
import type { WaitingRecords } from '../state/waiting-records.ts'
import type { PortionedWork, ProcessorContext, ProcessorInstance, StoreDefinition } from './contracts.ts'
import type { DraftNode, GraphBuilder, Upstream } from './graph-builder.ts'
import type { StoreHandle } from './handles.ts'
import { type AnyRecord, Operator } from './operators.ts'
import { StreamRecord } from './stream-record.ts'
import { StreamTableJoinOperator, type TableReader, type TableView } from './table-operators.ts'

/** How long the records of a stream wait before they are joined with a versioned table, and where. */
export interface AsOfOptions<K, V> {
  /** A record is joined when a record has come that is later by this, ms. Not more than the history of the table. */
  readonly graceMs: number
  /** Where the records wait: a store of their keys and values, which nobody else uses. */
  readonly store: StoreHandle<unknown, V, K, V>
}

type Join = (value: unknown, row: unknown, record: AnyRecord) => unknown

/** Such options with their types put aside. */
export interface AnyAsOfOptions {
  readonly graceMs: number
  readonly store: object
}

/** What a join of a stream with a table is made of. */
export interface StreamTableJoin {
  readonly view: TableView
  readonly join: Join
  /** Without a row: joined with undefined. */
  readonly outer: boolean
}

class AsOfJoinOperator extends Operator {
  readonly #join: StreamTableJoin
  #table!: TableReader

  constructor(join: StreamTableJoin) {
    super()
    this.#join = join
  }

  override init(context: ProcessorContext): void {
    super.init(context)
    this.#table = this.#join.view.read(context)
  }

  process(record: AnyRecord): void {
    const { outer } = this.#join
    if (record.valueIsNull || (record.keyIsNull && !outer)) return
    this.joinNow(record)
  }

  protected joinNow(record: AnyRecord): void {
    const { join, outer } = this.#join
    const row: Timestamped<unknown> | undefined = record.keyIsNull
      ? undefined
      : this.#table.asOf?.(record.key, record.timestamp)
    if (row === undefined && !outer) return
    this.context.forward(record.withValue(join(record.value, row?.value, record)))
  }
}

/** A record that is too late to wait is joined at once, as in Kafka Streams: nothing is lost. */
class WaitingJoinOperator extends AsOfJoinOperator implements PortionedWork {
  readonly #store: string
  readonly #graceMs: number
  #waiting!: WaitingRecords
  #wake!: () => void
  /** No record with a lower timestamp waits. */
  #first = Number.NEGATIVE_INFINITY

  constructor(join: StreamTableJoin, store: string, graceMs: number) {
    super(join)
    this.#store = store
    this.#graceMs = graceMs
  }

  override init(context: ProcessorContext): void {
    super.init(context)
    this.#waiting = context.tableStore(this.#store) as unknown as WaitingRecords
    this.#wake = context.inPortions(this)
  }

  override process(record: AnyRecord): void {
    if (record.valueIsNull || record.keyIsNull) return super.process(record)
    const { timestamp } = record
    if (timestamp < this.#waiting.time - this.#graceMs) return this.joinNow(record)
    this.#waiting.add(record)
    if (timestamp < this.#first) this.#first = timestamp
    if (this.#first <= this.#waiting.time - this.#graceMs) this.#wake()
  }

  portion(entriesMax: number, drop: boolean): boolean {
    const due = this.#waiting.take(this.#waiting.time - this.#graceMs, entriesMax)
    if (!drop) for (const record of due) this.joinNow(StreamRecord.of(record))
    const more = due.length === entriesMax
    this.#first = more ? Number.NEGATIVE_INFINITY : this.#waiting.first
    return more
  }
}

/** What is wrong with a join as of a time, or undefined. @param place names the join */
const problemOf = (
  place: string,
  { history }: TableView,
  { graceMs }: AnyAsOfOptions,
): string | undefined => {
  if (history === undefined)
    return `${place}: graceMs is for tables in a versioned store, since without versions there is nothing to wait for`
  if (!Number.isSafeInteger(graceMs) || graceMs < 0)
    return `${place}: graceMs is ${graceMs}, but takes a whole number from 0`
  return graceMs <= history.historyMs
    ? undefined
    : `${place}: graceMs is ${graceMs}, but the table knows its last ${history.historyMs} ms only: what a record waits for would be gone`
}

/** Adds the join of a stream with a table: as it is, or as it was at the time of the record. */
export const addStreamTableJoin = (
  builder: GraphBuilder,
  upstream: Upstream,
  operator: string,
  made: StreamTableJoin,
  options: AnyAsOfOptions | undefined,
): DraftNode => {
  const { view, join, outer } = made
  const parts = { name: undefined, operator, outputs: undefined, mustLead: true }
  if (options === undefined) {
    const create = (): ProcessorInstance =>
      view.history === undefined ? new StreamTableJoinOperator(view, join, outer) : new AsOfJoinOperator(made)
    return builder.addProcessor([upstream], { ...parts, stores: view.stores, create })
  }
  const store = options.store as StoreDefinition
  const node = builder.addProcessor([upstream], {
    ...parts,
    stores: [...view.stores, store],
    create: () => new WaitingJoinOperator(made, store.name, options.graceMs),
  })
  builder.problem(problemOf(`the ${operator} after ${upstream.node.name}`, view, options))
  builder.keepWaiting(store.name, node.name)
  return node
}
