// Filters for aborted transactions that are wrong in a known way. A test that judges the right one runs them over the
// same answers of the broker: one that nothing refutes means that the test does not look where it should.
import type { AbortedTransaction } from '../../src/record/aborted-filter.ts'
import { AbortedTransactionFilter } from '../../src/record/aborted-filter.ts'
import type { BatchView } from '../../src/record/batch-view.ts'
import { controlType } from '../../src/record/control-record.ts'
import { RecordCursor } from '../../src/record/record-cursor.ts'

export interface BatchFilter {
  accepts(batch: BatchView): boolean
}

type MakeFilter = (aborted: readonly AbortedTransaction[]) => BatchFilter

const isAbort = (batch: BatchView): boolean => batch.isControl && controlType(batch) === 'abort'

/** The list as a queue: ranges open in its order, and an abort marker ends the range of its producer. */
const queueFilter = (queue: AbortedTransaction[]): BatchFilter => {
  const open = new Set<number>()
  return {
    accepts(batch) {
      while (queue[0] !== undefined && queue[0].firstOffset <= batch.lastOffset) {
        open.add((queue.shift() as AbortedTransaction).producerId)
      }
      if (isAbort(batch)) open.delete(batch.producerId)
      return !batch.isControl && !(batch.isTransactional && open.has(batch.producerId))
    },
  }
}

const byFirstOffset = (a: AbortedTransaction, b: AbortedTransaction): number => a.firstOffset - b.firstOffset

/** Knows one range of each producer, `last` or first in the list; it ends at the first marker behind its beginning. */
const oneRangeFilter = (aborted: readonly AbortedTransaction[], last: boolean): BatchFilter => {
  const ranges = new Map<number, number>()
  for (const { producerId, firstOffset } of aborted) {
    if (last || !ranges.has(producerId)) ranges.set(producerId, firstOffset)
  }
  return {
    accepts(batch) {
      const first = ranges.get(batch.producerId) ?? Number.POSITIVE_INFINITY
      if (isAbort(batch) && first <= batch.lastOffset) ranges.delete(batch.producerId)
      return !batch.isControl && !(batch.isTransactional && first <= batch.lastOffset)
    },
  }
}

/** The first record's key decides whether a batch is a marker. */
const keyFilter = (aborted: readonly AbortedTransaction[]): BatchFilter => {
  const right = new AbortedTransactionFilter(aborted)
  const cursor = new RecordCursor()
  return {
    accepts(batch) {
      cursor.reset(batch)
      const looksLikeMarker =
        cursor.next() && cursor.keyLength === 4 && cursor.buffer.readInt16BE(cursor.keyStart) === 0
      return right.accepts(batch) && !looksLikeMarker
    },
  }
}

/** As keyFilter, but what looks like an abort marker is not hidden alone: it ends the range of its producer. */
const keyEndsFilter = (aborted: readonly AbortedTransaction[]): BatchFilter => {
  const queue = [...aborted].sort(byFirstOffset)
  const open = new Set<number>()
  const cursor = new RecordCursor()
  return {
    accepts(batch) {
      while (queue[0] !== undefined && queue[0].firstOffset <= batch.lastOffset) {
        open.add((queue.shift() as AbortedTransaction).producerId)
      }
      const hidden = batch.isTransactional && open.has(batch.producerId)
      cursor.reset(batch)
      if (cursor.next() && cursor.keyLength === 4 && cursor.buffer.readInt32BE(cursor.keyStart) === 0) {
        open.delete(batch.producerId)
      }
      return !batch.isControl && !hidden
    },
  }
}

export const wrongFilters: Readonly<Record<string, MakeFilter>> = {
  'the list unsorted': (aborted) => queueFilter([...aborted]),
  'a key taken for a marker': keyFilter,
  'a key that ends a range': keyEndsFilter,
  'one range per producer, its first': (aborted) => oneRangeFilter(aborted, false),
  'one range per producer, its last': (aborted) => oneRangeFilter(aborted, true),
  'a range that no marker ends': (aborted) => {
    const producers = new Set(aborted.map(({ producerId }) => producerId))
    return {
      accepts: (batch) => !(batch.isControl || (batch.isTransactional && producers.has(batch.producerId))),
    }
  },
  'no list at all': () => ({ accepts: (batch) => !batch.isControl }),
}

/** The queue of the first one in the right order is right: what refutes it is the order alone. */
export const sortedQueue: MakeFilter = (aborted) => queueFilter([...aborted].sort(byFirstOffset))
