// `suppress`: until when the changes of a table are held back, and how much may be held.
import type { SerdeOrSchema } from '../serde/serde-or-schema.ts'
import { toSerde } from '../serde/serde-or-schema.ts'
import type { EngineKind, StoreDefinition } from './contracts.ts'
import type { GraphBuilder, Upstream } from './graph-builder.ts'
import { heldStore } from './held-changes.ts'
import type { TablePart } from './per-commit.ts'
import { type Holding, SuppressOperator, suppressedView } from './suppress-operator.ts'
import type { Emission, TableView } from './table-operators.ts'

/** How much may be held. */
export interface HoldingLimits {
  /** Keys at most. Default: no limit. */
  readonly recordsMax?: number
  /** Bytes at most, of keys and values in the store. Default: no limit. */
  readonly bytesMax?: number
}

export interface TimeLimitOptions extends HoldingLimits {
  /** How long after its first change a key is held, in stream time. */
  readonly waitMs: number
  /** emit (default): beyond a limit the oldest keys are told early. stop: the worker stops with SUPPRESS_FULL. */
  readonly whenFull?: 'emit' | 'stop'
}

/** Made by `untilWindowCloses`. */
export interface UntilWindowCloses extends HoldingLimits {
  readonly until: 'window-closes'
}

/** Made by `untilTimeLimit`. */
export interface UntilTimeLimit extends TimeLimitOptions {
  readonly until: 'time-limit'
}

/**
 * Each window once, when it has closed; one that is gone by then is not told. Beyond a limit the worker stops with
 * SUPPRESS_FULL: a result told early would not be the last one.
 */
export const untilWindowCloses = (limits: HoldingLimits = {}): UntilWindowCloses =>
  Object.freeze({ ...limits, until: 'window-closes' })

/** Each key at most once in `waitMs` of stream time: its last change then. */
export const untilTimeLimit = (options: TimeLimitOptions): UntilTimeLimit =>
  Object.freeze({ ...options, until: 'time-limit' })

/** Where the changes wait: in a store of this name, with serdes of the keys and values of the table. */
export interface SuppressOptions<KS, VS> {
  readonly name: string
  readonly key: KS
  readonly value: VS
  /** Where the committed data live: on disk (default) or in memory. */
  readonly engine?: EngineKind
  /** Settings of the changelog topic that override ours. */
  readonly changelog?: Readonly<Record<string, string>>
}

const wholeFrom = (least: number, value: unknown): boolean =>
  Number.isSafeInteger(value) && (value as number) >= least

const problemsOf = (until: UntilWindowCloses | UntilTimeLimit, view: TableView): string[] => {
  const problems: string[] = []
  if (view.history !== undefined)
    problems.push('the table is versioned, so that a change of what was would take the place of what is')
  for (const limit of ['recordsMax', 'bytesMax'] as const) {
    const value = until[limit]
    if (value !== undefined && !wholeFrom(1, value))
      problems.push(`${limit} is ${value}, but takes a whole number from 1`)
  }
  if (until.until === 'window-closes') {
    if (view.closesAfterMs === undefined)
      problems.push('the table has no windows: hold its changes with untilTimeLimit')
    return problems
  }
  const { waitMs, whenFull } = until
  if (!wholeFrom(0, waitMs)) problems.push(`waitMs is ${waitMs}, but takes a whole number from 0`)
  if (whenFull !== undefined && whenFull !== 'emit' && whenFull !== 'stop')
    problems.push(`whenFull is ${String(whenFull)}, but takes emit or stop`)
  return problems
}

const holdingOf = (until: UntilWindowCloses | UntilTimeLimit, view: TableView): Holding => {
  const limits = { recordsMax: until.recordsMax ?? Infinity, bytesMax: until.bytesMax ?? Infinity }
  return until.until === 'window-closes'
    ? { ...limits, untilClose: true, waitMs: view.closesAfterMs ?? 0, whenFull: 'stop' }
    : { ...limits, untilClose: false, waitMs: until.waitMs, whenFull: until.whenFull ?? 'emit' }
}

/** Adds the node that holds the changes of a table back. @param changes the node of the table, which tells changes from now on */
export const addSuppress = (
  builder: GraphBuilder,
  changes: Upstream,
  view: TableView,
  until: UntilWindowCloses | UntilTimeLimit,
  { name, engine, changelog, ...serdes }: SuppressOptions<SerdeOrSchema, SerdeOrSchema>,
): TablePart => {
  for (const problem of problemsOf(until, view)) builder.problem(`suppress into store ${name}: ${problem}`)
  const kept: StoreDefinition = {
    name,
    key: toSerde(serdes.key, `the key of store ${name}`) as StoreDefinition['key'],
    value: toSerde(serdes.value, `the value of store ${name}`) as StoreDefinition['value'],
    engine: engine ?? 'lmdb',
    changelogSettings: changelog ?? {},
  }
  const definition = heldStore(kept, until.until)
  const holding = holdingOf(until, view)
  const emission: Emission = { changes: false }
  const node = builder.addProcessor([changes], {
    name: `suppress-${name}`,
    operator: 'suppress',
    stores: [definition],
    outputs: undefined,
    mustLead: false,
    create: () => new SuppressOperator(definition, emission, holding),
  })
  return { upstream: { node, output: '' }, view: suppressedView(view, definition, holding), emission }
}
