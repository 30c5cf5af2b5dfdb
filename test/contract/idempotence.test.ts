// Idempotent producers: sequences, epochs and the window of the last five batches.
import { describe, expect } from 'vitest'
import { describeProducers } from '../../src/protocol/describe-producers.ts'
import { type Broker, contract } from '../support/contract/contract.ts'
import { boundsOf, type Produced, produceTo, valuesIn } from '../support/contract/log.ts'
import { initOnce } from '../support/contract/producers.ts'
import type { Wire } from '../support/contract/wire.ts'

interface Sender {
  readonly producerId: number
  readonly topic: string
  readonly wire: Wire
  send(sequence: number, values: readonly string[], epoch?: number, partition?: number): Promise<Produced>
}

const open = async (broker: Broker, partitions = 1): Promise<Sender> => {
  const { wire } = broker
  const topic = await broker.topic(partitions)
  const { error, producerId } = await initOnce(wire, null)
  expect(error).toBe('NONE')
  return {
    ...{ producerId, topic, wire },
    send: (baseSequence, values, producerEpoch = 0, partition = 0) =>
      produceTo(wire, topic, values, { producerId, producerEpoch, baseSequence, partition }),
  }
}

describe('InitProducerId without a transactional id', () => {
  contract('gives each its own id, with epoch 0', async ({ wire }) => {
    const answers = [await initOnce(wire, null), await initOnce(wire, null), await initOnce(wire, null)]
    expect(answers.map(({ error, producerEpoch }) => [error, producerEpoch])).toEqual(
      answers.map(() => ['NONE', 0]),
    )
    expect(new Set(answers.map(({ producerId }) => producerId)).size).toBe(3)
  })

  contract('has no use for an empty transactional id', async ({ wire }) => {
    expect((await initOnce(wire, '')).error).toBe('INVALID_REQUEST')
  })
})

