// What processors and operators get for the stores of a task.
import type { ReadOnlyKeyValueStore } from '../state/contracts.ts'
import { type ExpiringStore, ExpiringTable } from '../state/expiring-table.ts'
import type { Serde } from '../serde/serde.ts'
import { type HeadedEntries, HeadedTable, HeadedView, type InHand } from '../state/headed-table.ts'
import { PlainView } from '../state/timestamped.ts'
import type { TransactionalStore } from '../state/transactional-store.ts'
import { CalendarTable } from '../state/calendar-table.ts'
import type { JoinEntryStore } from '../state/join-entries.ts'
import { JoinTable } from '../state/join-table.ts'
import { SessionTable } from '../state/session-table.ts'
import { SlidingTable } from '../state/sliding-table.ts'
import { TimeWindowTable } from '../state/time-window-table.ts'
import { UnlimitedTable } from '../state/unlimited-table.ts'
import type { VersionEntryStore } from '../state/version-entries.ts'
import { VersionTable } from '../state/version-table.ts'
import { VersionView } from '../state/version-view.ts'
import { WaitingRecords, type WaitingStore } from '../state/waiting-records.ts'
import { type TimerEntryStore, TimerTable } from '../state/timer-table.ts'
import type { WindowEntryStore } from '../state/window-entries.ts'
import { WindowView } from '../state/window-view.ts'
import type { AnyWindowTable, ProcessorContext, StoreDefinition, TableStore } from '../topology/contracts.ts'

interface Opened {
  readonly definition: StoreDefinition
  readonly store: TransactionalStore<unknown, unknown>
}

/** The global stores of a worker by name. */
export type GlobalStores = ReadonlyMap<string, Opened>

/** Whose stream time decides what is over. */
interface Timed {
  readonly streamTime: number
}

/** Undefined: it is no store of windows and none of a join, or none at all. */
export const windowTableOf = (opened: Opened | undefined): AnyWindowTable | JoinTable | undefined => {
  if (opened === undefined) return undefined
  const { plainKey, plainValue, windowShape } = opened.definition
  if (plainKey === undefined || windowShape === undefined) return undefined
  if (windowShape.kind === 'join')
    return new JoinTable(opened.store as unknown as JoinEntryStore, plainKey, windowShape)
  if (plainValue === undefined) return undefined
  const entries = opened.store as unknown as WindowEntryStore
  if (windowShape.kind === 'calendar') return new CalendarTable(entries, plainKey, plainValue, windowShape)
  if (windowShape.kind === 'unlimited') return new UnlimitedTable(entries, plainKey, plainValue, windowShape)
  if (windowShape.kind === 'time') return new TimeWindowTable(entries, plainKey, plainValue, windowShape)
  return windowShape.kind === 'sessions'
    ? new SessionTable(entries, plainKey, plainValue, windowShape)
    : new SlidingTable(entries, plainKey, plainValue, windowShape)
}

/** Undefined: it is no store of timers. */
export const timerTableOf = ({ definition, store }: Opened): TimerTable | undefined =>
  definition.timers === true && definition.plainKey !== undefined
    ? new TimerTable(
        store as unknown as TimerEntryStore,
        definition.plainKey,
        definition.value as Serde<number>,
      )
    : undefined

/** A store as the operators that keep it use it. */
export const tableStoreOf = (opened: Opened | undefined, task: Timed): TableStore | undefined => {
  const entries = opened && entriesOf(opened, task)
  return opened?.definition.headers === true ? new HeadedTable(entries as HeadedEntries) : entries
}

const entriesOf = (opened: Opened, task: Timed): TableStore => {
  const { plainKey, plainValue, versions, waiting, ttlMs } = opened.definition
  const store: unknown = opened.store
  if (plainKey === undefined || plainValue === undefined) return store as TableStore
  if (versions !== undefined)
    return new VersionTable(store as VersionEntryStore, plainKey, plainValue, versions.historyMs)
  if (waiting) return new WaitingRecords(store as WaitingStore, plainKey, plainValue) as unknown as TableStore
  if (ttlMs === undefined) return store as TableStore
  return new ExpiringTable(store as ExpiringStore, plainKey, plainValue, ttlMs, () => task.streamTime)
}

/** A store as a processor sees it. @param inHand what a value is dated with that is written, and its headers */
export const viewOf = (
  opened: Opened | undefined,
  task: Timed,
  inHand: InHand,
): ReturnType<ProcessorContext['store']> | undefined => {
  const windows = windowTableOf(opened)
  // What a join keeps is nobody else's.
  if (windows instanceof JoinTable) return undefined
  if (opened === undefined || windows !== undefined) return windows && new WindowView(windows)
  const { plainValue, versions, headers, filling } = opened.definition
  if (filling !== undefined) return readOnlyView(opened.store)
  if (plainValue === undefined) return opened.store
  const entries: unknown = entriesOf(opened, task)
  if (versions !== undefined) return new VersionView(entries as VersionTable)
  const store = entries as TransactionalStore<unknown, never>
  return headers === true
    ? new HeadedView(store, plainValue, inHand)
    : new PlainView(store, plainValue, () => inHand.timestamp())
}

/** A store that may be read: what is not there cannot be called. */
export const readOnlyView = (
  store: ReadOnlyKeyValueStore<unknown, unknown>,
): ReadOnlyKeyValueStore<unknown, unknown> => ({
  name: store.name,
  get: (key) => store.get(key),
  has: (key) => store.has(key),
  range: (from, to, options) => store.range(from, to, options),
  prefixScan: (prefix, serde, options) => store.prefixScan(prefix, serde, options),
  all: () => store.all(),
})

/** A global store as a processor sees it. */
export const globalViewOf = ({ definition, store }: Opened): ReadOnlyKeyValueStore<unknown, unknown> =>
  readOnlyView(
    new PlainView(
      store as TransactionalStore<unknown, never>,
      definition.plainValue as StoreDefinition['value'],
      () => 0,
    ),
  )
