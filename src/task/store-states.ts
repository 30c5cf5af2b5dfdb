// The stores of a task as the transaction leaves them that is being committed.
import type { TaskStore } from './contracts.ts'
import type { RecordCollector } from './record-collector.ts'

export interface StoreState {
  readonly store: string
  /** Behind its last record in the changelog. */
  readonly changelogEnd: number
  /** See state-digest.ts. */
  readonly digest: string
}

/** Those that keep a digest: after their changes were drained, when every change is acknowledged. */
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
