// Durable timers per key: the store that keeps them, and what a processor does with them.
import { int64 } from '../serde/numbers.ts'
import { type ReadOf, type SerdeOrSchema, type WriteOf, toSerde } from '../serde/serde-or-schema.ts'
import type { Serde } from '../serde/serde.ts'
import type { EngineKind, PunctuationType, StoreDefinition } from './contracts.ts'

/** A store of timers, for one processor. `K`: keys as they are read; `KW`: as they may be given. */
export interface TimerStoreHandle<K, KW = K> extends StoreDefinition {
  readonly key: Serde<K, KW>
  readonly timers: true
  /** For types only, never there. */
  readonly accepts?: (key: KW) => void
}

/** Any store of timers. */
export type AnyTimerStore = TimerStoreHandle<unknown, never>

export interface TimerStoreOptions<KS extends SerdeOrSchema> {
  readonly key: KS
  /** Where the committed data live: on disk (default) or in memory. */
  readonly engine?: EngineKind
  /** Settings of the changelog topic that override ours. */
  readonly changelog?: Readonly<Record<string, string>>
}

/**
 * Declares a store of timers, which belongs to one processor (`timers` of `process`): its name and the serde of its keys.
 * @throws TOPOLOGY_INVALID where the serde is none, or a schema is asynchronous.
 */
export const timerStore = <KS extends SerdeOrSchema>(
  name: string,
  options: TimerStoreOptions<KS>,
): TimerStoreHandle<ReadOf<KS>, WriteOf<KS>> =>
  Object.freeze({
    name,
    key: toSerde(options.key, `the key of timers ${name}`),
    value: int64 as Serde<unknown>,
    timers: true,
    engine: options.engine ?? 'lmdb',
    changelogSettings: Object.freeze({ ...options.changelog }),
  })

/** A timer that is due. */
export interface Timer<K> {
  readonly key: K
  /** The time for which it was set, ms since the epoch; it fires then or later. */
  readonly at: number
  /** '' where it was set without one. */
  readonly name: string
  readonly type: PunctuationType
}

/** The timers of a processor. Written like a store: with the record in hand, and taken back with it. */
export interface Timers<KW> {
  /**
   * Sets the timer of this key and name (default ''): `onTimer` is called once when stream time (default) or the wall
   * clock has come to `at` (ms since the epoch), right after the record in hand where it has already. The timer of this
   * key and name that is there is replaced, whatever it goes by.
   * @throws RangeError where `at` is no whole number from 0
   */
  set(key: KW, at: number, name?: string, type?: PunctuationType): void
  /** @returns whether there was one */
  cancel(key: KW, name?: string): boolean
  /** When the timer of this key and name is due, ms since the epoch; undefined where there is none. */
  at(key: KW, name?: string): number | undefined
}

/** What a processor gets for the store of timers that it declares. */
export type TimersOf<T> = T extends TimerStoreHandle<infer _, infer KW> ? Timers<KW> : undefined

/** What `onTimer` gets. */
export type TimerOf<T> = T extends TimerStoreHandle<infer K, infer _> ? Timer<K> : never
