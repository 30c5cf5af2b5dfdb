// A producer id has 32,767 epochs; with version 2 of transactions (KIP-890) each transaction takes one, and near the end
// EndTxn answers another producer id. Here most epochs are used up by transactions without records; that a worker's own
// 33,000 transactions cross the border is shown by `npm run test:rotation`.
import { afterAll, beforeAll, expect, it } from 'vitest'
import { brokerAddress, type EachOnce, eachOnce } from '../support/each-once.ts'
import { type Judge, startJudge } from '../support/judge.ts'
import { uniqueTopic } from '../support/kafka.ts'
import { quickly } from '../support/numbered.ts'
import { RawProducer, stableOffsetOf } from '../support/raw-protocol.ts'
import { startWorker, temporaryDirectory } from '../support/worker.ts'

/** The last epoch in which a transaction ends; 32,767 is kept for the coordinator to fence with. */
const lastEpoch = 32_766
const margin = 40
const instanceId = 'one'

let judge: Judge
let raw: RawProducer
let app: EachOnce

/** Uses epochs up: an EndTxn(abort) of a transaction that has nothing takes one. */
const useUp = async (producer: RawProducer, until: number): Promise<void> => {
  while (producer.identity.producerEpoch < until) {
    const answer = await producer.endOnce(false)
    if (answer.error === 'NONE') producer.identity = answer
    else if (answer.error !== 'CONCURRENT_TRANSACTIONS')
      throw new Error(`EndTxn was answered ${answer.error}`)
  }
}

beforeAll(async () => {
  judge = await startJudge([brokerAddress()])
  app = await eachOnce(judge, 'rotation', 2)
  raw = await RawProducer.open(uniqueTopic('rotation'))
  const earlier = await RawProducer.open(`${app.applicationId}.${instanceId}.0`)
  await Promise.all([useUp(raw, lastEpoch - 2), useUp(earlier, lastEpoch - margin)])
  await earlier.close()
})

afterAll(async () => {
  await raw?.close()
  await judge?.stop()
})

// An unanswered EndTxn is repeated with the same bytes (src/client/transactional-producer.ts, #endTxn), also where its
// answer would have brought another producer id.
it('the EndTxn that brings another producer id answers the same when it is repeated', async () => {
  const group = uniqueTopic('rotation')
  const topic = app.output
  const elsewhere = uniqueTopic('rotation-out')
  await judge.createTopics({ name: elsewhere })
  const answers: string[] = []
  for (let round = 0; round < 5; round++) {
    const { identity } = raw
    expect(await raw.produce(elsewhere, 0, ['v'])).toBe('NONE')
    expect(await raw.commitOffsets(group, topic, { 0: round })).toBe('NONE')
    const first = await raw.end(true)
    // Until the markers are written it is answered CONCURRENT_TRANSACTIONS.
    await expect.poll(() => raw.endOnce(true, { identity }), { interval: 10 }).toEqual(first)
    expect(await stableOffsetOf(raw.cluster, group, topic, 0)).toMatchObject({ offset: round })
    answers.push(`${identity.producerEpoch} -> ${first.producerEpoch}`)
    expect(first.producerId === identity.producerId).toBe(first.producerEpoch > 0)
  }
  expect(answers).toEqual(['32764 -> 32765', '32765 -> 32766', '32766 -> 0', '0 -> 1', '1 -> 2'])
})

it('a worker goes on with another producer id, and each record has its effect once', async () => {
  const idOf = async (): Promise<number | undefined> =>
    (await judge.describeTransactions(`${app.applicationId}.${instanceId}.0`))[0]?.producerId
  const before = await idOf()
  using state = temporaryDirectory()
  await using test = await startWorker(app.topology, {
    ...quickly([brokerAddress()], state.path),
    instanceId,
  })
  for (let round = 0; round < 2 * margin; round++) {
    await app.feed(2)
    await app.drained()
  }
  await app.judged()
  expect(test.worker.counts.committed).toBeGreaterThan(margin)
  expect(test.worker.counts).toMatchObject({ aborted: 0, recovered: 0 })
  expect(await idOf()).not.toBe(before)
  expect(test.failure()).toBe(undefined)
})
