// The requests of the data plane: each codec against the client's own, and what they do on a broker in memory.
import { describe, expect, it } from 'vitest'
import { codes } from '../../../src/embedded/codes.ts'
import { EmbeddedKafka } from '../../../src/embedded/embedded-kafka.ts'
import type { AnyHandler, RequestContext } from '../../../src/embedded/request-handler.ts'
import { deleteRecordsHandler } from '../../../src/embedded/requests/delete-records.ts'
import { describeProducersHandler } from '../../../src/embedded/requests/describe-producers.ts'
import { fetchHandler } from '../../../src/embedded/requests/fetch.ts'
import { listOffsetsHandler } from '../../../src/embedded/requests/list-offsets.ts'
import { offsetForLeaderEpochHandler } from '../../../src/embedded/requests/offset-for-leader-epoch.ts'
import { produceHandler } from '../../../src/embedded/requests/produce.ts'
import { writeTxnMarkersHandler } from '../../../src/embedded/requests/write-txn-markers.ts'
import { nodePorts } from '../../../src/base/node-ports.ts'
import type { Api } from '../../../src/protocol/api.ts'
import { deleteRecords } from '../../../src/protocol/delete-records.ts'
import { describeProducers } from '../../../src/protocol/describe-producers.ts'
import { fetch, type FetchRequest } from '../../../src/protocol/fetch.ts'
import { listOffsets } from '../../../src/protocol/list-offsets.ts'
import { produce } from '../../../src/protocol/produce.ts'
import { Reader, Writer } from '../../../src/protocol/wire.ts'
import { writeTxnMarkers } from '../../../src/protocol/write-txn-markers.ts'
import { batchOf, nameOf } from './log-stand.ts'

interface Stand {
  readonly kafka: EmbeddedKafka
  readonly gone: AbortController
  /** Time goes on, and timers fire. */
  pass(ms: number): void
  timers(): number
  ask<Request, Response>(
    handler: AnyHandler,
    api: Pick<Api<Request, Response>, 'encode' | 'decode' | 'versions' | 'flexibleFrom'>,
    request: Request,
    options?: { version?: number; nodeId?: number },
  ): Promise<Response>
}

/** Two nodes in memory; the topic `orders` has two partitions, which node 1 leads. */
const stand = (): Stand => {
  let nowMs = 1_000_000
  const timers = new Map<object, { at: number; callback: () => void }>()
  const set = (callback: () => void, delayMs: number): object => {
    const handle = {}
    timers.set(handle, { at: nowMs + delayMs, callback })
    return handle
  }
  const ports = {
    ...nodePorts,
    clock: { now: () => nowMs, monotonic: () => nowMs },
    timers: {
      ...nodePorts.timers,
      set,
      clear: (handle: object) => void timers.delete(handle),
      sleep: (ms: number) => new Promise<void>((resolve) => set(resolve, ms)),
    },
  }
  const kafka = EmbeddedKafka.inMemory({ ports, nodes: 2 })
  kafka.state.topics.create('orders', { partitions: 2 })
  for (const partition of [0, 1]) kafka.moveLeader('orders', partition, 1)
  const gone = new AbortController()
  return {
    kafka,
    gone,
    timers: () => timers.size,
    pass: (ms) => {
      nowMs += ms
      for (const [handle, { at, callback }] of [...timers]) {
        if (at > nowMs) continue
        timers.delete(handle)
        callback()
      }
    },
    ask: async (handler, api, request, { version = api.versions[1], nodeId = 1 } = {}) => {
      const there = new Writer()
      there.flexible = version >= api.flexibleFrom
      api.encode(there, version, request)
      const reader = new Reader(there.toBuffer())
      reader.begin(handler.name, version >= handler.flexibleFrom)
      const decoded: unknown = handler.decode(reader, version)
      reader.finish()
      const context: RequestContext = {
        ...{ broker: kafka.state, nodeId, version, clientId: 'test', clientHost: 'here', gone: gone.signal },
      }
      const answer: unknown = await handler.handle(decoded, context)
      const back = new Writer()
      back.flexible = version >= handler.flexibleFrom
      handler.encode(back, version, answer)
      const response = new Reader(back.toBuffer())
      response.begin(handler.name, version >= api.flexibleFrom)
      const result = api.decode(response, version)
      response.finish()
      return result
    },
  }
}

