import { describe, expect, it } from 'vitest'
import {
  type RestoreFacts,
  decideRestore,
  foreignDifference,
  staleDifference,
} from '../../../src/state/restore-decision.ts'
import { identity } from './support.ts'

const hour = 3_600_000
const facts = (changes: Partial<RestoreFacts> = {}): RestoreFacts => ({
  expected: identity,
  stored: identity,
  checkpoint: { changelogOffset: 50, leaderEpoch: 1, caughtUpAtMs: 100 * hour },
  logStartOffset: 0,
  highWatermark: 100,
  nowMs: 101 * hour,
  deleteRetentionMs: 24 * hour,
  ...changes,
})

describe('decideRestore', () => {
  it('goes on from the checkpoint', () => {
    expect(decideRestore(facts())).toEqual({ action: 'resume', from: 50 })
    expect(decideRestore(facts({ logStartOffset: 50 }))).toEqual({ action: 'resume', from: 50 })
    expect(decideRestore(facts({ nowMs: 112 * hour }))).toEqual({ action: 'resume', from: 50 })
    expect(decideRestore(facts({ bootChanged: false }))).toEqual({ action: 'resume', from: 50 })
  })

  it('reads an empty store from the log start, which is no rebuild', () => {
    expect(decideRestore(facts({ checkpoint: undefined, stored: undefined, logStartOffset: 7 }))).toEqual({
      action: 'resume',
      from: 7,
    })
    expect(decideRestore(facts({ checkpoint: undefined, bootChanged: true }))).toEqual({
      action: 'resume',
      from: 0,
    })
  })

  it.each([
    ['an offset before the log start', { logStartOffset: 51 }, 'offset 50 lies before the log start 51'],
    [
      'an offset beyond the high watermark',
      { highWatermark: 49 },
      'offset 50 lies beyond the high watermark 49',
    ],
    [
      'an age beyond half the tombstone retention',
      { nowMs: 112 * hour + 1 },
      'more than half of delete.retention.ms',
    ],
    [
      'a wall clock that was set back as far',
      { nowMs: 88 * hour - 1 },
      'more than half of delete.retention.ms',
    ],
    [
      'a topic made again',
      { stored: { ...identity, changelogTopicId: 'other' } },
      'changelogTopicId is other in the store, not topic-1',
    ],
    [
      'another guarantee',
      { stored: { ...identity, guarantee: 'at_least_once' } },
      'guarantee is at_least_once',
    ],
    ['another format', { stored: { ...identity, formatVersion: 0 } }, 'formatVersion is 0'],
    ['a partition of another task', { stored: { ...identity, partition: 4 } }, 'partition is 4'],
    ['a machine crash', { bootChanged: true }, 'the machine was restarted'],
  ])('rebuilds on %s', (_, changes, reason) => {
    const decision = decideRestore(facts(changes))
    expect(decision.action).toBe('rebuild')
    expect(decision.action === 'rebuild' && decision.reason).toContain(reason)
  })

  it('keeps a store of any age when nothing was written since', () => {
    expect(decideRestore(facts({ highWatermark: 50, nowMs: 10_000 * hour }))).toEqual({
      action: 'resume',
      from: 50,
    })
  })

  it('tells what is foreign from what is merely stale', () => {
    expect(foreignDifference(identity, identity) ?? staleDifference(identity, identity)).toBeUndefined()
    for (const field of ['applicationId', 'clusterId', 'store'] as const) {
      expect(foreignDifference(identity, { ...identity, [field]: 'x' })).toContain(field)
      expect(staleDifference(identity, { ...identity, [field]: 'x' })).toBeUndefined()
    }
    for (const field of ['changelogTopic', 'changelogTopicId', 'guarantee'] as const) {
      expect(foreignDifference(identity, { ...identity, [field]: 'x' })).toBeUndefined()
      expect(staleDifference(identity, { ...identity, [field]: 'x' })).toContain(field)
    }
  })
})
