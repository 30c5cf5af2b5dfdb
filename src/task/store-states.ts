// The stores of a task at a commit: their changes go to the changelogs, and they take over what is committed.
import { splitHeaders } from '../state/headed-values.ts'
import type { AnyStore, TaskStore } from './contracts.ts'
import type { PartitionGroup } from './partition-group.ts'
import type { RecordCollector } from './record-collector.ts'
import type { StoreState } from './task-state.ts'

/** Those that keep a digest: after their changes were drained, when every change is acknowledged. */
export const storeStatesOf = (
  stores: Iterable<TaskStore>,
  collector: RecordCollector,
  partition: number,
): StoreState[] =>
  [...stores].flatMap(({ definition: { layout = '' }, store, changelog }) => {
    const digest = store.nextDigest
    if (digest === undefined) return []
    const written = collector.nextOffset(changelog.name, partition)
    const changelogEnd = written < 0 ? (store.checkpoint()?.changelogOffset ?? 0) : written
    return [{ store: store.name, changelogEnd, digest, layout }]
  })

/** Puts the changes of the stores into the changelog batches. */
export const drainStores = (
  stores: Iterable<TaskStore>,
  collector: RecordCollector,
  partition: number,
  timestamp: number,
): void => {
  for (const { definition, store, changelog } of stores) {
    // Its topic has it all.
    if (definition.filling !== undefined) continue
    collector.beginRecord()
    store.drainChanges((source, keyStart, keyLength, valueStart, valueLength) => {
      // As its changelog tells it: whose record it was that took a key out is of no matter to the store.
      const split =
        store.keepsHeaders && valueLength >= 0
          ? splitHeaders(source.subarray(valueStart, valueStart + valueLength))
          : undefined
      collector.collectChange(
        changelog,
        partition,
        source,
        keyStart,
        keyLength,
        split?.value ?? source,
        split === undefined ? valueStart : 0,
        split?.value.length ?? valueLength,
        timestamp,
        split?.headers,
      )
    })
    collector.finishRecord()
  }
}

/** What a commit asks of a task. */
interface CommittingTask {
  readonly stores: ReadonlyMap<string, TaskStore>
  readonly group: Pick<PartitionGroup, 'queues'>
  readonly partition: number
}

/** Overlays become the committed base, each with the changelog offset behind it: of a read-only store, that of its input. */
export const commitOverlays = (
  { stores, group, partition }: CommittingTask,
  collector: Pick<RecordCollector, 'nextOffset'>,
  nowMs: number,
): void => {
  for (const { definition, store, changelog } of stores.values()) {
    const known = store.checkpoint()
    const written =
      definition.filling === undefined
        ? collector.nextOffset(changelog.name, partition)
        : (group.queues.find(({ topic }) => topic === changelog.name)?.position ?? -1)
    // Nothing written, or an acknowledgement without an offset (the broker knew the batch already): an older
    // checkpoint is always right, since a replay of changes that are in the store changes nothing.
    const changelogOffset = written < 0 ? (known?.changelogOffset ?? 0) : written
    store.commitOverlay({ changelogOffset, leaderEpoch: known?.leaderEpoch ?? -1, caughtUpAtMs: nowMs })
  }
}

/** Nothing was written by anybody up to then: the stores are at the ends of their changelogs. */
export const refreshStores = (stores: readonly AnyStore[], confirmedAtMs: number): void => {
  for (const store of stores) {
    const known = store.checkpoint()
    if (known === undefined) continue
    store.commitOverlay({ ...known, caughtUpAtMs: Math.max(known.caughtUpAtMs, confirmedAtMs) })
  }
}
