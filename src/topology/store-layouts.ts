// What lies in the stores of a topology: what their users declared, or what the operators that keep them made of it.
import { expiringEntries } from '../state/expiring-table.ts'
import { rawKeys } from '../state/store-codec.ts'
import { timestamped } from '../state/timestamped.ts'
import { versionEntries } from '../state/version-entries.ts'
import { waitingEntries } from '../state/waiting-records.ts'
import { windowEntries } from '../state/window-entries.ts'
import type { WindowShape } from '../state/window-table.ts'
import type { StoreDefinition } from './contracts.ts'

/** How the operators of a topology use a store. */
export interface StoreUse {
  /** An operator keeps its results there. */
  readonly keepsTable: boolean
  /** An operator keeps records there that wait. */
  readonly waiting: boolean
  readonly windowShape: WindowShape | undefined
}

/** With keys that are laid out by us. */
const laidOut = (
  store: StoreDefinition,
  value: unknown,
  more: Partial<StoreDefinition> = {},
): StoreDefinition => ({
  ...store,
  key: rawKeys as never,
  plainKey: store.key,
  value: value as never,
  plainValue: store.value,
  ...more,
})

const laidOutFor = (
  store: StoreDefinition,
  { keepsTable, waiting, windowShape }: StoreUse,
): StoreDefinition => {
  const { value } = store
  if (store.versions !== undefined) return laidOut(store, versionEntries(value))
  if (windowShape !== undefined) return laidOut(store, windowEntries(value), { windowShape })
  if (waiting) return laidOut(store, waitingEntries(value), { waiting })
  if (store.ttlMs !== undefined) return laidOut(store, expiringEntries(value))
  return keepsTable ? { ...store, value: timestamped(value) as never, plainValue: value } : store
}

export const finishedStore = (store: StoreDefinition, use: StoreUse): StoreDefinition =>
  Object.freeze(laidOutFor(store, use))

const whole = (value: unknown, least: number): boolean =>
  Number.isSafeInteger(value) && (value as number) >= least

/** What is wrong with a store as it was declared. */
export const storeProblems = ({ name, engine, versions, ttlMs, windows }: StoreDefinition): string[] => {
  const problems: string[] = []
  if (engine !== 'lmdb' && engine !== 'memory')
    problems.push(`store ${name}: engine is ${String(engine)}, but takes lmdb or memory`)
  if (versions !== undefined && !whole(versions.historyMs, 0))
    problems.push(`store ${name}: historyMs is ${versions.historyMs}, but takes a whole number from 0`)
  if (ttlMs === undefined) return problems
  if (!whole(ttlMs, 1)) problems.push(`store ${name}: ttlMs is ${ttlMs}, but takes a whole number from 1`)
  if (versions !== undefined || windows !== undefined)
    problems.push(`store ${name}: ttlMs is for stores made with store; this one has a time of its own`)
  return problems
}
