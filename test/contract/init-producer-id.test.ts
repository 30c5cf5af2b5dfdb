// InitProducerId with a transactional id: epochs, fencing, and what becomes of an open transaction (KIP-360, KIP-890).
import { describe, expect } from 'vitest'
import { contract } from '../support/contract/contract.ts'
import { boundsOf, valuesIn } from '../support/contract/log.ts'
import { unique } from '../support/contract/names.ts'
import { initOnce, noIdentity, passed, Producer } from '../support/contract/producers.ts'
import { transactionTimeoutMsMax } from '../support/contract/settings.ts'
import { settled } from '../support/contract/waits.ts'

describe('InitProducerId', () => {
  contract('begins with epoch 0, and bumps it each time', async ({ wire }) => {
    const id = unique('id')
    const first = await initOnce(wire, id)
    expect(first).toMatchObject({ error: 'NONE', producerEpoch: 0 })
    const { producerId } = first
    expect(await initOnce(wire, id)).toEqual({ error: 'NONE', producerId, producerEpoch: 1 })
    expect(await initOnce(wire, id)).toEqual({ error: 'NONE', producerId, producerEpoch: 2 })
  })

  contract('gives each transactional id its own producer id', async ({ wire }) => {
    const [one, two] = [await initOnce(wire, unique('id')), await initOnce(wire, unique('id'))]
    expect(one.producerId).not.toBe(two.producerId)
  })

  contract('holds the timeout against the bounds of the broker', async ({ wire }) => {
    const init = async (timeoutMs: number): Promise<string> =>
      (await initOnce(wire, unique('id'), noIdentity, timeoutMs)).error
    expect(await init(transactionTimeoutMsMax)).toBe('NONE')
    expect(await init(transactionTimeoutMsMax + 1)).toBe('INVALID_TRANSACTION_TIMEOUT')
    expect(await init(1)).toBe('NONE')
    expect(await init(0)).toBe('INVALID_TRANSACTION_TIMEOUT')
    expect(await init(-1)).toBe('INVALID_TRANSACTION_TIMEOUT')
  })

  contract('aborts an open transaction first: it is asked again until that is done', async (broker) => {
    const topic = await broker.topic()
    const owner = await Producer.open(broker)
    await owner.produce(topic, ['a'])
    const { producerEpoch } = owner.identity
    const once = await initOnce(broker.wire, owner.transactionalId)
    expect(once).toEqual({ error: 'CONCURRENT_TRANSACTIONS', ...noIdentity })
    const again = await settled(() => initOnce(broker.wire, owner.transactionalId), passed)
    expect(again.error).toBe('NONE')
    expect(again.producerEpoch).toBeGreaterThan(producerEpoch + 1)
    const bounds = await settled(
      () => boundsOf(broker.wire, topic),
      ([, stable]) => stable === 2,
    )
    expect(bounds).toEqual([0, 2, 2])
    expect(await valuesIn(broker.wire, topic)).toEqual([])
  })

  contract('takes the transactional id from an owner that is at work', async (broker) => {
    const topic = await broker.topic()
    const owner = await Producer.open(broker)
    await owner.produce(topic, ['a'])
    await Producer.open(broker, { transactionalId: owner.transactionalId })
    expect((await owner.produce(topic, ['b'])).error).toBe('INVALID_PRODUCER_EPOCH')
    expect((await owner.end(true)).error).toBe('PRODUCER_FENCED')
    expect((await owner.end(false)).error).toBe('PRODUCER_FENCED')
    expect(await valuesIn(broker.wire, topic)).toEqual([])
  })

  contract('with the identity that is held bumps the epoch', async (broker) => {
    const producer = await Producer.open(broker)
    const { identity, wire, transactionalId } = producer
    const bumped = await initOnce(wire, transactionalId, identity)
    expect(bumped).toEqual({
      ...{ error: 'NONE', producerId: identity.producerId, producerEpoch: identity.producerEpoch + 1 },
    })
  })

  contract('repeated with the identity before it is answered the same again', async (broker) => {
    const { identity, wire, transactionalId } = await Producer.open(broker)
    const first = await initOnce(wire, transactionalId, identity)
    expect(await initOnce(wire, transactionalId, identity)).toEqual(first)
    // Two steps back is another one.
    await initOnce(wire, transactionalId, first)
    expect((await initOnce(wire, transactionalId, identity)).error).toBe('PRODUCER_FENCED')
  })

  contract('with an identity that was taken away is refused', async (broker) => {
    const owner = await Producer.open(broker)
    const { wire, transactionalId } = owner
    await initOnce(wire, transactionalId)
    await initOnce(wire, transactionalId)
    expect((await initOnce(wire, transactionalId, owner.identity)).error).toBe('PRODUCER_FENCED')
  })

  contract('with a stale identity aborts what the owner has open all the same', async (broker) => {
    const topic = await broker.topic()
    const zombie = await Producer.open(broker)
    const owner = await Producer.open(broker, { transactionalId: zombie.transactionalId })
    await owner.produce(topic, ['a'])
    const once = await initOnce(zombie.wire, zombie.transactionalId, zombie.identity)
    expect(once.error).toBe('CONCURRENT_TRANSACTIONS')
    expect((await zombie.init(zombie.identity)).error).toBe('PRODUCER_FENCED')
    expect((await owner.produce(topic, ['b'])).error).toBe('INVALID_PRODUCER_EPOCH')
    expect((await owner.end(true)).error).not.toBe('NONE')
    expect(await valuesIn(broker.wire, topic)).toEqual([])
  })

  contract('with the producer id of somebody else is refused', async (broker) => {
    const [one, two] = [await Producer.open(broker), await Producer.open(broker)]
    expect((await initOnce(one.wire, one.transactionalId, two.identity)).error).toBe('PRODUCER_FENCED')
    const later = { ...one.identity, producerEpoch: one.identity.producerEpoch + 5 }
    expect((await initOnce(one.wire, one.transactionalId, later)).error).toBe('PRODUCER_FENCED')
  })

  contract('with an identity for an id that was never used gives a new one', async ({ wire }) => {
    const answer = await initOnce(wire, unique('id'), { producerId: 4711, producerEpoch: 3 })
    expect(answer).toMatchObject({ error: 'NONE', producerEpoch: 0 })
  })

  contract('with an id and no epoch, or an epoch and no id, is refused', async ({ wire }) => {
    const id = unique('id')
    expect((await initOnce(wire, id, { producerId: 5, producerEpoch: -1 })).error).toBe('INVALID_REQUEST')
    expect((await initOnce(wire, id, { producerId: -1, producerEpoch: 5 })).error).toBe('INVALID_REQUEST')
  })

  contract('of a fenced owner in v3 is told so in the words of that version', async (broker) => {
    const { wire, transactionalId, identity } = await Producer.open(broker)
    await initOnce(wire, transactionalId)
    await initOnce(wire, transactionalId)
    expect((await initOnce(wire, transactionalId, identity, 60_000, 3)).error).toBe('INVALID_PRODUCER_EPOCH')
    expect((await initOnce(wire, transactionalId, identity, 60_000, 4)).error).toBe('PRODUCER_FENCED')
  })

  contract('keeps what was committed', async (broker) => {
    const topic = await broker.topic()
    const producer = await Producer.open(broker)
    await producer.produce(topic, ['a'])
    expect((await producer.end(true)).error).toBe('NONE')
    await producer.init()
    await producer.produce(topic, ['b'])
    await producer.init(producer.identity)
    const bounds = await settled(
      () => boundsOf(broker.wire, topic),
      ([, stable]) => stable === 4,
    )
    expect(bounds).toEqual([0, 4, 4])
    expect(await valuesIn(broker.wire, topic)).toEqual(['a'])
  })
})