describe('an idempotent producer', () => {
  contract('has a duplicate answered with the offset of the first time', async (broker) => {
    const { send, topic, wire } = await open(broker)
    expect(await send(0, ['a', 'b'])).toMatchObject({ error: 'NONE', baseOffset: 0 })
    expect(await send(2, ['c'])).toMatchObject({ error: 'NONE', baseOffset: 2 })
    expect(await send(0, ['a', 'b'])).toMatchObject({ error: 'NONE', baseOffset: 0 })
    expect(await send(2, ['c'])).toMatchObject({ error: 'NONE', baseOffset: 2 })
    expect(await valuesIn(wire, topic)).toEqual(['a', 'b', 'c'])
  })

  contract('has each of its last five batches known', async (broker) => {
    const { send, topic, wire } = await open(broker)
    for (let sequence = 0; sequence < 7; sequence++) await send(sequence, [String(sequence)])
    for (const sequence of [2, 3, 4, 5, 6]) {
      expect(await send(sequence, [String(sequence)])).toMatchObject({ error: 'NONE', baseOffset: sequence })
    }
    expect(await boundsOf(wire, topic)).toEqual([0, 7, 7])
  })

  contract('has an older one refused', async (broker) => {
    const { send, topic, wire } = await open(broker)
    for (let sequence = 0; sequence < 7; sequence++) await send(sequence, [String(sequence)])
    expect(await send(1, ['1'])).toMatchObject({ error: 'OUT_OF_ORDER_SEQUENCE_NUMBER', baseOffset: -1 })
    expect(await boundsOf(wire, topic)).toEqual([0, 7, 7])
  })

  contract('has a gap refused, and what fits taken after it', async (broker) => {
    const { send, topic, wire } = await open(broker)
    await send(0, ['a'])
    expect((await send(2, ['c'])).error).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER')
    expect((await send(1, ['b'])).error).toBe('NONE')
    expect((await send(2, ['c'])).error).toBe('NONE')
    expect(await valuesIn(wire, topic)).toEqual(['a', 'b', 'c'])
  })

  contract('has a batch refused that overlaps with one but is another', async (broker) => {
    const { send, topic, wire } = await open(broker)
    await send(0, ['a', 'b'])
    expect((await send(1, ['b', 'c'])).error).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER')
    expect((await send(0, ['a'])).error).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER')
    expect(await boundsOf(wire, topic)).toEqual([0, 2, 2])
  })

  contract('may begin anywhere where the broker knows nothing of it', async (broker) => {
    const { send } = await open(broker)
    expect(await send(17, ['a'])).toMatchObject({ error: 'NONE', baseOffset: 0 })
    expect((await send(17, ['a'])).baseOffset).toBe(0)
    expect((await send(18, ['b'])).baseOffset).toBe(1)
  })

  contract('has sequences of its own for each partition', async (broker) => {
    const { send } = await open(broker, 2)
    expect((await send(0, ['a'], 0, 0)).error).toBe('NONE')
    expect((await send(0, ['a'], 0, 1)).error).toBe('NONE')
    expect((await send(1, ['b'], 0, 1)).error).toBe('NONE')
    expect((await send(2, ['c'], 0, 0)).error).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER')
  })

  contract('begins at 0 with a newer epoch, and is done with the old one', async (broker) => {
    const { send, topic, wire } = await open(broker)
    await send(0, ['a'])
    expect((await send(1, ['b'], 1)).error).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER')
    expect(await send(0, ['b'], 1)).toMatchObject({ error: 'NONE', baseOffset: 1 })
    expect((await send(1, ['c'], 0)).error).toBe('INVALID_PRODUCER_EPOCH')
    expect((await send(0, ['a'], 0)).error).toBe('INVALID_PRODUCER_EPOCH')
    expect(await valuesIn(wire, topic)).toEqual(['a', 'b'])
  })

  contract('goes on at 0 after the sequence 2,147,483,647', async (broker) => {
    const { send } = await open(broker)
    const last = 2_147_483_647
    expect((await send(last - 1, ['a', 'b'])).baseOffset).toBe(0)
    expect((await send(1, ['d'])).error).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER')
    expect(await send(0, ['c'])).toMatchObject({ error: 'NONE', baseOffset: 2 })
    expect((await send(1, ['d'])).baseOffset).toBe(3)
  })

  contract('may have one batch cross that border', async (broker) => {
    const { send } = await open(broker)
    expect((await send(2_147_483_646, ['a', 'b', 'c', 'd'])).error).toBe('NONE')
    expect((await send(2_147_483_646, ['a', 'b', 'c', 'd'])).baseOffset).toBe(0)
    expect((await send(2, ['e'])).baseOffset).toBe(4)
  })

  contract('does not stand in the way of records without one', async (broker) => {
    const { send, topic, wire } = await open(broker)
    await send(0, ['a'])
    await produceTo(wire, topic, ['plain'])
    expect((await send(1, ['b'])).baseOffset).toBe(2)
    expect(await valuesIn(wire, topic)).toEqual(['a', 'plain', 'b'])
  })

  contract('with an id that nobody gave out is taken all the same', async (broker) => {
    const topic = await broker.topic()
    const identity = { producerId: 987_654_321, producerEpoch: 3, baseSequence: 0 }
    expect(await produceTo(broker.wire, topic, ['a'], identity)).toMatchObject({
      error: 'NONE',
      baseOffset: 0,
    })
  })

  contract('is shown by DescribeProducers', async (broker) => {
    const { send, topic, wire, producerId } = await open(broker)
    const before = Date.now()
    await send(0, ['a', 'b', 'c'])
    const { topics } = await wire.ask(describeProducers, { topics: [{ topic, partitions: [0, 5] }] })
    const found = topics[0]?.partitions.find(({ partition }) => partition === 0)
    expect(found?.producers).toEqual([
      {
        ...{
          producerId,
          producerEpoch: 0,
          lastSequence: 2,
          coordinatorEpoch: -1,
          currentTransactionStart: -1,
        },
        lastTimestamp: expect.closeTo(before, -5),
      },
    ])
    expect(topics[0]?.partitions.find(({ partition }) => partition === 5)?.errorCode).toBe(3)
  })
})
