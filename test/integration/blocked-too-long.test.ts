// A processor that has the main thread for longer than maxPollIntervalMs: heartbeats end, and another takes over.
import { afterAll, beforeAll, expect, it } from 'vitest'
import { brokerAddress } from '../support/each-once.ts'
import { type Judge, startJudge } from '../support/judge.ts'
import { sessionTimeoutMs, times, twoWorkers } from '../support/two-workers.ts'

let judge: Judge

beforeAll(async () => {
  judge = await startJudge([brokerAddress()])
})

afterAll(async () => {
  await judge?.stop()
})

it('a worker that is blocked for longer than maxPollIntervalMs loses its tasks to another', async () => {
  // Until the heartbeats end, until the session has run out, and until the other has the tasks.
  const blocksMs = 2 * sessionTimeoutMs + 14_000
  const { app, first, shares, stop } = await twoWorkers(judge, 'given-up', blocksMs, sessionTimeoutMs)
  const began = performance.now()
  await app.feed(3)
  await first.said('heartbeats end', sessionTimeoutMs + 5000)
  expect(performance.now() - began).toBeGreaterThan(sessionTimeoutMs)
  await expect.poll(shares, { timeout: sessionTimeoutMs + 8000 }).toEqual({ two: 2 })
  await app.drained()
  await app.feed(2)
  await app.judged()
  expect(times(first, 'the main thread was blocked')).toBe(0)
  expect(performance.now() - began).toBeLessThan(blocksMs)
  // It comes back, finds that its work was done, and shares it again.
  await first.said('the main thread was blocked', blocksMs)
  await expect.poll(shares, { timeout: 20_000 }).toEqual({ one: 1, two: 1 })
  await app.feed(3)
  await app.judged()
  await stop()
}, 120_000)
