// The stores of a task as the open transaction leaves them: what the witness says of them.
import type { StoreState, TaskStore } from './contracts.ts'
import type { RecordCollector } from './record-collector.ts'

/** After the changes were drained and acknowledged; of the stores that keep a digest. */
export const storeStatesOf = (
  stores: Iterable<TaskStore>,
  collector: RecordCollector,
  partition: number,
): StoreState[] =>
  [...stores].flatMap(({ store, changelog }) => {
    const digest = store.nextDigest
    if (digest === undefined) return []
    const written = collector.nextOffset(changelog.name, partition)
    const changelogEnd = written < 0 ? (store.checkpoint()?.changelogOffset ?? 0) : written
    return [{ store: store.name, changelogEnd, digest }]
  })
