// The timers of the test driver that have not fired, over all partitions.
import type { TimerType } from '../../state/timer-table.ts'
import type { Timer } from '../../topology/timers.ts'
import type { DriverEngine } from './driver-engine.ts'

const types: readonly TimerType[] = ['stream-time', 'wall-clock']

/** Those of each type in the order of time. */
export const timersIn = (engine: DriverEngine, store: string): Timer<unknown>[] => {
  const tables = engine.tasks.owners(store).flatMap((task) => task.timerTable(store) ?? [])
  return types.flatMap((type) =>
    tables
      .flatMap((table) =>
        [...table.upTo(type, '', Number.MAX_SAFE_INTEGER)].map((entry) => ({
          key: table.keyOf(entry),
          at: entry.at,
          name: table.nameOf(entry),
          type,
        })),
      )
      .sort((one, other) => one.at - other.at),
  )
}
