// What processors and operators get for the stores of a task.
import type { Serde } from '../serde/serde.ts'
import { PlainView } from '../state/timestamped.ts'
import type { TransactionalStore } from '../state/transactional-store.ts'
import { SessionTable } from '../state/session-table.ts'
import { SlidingTable } from '../state/sliding-table.ts'
import { TimeWindowTable } from '../state/time-window-table.ts'
import { type TimerEntryStore, TimerTable } from '../state/timer-table.ts'
import type { WindowEntryStore } from '../state/window-entries.ts'
import { WindowView } from '../state/window-view.ts'
import type { AnyWindowTable, ProcessorContext, StoreDefinition } from '../topology/contracts.ts'

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

/** Undefined: it is no store of timers. */
export const timerTableOf = ({ definition, store }: Opened): TimerTable | undefined =>
  definition.timers === true && definition.plainKey !== undefined
    ? new TimerTable(
        store as unknown as TimerEntryStore,
        definition.plainKey,
        definition.value as Serde<number>,
      )
    : undefined

/** A store as a processor sees it. @param timestamp what a value is dated with that is written */
export const viewOf = (opened: Opened, timestamp: () => number): ReturnType<ProcessorContext['store']> => {
  const windows = windowTableOf(opened)
  if (windows !== undefined) return new WindowView(windows)
  const { plainValue } = opened.definition
  return plainValue === undefined
    ? opened.store
    : new PlainView(opened.store as TransactionalStore<unknown, never>, plainValue, timestamp)
}