const versionsOf = ({ versions: [min, max] }: { versions: readonly [number, number] }): number[] =>
  Array.from({ length: max - min + 1 }, (_, at) => min + at)

const produceOne = async (
  { ask }: Stand,
  records: Buffer,
  { partition = 0, version = 11, transactionalId = null as string | null, nodeId = 1 } = {},
) => {
  const topics = [{ topic: 'orders', partitions: [{ partition, records }] }]
  const request = { transactionalId, acks: -1 as const, timeoutMs: 1000, topics }
  const answer = await ask(produceHandler, produce, request, { version, nodeId })
  return answer.topics[0]?.partitions[0]
}

const fetchRequest = (options: Partial<FetchRequest> = {}, fetchOffset = 0): FetchRequest => {
  const partitions = [0, 1].map((partition) => ({
    ...{ partition, fetchOffset, currentLeaderEpoch: -1, maxBytes: 1_000_000 },
  }))
  const limits = {
    maxWaitMs: 500,
    minBytes: 1,
    maxBytes: 1_000_000,
    isolationLevel: 'read_committed',
  } as const
  return { ...limits, topics: [{ topic: 'orders', partitions }], ...options }
}

describe('in every version that the client speaks', () => {
  it.each(versionsOf(produce))('Produce v%i', async (version) => {
    const at = stand()
    const answer = await produceOne(at, batchOf(['a=1', 'b=2']), { version })
    expect(answer).toEqual({
      ...{ partition: 0, errorCode: 0, baseOffset: 0, logAppendTimeMs: -1, logStartOffset: 0 },
      ...{ recordErrors: [], errorMessage: null },
    })
    at.kafka.state.topics.configure('orders', { 'cleanup.policy': 'compact' })
    const refused = await produceOne(at, batchOf(['a=1', '=2']), { version })
    expect(refused?.errorCode).toBe(codes.INVALID_RECORD)
    expect(refused?.recordErrors.map(({ batchIndex }) => batchIndex)).toEqual([1])
    await at.kafka.close()
  })

  it.each(versionsOf(fetch))('Fetch v%i', async (version) => {
    const at = stand()
    const batch = batchOf(['a=1', `b=${'x'.repeat(5000)}`], {
      producerId: 4,
      epoch: 0,
      sequence: 0,
      transactional: true,
    })
    at.kafka.state.topics.get('orders')?.logs[0]?.append(batch, true)
    at.kafka.state.topics
      .get('orders')
      ?.logs[0]?.appendMarker({ producerId: 4, producerEpoch: 1, committed: false, coordinatorEpoch: 0 })
    const { topics, errorCode } = await at.ask(fetchHandler, fetch, fetchRequest(), { version })
    expect(errorCode).toBe(0)
    const [first, second] = topics[0]?.partitions ?? []
    expect(first).toMatchObject({ errorCode: 0, highWatermark: 3, lastStableOffset: 3, logStartOffset: 0 })
    expect(first?.abortedTransactions).toEqual([{ producerId: 4, firstOffset: 0 }])
    expect(first?.records.length).toBe(batch.length + 78)
    expect(second?.records.length).toBe(0)
    await at.kafka.close()
  })

  it.each(versionsOf(listOffsets))('ListOffsets v%i', async (version) => {
    const at = stand()
    await produceOne(at, batchOf(['a=1', 'b=2'], { timestamp: 77 }))
    const timestamps = [-1, -2, 77, 78]
    const offsets = await Promise.all(
      timestamps.map(async (timestamp) => {
        const partitions = [{ partition: 0, currentLeaderEpoch: -1, timestamp }]
        const request = {
          isolationLevel: 'read_committed' as const,
          topics: [{ topic: 'orders', partitions }],
        }
        const { topics } = await at.ask(listOffsetsHandler, listOffsets, request, { version })
        return topics[0]?.partitions[0]
      }),
    )
    expect(offsets.map((one) => [one?.offset, one?.timestamp, one?.leaderEpoch])).toEqual([
      [2, -1, 1],
      [0, -1, 1],
      [0, 77, 1],
      [-1, -1, -1],
    ])
    await at.kafka.close()
  })

  it('ListOffsets finds nothing behind the last stable offset for read_committed', async () => {
    const at = stand()
    const open = { producerId: 4, epoch: 0, sequence: 0, transactional: true, timestamp: 90 }
    at.kafka.state.topics.get('orders')?.logs[0]?.append(batchOf(['a=1'], open), true)
    const find = async (isolationLevel: 'read_committed' | 'read_uncommitted', timestamp: number) => {
      const partitions = [{ partition: 0, currentLeaderEpoch: -1, timestamp }]
      const request = { isolationLevel, topics: [{ topic: 'orders', partitions }] }
      const { topics } = await at.ask(listOffsetsHandler, listOffsets, request)
      return topics[0]?.partitions[0]?.offset
    }
    expect(await Promise.all([90, -3, -1].map((one) => find('read_committed', one)))).toEqual([-1, -1, 0])
    expect(await Promise.all([90, -3, -1].map((one) => find('read_uncommitted', one)))).toEqual([0, 0, 1])
    await at.kafka.close()
  })

  it.each(versionsOf(deleteRecords))('DeleteRecords v%i', async (version) => {
    const at = stand()
    await produceOne(at, batchOf(['a=1', 'b=2']))
    const partitions = [
      { partition: 0, offset: 1 },
      { partition: 1, offset: 9 },
    ]
    const request = { topics: [{ topic: 'orders', partitions }], timeoutMs: 1000 }
    const { topics } = await at.ask(deleteRecordsHandler, deleteRecords, request, { version })
    expect(topics[0]?.partitions).toEqual([
      { partition: 0, lowWatermark: 1, errorCode: 0 },
      { partition: 1, lowWatermark: -1, errorCode: codes.OFFSET_OUT_OF_RANGE },
    ])
    await at.kafka.close()
  })

  it('WriteTxnMarkers and DescribeProducers', async () => {
    const at = stand()
    const log = at.kafka.state.topics.get('orders')?.logs[0]
    log?.append(batchOf(['a=1', 'b=2'], { producerId: 4, epoch: 2, sequence: 5, transactional: true }), true)
    const asked = { topics: [{ topic: 'orders', partitions: [0, 7] }] }
    const described = await at.ask(describeProducersHandler, describeProducers, asked)
    expect(
      described.topics[0]?.partitions.map(({ errorCode, producers }) => [nameOf(errorCode), producers]),
    ).toEqual([
      [
        'NONE',
        [
          {
            ...{ producerId: 4, producerEpoch: 2, lastSequence: 6, lastTimestamp: 1_000_000 },
            ...{ coordinatorEpoch: -1, currentTransactionStart: 0 },
          },
        ],
      ],
      ['UNKNOWN_TOPIC_OR_PARTITION', []],
    ])
    const marker = { producerId: 4, producerEpoch: 2, committed: false, coordinatorEpoch: 3 }
    const markers = [{ ...marker, topics: [{ topic: 'orders', partitions: [0, 7] }] }]
    const written = await at.ask(writeTxnMarkersHandler, writeTxnMarkers, { markers })
    expect(written.markers[0]?.topics[0]?.partitions.map(({ errorCode }) => nameOf(errorCode))).toEqual([
      'NONE',
      'UNKNOWN_TOPIC_OR_PARTITION',
    ])
    expect([...(log?.openTransactions() ?? [])]).toEqual([])
    await at.kafka.close()
  })

  it('OffsetForLeaderEpoch, whose answer has the error code in front of the partition', async () => {
    const at = stand()
    await produceOne(at, batchOf(['a=1', 'b=2']))
    for (const version of [2, 3, 4]) {
      const writer = new Writer()
      writer.flexible = version >= 4
      if (version >= 3) writer.int32(-1)
      writer.structs(['orders'], (topic) =>
        writer.string(topic).structs([1], (epoch) => writer.int32(0).int32(-1).int32(epoch)),
      )
      writer.tags()
      const reader = new Reader(writer.toBuffer())
      reader.begin('OffsetForLeaderEpoch', version >= 4)
      const request = offsetForLeaderEpochHandler.decode(reader, version)
      reader.finish()
      const context = {
        ...{ broker: at.kafka.state, nodeId: 1, version },
        clientId: '',
        clientHost: '',
        gone: at.gone.signal,
      }
      const back = new Writer()
      back.flexible = version >= 4
      const answer = await offsetForLeaderEpochHandler.handle(request, context)
      offsetForLeaderEpochHandler.encode(back, version, answer as never)
      const response = new Reader(back.toBuffer())
      response.begin('OffsetForLeaderEpoch', version >= 4)
      expect(response.int32()).toBe(0)
      const topics = response.structs(() => [
        response.string(),
        response.structs(() => [response.int16(), response.int32(), response.int32(), response.int64()]),
      ])
      response.tags()
      response.finish()
      expect(topics).toEqual([['orders', [[0, 0, 1, 2]]]])
    }
    await at.kafka.close()
  })
})

