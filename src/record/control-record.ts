// Control records: what a coordinator writes into a partition to end a transaction there (KIP-98). Only the attribute
// bit of the batch makes one; an ordinary record may carry the very same bytes as its key.
//
// Key: version int16 | type int16 (0 abort, 1 commit; others belong to KRaft). Value: version and coordinator epoch.
import { invariant } from '../base/assert.ts'
import { batchCorrupt } from './batch-errors.ts'
import type { BatchView } from './batch-view.ts'
import { RecordCursor } from './record-cursor.ts'

export type ControlType = 'abort' | 'commit' | 'other'

/**
 * The type of a control batch. 'other' for types of later versions, and for a batch whose marker compaction removed
 * while the batch itself stays for its producer's state.
 * @throws MillstreamError BATCH_CORRUPT when the key is no control key.
 */
export const controlType = (batch: BatchView): ControlType => {
  invariant(batch.isControl, 'only control batches hold markers', { offset: batch.baseOffset })
  if (batch.recordCount === 0) return 'other'
  // One per marker, not per record: a shared cursor would keep the last response alive.
  const cursor = new RecordCursor()
  cursor.reset(batch)
  cursor.next()
  if (cursor.keyLength < 4 || cursor.buffer.readInt16BE(cursor.keyStart) < 0) {
    throw batchCorrupt(
      batch.batchPlace,
      `a control record has a key of ${cursor.keyLength} bytes that names no type`,
    )
  }
  const type = cursor.buffer.readInt16BE(cursor.keyStart + 2)
  if (type === 0) return 'abort'
  return type === 1 ? 'commit' : 'other'
}
