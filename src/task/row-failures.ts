// A record that fails while a store is filled from its topic outside of any task: a global table at any time, a read-only
// store that is restored. Another attempt would come to the same: it has nothing but the record and the store.
import { ensureError, isMillstreamError, MillstreamError } from '../errors.ts'
import type { FailurePolicy } from './failure-policy.ts'
import type { RecordQueue } from './record-queue.ts'

/** What becomes of such a record. */
export type RowPolicy = Pick<FailurePolicy, 'action' | 'afterRetries'>

export interface RowPlace {
  /** `global`, `read-only`. */
  readonly kind: string
  readonly store: string
}

/**
 * The failure of the record at hand, and whether it is left out.
 * @throws what is no failure of a record
 */
export const judgeRow = (
  error: unknown,
  queue: RecordQueue,
  { kind, store }: RowPlace,
  { action: configured, afterRetries }: RowPolicy,
): { readonly failure: MillstreamError; readonly skip: boolean } => {
  const cause = ensureError(error)
  const where = { topic: queue.topic, partition: queue.partition, offset: queue.headOffset, store }
  if (isMillstreamError(cause) && cause.reaction !== 'policy') throw cause
  const failure = isMillstreamError(cause)
    ? cause.relocated(where)
    : new MillstreamError('PROCESSING_FAILED', {
        what: `the function of a ${kind} store threw ${cause.name}: ${cause.message}`,
        where,
        fix: 'Mend the function, or set onFailure to skip.',
        cause,
      })
  const action = queue.headVerdict ?? configured
  return { failure, skip: (action === 'retry' ? afterRetries : action) !== 'fail' }
}
