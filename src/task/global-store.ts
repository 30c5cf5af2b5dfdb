// A global table while it runs: the store that this worker holds whole, and what came of its topic and is not in it yet.
// It takes batches and says how far it is; sockets are its owner's. Its writes are transactions of the local store alone:
// rows and the positions behind them together, so that a restart goes on where the rows end.
import type { Logger } from '../base/log.ts'
import type { Clock } from '../base/ports.ts'
import { isSchemaPending } from '../errors.ts'
import type { KeyValueStore } from '../state/contracts.ts'
import { PlainView } from '../state/timestamped.ts'
import type { TransactionalStore } from '../state/transactional-store.ts'
import type { GlobalTableDefinition, StoreDefinition } from '../topology/contracts.ts'
import { type FetchedRecords, RecordQueue } from './record-queue.ts'
import { judgeRow, type RowPolicy } from './row-failures.ts'

export interface GlobalStoreOptions {
  readonly table: GlobalTableDefinition
  readonly store: TransactionalStore<unknown, unknown>
  readonly policy: RowPolicy
  readonly clock: Clock
  readonly log: Logger
}

export class GlobalStore {
  readonly table: GlobalTableDefinition
  readonly store: TransactionalStore<unknown, unknown>
  /** Counted since the start. */
  readonly counts = { records: 0, skipped: 0 }
  readonly #policy: GlobalStoreOptions['policy']
  readonly #clock: Clock
  readonly #log: Logger
  readonly #view: KeyValueStore<unknown, unknown>
  #queues: readonly RecordQueue[] = []
  #timestampInHand = 0
  #failedAt: RecordQueue | undefined
  /** The function met a row whose schema is on its way. */
  #isPending = false

  constructor({ table, store, policy, clock, log }: GlobalStoreOptions) {
    this.table = table
    this.store = store
    this.#policy = policy
    this.#clock = clock
    this.#log = log
    this.#view = new PlainView<unknown, unknown>(
      store as TransactionalStore<unknown, never>,
      table.store.plainValue as never,
      () => this.#timestampInHand,
    )
    store.seal()
  }

  get definition(): StoreDefinition {
    return this.table.store
  }

  get topic(): string {
    return this.table.source.topic.name
  }

  /** By partition: everything below is in the store, or no data. */
  get positions(): readonly number[] {
    return this.#queues.map(({ position }) => position)
  }

  /** Whether it waits for schemas: `update` goes on when they have come. */
  get isHeldBack(): boolean {
    return this.#isPending || this.#queues.some((queue) => queue.isHeldBack)
  }

  /** Reads on from these positions, one per partition. */
  begin(positions: readonly number[]): void {
    const { source } = this.table
    this.#queues = positions.map(
      (offset, partition) =>
        // The time of a partition is not kept: where records were read before it is no beginning, and some time is known.
        new RecordQueue(this.topic, partition, source, { offset, partitionTime: offset > 0 ? 0 : -1 }, () =>
          this.#clock.now(),
        ),
    )
  }

  add(partition: number, fetched: FetchedRecords): void {
    this.#queues[partition]?.add(fetched)
  }

  /**
   * Takes up to `limit` records in. @returns how many; fewer when nothing is left
   * @throws MillstreamError of a record that failed and is not skipped: what came before it is committed
   */
  update(limit: number): number {
    let done = 0
    this.#isPending = false
    try {
      for (const queue of this.#queues) {
        queue.tryGate()
        while (done < limit && queue.hasHead && this.#take(queue)) done++
      }
    } finally {
      if (done > 0 || !this.isHeldBack) this.commit()
    }
    return done
  }

  /** Leaves the record out that made `update` fail. */
  passOver(): void {
    this.#failedAt?.pop()
    this.#failedAt = undefined
    this.commit()
  }

  /** What was taken in is in the store for good. @param caughtUpAtMs when that was known to be all; undefined: as before */
  commit(caughtUpAtMs?: number): void {
    const { positions } = this
    const known = this.store.checkpoint()
    const changelogOffset = positions.reduce((sum, position) => sum + position, 0)
    this.store.commitOverlay({
      changelogOffset,
      leaderEpoch: -1,
      caughtUpAtMs: caughtUpAtMs ?? known?.caughtUpAtMs ?? this.#clock.now(),
      positions,
    })
  }

  /** @returns whether it was taken in, or left out; else it waits for a schema */
  #take(queue: RecordQueue): boolean {
    const { store } = this
    store.mark()
    try {
      const record = queue.head()
      this.#timestampInHand = queue.headTimestamp
      if (this.table.update !== undefined) this.table.update(record, this.#view)
      else if (record.keyIsNull) this.counts.skipped++
      else if (record.valueIsNull) store.deleteOf(record)
      else store.putOf(record, { value: record.value, timestamp: record.timestamp })
      this.counts.records++
    } catch (error) {
      store.undo()
      if (isSchemaPending(error)) {
        this.#isPending = true
        return false
      }
      this.#failed(queue, error)
    } finally {
      store.seal()
    }
    queue.pop()
    return true
  }

  /** @throws unless it is skipped */
  #failed(queue: RecordQueue, error: unknown): void {
    const place = { kind: 'global', store: this.table.name }
    const { failure, skip } = judgeRow(error, queue, place, this.#policy)
    if (!skip) {
      this.#failedAt = queue
      throw failure
    }
    this.counts.skipped++
    this.#log.warn('a record of a global table failed and is skipped', { cause: failure.message })
  }
}