describe('Fetch', () => {
  const bytesOf = ({
    topics,
  }: {
    topics: readonly { partitions: readonly { records: Buffer }[] }[]
  }): number[] => topics[0]?.partitions.map(({ records }) => records.length) ?? []

  it('waits for a produce, and sees all partitions that it wrote', async () => {
    const at = stand()
    const answer = at.ask(fetchHandler, fetch, fetchRequest())
    const batch = batchOf(['a=1'])
    const partitions = [0, 1].map((partition) => ({ partition, records: batch }))
    const request = {
      ...{ transactionalId: null, acks: -1 as const, timeoutMs: 1000 },
      topics: [{ topic: 'orders', partitions }],
    }
    await at.ask(produceHandler, produce, request, { version: 11 })
    expect(bytesOf(await answer)).toEqual([batch.length, batch.length])
    await at.kafka.close()
    expect(at.timers()).toBe(0)
  })

  it('waits until there is enough, and answers with what there is when its time is up', async () => {
    const at = stand()
    const batch = batchOf(['a=1'])
    let isAnswered = false
    const answer = at.ask(fetchHandler, fetch, fetchRequest({ minBytes: batch.length + 1 }))
    void answer.then(() => {
      isAnswered = true
    })
    await produceOne(at, batch)
    at.pass(499)
    await nodePorts.timers.yield()
    expect(isAnswered).toBe(false)
    at.pass(1)
    expect(bytesOf(await answer)).toEqual([batch.length, 0])
    await at.kafka.close()
  })

  it('is woken by a marker, by another leader, and by the end of its connection', async () => {
    const at = stand()
    const log = at.kafka.state.topics.get('orders')?.logs[0]
    log?.append(batchOf(['a=1'], { producerId: 4, epoch: 0, sequence: 0, transactional: true }), true)
    const committed = at.ask(fetchHandler, fetch, fetchRequest())
    log?.appendMarker({ producerId: 4, producerEpoch: 1, committed: true, coordinatorEpoch: 0 })
    expect(bytesOf(await committed)[0]).toBeGreaterThan(78)
    const partitions = [{ partition: 0, fetchOffset: 2, currentLeaderEpoch: -1, maxBytes: 1000 }]
    const atTheEnd = fetchRequest({ topics: [{ topic: 'orders', partitions }] })
    const moved = at.ask(fetchHandler, fetch, atTheEnd)
    at.kafka.moveLeader('orders', 0, 2)
    expect((await moved).topics[0]?.partitions[0]?.errorCode).toBe(codes.NOT_LEADER_OR_FOLLOWER)
    at.kafka.moveLeader('orders', 0, 1)
    const waiting = at.ask(fetchHandler, fetch, atTheEnd)
    at.gone.abort()
    expect((await waiting).topics).toEqual([])
    await at.kafka.close()
    expect(at.timers()).toBe(0)
  })

  it('ends its wait when the topic is deleted', async () => {
    const at = stand()
    const answer = at.ask(fetchHandler, fetch, fetchRequest())
    at.kafka.state.topics.delete('orders')
    expect((await answer).topics[0]?.partitions.map(({ errorCode }) => nameOf(errorCode))).toEqual([
      'UNKNOWN_TOPIC_OR_PARTITION',
      'UNKNOWN_TOPIC_OR_PARTITION',
    ])
    await at.kafka.close()
  })

  it('gives the first batch of the whole answer only where it is too large', async () => {
    const at = stand()
    for (const partition of [0, 1]) await produceOne(at, batchOf(['a=1']), { partition })
    const answer = await at.ask(fetchHandler, fetch, fetchRequest({ maxBytes: 1 }))
    expect(bytesOf(answer)).toEqual([batchOf(['a=1']).length, 0])
    await at.kafka.close()
  })
})

