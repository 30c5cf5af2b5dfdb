// The aborted-transaction filter of a read_committed fetch: which batches of one partition's response may be seen.
//
// The broker sends records up to the last stable offset, whether their transaction was committed or aborted, with a
// list of the aborted transactions that overlap them: (producer id, offset of the first record). It does not say where
// they end; that is the producer's next abort marker. What follows from how the broker keeps its books:
//
// - Per producer. A producer has at most one open transaction in a partition, and any marker of its id ends it. So the
//   ranges of one producer never overlap, and those of several interleave freely: a marker ends its own producer's
//   range alone.
// - Sorted by first offset. The index is appended when a transaction *completes*: a long one that began first comes
//   after a short one that began later. Read as a queue in that order, the short one would block the long one.
// - A range opens by offset, not by the first batch seen. A fetch may start in the middle (first offset below the
//   fetched data) or compaction may have removed the first batches.
// - Several ranges of one producer in one response. The first abort marker ends the first; records of a committed
//   transaction of that producer in between must pass. So an abort marker at offset m ends every listed range that
//   began at or before m, and none that begins later. That also makes right: a fetch that starts at a marker (it ends
//   the listed range before any record is seen), a marker whose transaction wrote nothing here or whose data and index
//   entry compaction removed (nothing began before it: nothing ends), and an entry that is listed twice.
// - A range still open at the end of the response is not carried over: each fetch lists it again, as long as its marker
//   lies at or behind the fetch offset. A filter belongs to one partition's part of one response.
// - Commit markers end nothing. A commit marker inside a listed range cannot be (it would have ended the transaction,
//   and later records would be listed with a first offset behind it), so there is nothing to end; were a broker wrong
//   there, going on to reject is what Kafka's own consumer does.
// - Only the attribute bit makes a marker: an ordinary record may have the key 00 00 00 00.
// - Only transactional batches can be aborted: a producer id alone (idempotence) is not a transaction.
import { wrong } from '../base/wrong-builds.ts'
import type { BatchView } from './batch-view.ts'
import { controlType } from './control-record.ts'

/** An aborted transaction as a fetch response lists it. */
export interface AbortedTransaction {
  readonly producerId: number
  readonly firstOffset: number
}

/** First offsets of one producer in rising order; those before `open` are ended. */
interface ProducerRanges {
  readonly firstOffsets: number[]
  open: number
}

export class AbortedTransactionFilter {
  readonly #ranges: Map<number, ProducerRanges> | undefined

  /** `aborted` may come in any order; with an empty list only control batches are rejected. */
  constructor(aborted: readonly AbortedTransaction[]) {
    if (aborted.length === 0) return
    this.#ranges = new Map()
    for (const { producerId, firstOffset } of aborted) {
      const ranges = this.#ranges.get(producerId)
      if (ranges === undefined) this.#ranges.set(producerId, { firstOffsets: [firstOffset], open: 0 })
      else if (!wrong('first-aborted-range-only')) ranges.firstOffsets.push(firstOffset)
    }
    for (const ranges of this.#ranges.values()) ranges.firstOffsets.sort((a, b) => a - b)
  }

  /**
   * Whether the records of `batch` may be seen. Call it once for every batch of the response, in order, those that
   * are skipped for another reason too. Control batches are never accepted; the position moves past whatever is
   * rejected (BatchView.nextOffset).
   * @throws MillstreamError BATCH_CORRUPT when a control batch cannot be read.
   */
  accepts(batch: BatchView): boolean {
    if (batch.isControl) {
      if (this.#ranges !== undefined) this.#endRanges(batch)
      return false
    }
    if (this.#ranges === undefined || !batch.isTransactional) return true
    const ranges = this.#ranges.get(batch.producerId)
    if (ranges === undefined) return true
    const firstOffset = ranges.firstOffsets[ranges.open]
    return firstOffset === undefined || firstOffset > batch.lastOffset
  }

  #endRanges(marker: BatchView): void {
    const ranges = this.#ranges?.get(marker.producerId)
    if (ranges === undefined || controlType(marker) !== 'abort') return
    const { firstOffsets } = ranges
    while (ranges.open < firstOffsets.length && (firstOffsets[ranges.open] as number) <= marker.lastOffset)
      ranges.open++
  }
}
