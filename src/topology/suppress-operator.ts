// The machine of a suppressed table: it holds changes back until they are due, and tells each key once then. What is due
// is told in portions between records, in the order of time and key.
import type { Windowed } from '../serde/windowed.ts'
import type { Timestamped } from '../state/timestamped.ts'
import { MillstreamError } from '../errors.ts'
import { Change } from './change.ts'
import type { PortionedWork, ProcessorContext, StoreDefinition } from './contracts.ts'
import { firstDue, HeldChanges, type HeldChange, type HeldLimits, isOver } from './held-changes.ts'
import type { AnyRecord } from './operators.ts'
import { StreamRecord } from './stream-record.ts'
import { type Emission, TableOperator, type TableView } from './table-operators.ts'

/** How long changes are held, and how many. */
export interface Holding extends HeldLimits {
  /** Until the window of the key has closed; else from the first change of a key on. */
  readonly untilClose: boolean
  /** From the end of the window, or from the first change, in stream time. */
  readonly waitMs: number
  readonly whenFull: 'emit' | 'stop'
}

const noTimestamp = -1
const noLimits: HeldLimits = Object.freeze({ recordsMax: Infinity, bytesMax: Infinity })

/** A table as its changes were told: of a key that is held, what was there before. Its time then is not known. */
export const suppressedView = (
  parent: TableView,
  definition: StoreDefinition,
  { untilClose }: Holding,
): TableView => ({
  ...parent,
  stores: [definition, ...parent.stores],
  read(context, latest) {
    const reader = parent.read(context, latest)
    const held = new HeldChanges(context, definition, !untilClose)
    const told = (
      key: () => unknown,
      bytes: string,
      present: () => Timestamped<unknown> | undefined,
    ): Timestamped<unknown> | undefined => {
      const found = held.find(bytes, untilClose ? (key() as Windowed<unknown>).end : 0)
      if (found === undefined) return present()
      const { before } = found.change
      return before === undefined ? undefined : { value: before, timestamp: noTimestamp }
    }
    return {
      get: (key) =>
        told(
          () => key,
          held.keyBytes(key),
          () => reader.get(key),
        ),
      getOf: (record) =>
        told(
          () => record.key,
          held.keyOf(record),
          () => reader.getOf(record),
        ),
    }
  },
})

export class SuppressOperator extends TableOperator implements PortionedWork {
  readonly #definition: StoreDefinition
  readonly #holding: Holding
  #held!: HeldChanges
  #wake!: () => void

  constructor(definition: StoreDefinition, emission: Emission, holding: Holding) {
    super(emission)
    this.#definition = definition
    this.#holding = holding
  }

  override init(context: ProcessorContext): void {
    super.init(context)
    this.#held = new HeldChanges(context, this.#definition, !this.#holding.untilClose)
    this.#wake = context.inPortions(this)
  }

  process(record: AnyRecord): void {
    const { timestamp, headers } = record
    const given = record.value as Change<unknown>
    // What is null is absent: the serde of the values need not have bytes for it.
    const change = new Change<unknown>(given.before ?? undefined, given.after ?? undefined)
    const held = this.#held
    const { untilClose, waitMs } = this.#holding
    const time = untilClose ? (record.key as Windowed<unknown>).end : timestamp
    const key = held.keyOf(record)
    const before = held.advance(timestamp)
    const last = before.time - waitMs
    // Too late to wait, and nobody is before it: it is not put among what was removed, which the next walk would pass.
    if (time <= last && firstDue(before) > last && held.find(key, time) === undefined) {
      this.#tell(record.key, { change, timestamp, headers })
      return
    }
    const progress = held.hold(key, time, { change, timestamp, headers })
    if (firstDue(progress) <= last || isOver(progress, this.#holding)) this.#wake()
  }

  portion(entriesMax: number, drop: boolean): boolean {
    const held = this.#held
    const { whenFull, waitMs } = this.#holding
    const walk = held.due(
      held.progress.time - waitMs,
      whenFull === 'emit' ? this.#holding : noLimits,
      entriesMax,
    )
    const { entries } = walk
    for (const entry of entries) {
      held.release(entry)
      if (!drop) this.#tell(held.keyFrom(entry.key), entry)
    }
    if (entries.length > 0) held.settle(walk)
    if (entries.length === entriesMax) return true
    if (whenFull === 'stop') this.#refuseMore()
    return false
  }

  #tell(key: unknown, { change: { before, after }, timestamp, headers }: HeldChange): void {
    // A window that is gone when it closes was never told.
    if (after === undefined && this.#holding.untilClose) return
    this.context.forward(StreamRecord.of({ key, value: this.changeOf(before, after), timestamp, headers }))
  }

  #refuseMore(): void {
    const { progress } = this.#held
    if (!isOver(progress, this.#holding)) return
    const { recordsMax, bytesMax } = this.#holding
    throw new MillstreamError('SUPPRESS_FULL', {
      what: `a suppressed table holds ${progress.changes} changes of ${progress.bytes} bytes back`,
      where: { store: this.#definition.name, recordsMax, bytesMax },
      fix: "Raise recordsMax or bytesMax, or take whenFull: 'emit' where results need not be final.",
    })
  }
}
