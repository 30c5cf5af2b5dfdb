// ListTransactions and DescribeTransactions, and transactions that take too long.
import { describe, expect } from 'vitest'
import { setTimeout as sleep } from 'node:timers/promises'
import { describeTransactions } from '../../src/protocol/describe-transactions.ts'
import { listTransactions } from '../../src/protocol/list-transactions.ts'
import { contract } from '../support/contract/contract.ts'
import { boundsOf, valuesIn } from '../support/contract/log.ts'
import { nameOf, unique } from '../support/contract/names.ts'
import { filteredTransactions } from '../support/contract/other-apis.ts'
import { Producer } from '../support/contract/producers.ts'
import { settled } from '../support/contract/waits.ts'
import type { Wire } from '../support/contract/wire.ts'

const stateOf = async (
  wire: Wire,
  id: string,
  states: readonly string[] = [],
): Promise<string | undefined> => {
  const { transactions } = await wire.ask(listTransactions, { states })
  return transactions.find(({ transactionalId }) => transactionalId === id)?.state
}

describe('ListTransactions', () => {
  contract('follows a transaction through its states', async (broker) => {
    const topic = await broker.topic()
    const producer = await Producer.open(broker)
    const { transactionalId } = producer
    const now = (states?: readonly string[]): Promise<string | undefined> =>
      stateOf(broker.wire, transactionalId, states)
    expect(await now()).toBe('Empty')
    await producer.produce(topic, ['a'])
    expect(await now()).toBe('Ongoing')
    expect(await now(['Ongoing'])).toBe('Ongoing')
    expect(await now(['CompleteCommit', 'Empty'])).toBeUndefined()
    await producer.end(true)
    await producer.complete()
    expect(await now()).toBe('CompleteCommit')
    await producer.produce(topic, ['b'])
    await producer.end(false)
    await producer.complete()
    expect(await now(['CompleteAbort'])).toBe('CompleteAbort')
  })

  contract('names states that there are not', async ({ wire }) => {
    const answer = await wire.ask(filteredTransactions, { states: ['Ongoing', 'Wondering'] })
    expect(answer).toMatchObject({ errorCode: 0, unknownStates: ['Wondering'] })
  })

  contract('chooses by producer id and by age', async (broker) => {
    const topic = await broker.topic()
    const [one, two] = [await Producer.open(broker), await Producer.open(broker)]
    for (const producer of [one, two]) await producer.produce(topic, ['a'])
    const producerIds = [one.identity.producerId]
    const listed = await broker.wire.ask(filteredTransactions, { producerIds })
    expect(listed.transactionalIds).toEqual([one.transactionalId])
    await sleep(50)
    const older = await broker.wire.ask(filteredTransactions, { producerIds, durationMs: 20 })
    expect(older.transactionalIds).toEqual([one.transactionalId])
    const tooOld = await broker.wire.ask(filteredTransactions, { producerIds, durationMs: 600_000 })
    expect(tooOld.transactionalIds).toEqual([])
  })

  contract('shows an owner that died in its first transaction', async (broker) => {
    const topic = await broker.topic()
    const producer = await Producer.open(broker)
    await producer.produce(topic, ['a'])
    producer.wire.close()
    expect(await stateOf(broker.wire, producer.transactionalId, ['Ongoing'])).toBe('Ongoing')
  })
})

