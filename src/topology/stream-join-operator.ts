// The machine of one side of a join of streams. Both sides work on one store; what waited in vain is told by whichever is
// woken.
import type { JoinRecord, JoinTable } from '../state/join-table.ts'
import { leftSide, rightSide, type Side } from '../state/join-entries.ts'
import type { PortionedWork, ProcessorContext, StoreDefinition } from './contracts.ts'
import type { LateEmission } from './late.ts'
import { type AnyRecord, lateOutput, Operator } from './operators.ts'
import { StreamRecord } from './stream-record.ts'

/** Of a left and a right value, either of which may be absent, and their key. */
export type StreamJoiner = (left: unknown, right: unknown, key: unknown) => unknown

/**
 * Joins each record with those of the other side that have its key, within the windows. Records without a value are left
 * out, and so are those without a key, which only an outer side tells (alone, KIP-962); both move time on.
 */
export class StreamJoinOperator extends Operator implements PortionedWork {
  readonly #side: Side
  readonly #definition: StoreDefinition
  readonly #join: StreamJoiner
  readonly #emission: LateEmission
  #table!: JoinTable
  #wake!: () => void

  constructor(side: Side, definition: StoreDefinition, join: StreamJoiner, emission: LateEmission) {
    super()
    this.#side = side
    this.#definition = definition
    this.#join = join
    this.#emission = emission
  }

  override init(context: ProcessorContext): void {
    super.init(context)
    this.#table = context.windowTable(this.#definition.name) as JoinTable
    this.#wake = context.inPortions(this)
  }

  process(record: AnyRecord): void {
    const table = this.#table
    const { timestamp } = record
    const side = this.#side
    const isOuter = table.shape.outer[side]
    const hasValue = !this.#isNull(record)
    const joinable = hasValue && !record.keyIsNull
    const time = table.advance(timestamp, joinable)
    if (joinable) {
      const closes = timestamp + table.reachMs(side) + table.shape.graceMs
      if (closes < time) this.#late(record)
      const key = table.keyOf(record)
      const isMet = this.#meet(record, key)
      table.keep(side, key, timestamp, record.value, isOuter && !isMet)
    } else if (hasValue && isOuter) {
      this.context.forward(record.withValue(this.#call(side, record.value, undefined, record.key)))
    }
    if (table.hasWork) this.#wake()
  }

  portion(entriesMax: number, drop: boolean): boolean {
    const table = this.#table
    const closed = table.takeClosed(entriesMax)
    if (!drop) for (const record of closed) this.context.forward(this.#alone(record))
    return closed.length === entriesMax || table.expire(entriesMax)
  }

  /** Joins the record with those that are there. @returns whether there was one */
  #meet(record: AnyRecord, key: string): boolean {
    const table = this.#table
    const side = this.#side
    const other = side === leftSide ? rightSide : leftSide
    const { timestamp } = record
    const from = timestamp - table.reachMs(other)
    const found = table.find(other, key, from, timestamp + table.reachMs(side))
    for (const partner of found) {
      if (table.shape.outer[other]) table.meet(partner)
      const result = this.#call(side, record.value, partner.value, record.key)
      this.context.forward(record.withValueAt(result, Math.max(timestamp, partner.timestamp)))
    }
    return found.length > 0
  }

  /** The record may have missed others. */
  #late(record: AnyRecord): void {
    this.context.countLate()
    if (this.#emission.late) this.context.forward(record, lateOutput)
  }

  #alone({ side, key, timestamp, value }: JoinRecord): AnyRecord {
    const plain = this.#table.keyFrom(key)
    return StreamRecord.of({ key: plain, value: this.#call(side, value, undefined, plain), timestamp })
  }

  #call(side: Side, own: unknown, other: unknown, key: unknown): unknown {
    return side === leftSide ? this.#join(own, other, key) : this.#join(other, own, key)
  }

  #isNull(record: AnyRecord): boolean {
    return record.valueIsNull || this.#definition.sides?.[this.#side].encodesNull?.(record.value) === true
  }
}
