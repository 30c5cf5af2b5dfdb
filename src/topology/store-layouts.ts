// What lies in the stores of a topology: what their users declared, or what the operators that keep them made of it.
import { expiringEntries } from '../state/expiring-table.ts'
import { headed } from '../state/headed-values.ts'
import { rawKeys } from '../state/store-codec.ts'
import { timestamped } from '../state/timestamped.ts'
import { versionEntries } from '../state/version-entries.ts'
import { waitingEntries } from '../state/waiting-records.ts'
import { windowEntries } from '../state/window-entries.ts'
import type { WindowShape } from '../state/window-table.ts'
import type { StoreDefinition, StoreFilling } from './contracts.ts'
import { storeCode } from './store-code.ts'
import { functionProblem } from './synchronous.ts'

/** How the operators of a topology use a store. */
export interface StoreUse {
  /** An operator keeps its results there. */
  readonly keepsTable: boolean
  /** An operator keeps records there that wait. */
  readonly waiting: boolean
  readonly windowShape: WindowShape | undefined
  /** A topic fills it. */
  readonly filling?: StoreFilling | undefined
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
  if (store.timers === true) return { ...store, key: rawKeys as never, plainKey: store.key }
  if (store.sides !== undefined && windowShape !== undefined)
    return { ...store, key: rawKeys as never, plainKey: store.key, windowShape }
  if (store.versions !== undefined) return laidOut(store, versionEntries(value))
  if (windowShape !== undefined) return laidOut(store, windowEntries(value), { windowShape })
  if (waiting) return laidOut(store, waitingEntries(value), { waiting })
  const headers = store.headers === true
  if (store.ttlMs !== undefined) {
    const entries = expiringEntries(value)
    return laidOut(store, headers ? headed(entries) : entries)
  }
  if (headers) return { ...store, value: headed(timestamped(value)) as never, plainValue: value }
  return keepsTable ? { ...store, value: timestamped(value) as never, plainValue: value } : store
}

export const finishedStore = (store: StoreDefinition, use: StoreUse): StoreDefinition => {
  const definition = laidOutFor(store, use)
  const { filling } = use
  return Object.freeze({ ...definition, ...(filling && { filling }), layout: storeCode(definition) })
}

const whole = (value: unknown, least: number): boolean =>
  Number.isSafeInteger(value) && (value as number) >= least

const versionMax = 9999

const versionProblems = ({ name, version, migrate }: StoreDefinition): string[] => {
  const problems: string[] = []
  if (version !== undefined && !(whole(version, 1) && version <= versionMax))
    problems.push(`store ${name}: version is ${version}, but takes a whole number from 1 to ${versionMax}`)
  if (migrate === undefined) return problems
  if ((version ?? 1) === 1)
    problems.push(`store ${name}: it has a migrate, but no version above 1 to migrate to`)
  const problem = functionProblem(migrate, `migrate of store ${name}`)
  return problem === undefined ? problems : [...problems, problem]
}

/** What is wrong with a store as it was declared. */
export const storeProblems = (store: StoreDefinition): string[] => {
  const { name, engine, versions, ttlMs, windows, headers } = store
  const problems = versionProblems(store)
  if (engine !== 'lmdb' && engine !== 'memory')
    problems.push(`store ${name}: engine is ${String(engine)}, but takes lmdb or memory`)
  if (versions !== undefined && !whole(versions.historyMs, 0))
    problems.push(`store ${name}: historyMs is ${versions.historyMs}, but takes a whole number from 0`)
  if (headers !== undefined && typeof headers !== 'boolean')
    problems.push(`store ${name}: headers is ${String(headers)}, but takes true or false`)
  if (headers && (versions !== undefined || windows !== undefined))
    problems.push(
      `store ${name}: headers are kept by stores made with store; a ${versions === undefined ? 'store of windows' : 'versioned store'} keeps none`,
    )
  if (ttlMs === undefined) return problems
  if (!whole(ttlMs, 1)) problems.push(`store ${name}: ttlMs is ${ttlMs}, but takes a whole number from 1`)
  if (versions !== undefined || windows !== undefined)
    problems.push(`store ${name}: ttlMs is for stores made with store; this one has a time of its own`)
  return problems
}
