// Processors that keep the key: `processValues`. They answer values, so that what follows them is still in the partition
// of its key and needs no repartition.
import type { RecordHeader } from '../record/record-cursor.ts'
import { MillstreamError } from '../errors.ts'
import type { ProcessorContext } from './contracts.ts'
import type { ValueOutputType } from './handles.ts'
import type { AnyRecord } from './operators.ts'
import {
  type ProcessContext,
  type ProcessorDeclaration,
  type StoresDeclared,
  UserProcessor,
} from './processor.ts'
import type { StreamRecord } from './stream-record.ts'

/** The outputs of a processor of values: none, one, or several by name. */
export type ValueOutputsDeclared =
  | undefined
  | ValueOutputType<unknown>
  | Readonly<Record<string, ValueOutputType<unknown>>>

/** What a forwarded value does not take from the record in hand. */
export interface ForwardedValue {
  /** Milliseconds since the epoch. */
  readonly timestamp?: number
  readonly headers?: readonly RecordHeader[]
}

type ValueOf<O> = O extends ValueOutputType<infer V> ? V : never

/** Sends a value on under the key of the record in hand: `forward(value)`, or `forward('name', value)` with several outputs. */
export type ForwardValue<O> = O extends undefined
  ? never
  : O extends ValueOutputType<unknown>
    ? (value: ValueOf<O>, changed?: ForwardedValue) => void
    : <N extends keyof O & string>(output: N, value: ValueOf<O[N]>, changed?: ForwardedValue) => void

/** What a processor of values can reach. */
export interface ValueContext<S, O> extends Omit<ProcessContext<S, undefined>, 'forward' | 'timers'> {
  /** @throws CONTEXT_EXPIRED where no record is in hand, and so no key: also inside a punctuator. */
  readonly forward: ForwardValue<O>
}

/** A processor of one task that keeps the keys. Synchronous, as `Processor`. */
export interface ValueProcessor<K, V, S = unknown, O = undefined> {
  init?: (context: ValueContext<S, O>) => void
  process: (record: StreamRecord<K, V>, context: ValueContext<S, O>) => void
  close?: () => void
}

/** The functions stand in the declaration. */
export interface InlineValueProcessor<K, V, S, O>
  extends ProcessorDeclaration<S, O>,
    ValueProcessor<K, V, S, O> {
  readonly create?: never
}

/** With an object per task, for instance of a class. */
export interface CreatedValueProcessor<K, V, S, O> extends ProcessorDeclaration<S, O> {
  readonly create: () => ValueProcessor<K, V, S, O>
  readonly init?: never
  readonly process?: never
  readonly close?: never
}

export type ValueProcessorSpec<K, V, S, O> =
  | InlineValueProcessor<K, V, S, O>
  | CreatedValueProcessor<K, V, S, O>

/** Declares a processor of values apart from the stream that uses it, as `processor` does. */
export const valueProcessor = <
  K,
  V,
  const S extends StoresDeclared = Readonly<Record<never, never>>,
  O extends ValueOutputsDeclared = undefined,
>(
  spec: ValueProcessorSpec<K, V, S, O>,
): ValueProcessorSpec<K, V, S, O> => spec

/** Runs a processor of values inside a task. */
export class UserValueProcessor extends UserProcessor {
  #inHand: AnyRecord | undefined

  override process(record: AnyRecord): void {
    this.#inHand = record
    try {
      super.process(record)
    } finally {
      this.#inHand = undefined
    }
  }

  protected override forwarding(context: ProcessorContext, named: boolean): (...given: unknown[]) => void {
    return named
      ? (output, value, changed) =>
          context.forward(this.#next(value, changed as ForwardedValue | undefined), output as string)
      : (value, changed) => context.forward(this.#next(value, changed as ForwardedValue | undefined))
  }

  #next(value: unknown, changed: ForwardedValue | undefined): AnyRecord {
    const record = this.#inHand
    if (record === undefined) {
      throw new MillstreamError('CONTEXT_EXPIRED', {
        what: 'forward of processValues was called when no record was in hand, so that there is no key',
        fix: 'Forward inside process, before it returns; a punctuator that forwards belongs into process(), which gives keys.',
      })
    }
    const next = record.withValueAt(value, changed?.timestamp ?? record.timestamp)
    return changed?.headers === undefined ? next : next.withHeaders(changed.headers)
  }
}
