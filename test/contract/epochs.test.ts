// The end of the epochs of a producer id. In a file of its own, since it takes a while: every epoch has to be used up.
import { describe, expect } from 'vitest'
import { contract } from '../support/contract/contract.ts'
import { valuesIn } from '../support/contract/log.ts'
import { type Answer, initOnce, Producer } from '../support/contract/producers.ts'

/** The last epoch in which a transaction ends; 32,767 is kept for the coordinator to fence with. */
const lastEpoch = 32_766

describe('the epochs of a producer id', () => {
  contract(
    'come to an end: EndTxn brings another id then, also when it is repeated',
    async (broker) => {
      const topic = await broker.topic()
      const producer = await Producer.open(broker)
      const { producerId } = producer.identity
      // Each InitProducerId takes an epoch; many are under way at a time.
      while (producer.identity.producerEpoch < lastEpoch) {
        const count = Math.min(1000, lastEpoch - producer.identity.producerEpoch)
        const ask = (): Promise<Answer> => initOnce(producer.wire, producer.transactionalId)
        const answers = await Promise.all(Array.from({ length: count }, ask))
        producer.identity = answers.filter(({ error }) => error === 'NONE').at(-1) ?? producer.identity
      }
      expect(producer.identity).toMatchObject({ producerId, producerEpoch: lastEpoch })
      await producer.produce(topic, ['a'])
      const before = producer.identity
      const ended = await producer.end(true)
      expect(ended).toMatchObject({ error: 'NONE', producerEpoch: 0 })
      expect(ended.producerId).not.toBe(producerId)
      await producer.complete()
      expect(await producer.endOnce(true, before)).toEqual(ended)
      expect((await producer.produce(topic, ['b'])).error).toBe('NONE')
      expect((await producer.end(true)).error).toBe('NONE')
      await producer.complete()
      expect(await valuesIn(broker.wire, topic)).toEqual(['a', 'b'])
    },
    60_000,
  )
})
