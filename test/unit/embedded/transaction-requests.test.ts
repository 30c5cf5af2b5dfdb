// The requests of transactions at the embedded broker: their bytes against the codecs of our client, and what depends on
// the version alone.
import { describe, expect, it } from 'vitest'
import { codes } from '../../../src/embedded/codes.ts'
import type { AnyHandler } from '../../../src/embedded/request-handler.ts'
import { addOffsetsToTxnHandler } from '../../../src/embedded/requests/add-offsets-to-txn.ts'
import { addPartitionsToTxnHandler } from '../../../src/embedded/requests/add-partitions-to-txn.ts'
import { describeTransactionsHandler } from '../../../src/embedded/requests/describe-transactions.ts'
import { endTxnHandler } from '../../../src/embedded/requests/end-txn.ts'
import { initProducerIdHandler } from '../../../src/embedded/requests/init-producer-id.ts'
import { listTransactionsHandler } from '../../../src/embedded/requests/list-transactions.ts'
import { addOffsetsToTxn } from '../../../src/protocol/add-offsets-to-txn.ts'
import { addPartitionsToTxn } from '../../../src/protocol/add-partitions-to-txn.ts'
import type { Api } from '../../../src/protocol/api.ts'
import { describeTransactions } from '../../../src/protocol/describe-transactions.ts'
import { endTxn } from '../../../src/protocol/end-txn.ts'
import { initProducerId } from '../../../src/protocol/init-producer-id.ts'
import { listTransactions } from '../../../src/protocol/list-transactions.ts'
import { Reader, Writer } from '../../../src/protocol/wire.ts'
import { type TransactionStand, transactionStand } from './transaction-stand.ts'

const producer = { transactionalId: 'app-1', producerId: 12_345_678_901, producerEpoch: 7 }
const identity = { errorCode: 51, producerId: 12_345_678_901, producerEpoch: 8 }

/** [handler, the client's codec, a request, an answer as the broker has it, the answer as the client reads it] */
const pairs: readonly (readonly [AnyHandler, Api<never, unknown>, object, object, object])[] = [
  [
    initProducerIdHandler,
    initProducerId,
    { ...producer, transactionTimeoutMs: 60_000 },
    identity,
    { throttleTimeMs: 0, ...identity },
  ],
  [
    initProducerIdHandler,
    initProducerId,
    { ...producer, transactionalId: null, transactionTimeoutMs: 1 },
    { errorCode: 0, producerId: 5, producerEpoch: 0 },
    { throttleTimeMs: 0, errorCode: 0, producerId: 5, producerEpoch: 0 },
  ],
  [
    addPartitionsToTxnHandler,
    addPartitionsToTxn,
    { ...producer, topics: [{ topic: 'a', partitions: [0, 3] }] },
    { topics: [{ topic: 'a', partitions: [{ partition: 3, errorCode: 55 }] }] },
    { throttleTimeMs: 0, topics: [{ topic: 'a', partitions: [{ partition: 3, errorCode: 55 }] }] },
  ],
  [
    addOffsetsToTxnHandler,
    addOffsetsToTxn,
    { ...producer, groupId: 'g' },
    { errorCode: 16 },
    { throttleTimeMs: 0, errorCode: 16 },
  ],
  [
    listTransactionsHandler,
    listTransactions,
    { states: ['Ongoing'] },
    {
      errorCode: 0,
      unknownStates: ['Odd'],
      transactions: [{ transactionalId: 'app-1', producerId: 3, state: 'Ongoing' }],
    },
    {
      throttleTimeMs: 0,
      errorCode: 0,
      unknownStates: ['Odd'],
      transactions: [{ transactionalId: 'app-1', producerId: 3, state: 'Ongoing' }],
    },
  ],
  [
    describeTransactionsHandler,
    describeTransactions,
    { transactionalIds: ['app-1', 'app-2'] },
    {
      transactions: [
        {
          ...identity,
          transactionalId: 'app-1',
          state: 'Ongoing',
          timeoutMs: 5,
          startMs: 6,
          partitions: [
            { topic: 'a', partition: 1 },
            { topic: 'b', partition: 2 },
            { topic: 'a', partition: 3 },
          ],
        },
      ],
    },
    {
      throttleTimeMs: 0,
      transactions: [
        {
          ...identity,
          transactionalId: 'app-1',
          state: 'Ongoing',
          timeoutMs: 5,
          startTimeMs: 6,
          topics: [
            { topic: 'a', partitions: [1, 3] },
            { topic: 'b', partitions: [2] },
          ],
        },
      ],
    },
  ],
]

