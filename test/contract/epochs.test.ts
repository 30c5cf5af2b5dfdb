// The end of the epochs of a producer id. In a file of its own, since it takes a minute: every epoch has to be used up.
import { describe, expect } from 'vitest'
import { contract } from '../support/contract/contract.ts'
import { valuesIn } from '../support/contract/log.ts'
import { Producer } from '../support/contract/producers.ts'

/** The last epoch in which a transaction ends; 32,767 is kept for the coordinator to fence with. */
const lastEpoch = 32_766

describe('the epochs of a producer id', () => {
  contract(
    'come to an end: EndTxn brings another id then, also when it is repeated',
    async (broker) => {
      const topic = await broker.topic()
      const producer = await Producer.open(broker)
      const { producerId } = producer.identity
      // An abort of a transaction that has nothing takes an epoch; each is known before its answer is there.
      while (producer.identity.producerEpoch < lastEpoch) {
        const from = producer.identity.producerEpoch
        const count = Math.min(500, lastEpoch - from)
        const ended = await Promise.all(
          Array.from({ length: count }, (_, at) =>
            producer.endOnce(false, { producerId, producerEpoch: from + at }),
          ),
        )
        const taken = ended.findIndex(({ error }) => error !== 'NONE')
        const last = ended[(taken < 0 ? ended.length : taken) - 1]
        if (last !== undefined) producer.identity = last
      }
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
    90_000,
  )
})
