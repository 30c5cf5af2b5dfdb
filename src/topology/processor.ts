// The Processor API: what a user writes as a processor, and the machine that runs it inside a task.
import type {
  KeyValueStore,
  KeyValueStoreWithHeaders,
  ReadOnlyKeyValueStore,
  ReadOnlyWindowStore,
  VersionedStore,
} from '../state/contracts.ts'
import type {
  Cancellable,
  ProcessorContext,
  ProcessorInstance,
  PunctuationType,
  Punctuator,
  RecordMetadata,
  ScheduleOptions,
} from './contracts.ts'
import type { GlobalStoreHandle } from './global-table.ts'
import type {
  HeadersStoreHandle,
  OutputType,
  StoreHandle,
  VersionedStoreHandle,
  WindowStoreHandle,
} from './handles.ts'
import type { ReadOnlyStoreHandle } from './read-only-store.ts'
import { StreamRecord } from './stream-record.ts'
import { refusePromise } from './synchronous.ts'
import type { AnyTimerStore, Timer, TimerOf, Timers, TimersOf } from './timers.ts'

/** Any store handle. */
export type AnyStore =
  | StoreHandle<unknown, unknown, never, never>
  | WindowStoreHandle<unknown, unknown, never, never>
  | GlobalStoreHandle<unknown, unknown, never, never>
  | ReadOnlyStoreHandle<unknown, unknown, never, never>
  | VersionedStoreHandle<unknown, unknown, never, never>

/** The stores a processor declares: a list (reached by their names), or an object (reached by its keys). */
export type StoresDeclared = readonly AnyStore[] | Readonly<Record<string, AnyStore>>

/** The outputs a processor declares: none, one, or several by name. */
export type OutputsDeclared =
  | undefined
  | OutputType<unknown, unknown>
  | Readonly<Record<string, OutputType<unknown, unknown>>>

/** What a processor gets for a handle. */
export type StoreOf<H> =
  H extends WindowStoreHandle<infer K, infer V, infer KW, infer _>
    ? ReadOnlyWindowStore<K, V, KW>
    : H extends GlobalStoreHandle<infer K, infer V, infer KW, infer _>
      ? ReadOnlyKeyValueStore<K, V, KW>
      : H extends ReadOnlyStoreHandle<infer K, infer V, infer KW, infer _>
        ? ReadOnlyKeyValueStore<K, V, KW>
        : H extends VersionedStoreHandle<infer K, infer V, infer KW, infer VW>
          ? VersionedStore<K, V, KW, VW>
          : H extends HeadersStoreHandle<infer K, infer V, infer KW, infer VW>
            ? KeyValueStoreWithHeaders<K, V, KW, VW>
            : H extends StoreHandle<infer K, infer V, infer KW, infer VW>
              ? KeyValueStore<K, V, KW, VW>
              : never

/** What a processor gets for the stores it declares. */
export type StoresOf<S> = S extends readonly AnyStore[]
  ? { readonly [H in S[number] as H['name']]: StoreOf<H> }
  : { readonly [A in keyof S]: StoreOf<S[A]> }

type RecordOf<O> = O extends OutputType<infer K, infer V> ? StreamRecord<K, V> : never

/** Sends a record on: `forward(record)` with one output, `forward('name', record)` with several, nothing without. */
export type Forward<O> = O extends undefined
  ? never
  : O extends OutputType<unknown, unknown>
    ? (record: RecordOf<O>) => void
    : <N extends keyof O & string>(output: N, record: RecordOf<O[N]>) => void

/** See ProcessContext. */
export type Schedule = (
  intervalMs: number,
  type: PunctuationType,
  punctuator: Punctuator,
  options?: ScheduleOptions,
) => Cancellable

