// What happens to a record whose processor (or serde, or timestamp) failed. The record is undone alone before.

export interface FailurePolicy {
  /** fail: what came before is committed and the worker stops; skip: the record is counted and left out. */
  readonly action: 'fail' | 'skip' | 'retry'
  /** How often a record is tried again (retry). */
  readonly retryAttempts: number
  /** Pause before the first retry, ms; it doubles each time. */
  readonly retryBackoffMs: number
  readonly retryBackoffMaxMs: number
  /** What follows the last retry. */
  readonly afterRetries: 'fail' | 'skip'
}

export type FailureVerdict =
  | { readonly action: 'fail' | 'skip' }
  | { readonly action: 'retry'; readonly delayMs: number }

/** @param attempt how often this record has failed, from 1 */
export const judgeFailure = (policy: FailurePolicy, attempt: number): FailureVerdict => {
  if (policy.action !== 'retry') return { action: policy.action }
  if (attempt > policy.retryAttempts) return { action: policy.afterRetries }
  return {
    action: 'retry',
    delayMs: Math.min(policy.retryBackoffMs * 2 ** (attempt - 1), policy.retryBackoffMaxMs),
  }
}
