// Asynchronous processors: what a user writes for `mapValuesAsync` and `processAsync`, and the machine of their call. A call
// gets a record and nothing else of the task: no store, no output. What follows from its answer is done by ordinary
// processors, in the record's own turn. When calls are made and whose turn it is decides the task (task/async-turns.ts).
import { types } from 'node:util'
import type { AsyncWork, ProcessorInstance } from './contracts.ts'
import type { GraphBuilder, Upstream } from './graph-builder.ts'
import { type AnyRecord, Operator } from './operators.ts'
import type {
  AnyProcessorSpec,
  OutputsDeclared,
  ProcessContext,
  ProcessorDeclaration,
  StoresDeclared,
} from './processor.ts'
import type { StreamRecord } from './stream-record.ts'

/** How calls are made. */
export interface AsyncOptions {
  /** Calls of one task that are open at once, at most. Default: 20. */
  readonly inFlightMax?: number
  /** A call without an answer after so long is aborted and has failed, ms. Default: 30,000. */
  readonly timeoutMs?: number
}

/** As `AsyncOptions`, of an operator that may have a name. */
export interface NamedAsyncOptions extends AsyncOptions {
  /** Name of the node, unique in the topology. Default: by position. */
  readonly name?: string
}

/** An asynchronous processor: a call per record, and what is done with its answer. */
export interface AsyncProcessorSpec<K, V, R, S, O> extends ProcessorDeclaration<S, O>, AsyncOptions {
  /**
   * Called with each record; several are open at once, those of one key one after the other. `signal` is aborted when nobody
   * waits for the answer any more: after timeoutMs, when the task moves to another worker, at close, and when the
   * transaction is aborted. A record that is not committed when its worker dies is called for again.
   */
  call: (record: StreamRecord<K, V>, signal: AbortSignal) => Promise<R> | R
  init?: (context: ProcessContext<S, O>) => void
  /** What follows from the answer: synchronous, in the order of the records, with stores and outputs as any processor. */
  process: (answer: R, record: StreamRecord<K, V>, context: ProcessContext<S, O>) => void
  close?: () => void
}

/** The spec whose types are put aside. */
export type AnyAsyncSpec = AsyncProcessorSpec<never, never, never, StoresDeclared, OutputsDeclared>

const inFlightByDefault = 20
const timeoutByDefaultMs = 30_000

/** Calls something for each record, and forwards what is made of the answer. */
class CallOperator extends Operator {
  readonly #work: AsyncWork

  constructor(
    options: AsyncOptions,
    call: AsyncWork['call'],
    answered: (record: AnyRecord, answer: unknown) => AnyRecord,
  ) {
    super()
    const { inFlightMax = inFlightByDefault, timeoutMs = timeoutByDefaultMs } = options
    this.#work = {
      inFlightMax,
      timeoutMs,
      call,
      answered: (record, answer) => this.context.forward(answered(record, answer)),
    }
  }

  process(record: AnyRecord): void {
    this.context.awaitCall(this.#work, record)
  }
}

const callProblem = (given: unknown, place: string): string | undefined =>
  typeof given === 'function' ? undefined : `${place} is not a function`

const wholeProblem = (given: unknown, option: string, place: string): string | undefined =>
  given === undefined || (Number.isSafeInteger(given) && (given as number) >= 1)
    ? undefined
    : `${option} of ${place} is ${String(given)}, but takes a whole number from 1`

export interface AddedCall {
  readonly operator: string
  readonly name: string | undefined
  readonly options: AsyncOptions
  /** What is called, and what it is called in messages. */
  readonly call: unknown
  readonly place: string
  /** What is forwarded. */
  readonly answered: (record: AnyRecord, answer: unknown) => AnyRecord
}

/** Adds the node of a call. */
const addCall = (builder: GraphBuilder, upstream: Upstream, added: AddedCall): Upstream => {
  const { operator, name, options, call, place, answered } = added
  builder.problem(callProblem(call, place))
  builder.problem(wholeProblem(options.inFlightMax, 'inFlightMax', place))
  builder.problem(wholeProblem(options.timeoutMs, 'timeoutMs', place))
  if (name === '') builder.problem(`a processor after ${upstream.node.name} has an empty name`)
  const node = builder.addProcessor([upstream], {
    name,
    operator,
    stores: [],
    outputs: undefined,
    mustLead: true,
    asynchronous: true,
    create: (): ProcessorInstance => new CallOperator(options, call as AsyncWork['call'], answered),
  })
  return { node, output: '' }
}

/** The node of `mapValuesAsync`. */
export const addMapValuesAsync = (
  builder: GraphBuilder,
  upstream: Upstream,
  map: unknown,
  options: NamedAsyncOptions = {},
): Upstream => {
  const call = map as (value: unknown, record: AnyRecord, signal: AbortSignal) => unknown
  return addCall(builder, upstream, {
    operator: 'mapValuesAsync',
    name: options.name,
    options,
    call:
      typeof map === 'function'
        ? (record: AnyRecord, signal: AbortSignal) => call(record.value, record, signal)
        : map,
    place: `mapValuesAsync after ${upstream.node.name}`,
    answered: (record, answer) => record.withValue(answer),
  })
}

/** An answer on its way from the call to the processor of it. */
class Answer {
  readonly record: AnyRecord
  readonly answer: unknown

  constructor(record: AnyRecord, answer: unknown) {
    this.record = record
    this.answer = answer
  }
}

/**
 * The two nodes of `processAsync`: the call, which has no stores, and the processor of the answers.
 * @returns behind the first, and the spec of the second
 */
export const addProcessAsync = (
  builder: GraphBuilder,
  upstream: Upstream,
  given: AnyAsyncSpec,
): { readonly upstream: Upstream; readonly spec: AnyProcessorSpec } => {
  const spec = given as unknown as AsyncProcessorSpec<
    unknown,
    unknown,
    unknown,
    StoresDeclared,
    OutputsDeclared
  >
  const { name, stores, outputs, call, init, process, close } = spec
  const place = name === undefined ? 'processAsync' : `processor ${name}`
  const answers = addCall(builder, upstream, {
    operator: 'callAsync',
    name: name && `${name}-call`,
    options: spec,
    call,
    place: `call of ${place} after ${upstream.node.name}`,
    answered: (record, answer) => record.withValue(new Answer(record, answer)),
  })
  const processor = {
    ...(name !== undefined && { name }),
    ...(stores !== undefined && { stores }),
    ...(outputs !== undefined && { outputs }),
    ...(init !== undefined && { init }),
    ...(close !== undefined && { close }),
    process:
      typeof process === 'function' && !types.isAsyncFunction(process)
        ? (
            { value }: StreamRecord<unknown, Answer>,
            context: ProcessContext<StoresDeclared, OutputsDeclared>,
          ) => process(value.answer, value.record, context)
        : process,
  }
  return { upstream: answers, spec: processor as unknown as AnyProcessorSpec }
}
