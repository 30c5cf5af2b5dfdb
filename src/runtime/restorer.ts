// Replays changelogs into stores: read_committed, until the position has reached the high watermark.
//
// The target is the high watermark, not the last stable offset: the markers of one transaction land partition by
// partition, so a new owner can see the committed input offset while the changelog's marker is still on its way. A
// restore up to the last stable offset would miss that transaction's writes for ever (KAFKA-10167). And the position
// is compared, not the offset of the last record: a changelog may end in markers or aborted records (KAFKA-12951).
import { faultPoint } from '../base/fault-point.ts'
import type { Logger } from '../base/log.ts'
import type { Ports } from '../base/ports.ts'
import { partitionId } from '../base/topic-partition.ts'
import { wrong } from '../base/wrong-builds.ts'
import type { Cluster } from '../client/cluster.ts'
import { Fetcher, type FetchedPartition } from '../client/fetcher.ts'
import type { LeftOpen } from '../client/left-open.ts'
import { MillstreamError } from '../errors.ts'
import type { BatchView } from '../record/batch-view.ts'
import { RecordCursor } from '../record/record-cursor.ts'
import type { ChangelogEntry } from '../state/contracts.ts'
import { joinHeaders } from '../state/headed-values.ts'
import type { AnyStore } from '../task/contracts.ts'
import type { TopicReplay } from '../task/topic-replay.ts'
import { RestoreMeter, type RestoreObserver } from './restore-progress.ts'
import { Wakeup } from './wakeup.ts'

export interface RestoreJob {
  readonly taskId: string
  readonly store: AnyStore
  readonly topic: string
  readonly partition: number
  /** Offset at which reading begins. */
  readonly from: number
  /** High watermark, asked after a stable OffsetFetch of the task; of a read-only store, what that has answered. */
  readonly to: number
  /** Of a read-only store. */
  readonly replay?: TopicReplay
}

export interface RestoreLimits {
  readonly fetchBytesMax: number
  readonly partitionFetchBytesMax: number
  readonly fetchWaitMs: number
  readonly bufferedBytesMax: number
}

/** Milliseconds between two lines of progress. */
const progressMs = 2000

export class Restorer {
  readonly #cluster: Cluster
  readonly #ports: Ports
  readonly #limits: RestoreLimits
  readonly #log: Logger
  readonly #observer: RestoreObserver
  readonly #leftOpen: LeftOpen

  constructor(
    cluster: Cluster,
    ports: Ports,
    limits: RestoreLimits,
    log: Logger,
    observer: RestoreObserver,
    leftOpen: LeftOpen,
  ) {
    this.#cluster = cluster
    this.#ports = ports
    this.#limits = limits
    this.#log = log
    this.#observer = observer
    this.#leftOpen = leftOpen
  }

