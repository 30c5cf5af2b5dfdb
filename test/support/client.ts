// Connections and values for tests of the client on the run's broker.

import { silentLogger } from '../../src/base/log.ts'
import { nodePorts } from '../../src/base/node-ports.ts'
import { Cluster, type ClusterSettings } from '../../src/client/cluster.ts'
import type { FetchedPartition } from '../../src/client/fetcher.ts'
import { RecordCursor } from '../../src/record/record-cursor.ts'
import { kafkaBrokers } from './kafka.ts'

/** Settings for the run's broker, with some of them replaced. */
export const clusterSettings = (settings: Partial<ClusterSettings> = {}): ClusterSettings => ({
  brokers: kafkaBrokers(),
  clientId: 'millstream-test',
  requestTimeoutMs: 10_000,
  connectionTimeoutMs: 5000,
  ...settings,
})

export const connect = (settings: Partial<ClusterSettings> = {}): Promise<Cluster> =>
  Cluster.connect(clusterSettings(settings), nodePorts, silentLogger)

/** A deadline on the monotonic clock. */
export const inMs = (ms: number): number => nodePorts.clock.monotonic() + ms

/** Waits until `check` returns something else than undefined or false. */
export const until = async <T>(
  what: string,
  check: () => T | undefined | false,
  timeoutMs = 15_000,
): Promise<T> => {
  const deadline = inMs(timeoutMs)
  for (;;) {
    const found = check()
    if (found !== undefined && found !== false) return found
    if (inMs(0) > deadline) throw new Error(`${what} did not happen within ${timeoutMs} ms`)
    await nodePorts.timers.sleep(10)
  }
}

/** Offsets and values (as text) of the records at or above `from`. */
export const recordsOf = (
  fetched: readonly FetchedPartition[],
  from = 0,
): { offset: number; value: string }[] => {
  const records: { offset: number; value: string }[] = []
  const cursor = new RecordCursor()
  for (const { batches } of fetched) {
    for (const batch of batches) {
      cursor.reset(batch)
      while (cursor.next()) {
        const { offset, valueStart, valueLength } = cursor
        if (offset < from) continue
        records.push({
          offset,
          value: cursor.buffer.toString('utf8', valueStart, valueStart + Math.max(0, valueLength)),
        })
      }
    }
  }
  return records
}
