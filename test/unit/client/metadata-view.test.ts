import { describe, expect, it } from 'vitest'
import { MetadataView } from '../../../src/client/metadata-view.ts'
import type { MetadataResponse, MetadataTopic } from '../../../src/protocol/metadata.ts'

const UNKNOWN_TOPIC_OR_PARTITION = 3
const LEADER_NOT_AVAILABLE = 5
const TOPIC_AUTHORIZATION_FAILED = 29

const topic = (
  leaders: readonly (readonly [leader: number, epoch: number])[],
  more: Partial<MetadataTopic> = {},
): MetadataTopic => ({
  errorCode: 0,
  topic: 'orders',
  topicId: 'AAAAAAAAAAAAAAAAAAAAAQ',
  isInternal: false,
  partitions: leaders.map(([leaderId, leaderEpoch], partition) => ({
    errorCode: 0,
    partition,
    leaderId,
    leaderEpoch,
    replicas: [],
    isr: [],
    offlineReplicas: [],
  })),
  ...more,
})

const answer = (topics: MetadataTopic[], more: Partial<MetadataResponse> = {}): MetadataResponse => ({
  throttleTimeMs: 0,
  brokers: [{ nodeId: 1, host: 'a', port: 1, rack: null }],
  clusterId: 'C',
  controllerId: 1,
  topics,
  ...more,
})

describe('MetadataView', () => {
  it('knows brokers, topics and leaders', () => {
    const view = new MetadataView()
    view.apply(
      answer([
        topic([
          [1, 5],
          [2, 6],
        ]),
      ]),
    )
    expect(view.clusterId).toBe('C')
    expect(view.brokers()).toEqual([{ nodeId: 1, host: 'a', port: 1 }])
    expect(view.topic('orders')).toEqual({
      topicId: 'AAAAAAAAAAAAAAAAAAAAAQ',
      partitions: 2,
      internal: false,
    })
    expect(view.partition('orders', 1)).toEqual({ leader: 2, leaderEpoch: 6 })
    expect(view.partition('orders', 2)).toBeUndefined()
  })

  it('keeps what an answer about other topics does not mention', () => {
    const view = new MetadataView()
    view.apply(answer([topic([[1, 5]])]))
    view.apply(answer([topic([[3, 0]], { topic: 'other', topicId: 'AAAAAAAAAAAAAAAAAAAAAg' })]))
    expect(view.partition('orders', 0)).toEqual({ leader: 1, leaderEpoch: 5 })
    expect(view.partition('other', 0)?.leader).toBe(3)
  })

  it('does not go back to a leader of an older epoch, which a broker that lags behind names', () => {
    const view = new MetadataView()
    view.apply(answer([topic([[2, 6]])]))
    view.apply(answer([topic([[1, 5]])]))
    expect(view.partition('orders', 0)).toEqual({ leader: 2, leaderEpoch: 6 })
    view.apply(answer([topic([[-1, 7]])]))
    expect(view.partition('orders', 0)).toBeUndefined()
    view.apply(answer([topic([[3, 8]])]))
    expect(view.partition('orders', 0)).toEqual({ leader: 3, leaderEpoch: 8 })
  })

  it('begins anew with a topic that was created again, whose epochs start at 0', () => {
    const view = new MetadataView()
    view.apply(
      answer([
        topic([
          [2, 6],
          [2, 6],
        ]),
      ]),
    )
    view.apply(answer([topic([[1, 0]], { topicId: 'AAAAAAAAAAAAAAAAAAAAAg' })]))
    expect(view.partition('orders', 0)).toEqual({ leader: 1, leaderEpoch: 0 })
    expect(view.partition('orders', 1)).toBeUndefined()
  })

  it('forgets a topic that is gone, but not one that is electing leaders', () => {
    const view = new MetadataView()
    view.apply(answer([topic([[2, 6]])]))
    view.apply(answer([topic([[-1, 7]], { errorCode: LEADER_NOT_AVAILABLE })]))
    expect(view.topic('orders')).toBeDefined()
    view.apply(answer([topic([], { errorCode: UNKNOWN_TOPIC_OR_PARTITION, topicId: null })]))
    expect(view.topic('orders')).toBeUndefined()
    expect(view.partition('orders', 0)).toBeUndefined()
    expect(() => view.throwDenied(['orders'])).not.toThrow()
  })

  it('names the topics that may not be described, as long as that is so', () => {
    const view = new MetadataView()
    view.apply(answer([topic([], { errorCode: TOPIC_AUTHORIZATION_FAILED, topicId: null })]))
    expect(() => view.throwDenied(['orders', 'other'])).toThrow(
      expect.objectContaining({ code: 'AUTHORIZATION_FAILED', where: { topic: 'orders' } }),
    )
    expect(() => view.throwDenied(['other'])).not.toThrow()
    view.apply(answer([topic([[1, 0]])]))
    expect(() => view.throwDenied(['orders'])).not.toThrow()
  })

  it('keeps its brokers when an answer names none, and refuses the answer of another cluster', () => {
    const view = new MetadataView()
    view.apply(answer([]))
    view.apply(answer([], { brokers: [] }))
    expect(view.brokers()).toHaveLength(1)
    expect(() => view.apply(answer([], { clusterId: 'D' }))).toThrow(/cluster D, and not C/)
  })
})
