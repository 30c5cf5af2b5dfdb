// How far apart in time records may be that are joined, and what their joins are kept in.
import type { JoinShape } from '../state/join-table.ts'
import { joinEntries } from '../state/join-entries.ts'
import { type ReadOf, type SerdeOrSchema, type WriteOf, toSerde } from '../serde/serde-or-schema.ts'
import type { Serde } from '../serde/serde.ts'
import type { EngineKind, StoreDefinition, WindowSettings } from './contracts.ts'
import { wholeFrom } from './windows.ts'

/** How far apart the records of two streams may be. All times in ms. */
export interface JoinWindows {
  /** How much earlier a record of the right side may be. Below zero: it has to be later by that. */
  readonly beforeMs: number
  /** How much later a record of the right side may be. Below zero: it has to be earlier by that. */
  readonly afterMs: number
  /** How long a record waits for late partners beyond that, in stream time. */
  readonly graceMs: number
}

/** A record of the right side is joined that is at most `beforeMs` earlier and at most `afterMs` later than the left one. */
export const within = ({ beforeMs, afterMs, graceMs }: JoinWindows): JoinWindows =>
  Object.freeze({ beforeMs, afterMs, graceMs })

/** What is wrong with the times of a join. */
export const joinProblems = ({ beforeMs, afterMs, graceMs }: JoinWindows): string[] => {
  const problems: string[] = []
  const whole = (name: string, value: number): void => {
    if (!Number.isSafeInteger(value)) problems.push(`${name} is ${value}, but takes a whole number`)
  }
  whole('beforeMs', beforeMs)
  whole('afterMs', afterMs)
  if (!wholeFrom(0, graceMs)) problems.push(`graceMs is ${graceMs}, but takes a whole number from 0`)
  if (beforeMs + afterMs < 0)
    problems.push(`beforeMs and afterMs come to ${beforeMs + afterMs}: no time lies between them`)
  return problems
}

/**
 * The store of a join of streams: the records of both sides for as long as others may be joined with them. `K`, `L`, `R`:
 * keys, values of the left and of the right side, as they are read; `KW`, `LW`, `RW`: as they may be written.
 */
export interface JoinStoreHandle<K, L, R, KW = K, LW = L, RW = R> extends StoreDefinition {
  readonly key: Serde<K, KW>
  readonly windows: WindowSettings
  readonly sides: NonNullable<StoreDefinition['sides']>
  /** For types only, never there. */
  readonly accepts?: (key: KW, left: LW, right: RW) => void
  /** For types only, never there. */
  readonly holds?: readonly [L, R]
}

/** The store that a join of streams with these keys and values takes: what is null is never in it. */
export type JoinedIn<K, L, R> = JoinStoreHandle<
  unknown,
  Exclude<L, null>,
  Exclude<R, null>,
  Exclude<K, null>,
  Exclude<L, null>,
  Exclude<R, null>
>

export interface JoinStoreOptions<
  KS extends SerdeOrSchema,
  LS extends SerdeOrSchema,
  RS extends SerdeOrSchema,
> {
  readonly key: KS
  /** Of the values of the left stream. */
  readonly left: LS
  /** Of the values of the right stream. */
  readonly right: RS
  /** Where the committed data live: on disk (default) or in memory. */
  readonly engine?: EngineKind
  /** Settings of the changelog topic that override ours. */
  readonly changelog?: Readonly<Record<string, string>>
}

/**
 * Declares the store of a join of streams: its name and the serdes of the keys and of both sides' values.
 * @throws TOPOLOGY_INVALID where a serde is none, or a schema is asynchronous.
 */
export const joinStore = <KS extends SerdeOrSchema, LS extends SerdeOrSchema, RS extends SerdeOrSchema>(
  name: string,
  options: JoinStoreOptions<KS, LS, RS>,
): JoinStoreHandle<ReadOf<KS>, ReadOf<LS>, ReadOf<RS>, WriteOf<KS>, WriteOf<LS>, WriteOf<RS>> => {
  const left = toSerde(options.left, `the left values of store ${name}`) as Serde<unknown>
  const right = toSerde(options.right, `the right values of store ${name}`) as Serde<unknown>
  return Object.freeze({
    name,
    key: toSerde(options.key, `the key of store ${name}`),
    value: joinEntries(left, right) as never,
    windows: Object.freeze({ retentionMs: undefined }),
    sides: Object.freeze([right, left] as const),
    engine: options.engine ?? 'lmdb',
    changelogSettings: options.changelog ?? {},
  })
}

export const joinShape = (
  { beforeMs, afterMs, graceMs }: JoinWindows,
  outer: JoinShape['outer'],
): JoinShape => Object.freeze({ kind: 'join', beforeMs, afterMs, graceMs, outer: Object.freeze(outer) })
