import { describe, expect, it } from 'vitest'
import {
  type BrokerReaction,
  brokerError,
  brokerErrors,
  reactionFor,
} from '../../../src/protocol/error-codes.ts'
import { fixtures } from './fixtures.ts'

const code = (name: string): number => {
  const found = brokerErrors.find((entry) => entry.name === name)
  if (found === undefined) throw new Error(`no code is named ${name}`)
  return found.code
}

const produceReactions: Readonly<Record<BrokerReaction, readonly string[]>> = {
  none: ['NONE', 'DUPLICATE_SEQUENCE_NUMBER'],
  retry: [
    'CONCURRENT_TRANSACTIONS',
    'NOT_ENOUGH_REPLICAS',
    'NOT_ENOUGH_REPLICAS_AFTER_APPEND',
    'NETWORK_EXCEPTION',
    'REQUEST_TIMED_OUT',
    'COORDINATOR_LOAD_IN_PROGRESS',
    'COORDINATOR_NOT_AVAILABLE',
    'NOT_COORDINATOR',
    'OUT_OF_ORDER_SEQUENCE_NUMBER',
  ],
  'refresh-metadata': ['NOT_LEADER_OR_FOLLOWER', 'LEADER_NOT_AVAILABLE', 'UNKNOWN_TOPIC_OR_PARTITION'],
  'find-coordinator': [],
  abort: ['TRANSACTION_ABORTABLE', 'UNKNOWN_SERVER_ERROR', 'CORRUPT_MESSAGE'],
  recover: [
    'INVALID_PRODUCER_EPOCH',
    'PRODUCER_FENCED',
    'INVALID_PRODUCER_ID_MAPPING',
    'UNKNOWN_PRODUCER_ID',
  ],
  rejoin: [],
  rebalance: [],
  'reset-position': [],
  record: ['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE', 'INVALID_RECORD', 'INVALID_TIMESTAMP'],
  denied: ['TOPIC_AUTHORIZATION_FAILED', 'TRANSACTIONAL_ID_AUTHORIZATION_FAILED'],
  authenticate: [],
  unsupported: ['UNSUPPORTED_COMPRESSION_TYPE', 'UNSUPPORTED_VERSION'],
  stop: ['INVALID_REQUIRED_ACKS'],
}

describe('the table', () => {
  it('has every code from -1 to 133 once, each with a name and a line of its own', () => {
    expect(brokerErrors.map((entry) => entry.code)).toEqual(Array.from({ length: 135 }, (_, i) => i - 1))
    for (const part of ['name', 'text'] as const) {
      expect(new Set(brokerErrors.map((entry) => entry[part])).size).toBe(135)
    }
    for (const entry of brokerErrors) {
      expect(entry.name).toMatch(/^[A-Z_]+$/)
      expect(entry.text).toMatch(/^[^\n]{7,110}[^.\n]$/)
    }
  })

  it('has Kafka names at Kafka numbers', () => {
    const pinned = [
      [1, 'OFFSET_OUT_OF_RANGE'],
      [6, 'NOT_LEADER_OR_FOLLOWER'],
      [22, 'ILLEGAL_GENERATION'],
      [47, 'INVALID_PRODUCER_EPOCH'],
      [51, 'CONCURRENT_TRANSACTIONS'],
      [79, 'MEMBER_ID_REQUIRED'],
      [88, 'UNSTABLE_OFFSET_COMMIT'],
      [90, 'PRODUCER_FENCED'],
      [105, 'TRANSACTIONAL_ID_NOT_FOUND'],
      [120, 'TRANSACTION_ABORTABLE'],
      [133, 'SHARE_SESSION_LIMIT_REACHED'],
    ] as const
    for (const [number, name] of pinned) expect(brokerError(number)).toMatchObject({ code: number, name })
  })

  it('says of an unknown code that it is unknown, and stops', () => {
    expect(brokerError(4711)).toMatchObject({ code: 4711, name: 'UNKNOWN_CODE_4711', reaction: 'stop' })
    expect(reactionFor(4711, 'Fetch')).toBe('stop')
    expect(reactionFor(4711, 'EndTxn')).toBe('recover')
  })
})

describe('reactions', () => {
  for (const [reaction, names] of Object.entries(produceReactions)) {
    if (names.length === 0) continue
    it(`Produce: ${reaction}`, () => {
      for (const name of names) {
        expect(`${name} ${reactionFor(code(name), 'Produce')}`).toBe(`${name} ${reaction}`)
      }
    })
  }

  it('never aborts after EndTxn unless the broker says that the transaction can be aborted', () => {
    const aborting = brokerErrors.filter((entry) => reactionFor(entry.code, 'EndTxn') === 'abort')
    expect(aborting.map((entry) => entry.name)).toEqual(['TRANSACTION_ABORTABLE'])
    for (const name of ['INVALID_TXN_STATE', 'PRODUCER_FENCED', 'UNKNOWN_SERVER_ERROR']) {
      expect(reactionFor(code(name), 'EndTxn')).toBe('recover')
    }
    for (const name of ['REQUEST_TIMED_OUT', 'CONCURRENT_TRANSACTIONS', 'COORDINATOR_LOAD_IN_PROGRESS']) {
      expect(reactionFor(code(name), 'EndTxn')).toBe('retry')
    }
  })

  it('of the group', () => {
    expect(reactionFor(code('UNKNOWN_MEMBER_ID'), 'Heartbeat')).toBe('rejoin')
    expect(reactionFor(code('UNKNOWN_MEMBER_ID'), 'LeaveGroup')).toBe('none')
    expect(reactionFor(code('ILLEGAL_GENERATION'), 'TxnOffsetCommit')).toBe('rejoin')
    expect(reactionFor(code('FENCED_INSTANCE_ID'), 'Heartbeat')).toBe('stop')
    expect(reactionFor(code('REBALANCE_IN_PROGRESS'), 'SyncGroup')).toBe('rebalance')
    expect(reactionFor(code('NOT_COORDINATOR'), 'JoinGroup')).toBe('find-coordinator')
    expect(reactionFor(code('UNSTABLE_OFFSET_COMMIT'), 'OffsetFetch')).toBe('retry')
  })

  it('of reading', () => {
    expect(reactionFor(code('OFFSET_OUT_OF_RANGE'), 'Fetch')).toBe('reset-position')
    expect(reactionFor(code('CORRUPT_MESSAGE'), 'Fetch')).toBe('stop')
    expect(reactionFor(code('FENCED_LEADER_EPOCH'), 'Fetch')).toBe('refresh-metadata')
    expect(reactionFor(code('OFFSET_NOT_AVAILABLE'), 'ListOffsets')).toBe('retry')
    expect(reactionFor(code('TOPIC_ALREADY_EXISTS'), 'CreateTopics')).toBe('none')
  })

  it('takes 0 for no failure everywhere', () => {
    for (const { api } of fixtures) expect(reactionFor(0, api.name)).toBe('none')
  })
})
