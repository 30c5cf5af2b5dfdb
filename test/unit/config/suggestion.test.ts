import { describe, expect, it } from 'vitest'
import { nearest } from '../../../src/config/suggestion.ts'

const names = ['brokers', 'commitIntervalMs', 'retryBackoffMs', 'retryBackoffMaxMs', 'tls']

describe('nearest', () => {
  it.each([
    ['broker', 'brokers'],
    ['bootstrapBrokers', undefined],
    ['comitInterval_ms', 'commitIntervalMs'],
    ['commitIntreval', 'commitIntervalMs'],
    ['commit-interval', 'commitIntervalMs'],
    ['retryBackoffMSX', 'retryBackoffMs'],
    ['tsl', 'tls'],
    ['port', undefined],
    ['', undefined],
  ])('%s -> %s', (given, expected) => {
    expect(nearest(given, names)).toBe(expected)
  })
})