describe('Produce', () => {
  it('is refused by a node that does not lead', async () => {
    const at = stand()
    expect((await produceOne(at, batchOf(['a=1']), { nodeId: 2 }))?.errorCode).toBe(
      codes.NOT_LEADER_OR_FOLLOWER,
    )
    expect((await produceOne(at, batchOf(['a=1']), { partition: 5 }))?.errorCode).toBe(
      codes.UNKNOWN_TOPIC_OR_PARTITION,
    )
    await at.kafka.close()
  })

  it('in a transaction waits for the markers of the last one for 100 ms', async () => {
    const at = stand()
    let answers = [codes.CONCURRENT_TRANSACTIONS, codes.CONCURRENT_TRANSACTIONS, codes.NONE] as number[]
    const asked: boolean[] = []
    const transactions = {
      admit: (...[, , , , add]: [string, number, number, unknown, boolean]) => {
        asked.push(add)
        return answers.shift() ?? codes.CONCURRENT_TRANSACTIONS
      },
    }
    Object.assign(at.kafka.state, { transactions })
    const options = { producerId: 4, epoch: 0, transactional: true }
    const send = (sequence: number, version: number) =>
      produceOne(at, batchOf(['a=1'], { ...options, sequence }), { version, transactionalId: 'tx' })
    const first = send(0, 12)
    for (let round = 0; round < 2; round++) {
      at.pass(20)
      await nodePorts.timers.yield()
    }
    expect((await first)?.errorCode).toBe(codes.NONE)
    expect(asked).toEqual([true, true, true])
    expect((await send(1, 12))?.errorCode).toBe(codes.NONE)
    expect(asked).toHaveLength(3)
    at.kafka.state.topics.get('orders')?.logs[0]?.appendMarker({
      ...{ producerId: 4, producerEpoch: 1, committed: true, coordinatorEpoch: 0 },
    })
    answers = []
    Object.assign(options, { epoch: 1 })
    expect((await send(0, 11))?.errorCode).toBe(codes.NOT_ENOUGH_REPLICAS)
    const last = send(0, 12)
    for (let round = 0; round < 5; round++) {
      at.pass(20)
      await nodePorts.timers.yield()
    }
    expect((await last)?.errorCode).toBe(codes.CONCURRENT_TRANSACTIONS)
    for (const [code, version, expected] of [
      [codes.INVALID_TXN_STATE, 10, codes.INVALID_TXN_STATE],
      [codes.INVALID_TXN_STATE, 11, codes.TRANSACTION_ABORTABLE],
      [codes.PRODUCER_FENCED, 11, codes.INVALID_PRODUCER_EPOCH],
      [codes.COORDINATOR_LOAD_IN_PROGRESS, 12, codes.NOT_ENOUGH_REPLICAS],
      [codes.INVALID_PRODUCER_ID_MAPPING, 12, codes.INVALID_PRODUCER_ID_MAPPING],
    ] as const) {
      answers = [code]
      expect((await send(0, version))?.errorCode).toBe(expected)
    }
  })
})
