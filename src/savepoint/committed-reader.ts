// Reads partitions from one offset to another, committed records only, for export and import: several side by side, in
// bounded memory. What an open transaction holds back is waited for, and not for ever.
import type { Logger } from '../base/log.ts'
import type { Ports } from '../base/ports.ts'
import { partitionId, type TopicPartition } from '../base/topic-partition.ts'
import type { Cluster } from '../client/cluster.ts'
import { type FetchedPartition, Fetcher } from '../client/fetcher.ts'
import type { WorkerSettings } from '../config/worker-settings.ts'
import { MillstreamError } from '../errors.ts'
import { RecordCursor } from '../record/record-cursor.ts'
import { Wakeup } from '../runtime/wakeup.ts'

export interface ReadJob extends TopicPartition {
  readonly from: number
  /** The high watermark: markers of committed transactions that are still on their way lie below it. */
  readonly to: number
  /** Gets the cursor on each committed record from `from` on. */
  readonly record: (cursor: RecordCursor) => void
  /** After the records of one answer; `next` is the position behind them. */
  readonly batchEnded?: (next: number) => void
}

export interface ReaderContext {
  readonly cluster: Cluster
  readonly ports: Ports
  readonly settings: WorkerSettings
  readonly log: Logger
  /** Ends the work. */
  readonly stop: AbortSignal
}

/** Beyond the transaction timeout: the broker's clean-up comes round every 10 s, and writes its markers then. */
const cleanUpMs = 20_000

/** How long something that an open transaction holds back is waited for, ms. */
export const patienceMs = ({ transactionTimeoutMs }: WorkerSettings): number =>
  transactionTimeoutMs + cleanUpMs

/** @throws MillstreamError CLOSED */
export const throwIfStopped = (stop: AbortSignal): void => {
  if (stop.aborted) throw new MillstreamError('CLOSED', { what: 'it was interrupted before its end' })
}

const heldBack = (jobs: readonly ReadJob[], waitedMs: number): MillstreamError =>
  new MillstreamError('REQUEST_TIMED_OUT', {
    what: `${jobs.map((job) => partitionId(job.topic, job.partition)).join(', ')} could not be read to the end for ${waitedMs} ms: a transaction that writes there is still open`,
    fix: 'It ends at the transaction timeout of its owner at the latest. "kafka-transactions list" shows it.',
  })

const apply = (job: ReadJob, fetched: FetchedPartition, cursor: RecordCursor): void => {
  for (const batch of fetched.batches) {
    cursor.reset(batch)
    while (cursor.next()) if (cursor.offset >= job.from && cursor.offset < job.to) job.record(cursor)
  }
  cursor.release()
  job.batchEnded?.(Math.min(fetched.nextOffset, job.to))
}

/**
 * Reads every job to its end.
 * @param progress called now and then with offsets done and in all
 * @throws MillstreamError REQUEST_TIMED_OUT where an open transaction holds the end back, CLOSED, and what fetching throws
 */
export const readCommitted = async (
  { cluster, ports, settings, log, stop }: ReaderContext,
  jobs: readonly ReadJob[],
  progress: (done: number, total: number) => void = () => {},
): Promise<void> => {
  const open = new Map(
    jobs.filter(({ from, to }) => from < to).map((job) => [partitionId(job.topic, job.partition), job]),
  )
  if (open.size === 0) return
  const total = [...open.values()].reduce((sum, { from, to }) => sum + to - from, 0)
  const positions = new Map([...open].map(([id, { from }]) => [id, from]))
  const wakeup = new Wakeup(ports)
  const fetcher = new Fetcher(cluster, ports, {
    role: 'restore',
    isolation: 'read_committed',
    maxBytes: settings.fetchBytesMax,
    partitionMaxBytes: settings.partitionFetchBytesMax,
    maxWaitMs: settings.fetchWaitMs,
    bufferedBytesMax: settings.fetchBytesMax,
    log,
    onData: () => wakeup.notify(),
  })
  const cursor = new RecordCursor()
  const patience = patienceMs(settings)
  let done = 0
  let movedAtMs = ports.clock.monotonic()
  try {
    for (const { topic, partition, from } of open.values()) fetcher.add(topic, partition, from)
    while (open.size > 0) {
      throwIfStopped(stop)
      for (const fetched of fetcher.take()) {
        const id = partitionId(fetched.topic, fetched.partition)
        const job = open.get(id)
        if (job === undefined) continue
        apply(job, fetched, cursor)
        const next = Math.min(fetched.nextOffset, job.to)
        const moved = next - (positions.get(id) as number)
        if (moved > 0) movedAtMs = ports.clock.monotonic()
        done += moved
        positions.set(id, next)
        if (next < job.to) continue
        fetcher.remove(job.topic, job.partition)
        open.delete(id)
      }
      progress(done, total)
      if (open.size === 0) break
      if (ports.clock.monotonic() - movedAtMs > patience) throw heldBack([...open.values()], patience)
      await wakeup.wait(settings.fetchWaitMs)
    }
  } finally {
    await fetcher.close()
  }
}