const versionsOf = (api: Api<never, unknown>, [min, max]: readonly [number, number]): number[] => {
  const from = Math.max(min, api.versions[0])
  const to = Math.min(max, api.versions[1])
  return Array.from({ length: to - from + 1 }, (_, index) => from + index)
}

const sent = (api: Api<never, unknown>, version: number, request: object): Reader => {
  const writer = new Writer()
  api.encode(writer, version, request as never)
  const reader = new Reader(writer.toBuffer())
  reader.begin(api.name, version >= api.flexibleFrom)
  return reader
}

const answered = (handler: AnyHandler, version: number, answer: object): Reader => {
  const writer = new Writer()
  writer.flexible = version >= handler.flexibleFrom
  handler.encode(writer, version, answer)
  return new Reader(writer.toBuffer())
}

describe('the bytes of', () => {
  const cases = pairs.flatMap(([handler, api, request, answer, read]) =>
    versionsOf(api, handler.versions).map((version) => ({
      name: `${handler.name} v${version}`,
      handler,
      api,
      version,
      request,
      answer,
      read,
    })),
  )
  it.each(cases)('$name are those of the client', ({ handler, api, version, request, answer, read }) => {
    expect([handler.key, handler.name, handler.flexibleFrom]).toEqual([api.key, api.name, api.flexibleFrom])
    const reader = sent(api, version, request)
    expect(handler.decode(reader, version)).toMatchObject(request)
    expect(reader.remaining).toBe(0)
    expect(api.decode(answered(handler, version, answer), version)).toEqual(read)
  })

  it.each([1, 2, 3, 4, 5])('EndTxn v%i are those of the client', (version) => {
    const request = { ...producer, committed: true }
    const reader = sent(endTxn, version, request)
    expect(endTxnHandler.decode(reader, version)).toEqual(request)
    const read = endTxn.decode(answered(endTxnHandler, version, identity), version)
    const next = version < 5 ? { producerId: -1, producerEpoch: -1 } : {}
    expect(read).toEqual({ throttleTimeMs: 0, ...identity, ...next })
  })
})

interface Coded {
  readonly errorCode: number
}

const initialised = (stand: TransactionStand, version = 5): { producerId: number; producerEpoch: number } =>
  stand.ask(initProducerIdHandler, { ...fresh, transactionTimeoutMs: 60_000 }, version)

const fresh = { transactionalId: 'app-1', producerId: -1, producerEpoch: -1 }

describe('InitProducerId', () => {
  it('without a transactional id is answered by any node', () => {
    const stand = transactionStand()
    const ask = (nodeId: number): object =>
      stand.ask(
        initProducerIdHandler,
        { ...fresh, transactionalId: null, transactionTimeoutMs: -1 },
        5,
        nodeId,
      )
    expect(ask(1)).toEqual({ errorCode: 0, producerId: 0, producerEpoch: 0 })
    expect(ask(2)).toEqual({ errorCode: 0, producerId: 1, producerEpoch: 0 })
  })

  it('is refused where it makes no sense', () => {
    const stand = transactionStand()
    const ask = (request: object): number =>
      stand.ask<Coded>(initProducerIdHandler, { ...fresh, transactionTimeoutMs: 60_000, ...request })
        .errorCode
    expect(ask({ transactionalId: '' })).toBe(codes.INVALID_REQUEST)
    expect(ask({ producerId: 1 })).toBe(codes.INVALID_REQUEST)
    expect(ask({ producerEpoch: 1 })).toBe(codes.INVALID_REQUEST)
    expect(ask({ transactionTimeoutMs: 0 })).toBe(codes.INVALID_TRANSACTION_TIMEOUT)
    expect(ask({ transactionTimeoutMs: 900_001 })).toBe(codes.INVALID_TRANSACTION_TIMEOUT)
    expect(ask({ transactionTimeoutMs: 900_000 })).toBe(codes.NONE)
  })
})

