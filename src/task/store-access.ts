// What processors and operators get for the stores of a task.
import { type ExpiringStore, ExpiringTable } from '../state/expiring-table.ts'
import { PlainView } from '../state/timestamped.ts'
import type { TransactionalStore } from '../state/transactional-store.ts'
import { SessionTable } from '../state/session-table.ts'
import { SlidingTable } from '../state/sliding-table.ts'
import { TimeWindowTable } from '../state/time-window-table.ts'
import type { VersionEntryStore } from '../state/version-entries.ts'
import { VersionTable } from '../state/version-table.ts'
import { VersionView } from '../state/version-view.ts'
import { WaitingRecords, type WaitingStore } from '../state/waiting-records.ts'
import type { WindowEntryStore } from '../state/window-entries.ts'
import { WindowView } from '../state/window-view.ts'
import type { AnyWindowTable, ProcessorContext, StoreDefinition, TableStore } from '../topology/contracts.ts'

interface Opened {
  readonly definition: StoreDefinition
  readonly store: TransactionalStore<unknown, unknown>
}

/** Undefined: it is no store of windows. */
export const windowTableOf = ({ definition, store }: Opened): AnyWindowTable | undefined => {
  const { plainKey, plainValue, windowShape } = definition
  if (plainKey === undefined || plainValue === undefined || windowShape === undefined) return undefined
  const entries = store as unknown as WindowEntryStore
  if (windowShape.kind === 'time') return new TimeWindowTable(entries, plainKey, plainValue, windowShape)
  return windowShape.kind === 'sessions'
    ? new SessionTable(entries, plainKey, plainValue, windowShape)
    : new SlidingTable(entries, plainKey, plainValue, windowShape)
}

/** A store as the operators that keep it use it. @param streamTime of the task, ms */
export const tableStoreOf = ({ definition, store }: Opened, streamTime: () => number): TableStore => {
  const { plainKey, plainValue, versions, waiting, ttlMs } = definition
  const plain = store as unknown as TableStore
  if (plainKey === undefined || plainValue === undefined) return plain
  if (versions !== undefined)
    return new VersionTable(store as unknown as VersionEntryStore, plainKey, plainValue, versions.historyMs)
  if (waiting)
    return new WaitingRecords(store as unknown as WaitingStore, plainKey, plainValue) as unknown as TableStore
  return ttlMs === undefined
    ? plain
    : new ExpiringTable(store as unknown as ExpiringStore, plainKey, plainValue, ttlMs, streamTime)
}

/**
 * A store as a processor sees it.
 * @param timestamp what a value is dated with that is written @param streamTime of the task, ms
 */
export const viewOf = (
  opened: Opened,
  timestamp: () => number,
  streamTime: () => number,
): ReturnType<ProcessorContext['store']> => {
  const windows = windowTableOf(opened)
  if (windows !== undefined) return new WindowView(windows)
  const { plainValue, versions } = opened.definition
  if (plainValue === undefined) return opened.store
  const table = tableStoreOf(opened, streamTime)
  return versions === undefined
    ? new PlainView(table as unknown as TransactionalStore<unknown, never>, plainValue, timestamp)
    : new VersionView(table as unknown as VersionTable)
}
