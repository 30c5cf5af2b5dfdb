// Joins of streams with global tables: the key is worked out from the record, and the row of it is at hand in every task.
import type { ProcessorContext, StoreDefinition } from './contracts.ts'
import type { GlobalTable } from './global-table.ts'
import type { GraphBuilder, Upstream } from './graph-builder.ts'
import { type AnyRecord, Operator } from './operators.ts'
import { functionProblem } from './synchronous.ts'
import type { TableReader } from './table-operators.ts'

/**
 * Joins each record with the row that it names, as it is now. Without a row: left out, or joined with undefined (`outer`).
 * A record without a value is left out. One that names no key has no row; its own key may be null (KIP-962).
 */
class GlobalJoinOperator extends Operator {
  readonly #store: string
  readonly #key: (record: AnyRecord) => unknown
  readonly #join: (value: unknown, row: unknown, record: AnyRecord) => unknown
  readonly #outer: boolean
  #table!: TableReader

  constructor(
    { name }: StoreDefinition,
    key: (record: AnyRecord) => unknown,
    join: (value: unknown, row: unknown, record: AnyRecord) => unknown,
    outer: boolean,
  ) {
    super()
    this.#store = name
    this.#key = key
    this.#join = join
    this.#outer = outer
  }

  override init(context: ProcessorContext): void {
    super.init(context)
    this.#table = context.tableStore(this.#store)
  }

  process(record: AnyRecord): void {
    if (record.valueIsNull) return
    const key = this.#key(record)
    const row = key === null || key === undefined ? undefined : this.#table.get(key)
    if (row === undefined && !this.#outer) return
    this.context.forwardValue(record, this.#join(record.value, row?.value, record))
  }
}

/** @returns where the joined records come from */
export const addGlobalJoin = (
  builder: GraphBuilder,
  upstream: Upstream,
  operator: 'joinGlobal' | 'leftJoinGlobal',
  { store, owner }: GlobalTable<never, never>,
  key: unknown,
  joiner: unknown,
): Upstream => {
  const before = upstream.node.name
  builder.problem(functionProblem(key, `the key of ${operator} after ${before}`))
  builder.problem(functionProblem(joiner, `${operator} after ${before}`))
  if (owner !== builder.globals) builder.problem('a global table of another topology is joined')
  const node = builder.addProcessor([upstream], {
    name: undefined,
    operator,
    stores: [store],
    outputs: undefined,
    mustLead: true,
    create: () => new GlobalJoinOperator(store, key as never, joiner as never, operator === 'leftJoinGlobal'),
  })
  return { node, output: '' }
}
