// Follows a topic from its beginning and hands each committed record to a view.
import type { Logger } from '../base/log.ts'
import { nodePorts } from '../base/node-ports.ts'
import type { Cluster } from '../client/cluster.ts'
import { Fetcher } from '../client/fetcher.ts'
import { listOffsets } from '../client/offsets.ts'
import { ensureError } from '../errors.ts'
import { RecordCursor } from '../record/record-cursor.ts'
import type { Serde } from '../serde/serde.ts'
import type { DevView } from './dev-contract.ts'

const MiB = 1024 * 1024

const decode = (serde: Serde<unknown>, cursor: RecordCursor, start: number, length: number): unknown =>
  length < 0 ? null : serde.decode(cursor.buffer.subarray(start, start + length))

/** Runs until `close`. A record that the serdes of the topic refuse is left out and said once. */
export const followTopic = async (
  cluster: Cluster,
  view: DevView,
  log: Logger,
): Promise<{ close(): Promise<void> }> => {
  const { topic } = view
  const cursor = new RecordCursor()
  const next = new Map<number, number>()
  let refused = false

  const show = (): void => {
    const { buffer, offset, keyStart, keyLength, valueStart, valueLength } = cursor
    try {
      view.add({
        key: decode(topic.key, cursor, keyStart, keyLength),
        value: decode(topic.value, cursor, valueStart, valueLength),
      })
    } catch (error) {
      if (!refused)
        log.warn('a record cannot be shown', { topic: topic.name, offset, cause: ensureError(error).message })
      refused = buffer.length > 0
    }
  }

  const fetcher = new Fetcher(cluster, nodePorts, {
    role: 'fetch',
    isolation: 'read_committed',
    maxBytes: 4 * MiB,
    partitionMaxBytes: MiB,
    maxWaitMs: 500,
    bufferedBytesMax: 4 * MiB,
    log,
    onData: () => queueMicrotask(take),
  })
  let closed = false
  function take(): void {
    if (closed) return
    try {
      for (const { partition, batches, nextOffset } of fetcher.take()) {
        for (const batch of batches) {
          cursor.reset(batch)
          while (cursor.next()) if (cursor.offset >= (next.get(partition) ?? 0)) show()
        }
        next.set(partition, nextOffset)
      }
      cursor.release()
    } catch (error) {
      closed = true
      log.warn('the live view ends', { topic: topic.name, cause: ensureError(error).message })
    }
  }

  await cluster.refreshMetadata([topic.name])
  const count = cluster.topic(topic.name)?.partitions ?? 0
  const partitions = Array.from({ length: count }, (_, partition) => ({ topic: topic.name, partition }))
  const deadline = nodePorts.clock.monotonic() + 30_000
  const starts = await listOffsets(cluster, nodePorts, partitions, 'earliest', 'read_committed', deadline)
  for (const { partition, offset } of starts) fetcher.add(topic.name, partition, offset)
  return {
    close: () => {
      closed = true
      return fetcher.close()
    },
  }
}
