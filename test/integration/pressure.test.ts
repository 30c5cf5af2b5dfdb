// A broker that takes less than before while workers run: a limit for batches that was lowered, a client quota. The
// worker is slower, or stops with the reason; nothing is lost and nothing comes twice.
import { string } from 'millstream'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { brokerAddress, eachOnce } from '../support/each-once.ts'
import { type Judge, startJudge } from '../support/judge.ts'
import { createNumberedTopics, numbered, outputOf, quickly, untilCommitted } from '../support/numbered.ts'
import { startWorker, temporaryDirectory } from '../support/worker.ts'

let judge: Judge

beforeAll(async () => {
  judge = await startJudge([brokerAddress()])
})

afterAll(async () => {
  await judge?.stop()
})

const values = (from: number, count: number, bytes: number) =>
  Array.from({ length: count }, (_, index) => ({
    partition: 0,
    key: 'k',
    value: `${from + index}`.padEnd(bytes, 'x'),
  }))

describe('max.message.bytes lowered below the batch of a worker that runs', () => {
  it('stops it with the reason, and after a restart every record has its effect once', async () => {
    const app = numbered('lowered', string)
    await createNumberedTopics(judge, app)
    using state = temporaryDirectory()
    const settings = quickly([brokerAddress()], state.path)
    {
      await using test = await startWorker(app.topology, settings)
      await judge.produce(app.input, values(0, 5, 100))
      await untilCommitted(judge, app, 5)
      await judge.alterTopic(app.output, { 'max.message.bytes': '2000' })
      // Each of them fits, a batch of all of them does not.
      await judge.produce(app.input, values(5, 100, 100))
      const error = await test.failed()
      expect(error).toMatchObject({ code: 'RECORD_TOO_LARGE', where: { topic: app.output, partition: 0 } })
      expect(error.message).toMatch(/MESSAGE_TOO_LARGE.*Raise max.message.bytes/)
    }
    await using test = await startWorker(app.topology, settings)
    await untilCommitted(judge, app, 105)
    const seen = (await outputOf(judge, app.output)).map((text) => text.replaceAll('x', ''))
    expect(seen).toEqual(Array.from({ length: 105 }, (_, index) => `${index + 1}:${index}`))
    expect(test.failure()).toBe(undefined)
  })
})

// A quota of requests (request_percentage) is not among them: the broker answers a throttled fetch with nothing, so one
// that heartbeats and empty fetches alone use up starves every client.
describe('a client quota', () => {
  it.each(['producer_byte_rate', 'consumer_byte_rate'])(
    'of %s slows the worker down, and nothing is lost',
    async (quota) => {
      const app = await eachOnce(judge, 'quota', 2)
      const clientId = app.applicationId
      using state = temporaryDirectory()
      const settings = { ...quickly([brokerAddress()], state.path), clientId, heartbeatIntervalMs: 100 }
      await using test = await startWorker(app.topology, settings)
      // A rate is taken over ten seconds, so that a part of it goes through at once.
      await judge.clientQuotas(clientId, { [quota]: 2000 })
      let longestMs = 0
      for (let round = 0; round < 200 && longestMs < 1000; round++) {
        const began = performance.now()
        await app.feed(50)
        await app.drained(50_000)
        longestMs = Math.max(longestMs, performance.now() - began)
      }
      await judge.clientQuotas(clientId, { [quota]: null })
      expect(longestMs).toBeGreaterThanOrEqual(1000)
      await app.feed(10)
      await app.judged()
      expect(test.worker.counts).toMatchObject({ aborted: 0, recovered: 0, rebalanced: 1 })
      expect(test.failure()).toBe(undefined)
    },
  )
})
