// What processors and operators get for the stores of a task.
import type { ReadOnlyKeyValueStore } from '../state/contracts.ts'
import { PlainView } from '../state/timestamped.ts'
import type { TransactionalStore } from '../state/transactional-store.ts'
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

/** The global stores of a worker by name. */
export type GlobalStores = ReadonlyMap<string, Opened>

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

/** A store as a processor sees it. @param timestamp what a value is dated with that is written */
export const viewOf = (opened: Opened, timestamp: () => number): ReturnType<ProcessorContext['store']> => {
  const windows = windowTableOf(opened)
  if (windows !== undefined) return new WindowView(windows)
  const { plainValue } = opened.definition
  return plainValue === undefined
    ? opened.store
    : new PlainView(opened.store as TransactionalStore<unknown, never>, plainValue, timestamp)
}

/** A global store as a processor sees it: what is not there cannot be called. */
export const globalViewOf = ({ definition, store }: Opened): ReadOnlyKeyValueStore<unknown, unknown> => {
  const plain = new PlainView(
    store as TransactionalStore<unknown, never>,
    definition.plainValue as StoreDefinition['value'],
    () => 0,
  )
  return {
    name: plain.name,
    get: (key) => plain.get(key),
    has: (key) => plain.has(key),
    range: (from, to, options) => plain.range(from, to, options),
    all: () => plain.all(),
  }
}