describe('DescribeTransactions', () => {
  contract('tells what a transaction has written to', async (broker) => {
    const [one, two] = [await broker.topic(2), await broker.topic()]
    const producer = await Producer.open(broker, { timeoutMs: 45_000 })
    const before = Date.now()
    await producer.produce(one, ['a'], { partition: 1 })
    await producer.produce(two, ['b'])
    const { topics, startTimeMs, ...described } = await producer.describe()
    expect(described).toEqual({
      ...{ error: 'NONE', errorCode: 0, state: 'Ongoing', timeoutMs: 45_000 },
      ...{ transactionalId: producer.transactionalId, ...producer.identity },
    })
    const named = topics.flatMap(({ topic, partitions }) =>
      partitions.map((partition) => `${topic} ${partition}`),
    )
    expect(named.sort()).toEqual([`${one} 1`, `${two} 0`].sort())
    expect(Math.abs(startTimeMs - before)).toBeLessThan(60_000)
    await producer.end(true)
    await producer.complete()
    expect(await producer.describe()).toMatchObject({ state: 'CompleteCommit', topics: [] })
  })

  contract('of an id that there is not, beside one that there is', async (broker) => {
    const producer = await Producer.open(broker)
    const transactionalIds = [unique('none'), producer.transactionalId]
    const { transactions } = await broker.wire.ask(describeTransactions, { transactionalIds })
    const errors = transactions.map((one) => [one.transactionalId, nameOf(one.errorCode)])
    expect(Object.fromEntries(errors)).toEqual({
      [transactionalIds[0] ?? '']: 'TRANSACTIONAL_ID_NOT_FOUND',
      [producer.transactionalId]: 'NONE',
    })
  })
})

describe('a transaction that takes too long', () => {
  contract('is aborted, and its producer is fenced by the epoch', async (broker) => {
    const topic = await broker.topic()
    const producer = await Producer.open(broker, { timeoutMs: 600 })
    const began = performance.now()
    await producer.produce(topic, ['a'])
    const bounds = await settled(
      () => boundsOf(broker.wire, topic),
      ([, stable]) => stable === 2,
    )
    expect(bounds).toEqual([0, 2, 2])
    expect(performance.now() - began).toBeGreaterThan(500)
    expect(await valuesIn(broker.wire, topic)).toEqual([])
    expect((await producer.produce(topic, ['b'], { once: true })).error).toBe('INVALID_PRODUCER_EPOCH')
    expect((await producer.describe()).state).toBe('CompleteAbort')
  })

  contract('cannot be committed any more', async (broker) => {
    const topic = await broker.topic()
    const producer = await Producer.open(broker, { timeoutMs: 500 })
    await producer.produce(topic, ['a'])
    await producer.complete()
    expect((await producer.end(true)).error).toBe('INVALID_TXN_STATE')
  })

  contract('is healed by an abort, which answers the next epoch', async (broker) => {
    const topic = await broker.topic()
    const producer = await Producer.open(broker, { timeoutMs: 500 })
    const { identity } = producer
    await producer.produce(topic, ['a'])
    await producer.complete()
    const ended = await producer.end(false)
    expect(ended).toMatchObject({ error: 'NONE', producerId: identity.producerId })
    expect(ended.producerEpoch).toBeGreaterThan(identity.producerEpoch)
    expect((await producer.produce(topic, ['b'])).error).toBe('NONE')
    expect((await producer.end(true)).error).toBe('NONE')
    await producer.complete()
    expect(await valuesIn(broker.wire, topic)).toEqual(['b'])
  })

  contract('is healed by InitProducerId with its identity', async (broker) => {
    const topic = await broker.topic()
    const producer = await Producer.open(broker, { timeoutMs: 500 })
    await producer.produce(topic, ['a'])
    await producer.complete()
    expect((await producer.init(producer.identity)).error).toBe('NONE')
    expect((await producer.produce(topic, ['b'])).error).toBe('NONE')
  })

  contract('has its offsets dropped', async (broker) => {
    const topic = await broker.topic()
    const groupId = unique('group')
    const producer = await Producer.open(broker, { timeoutMs: 500 })
    await producer.commitOffsets(groupId, topic, { 0: 4 })
    await producer.complete()
    expect(await producer.commitOffsets(groupId, topic, { 0: 5 }, { once: true })).toBe(
      'INVALID_PRODUCER_EPOCH',
    )
  })

  contract('is not one that goes on: each record is no beginning', async (broker) => {
    const topic = await broker.topic()
    const producer = await Producer.open(broker, { timeoutMs: 700 })
    let error = 'NONE'
    // Longer than the timeout, whatever is written in between.
    for (let times = 0; times < 20 && error === 'NONE'; times++) {
      error = (await producer.produce(topic, [`${times}`], { once: true })).error
      await sleep(100)
    }
    expect(error).toBe('INVALID_PRODUCER_EPOCH')
  })
})
