import { describe, expect, it } from 'vitest'
import { hasShortSession } from '../../../src/config/short-sessions.ts'

describe('hasShortSession', () => {
  const guarantee = 'exactly_once'

  it('is a session that may end before the broker has aborted what a dead worker left open', () => {
    expect(hasShortSession({ guarantee, transactionTimeoutMs: 10_000, sessionTimeoutMs: 20_001 })).toBe(false)
    expect(hasShortSession({ guarantee, transactionTimeoutMs: 10_000, sessionTimeoutMs: 20_000 })).toBe(true)
    expect(hasShortSession({ guarantee, transactionTimeoutMs: 60_000, sessionTimeoutMs: 6000 })).toBe(true)
  })

  it('does not matter where there are no transactions', () => {
    const limits = { transactionTimeoutMs: 60_000, sessionTimeoutMs: 6000 }
    expect(hasShortSession({ guarantee: 'at_least_once', ...limits })).toBe(false)
  })
})
