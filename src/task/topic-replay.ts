// What restores a read-only store: the topic that fills it, read again as the task read it. What a record does is done by
// the same code, serdes and function as in its turn, up to where the task is committed and not further: what lies behind
// that has not had its turn.
import type { Logger } from '../base/log.ts'
import type { Clock } from '../base/ports.ts'
import { fill } from '../topology/read-only-store.ts'
import type { StoreDefinition, StoreFilling } from '../topology/contracts.ts'
import type { AnyStore } from './contracts.ts'
import { type FetchedRecords, RecordQueue } from './record-queue.ts'
import { judgeRow, type RowPolicy } from './row-failures.ts'

export interface TopicReplayOptions {
  readonly definition: StoreDefinition & { readonly filling: StoreFilling }
  readonly store: AnyStore
  readonly partition: number
  /** Where reading begins. */
  readonly from: number
  /** Where it ends: everything below is processed and committed. */
  readonly end: number
  readonly policy: RowPolicy
  readonly clock: Clock
  readonly log: Logger
}

export class TopicReplay {
  readonly #options: TopicReplayOptions
  readonly #queue: RecordQueue
  #end: number

  constructor(options: TopicReplayOptions) {
    const { definition, partition, from, end, clock } = options
    const { source } = definition.filling
    this.#options = options
    this.#end = end
    // The time of the partition is not kept with the store. That of a record that has none of its own must not fail for it.
    const start = { offset: from, partitionTime: from > 0 ? 0 : -1 }
    this.#queue = new RecordQueue(source.topic.name, partition, source, start, () => clock.now())
  }

  get end(): number {
    return this.#end
  }

  /** More is committed by now. */
  extend(end: number): void {
    this.#end = Math.max(this.#end, end)
  }

  /** Everything below is in the store, or no data. */
  get position(): number {
    return Math.min(this.#queue.position, this.#end)
  }

  /**
   * Puts what was fetched below the end into the store; the rest is to be fetched again.
   * @param caughtUpAtMs when the store was last known to be at its end
   * @returns how many records
   * @throws MillstreamError of a record that failed and is not skipped
   */
  apply(fetched: FetchedRecords, caughtUpAtMs: number): number {
    const { store } = this.#options
    const queue = this.#queue
    let records = 0
    queue.add(fetched)
    for (; queue.hasHead && queue.headOffset < this.#end; records++) this.#take()
    const changelogOffset = this.position
    store.commitOverlay({ changelogOffset, leaderEpoch: -1, caughtUpAtMs })
    store.flush()
    queue.reset(changelogOffset, queue.partitionTime)
    return records
  }

  #take(): void {
    const { definition, store, policy, log } = this.#options
    const queue = this.#queue
    store.mark()
    try {
      fill(definition.filling, store, queue.head())
    } catch (error) {
      store.undo()
      const place = { kind: 'read-only', store: store.name }
      const { failure, skip } = judgeRow(error, queue, place, policy)
      if (!skip) throw failure
      log.warn('a record failed while a read-only store was restored, and is skipped', {
        cause: failure.message,
      })
    } finally {
      store.seal()
    }
    queue.pop()
  }
}
