// The machines of the DSL: one small class per operator, made once per node and task. Nothing is allocated per record
// beyond the records themselves.
import type { RecordHeader } from '../record/record-cursor.ts'
import type { ProcessorContext, ProcessorInstance } from './contracts.ts'
import { StreamRecord } from './stream-record.ts'
import { refusePromise } from './synchronous.ts'

export type AnyRecord = StreamRecord<unknown, unknown>

/** What `map` and `flatMap` answer: a key and a value, or a whole record. What is absent is taken from the record in hand. */
export interface Mapped<K, V> {
  readonly key: K
  readonly value: V
  /** Milliseconds since the epoch. */
  readonly timestamp?: number
  readonly headers?: readonly RecordHeader[]
}

/** The record in hand with what the user's function answered for it. */
const changed = (record: AnyRecord, mapped: Mapped<unknown, unknown>): AnyRecord => {
  // A record of before, which its function kept, may have lost its bytes.
  if (mapped instanceof StreamRecord) return mapped.checked()
  let result = record.withKeyAndValue(mapped.key, mapped.value)
  if (mapped.timestamp !== undefined) result = result.withTimestamp(mapped.timestamp)
  if (mapped.headers !== undefined) result = result.withHeaders(mapped.headers)
  return result
}

/** Output of aggregations by windows and of joins: records that came when a window of theirs had closed. */
export const lateOutput = 'late'

/** Output of an aggregation by windows that is told on close: what was in its windows before. */
export const earlyOutput = 'early'

export abstract class Operator implements ProcessorInstance {
  protected context!: ProcessorContext

  init(context: ProcessorContext): void {
    this.context = context
  }

  abstract process(record: AnyRecord): void
}

export class FilterOperator extends Operator {
  readonly keepsNoRecord = true
  readonly #predicate: (record: AnyRecord) => boolean
  readonly #keep: boolean

  constructor(predicate: (record: AnyRecord) => boolean, keep: boolean) {
    super()
    this.#predicate = predicate
    this.#keep = keep
  }

  process(record: AnyRecord): void {
    if (Boolean(this.#predicate(record)) === this.#keep) this.context.forward(record)
  }
}

export class MapOperator extends Operator {
  readonly keepsNoRecord = true
  readonly #map: (record: AnyRecord) => Mapped<unknown, unknown>

  constructor(map: (record: AnyRecord) => Mapped<unknown, unknown>) {
    super()
    this.#map = map
  }

  process(record: AnyRecord): void {
    this.context.forward(changed(record, this.#map(record)))
  }
}

export class MapValuesOperator extends Operator {
  readonly keepsNoRecord = true
  readonly #map: (value: unknown, record: AnyRecord) => unknown

  constructor(map: (value: unknown, record: AnyRecord) => unknown) {
    super()
    this.#map = map
  }

  process(record: AnyRecord): void {
    this.context.forwardValue(record, this.#map(record.value, record))
  }
}

export class FlatMapOperator extends Operator {
  readonly keepsNoRecord = true
  readonly #map: (record: AnyRecord) => Iterable<Mapped<unknown, unknown>>

  constructor(map: (record: AnyRecord) => Iterable<Mapped<unknown, unknown>>) {
    super()
    this.#map = map
  }

  process(record: AnyRecord): void {
    for (const mapped of this.#map(record)) this.context.forward(changed(record, mapped))
  }
}

export class FlatMapValuesOperator extends Operator {
  readonly keepsNoRecord = true
  readonly #map: (value: unknown, record: AnyRecord) => Iterable<unknown>

  constructor(map: (value: unknown, record: AnyRecord) => Iterable<unknown>) {
    super()
    this.#map = map
  }

  process(record: AnyRecord): void {
    for (const value of this.#map(record.value, record)) this.context.forwardValue(record, value)
  }
}

export class SelectKeyOperator extends Operator {
  readonly keepsNoRecord = true
  readonly #select: (record: AnyRecord) => unknown

  constructor(select: (record: AnyRecord) => unknown) {
    super()
    this.#select = select
  }

  process(record: AnyRecord): void {
    this.context.forward(record.withKey(this.#select(record)))
  }
}

/** Chooses the key that is grouped by. A null key belongs to no group: its record ends here, as in Kafka Streams. */
export class GroupByOperator extends Operator {
  readonly keepsNoRecord = true
  readonly #select: (record: AnyRecord) => unknown

  constructor(select: (record: AnyRecord) => unknown) {
    super()
    this.#select = select
  }

  process(record: AnyRecord): void {
    const key = this.#select(record)
    if (key !== null) this.context.forward(record.withKey(key))
  }
}

/** Keeps records without a key from the repartition topic of a group, where they belong to no partition. */
export class DropNullKeysOperator extends Operator {
  readonly keepsNoRecord = true
  process(record: AnyRecord): void {
    if (!record.keyIsNull) this.context.forward(record)
  }
}

/** Its function is there for what it does with records, and may keep them: so does that of `foreach`. */
export class PeekOperator extends Operator {
  readonly #peek: (record: AnyRecord) => unknown

  constructor(peek: (record: AnyRecord) => unknown) {
    super()
    this.#peek = peek
  }

  process(record: AnyRecord): void {
    const result = this.#peek(record)
    if (result !== undefined) refusePromise(result)
    this.context.forward(record)
  }
}

export class ForeachOperator extends Operator {
  readonly #act: (record: AnyRecord) => unknown

  constructor(act: (record: AnyRecord) => unknown) {
    super()
    this.#act = act
  }

  process(record: AnyRecord): void {
    const result = this.#act(record)
    if (result !== undefined) refusePromise(result)
  }
}

/** Sends a record to the first branch whose predicate holds; where none does, it ends here. */
export class BranchOperator extends Operator {
  readonly keepsNoRecord = true
  readonly #names: readonly string[]
  readonly #predicates: readonly ((record: AnyRecord) => boolean)[]

  constructor(branches: Readonly<Record<string, (record: AnyRecord) => boolean>>) {
    super()
    this.#names = Object.keys(branches)
    this.#predicates = Object.values(branches)
  }

  process(record: AnyRecord): void {
    for (let index = 0; index < this.#predicates.length; index += 1) {
      if (this.#predicates[index]?.(record)) {
        this.context.forward(record, this.#names[index] as string)
        return
      }
    }
  }
}

/** Hands records on as they are: where streams meet, and where one named output has several children. */
export class PassOperator extends Operator {
  readonly keepsNoRecord = true
  process(record: AnyRecord): void {
    this.context.forward(record)
  }
}