/** What a processor can reach. There is one per processor and task, always the same; it may be destructured per record. */
export interface ProcessContext<S, O, T = undefined> {
  readonly applicationId: string
  /** `<subtopology>_<partition>` */
  readonly taskId: string
  readonly partition: number
  readonly stores: StoresOf<S>
  /** Undefined where the processor declares none. */
  readonly timers: TimersOf<T>
  /** @throws CONTEXT_EXPIRED after the record or punctuation that it was used for has ended. */
  readonly forward: Forward<O>
  /** Where the record in hand came from; undefined inside a punctuator. */
  readonly metadata: RecordMetadata | undefined
  /** Highest timestamp seen by this task, ms; -1 before its first record. Survives restarts. */
  readonly streamTime: number
  /** Wall-clock time, ms since the epoch. */
  readonly wallClockTime: number
  /**
   * Calls the punctuator every `intervalMs` of stream time or wall-clock time, between records. Ticks that were missed
   * collapse into one. Only inside init.
   * @throws TOPOLOGY_INVALID where the interval or the anchor is none
   */
  readonly schedule: Schedule
}

/** A processor of one task: an object of a class, or a literal. Synchronous: what it returns is not looked at. */
export interface Processor<K, V, S = unknown, O = undefined, T = undefined> {
  init?: (context: ProcessContext<S, O, T>) => void
  process: (record: StreamRecord<K, V>, context: ProcessContext<S, O, T>) => void
  /** A timer is due. Called between records; what it throws is judged as with a punctuator. */
  onTimer?: (timer: TimerOf<T>, context: ProcessContext<S, O, T>) => void
  close?: () => void
}

/** What a processor declares beside its functions. */
export interface ProcessorDeclaration<S, O> {
  /** Name of the node, unique in the topology. Default: `process-<n>` by position. */
  readonly name?: string
  /** The stores that it may use. */
  readonly stores?: S
  /** What it forwards: `output<K, V>()`, or several by name. Absent: it forwards nothing. */
  readonly outputs?: O
}

/** A processor without state of its own beside its stores: the functions stand in the declaration. */
export interface InlineProcessor<K, V, S, O, T = undefined>
  extends ProcessorDeclaration<S, O>,
    Processor<K, V, S, O, T> {
  /** The timers that it sets: then it has `onTimer`. */
  readonly timers?: T
  readonly create?: never
}

/** A processor with an object per task, for instance of a class. */
export interface CreatedProcessor<K, V, S, O, T = undefined> extends ProcessorDeclaration<S, O> {
  readonly timers?: T
  readonly create: () => Processor<K, V, S, O, T>
  readonly init?: never
  readonly process?: never
  readonly onTimer?: never
  readonly close?: never
}

export type ProcessorSpec<K, V, S, O, T = undefined> =
  | InlineProcessor<K, V, S, O, T>
  | CreatedProcessor<K, V, S, O, T>

/** A processor spec whose types are put aside: what the builder and the machine work with. */
export type AnyProcessorSpec = ProcessorSpec<never, never, never, never, never>

/**
 * Declares a processor apart from the stream that uses it. The type of its records stands at `record`:
 * `processor({ stores: { balances }, outputs: output<string, number>(), process(record: StreamRecord<string, number>, { stores, forward }) {…} })`
 */
export const processor = <
  K,
  V,
  const S extends StoresDeclared = Readonly<Record<never, never>>,
  O extends OutputsDeclared = undefined,
  T extends AnyTimerStore | undefined = undefined,
>(
  spec: ProcessorSpec<K, V, S, O, T>,
): ProcessorSpec<K, V, S, O, T> => spec

/** Whether the outputs are one output without a name. */
export const isSingleOutput = (outputs: object): boolean =>
  'output' in outputs && ['boolean', 'string'].includes(typeof outputs.output)

/** The declared stores by the name under which the processor reaches them. */
export const storesByAlias = (declared: StoresDeclared | undefined): ReadonlyMap<string, AnyStore> =>
  Array.isArray(declared)
    ? new Map((declared as readonly AnyStore[]).map((handle) => [handle.name, handle]))
    : new Map(Object.entries((declared ?? {}) as Readonly<Record<string, AnyStore>>))

/**
 * Stands behind the declared stores: to ask for another one is a mistake that names the store, and no TypeError about
 * undefined. A prototype, so that the declared ones are found before it and cost nothing.
 */
const undeclaredStores = (context: ProcessorContext): object =>
  new Proxy(
    {},
    {
      get: (target, name, receiver) =>
        typeof name === 'symbol' || name in target
          ? Reflect.get(target, name, receiver)
          : context.store(name),
    },
  )

