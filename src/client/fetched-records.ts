// One partition's part of a fetch response becomes batches that may be processed: CRC checked, no markers, nothing
// aborted. Pure.
import type { TopicPartition } from '../base/topic-partition.ts'
import { isMillstreamError, type MillstreamError } from '../errors.ts'
import type { IsolationLevel } from '../protocol/list-offsets.ts'
import { type AbortedTransaction, AbortedTransactionFilter } from '../record/aborted-filter.ts'
import { type BatchView, readBatches } from '../record/batch-view.ts'

export interface AcceptedBatches {
  readonly batches: BatchView[]
  /** Position after everything that was seen, markers and aborted batches included. */
  readonly nextOffset: number
  /** A batch that cannot be read; what stood before it is in `batches`, and nextOffset is its place. */
  readonly failure: MillstreamError | undefined
}

/**
 * @param position fetch position. The first batch may begin below it (a broker sends whole batches): its records below
 * the position are the consumer's to skip.
 */
export const acceptBatches = (
  records: Buffer,
  place: TopicPartition,
  position: number,
  isolation: IsolationLevel,
  aborted: readonly AbortedTransaction[],
): AcceptedBatches => {
  const accepted: BatchView[] = []
  let nextOffset = position
  try {
    const filter = new AbortedTransactionFilter(isolation === 'read_committed' ? aborted : [])
    for (const batch of readBatches(records, 0, records.length, place)) {
      batch.checkCrc()
      const mayBeSeen = filter.accepts(batch)
      if (batch.nextOffset <= position) continue
      // A batch that compaction emptied only moves the position.
      if (mayBeSeen && batch.recordCount > 0) accepted.push(batch)
      nextOffset = batch.nextOffset
    }
    return { batches: accepted, nextOffset, failure: undefined }
  } catch (error) {
    if (!isMillstreamError(error)) throw error
    return { batches: accepted, nextOffset, failure: error }
  }
}
