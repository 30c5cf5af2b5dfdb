// Tables in versioned stores: each record of the topic is a version of its row, also where it comes out of order.
import type { Put, VersionTable } from '../state/version-table.ts'
import type { ProcessorContext, StoreDefinition } from './contracts.ts'
import type { StoreHandle, VersionedStoreHandle } from './handles.ts'
import type { AnyRecord } from './operators.ts'
import { type Emission, RowsOperator, TableOperator, type TableView } from './table-operators.ts'

/** A store that can hold a table of `K` and `V` made of records: what is latest alone, or what was before, too. */
export type RowsStoreHandle<K, V> = StoreHandle<unknown, V, K, V> | VersionedStoreHandle<unknown, V, K, V>

const versionsOf = (context: ProcessorContext, store: string): VersionTable =>
  context.tableStore(store) as unknown as VersionTable

/** A table that is kept in a store. */
export const storeView = (store: StoreDefinition): TableView => {
  const { versions } = store
  return versions === undefined
    ? { stores: [store], read: (context) => context.tableStore(store.name) }
    : { stores: [store], history: versions, read: (context) => versionsOf(context, store.name) }
}

/**
 * Takes records as versions of rows. One that is older than the row as it is changes what the row was, and is told as such:
 * only streams and derived tables see it. One that is older than the history of the store is late.
 */
class VersionsOperator extends TableOperator {
  readonly #definition: StoreDefinition
  #table!: VersionTable

  constructor(definition: StoreDefinition, emission: Emission) {
    super(emission)
    this.#definition = definition
  }

  override init(context: ProcessorContext): void {
    super.init(context)
    this.#table = versionsOf(context, this.#definition.name)
  }

  process(record: AnyRecord): void {
    if (record.keyIsNull) return
    const old = this.#table.getOf(record)
    const isNull = record.valueIsNull || this.#definition.value.encodesNull?.(record.value) === true
    const after: unknown = isNull ? undefined : record.value
    const put = this.#put(record, after)
    if (put === 'refused') this.context.countLate()
    else this.emit(record, old?.value, after, record.timestamp, put === 'latest')
  }

  #put(record: AnyRecord, after: unknown): Put {
    const { timestamp } = record
    return after === undefined
      ? this.#table.deleteOf(record)
      : this.#table.putOf(record, { value: after, timestamp })
  }
}

/** What takes records as rows of a table in this store. */
export const rowsOperator = (definition: StoreDefinition, emission: Emission): TableOperator =>
  definition.versions === undefined
    ? new RowsOperator(definition, emission)
    : new VersionsOperator(definition, emission)