describe('a coordinator that is somewhere else, or loading', () => {
  const every = (stand: TransactionStand, nodeId: number): number[] => {
    const request = { ...producer, committed: true, topics: [{ topic: 'a', partitions: [0] }], groupId: 'g' }
    const { errorCode: init } = stand.ask<Coded>(
      initProducerIdHandler,
      { ...request, transactionTimeoutMs: 1 },
      5,
      nodeId,
    )
    const { topics } = stand.ask<{ topics: { partitions: Coded[] }[] }>(
      addPartitionsToTxnHandler,
      request,
      3,
      nodeId,
    )
    const others = [addOffsetsToTxnHandler, endTxnHandler].map(
      (handler) => stand.ask<Coded>(handler, request, handler.versions[1], nodeId).errorCode,
    )
    const { transactions } = stand.ask<{ transactions: Coded[] }>(
      describeTransactionsHandler,
      { transactionalIds: ['app-1'] },
      0,
      nodeId,
    )
    return [init, topics[0]?.partitions[0]?.errorCode ?? -1, ...others, transactions[0]?.errorCode ?? -1]
  }

  it('is said in every answer', () => {
    const stand = transactionStand()
    initialised(stand)
    const { nodes } = stand.broker
    const here = nodes.coordinator('transaction', 'app-1')
    expect(new Set(every(stand, 3 - here))).toEqual(new Set([codes.NOT_COORDINATOR]))
    const list = (nodeId: number): { errorCode: number; transactions: object[] } =>
      stand.ask(listTransactionsHandler, { states: [], producerIds: [], durationMs: -1 }, 1, nodeId)
    expect(list(3 - here)).toMatchObject({ errorCode: 0, transactions: [] })
    nodes.moveCoordinator('transaction', 'app-1', 3 - here, 100)
    expect(new Set(every(stand, here))).toEqual(new Set([codes.NOT_COORDINATOR]))
    expect(new Set(every(stand, 3 - here))).toEqual(new Set([codes.COORDINATOR_LOAD_IN_PROGRESS]))
    expect(list(3 - here).errorCode).toBe(codes.COORDINATOR_LOAD_IN_PROGRESS)
    stand.pass(100)
    expect(list(3 - here).transactions).toHaveLength(1)
    expect(every(stand, 3 - here)).not.toContain(codes.COORDINATOR_LOAD_IN_PROGRESS)
  })
})

describe('a fenced producer', () => {
  it('reads INVALID_PRODUCER_EPOCH in versions that do not know PRODUCER_FENCED', () => {
    const stand = transactionStand()
    const stale = { transactionalId: 'app-1', ...initialised(stand) }
    initialised(stand)
    const request = {
      ...stale,
      transactionTimeoutMs: 1,
      committed: true,
      topics: [{ topic: 'a', partitions: [0] }],
      groupId: 'g',
    }
    const codeOf = (handler: AnyHandler, version: number): number => {
      const answer = stand.ask<Coded & { topics?: { partitions: Coded[] }[] }>(handler, request, version)
      return answer.topics?.[0]?.partitions[0]?.errorCode ?? answer.errorCode
    }
    const { INVALID_PRODUCER_EPOCH, PRODUCER_FENCED } = codes
    for (const handler of [addPartitionsToTxnHandler, addOffsetsToTxnHandler, endTxnHandler]) {
      expect([codeOf(handler, 1), codeOf(handler, 2)]).toEqual([INVALID_PRODUCER_EPOCH, PRODUCER_FENCED])
    }
    const inits = [codeOf(initProducerIdHandler, 3), codeOf(initProducerIdHandler, 4)]
    expect(inits).toEqual([INVALID_PRODUCER_EPOCH, PRODUCER_FENCED])
  })
})