  /**
   * Restores all stores side by side. Returns when each is at its high watermark.
   * @param interrupted checked between fetches: a worker that closes does not wait for a restore.
   */
  async restore(
    jobs: readonly RestoreJob[],
    interrupted: () => boolean,
  ): Promise<'restored' | 'interrupted'> {
    const open = new Map<string, RestoreJob>()
    for (const job of jobs) {
      if (job.from >= job.to) {
        const caughtUpAtMs = this.#ports.clock.now()
        job.store.applyChangelog([], { changelogOffset: job.from, leaderEpoch: -1, caughtUpAtMs })
      } else open.set(partitionId(job.topic, job.partition), job)
    }
    if (open.size === 0) return 'restored'
    const wakeup = new Wakeup(this.#ports)
    const fetcher = new Fetcher(this.#cluster, this.#ports, {
      role: 'restore',
      isolation: 'read_committed',
      maxBytes: this.#limits.fetchBytesMax,
      partitionMaxBytes: this.#limits.partitionFetchBytesMax,
      maxWaitMs: this.#limits.fetchWaitMs,
      bufferedBytesMax: this.#limits.bufferedBytesMax,
      log: this.#log,
      onData: () => wakeup.notify(),
    })
    const offsets = new Map([...open].map(([id, { from, to }]) => [id, to - from]))
    const meter = new RestoreMeter(this.#ports.clock, offsets)
    this.#observer.restoreBegan(meter)
    try {
      for (const job of open.values()) fetcher.add(job.topic, job.partition, job.from)
      return await this.#follow(open, fetcher, wakeup, meter, interrupted)
    } finally {
      this.#observer.restoreEnded(meter)
      await fetcher.close()
    }
  }

  async #follow(
    open: Map<string, RestoreJob>,
    fetcher: Fetcher,
    wakeup: Wakeup,
    meter: RestoreMeter,
    interrupted: () => boolean,
  ): Promise<'restored' | 'interrupted'> {
    const started = this.#ports.clock.monotonic()
    let reportedMs = started
    let advancedMs = started
    while (open.size > 0) {
      if (interrupted()) return 'interrupted'
      for (const fetched of fetcher.take()) {
        const id = partitionId(fetched.topic, fetched.partition)
        const job = open.get(id)
        if (job === undefined) continue
        meter.advanced(id, job.to - fetched.nextOffset, this.#apply(job, fetched), fetched.bytes)
        advancedMs = this.#ports.clock.monotonic()
        faultPoint('restore-batch')
        if (reached(fetched) < job.to) continue
        fetcher.remove(job.topic, job.partition)
        open.delete(id)
      }
      this.#observer.turned()
      if (this.#ports.clock.monotonic() - reportedMs >= progressMs) {
        reportedMs = this.#ports.clock.monotonic()
        meter.sample()
        this.#log.info('restoring', { ...meter.progress })
        this.#observer.restoreReported()
      }
      this.#leftOpen.suspect([...open.values()], advancedMs)
      if (open.size > 0) await wakeup.wait(this.#limits.fetchWaitMs)
    }
    const { records, bytes } = meter
    const durationMs = Math.round(this.#ports.clock.monotonic() - started)
    this.#log.info('restored', { records, bytes, durationMs })
    return 'restored'
  }

  #apply(job: RestoreJob, fetched: FetchedPartition): number {
    const now = this.#ports.clock.now()
    // On the way the time of the last known end stays: an interrupted restore must not look younger than it is.
    const known = job.store.checkpoint()?.caughtUpAtMs ?? now
    return applyFetched(job, fetched, fetched.nextOffset >= job.to ? now : known)
  }
}

/**
 * Puts what was fetched of a changelog into its store.
 * @param caughtUpAtMs when the store was last known to be at the end of its changelog
 * @returns how many records
 */
export const applyFetched = (job: RestoreJob, fetched: FetchedPartition, caughtUpAtMs: number): number => {
  if (job.replay !== undefined) return job.replay.apply(fetched, caughtUpAtMs)
  const entries: ChangelogEntry[] = []
  const position = job.store.checkpoint()?.changelogOffset ?? job.from
  for (const batch of fetched.batches) collectEntries(batch, position, entries, job)
  const leaderEpoch = fetched.batches.at(-1)?.partitionLeaderEpoch ?? -1
  if (fetched.nextOffset >= job.to && wrong('changelog-record-skipped')) entries.pop()
  job.store.applyChangelog(entries, { changelogOffset: fetched.nextOffset, leaderEpoch, caughtUpAtMs })
  return entries.length
}

/** The position behind what was fetched, markers included. */
const reached = ({ batches, nextOffset }: FetchedPartition): number =>
  wrong('restore-by-last-record') ? (batches.at(-1)?.nextOffset ?? -1) : nextOffset

const collectEntries = (
  batch: BatchView,
  position: number,
  entries: ChangelogEntry[],
  job: RestoreJob,
): void => {
  const cursor = new RecordCursor()
  cursor.reset(batch)
  while (cursor.next()) {
    if (cursor.offset < position) continue
    // A changelog record is never skipped: what we do not understand was not written by us.
    if (cursor.keyLength < 0) throw foreignRecord(job, cursor.offset)
    const { buffer, keyStart, keyLength, valueStart, valueLength } = cursor
    const value = valueLength < 0 ? null : buffer.subarray(valueStart, valueStart + valueLength)
    entries.push({
      key: buffer.subarray(keyStart, keyStart + keyLength),
      value: value === null || !job.store.keepsHeaders ? value : joinHeaders(value, cursor.headers()),
    })
  }
}

const foreignRecord = (job: RestoreJob, offset: number): MillstreamError =>
  new MillstreamError('TOPIC_MISMATCH', {
    what: 'a record of the changelog has no key: somebody else writes to this topic',
    where: { topic: job.topic, partition: job.partition, offset, task: job.taskId },
    fix: 'Find who writes to the changelog; the store can only be trusted when the topic holds its changes alone.',
  })
