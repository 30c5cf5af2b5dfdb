// The topics of the test driver: what a broker would hold, in memory. Partitions are lists of the batches that
// collectors sealed, with transactions as a reader with read_committed sees them.
import type { FetchedPartition } from '../../client/fetcher.ts'
import type { BatchBuilder } from '../../record/batch-builder.ts'
import { BatchView } from '../../record/batch-view.ts'
import { copyBytes } from '../../record/copy-bytes.ts'
import { writeInt64 } from '../../record/varint.ts'

/** `open`: of a transaction that is not decided. An aborted batch keeps its offsets and is passed over. */
interface Entry {
  readonly batch: BatchView
  state: 'open' | 'committed' | 'aborted'
}

class PartitionLog {
  readonly topic: string
  readonly partition: number
  readonly #entries: Entry[] = []
  #open: Entry[] = []

  constructor(topic: string, partition: number) {
    this.topic = topic
    this.partition = partition
  }

  get #end(): number {
    return this.#entries.at(-1)?.batch.nextOffset ?? 0
  }

  /** The last stable offset: nothing from the first undecided batch on is told to readers. */
  get stableEnd(): number {
    return this.#open[0]?.batch.baseOffset ?? this.#end
  }

  append(builder: BatchBuilder, transactional: boolean): BatchView {
    const bytes = builder.seal({
      producerId: -1,
      producerEpoch: -1,
      baseSequence: -1,
      transactional,
      compression: 'none',
    })
    writeInt64(bytes, 0, this.#end)
    const entry: Entry = {
      batch: new BatchView(bytes, 0, this),
      state: transactional ? 'open' : 'committed',
    }
    this.#entries.push(entry)
    if (transactional) this.#open.push(entry)
    return entry.batch
  }

  /** Decides about the open batches. */
  settle(state: 'committed' | 'aborted'): void {
    for (const entry of this.#open) entry.state = state
    this.#open = []
  }

  fetch(from: number): FetchedPartition {
    const { topic, partition, stableEnd } = this
    const batches: BatchView[] = []
    // From the end: what a reader lacks is little, and the log may be long.
    for (let index = this.#entries.length - 1; index >= 0; index--) {
      const { batch, state } = this.#entries[index] as Entry
      if (batch.nextOffset <= from) break
      if (batch.baseOffset < stableEnd && state === 'committed') batches.unshift(batch)
    }
    return {
      topic,
      partition,
      batches,
      nextOffset: stableEnd,
      highWatermark: this.#end,
      lastStableOffset: stableEnd,
      logStartOffset: 0,
      bytes: batches.reduce((sum, batch) => sum + batch.sizeInBytes, 0),
    }
  }
}

/**
 * The batch as a fetch brings it, in bytes of its own: gone with its last record where nobody keeps records, as in a worker. A
 * record that a function kept all the same is found out here, and not when an answer happens to end.
 */
export const asFetched = (batch: BatchView): BatchView => {
  // Slow means "not out of the shared pool", which must not be detached.
  const bytes = Buffer.allocUnsafeSlow(batch.sizeInBytes)
  copyBytes(batch.buffer, batch.start, batch.sizeInBytes, bytes, 0)
  const fetched = new BatchView(bytes, 0, batch.place)
  fetched.memory = { release: () => void bytes.buffer.transfer() }
  return fetched
}

export class TopicLog {
  readonly name: string
  readonly partitions: readonly PartitionLog[]
  /** The batches that readers may see, over all partitions, in the order in which they came to be seen. */
  readonly published: BatchView[] = []
  #unpublished: BatchView[] = []

  constructor(name: string, partitions: number) {
    this.name = name
    this.partitions = Array.from({ length: partitions }, (_, partition) => new PartitionLog(name, partition))
  }

  /** @param transactional part of the open transaction; else it is there at once. @returns the offset of its first record */
  append(partition: number, builder: BatchBuilder, transactional: boolean): number {
    const batch = (this.partitions[partition] as PartitionLog).append(builder, transactional)
    const list = transactional ? this.#unpublished : this.published
    list.push(batch)
    return batch.baseOffset
  }

  /** Ends the open transaction. */
  settle(state: 'committed' | 'aborted'): void {
    for (const log of this.partitions) log.settle(state)
    if (state === 'committed') this.published.push(...this.#unpublished)
    this.#unpublished = []
  }
}