describe('AddPartitionsToTxn', () => {
  it('adds all or none', () => {
    const stand = transactionStand()
    const held = { transactionalId: 'app-1', ...initialised(stand) }
    const ask = (topics: object[]): object => stand.ask(addPartitionsToTxnHandler, { ...held, topics })
    expect(
      ask([
        { topic: 'a', partitions: [0, 9] },
        { topic: 'x', partitions: [0] },
      ]),
    ).toEqual({
      topics: [
        {
          topic: 'a',
          partitions: [
            { partition: 0, errorCode: codes.OPERATION_NOT_ATTEMPTED },
            { partition: 9, errorCode: codes.UNKNOWN_TOPIC_OR_PARTITION },
          ],
        },
        { topic: 'x', partitions: [{ partition: 0, errorCode: codes.UNKNOWN_TOPIC_OR_PARTITION }] },
      ],
    })
    expect(stand.coordinator.describe('app-1')?.state).toBe('Empty')
    ask([{ topic: 'a', partitions: [0, 1] }])
    expect(stand.coordinator.describe('app-1')).toMatchObject({
      state: 'Ongoing',
      partitions: [
        { topic: 'a', partition: 0 },
        { topic: 'a', partition: 1 },
      ],
    })
  })
})

describe('ListTransactions', () => {
  it('filters by state, producer id and age', () => {
    const stand = transactionStand()
    const held = { transactionalId: 'app-1', ...initialised(stand) }
    stand.pass(100)
    stand.ask(addOffsetsToTxnHandler, { ...held, groupId: 'g' })
    stand.pass(100)
    const here = stand.broker.nodes.coordinator('transaction', 'app-1')
    const count = (filter: object): number => {
      const request = { states: [], producerIds: [], durationMs: -1, ...filter }
      return stand.ask<{ transactions: object[] }>(listTransactionsHandler, request, 1, here).transactions
        .length
    }
    expect(count({})).toBe(1)
    expect([count({ states: ['Ongoing'] }), count({ states: ['Empty'] })]).toEqual([1, 0])
    expect([count({ producerIds: [held.producerId] }), count({ producerIds: [99] })]).toEqual([1, 0])
    expect([count({ durationMs: 99 }), count({ durationMs: 100 })]).toEqual([1, 0])
    const odd = { states: ['Odd', 'Dead'], producerIds: [], durationMs: -1 }
    expect(stand.ask(listTransactionsHandler, odd, 1, here)).toMatchObject({
      unknownStates: ['Odd'],
      transactions: [],
    })
  })
})

describe('DescribeTransactions', () => {
  it('answers each id for itself', () => {
    const stand = transactionStand()
    initialised(stand)
    const here = stand.broker.nodes.coordinator('transaction', 'app-1')
    stand.broker.nodes.moveCoordinator('transaction', 'unknown', here)
    const ids = ['app-1', 'unknown', '']
    const answer = stand.ask<{ transactions: Coded[] }>(
      describeTransactionsHandler,
      { transactionalIds: ids },
      0,
      here,
    )
    expect(answer.transactions.map(({ errorCode }) => errorCode)).toEqual([
      codes.NONE,
      codes.TRANSACTIONAL_ID_NOT_FOUND,
      codes.INVALID_REQUEST,
    ])
    expect(answer.transactions[0]).toMatchObject({ state: 'Empty', timeoutMs: 60_000, startMs: -1 })
  })
})
