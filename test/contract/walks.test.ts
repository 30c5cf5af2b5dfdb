// Sequences of requests that nobody thought of: two clients with one transactional id go the same random way on both
// brokers, which must answer alike at each step and end with the same logs. A failure names its seed.
import { expect, inject, it } from 'vitest'
import { Broker } from '../support/contract/contract.ts'
import { unique } from '../support/contract/names.ts'
import { subjects } from '../support/contract/settings.ts'
import { TransactionWalk } from '../support/contract/transaction-walk.ts'
import { runSeed, seededRandom } from '../support/random.ts'

const walks = 24
const length = 25
const first = runSeed()

it.concurrent.each(Array.from({ length: walks }, (_, index) => (first + index) % 2 ** 31))(
  'both brokers answer alike (MILLSTREAM_SEED=%i)',
  async (seed) => {
    const group = unique('walk')
    const [kafka, embedded] = await Promise.all(
      subjects.map(async (subject) => {
        await using broker = await Broker.open(inject('contractBrokers')[subject])
        return await TransactionWalk.run(broker, group, seededRandom(seed), length)
      }),
    )
    const differs = (kafka ?? []).findIndex((line, index) => line !== embedded?.[index])
    const end = differs < 0 ? undefined : differs + 1
    // With the steps that led to it.
    expect(embedded?.slice(0, end)).toEqual(kafka?.slice(0, end))
  },
  60_000,
)