/** The context of one processor and task: forwards every call to the task, which decides whether it still may. */
class UserContext {
  readonly applicationId: string
  readonly taskId: string
  readonly partition: number
  readonly stores: Readonly<Record<string, unknown>>
  readonly timers: Timers<unknown> | undefined
  readonly forward: (...given: unknown[]) => void
  readonly schedule: Schedule
  readonly #context: ProcessorContext

  constructor(
    context: ProcessorContext,
    aliases: ReadonlyMap<string, AnyStore>,
    forward: (...given: unknown[]) => void,
    timers: Timers<unknown> | undefined,
  ) {
    this.#context = context
    this.timers = timers
    this.applicationId = context.applicationId
    this.taskId = context.taskId
    this.partition = context.partition
    const declared = Object.fromEntries(
      [...aliases].map(([alias, handle]) => [alias, context.store(handle.name)]),
    )
    this.stores = Object.freeze(Object.setPrototypeOf(declared, undeclaredStores(context)) as typeof declared)
    this.forward = forward
    this.schedule = (intervalMs, type, punctuator, options) =>
      context.schedule(intervalMs, type, punctuator, options)
  }

  get metadata(): RecordMetadata | undefined {
    return this.#context.recordMetadata()
  }

  get streamTime(): number {
    return this.#context.streamTime()
  }

  get wallClockTime(): number {
    return this.#context.wallClockTime()
  }
}

/** A processor whose types are put aside. */
export type LooseProcessor = Processor<unknown, unknown, unknown, unknown>

/** The records of a processor stay, but a function of another task may have given it one of its own. */
const live = (given: unknown): StreamRecord<unknown, unknown> =>
  given instanceof StreamRecord ? given.checked() : (given as StreamRecord<unknown, unknown>)

/** Runs a user's processor inside a task. */
export class UserProcessor implements ProcessorInstance {
  readonly #processor: LooseProcessor
  readonly #aliases: ReadonlyMap<string, AnyStore>
  readonly #named: boolean
  #context: ProcessContext<unknown, unknown> | undefined

  constructor(
    made: LooseProcessor,
    aliases: ReadonlyMap<string, AnyStore>,
    named: boolean,
    _timers?: AnyTimerStore,
  ) {
    this.#processor = made
    this.#aliases = aliases
    this.#named = named
  }

  init(context: ProcessorContext): void {
    const forward = this.forwarding(context, this.#named)
    const made: unknown = new UserContext(context, this.#aliases, forward, this.timersIn(context))
    this.#context = made as ProcessContext<unknown, unknown>
    this.#processor.init?.(this.#context)
  }

  /** Made once per task, so that `{ forward }` may be taken out of the context without a binding per record. */
  protected forwarding(context: ProcessorContext, named: boolean): (...given: unknown[]) => void {
    return named
      ? (output, record) => context.forward(live(record), output as string)
      : (record) => context.forward(live(record))
  }

  /** Of a processor with timers. */
  protected timersIn(_context: ProcessorContext): Timers<unknown> | undefined {
    return undefined
  }

  protected callTimer(timer: Timer<unknown>): void {
    const result: unknown = this.#processor.onTimer?.(
      timer as never,
      this.#context as ProcessContext<unknown, unknown>,
    )
    if (result !== undefined) refusePromise(result)
  }

  process(record: StreamRecord<unknown, unknown>): void {
    const result: unknown = this.#processor.process(record, this.#context as ProcessContext<unknown, unknown>)
    if (result !== undefined) refusePromise(result)
  }

  close(): void {
    this.#processor.close?.()
  }
}

/** Makes the machine of a processor for one task. */
export const createUserProcessor = (
  spec: AnyProcessorSpec,
  Machine: typeof UserProcessor,
): ProcessorInstance => {
  const made = (spec.create === undefined ? spec : spec.create()) as unknown as LooseProcessor
  const outputs = spec.outputs as object | undefined
  const named = outputs !== undefined && !isSingleOutput(outputs)
  return new Machine(made, storesByAlias(spec.stores), named, spec.timers)
}
