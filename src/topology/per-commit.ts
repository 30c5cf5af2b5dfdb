// Tables that are told once per commit: of each key its last change, with what was there before the first one. What is
// held is in memory alone: it is of the open transaction, told before that is committed and forgotten when it is aborted.
import type { Windowed } from '../serde/windowed.ts'
import type { KeyedRecord } from '../state/contracts.ts'
import { StoreCodec } from '../state/store-codec.ts'
import type { Timestamped } from '../state/timestamped.ts'
import { timeKey } from '../state/window-entries.ts'
import type { Change } from './change.ts'
import type { ProcessorContext, StoreDefinition } from './contracts.ts'
import type { GraphBuilder, Upstream } from './graph-builder.ts'
import type { Held, HeldBack } from './held-back.ts'
import type { AnyRecord } from './operators.ts'
import { StreamRecord } from './stream-record.ts'
import { type Emission, sameBytes, TableOperator, type TableView } from './table-operators.ts'

/** When the changes of a table are told. */
export interface TableOptions {
  /**
   * on-update (default): each one. per-commit: of each key the last one, when the transaction commits; nothing where the
   * key is then what it was.
   */
  readonly emit?: 'on-update' | 'per-commit'
}

/** What names a key among those that are held. */
class HeldIds {
  readonly #codec: StoreCodec<unknown, unknown>
  readonly #windowed: boolean

  constructor({ name, key, value }: StoreDefinition, windowed: boolean) {
    const noLimit = Number.POSITIVE_INFINITY
    this.#codec = new StoreCodec(name, key, value, noLimit, noLimit)
    this.#windowed = windowed
  }

  of(key: unknown): string {
    if (!this.#windowed) return this.#codec.key(key)
    const { key: plain, start, end } = key as Windowed<unknown>
    // An end that is infinite is that of all windows of the table.
    return timeKey(start) + (Number.isFinite(end) ? timeKey(end) : '') + this.#codec.key(plain)
  }

  ofRecord(record: KeyedRecord<unknown>): string {
    return (this.#windowed ? undefined : this.#codec.rawKeyOf(record)) ?? this.of(record.key)
  }
}

class PerCommitOperator extends TableOperator {
  readonly #definition: StoreDefinition
  readonly #ids: HeldIds
  #held!: HeldBack

  constructor(definition: StoreDefinition, ids: HeldIds, emission: Emission) {
    super(emission)
    this.#definition = definition
    this.#ids = ids
  }

  override init(context: ProcessorContext): void {
    super.init(context)
    this.#held = context.heldBack(this.#definition.name)
    this.#held.toldBy((held) => this.#tell(held))
  }

  process(record: AnyRecord): void {
    const { before, after } = record.value as Change<unknown>
    const { key, timestamp, headers } = record
    this.#held.hold(this.#ids.ofRecord(record), { key, before, after, timestamp, headers })
  }

  #tell({ key, before, after, timestamp, headers }: Held): void {
    const isSame =
      before === undefined || after === undefined
        ? before === after
        : sameBytes(this.#definition.value, before, after)
    if (isSame) return
    this.context.forward(StreamRecord.of({ key, value: this.changeOf(before, after), timestamp, headers }))
  }
}

const noTimestamp = -1

/** A table as it was told. Its latest rows are seen by those who look up, and do not follow its changes. */
const toldView = (parent: TableView, store: string, ids: HeldIds): TableView => ({
  ...parent,
  read(context, latest) {
    const reader = parent.read(context, latest)
    if (latest === true) return reader
    const held = context.heldBack(store)
    type Entry = Timestamped<unknown> | undefined
    const told = (id: string, present: () => Entry): Entry => {
      const found = held.find(id)
      if (found === undefined) return present()
      return found.before === undefined ? undefined : { value: found.before, timestamp: noTimestamp }
    }
    return {
      get: (key) => told(ids.of(key), () => reader.get(key)),
      getOf: (record) => told(ids.ofRecord(record), () => reader.getOf(record)),
    }
  },
})

/** A table: its node, how it is read, and what it tells. */
export interface TablePart {
  readonly upstream: Upstream
  readonly view: TableView
  readonly emission: Emission
}

/** The table told as the options say. @param store where it is kept */
export const emitted = (
  builder: GraphBuilder,
  table: TablePart,
  store: { readonly name: string },
  emit: string | undefined,
  windowed = false,
): TablePart => {
  const known = windowed ? ['on-update', 'on-close', 'per-commit'] : ['on-update', 'per-commit']
  if (emit !== undefined && !known.includes(emit))
    builder.problem(`store ${store.name}: emit is ${String(emit)}, but takes ${known.join(', ')}`)
  if (emit !== 'per-commit') return table
  const definition = store as unknown as StoreDefinition
  if (definition.versions !== undefined)
    builder.problem(`store ${store.name}: emit is per-commit, but each version of a row is told`)
  const ids = new HeldIds(definition, windowed)
  const emission: Emission = { changes: false }
  table.emission.changes = true
  const node = builder.addProcessor([table.upstream], {
    name: `per-commit-${store.name}`,
    operator: 'perCommit',
    stores: [],
    outputs: undefined,
    mustLead: false,
    create: () => new PerCommitOperator(definition, ids, emission),
  })
  return { upstream: { node, output: '' }, view: toldView(table.view, store.name, ids), emission }
}
