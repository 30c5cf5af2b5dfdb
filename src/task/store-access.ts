// What processors and operators get for the stores of a task.
import { PlainView } from '../state/timestamped.ts'
import type { TransactionalStore } from '../state/transactional-store.ts'
import { CalendarTable } from '../state/calendar-table.ts'
import type { JoinEntryStore } from '../state/join-entries.ts'
import { JoinTable } from '../state/join-table.ts'
import { SessionTable } from '../state/session-table.ts'
import { SlidingTable } from '../state/sliding-table.ts'
import { TimeWindowTable } from '../state/time-window-table.ts'
import type { WindowEntryStore } from '../state/window-entries.ts'
import { WindowView } from '../state/window-view.ts'
import type { AnyWindowTable, ProcessorContext, StoreDefinition } from '../topology/contracts.ts'

interface Opened {
  readonly definition: StoreDefinition
  readonly store: TransactionalStore<unknown, unknown>
}

/** Undefined: it is no store of windows and none of a join. */
export const windowTableOf = ({ definition, store }: Opened): AnyWindowTable | JoinTable | undefined => {
  const { plainKey, plainValue, windowShape } = definition
  if (plainKey === undefined || windowShape === undefined) return undefined
  if (windowShape.kind === 'join')
    return new JoinTable(store as unknown as JoinEntryStore, plainKey, windowShape)
  if (plainValue === undefined) return undefined
  const entries = store as unknown as WindowEntryStore
  if (windowShape.kind === 'calendar') return new CalendarTable(entries, plainKey, plainValue, windowShape)
  if (windowShape.kind === 'time') return new TimeWindowTable(entries, plainKey, plainValue, windowShape)
  return windowShape.kind === 'sessions'
    ? new SessionTable(entries, plainKey, plainValue, windowShape)
    : new SlidingTable(entries, plainKey, plainValue, windowShape)
}

/** A store as a processor sees it. @param timestamp what a value is dated with that is written */
export const viewOf = (
  opened: Opened,
  timestamp: () => number,
): ReturnType<ProcessorContext['store']> | undefined => {
  const windows = windowTableOf(opened)
  // What a join keeps is nobody else's.
  if (windows instanceof JoinTable) return undefined
  if (windows !== undefined) return new WindowView(windows)
  const { plainValue } = opened.definition
  return plainValue === undefined
    ? opened.store
    : new PlainView(opened.store as TransactionalStore<unknown, never>, plainValue, timestamp)
}
