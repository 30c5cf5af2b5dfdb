import { describe, expect, it } from 'vitest'
import { type FailurePolicy, judgeFailure } from '../../../src/task/failure-policy.ts'

const retry: FailurePolicy = {
  action: 'retry',
  retryAttempts: 3,
  retryBackoffMs: 100,
  retryBackoffMaxMs: 250,
  afterRetries: 'skip',
}

describe('judgeFailure', () => {
  it('fails or skips at once where there is no retry', () => {
    expect(judgeFailure({ ...retry, action: 'fail' }, 1)).toEqual({ action: 'fail' })
    expect(judgeFailure({ ...retry, action: 'skip' }, 1)).toEqual({ action: 'skip' })
  })

  it('doubles the pause up to its limit, then does what follows the retries', () => {
    expect([1, 2, 3].map((attempt) => judgeFailure(retry, attempt))).toEqual([
      { action: 'retry', delayMs: 100 },
      { action: 'retry', delayMs: 200 },
      { action: 'retry', delayMs: 250 },
    ])
    expect(judgeFailure(retry, 4)).toEqual({ action: 'skip' })
  })
})
