// A processor that has the main thread for longer than the session: heartbeats go on without it.
import { afterAll, beforeAll, expect, it } from 'vitest'
import { brokerAddress } from '../support/each-once.ts'
import { type Judge, startJudge } from '../support/judge.ts'
import { lineWith, times, twoWorkers } from '../support/two-workers.ts'

let judge: Judge

beforeAll(async () => {
  judge = await startJudge([brokerAddress()])
})

afterAll(async () => {
  await judge?.stop()
})

it('a worker that is blocked for longer than its session stays a member, and is named meanwhile', async () => {
  const blocksMs = 20_000
  const { app, first, second, shares, stop } = await twoWorkers(judge, 'blocked', blocksMs, 60_000)
  const joined = times(first, 'joined the group') + times(second, 'joined the group')
  const began = performance.now()
  await app.feed(3)
  await first.said('the main thread is blocked, and heartbeats go on', 15_000)
  expect(performance.now() - began).toBeLessThan(blocksMs - 5000)
  expect(lineWith(first, 'the main thread is blocked')).toMatch(
    / warn {2}the main thread is blocked.* task=0_[01] processors=\S*sleeper\S* blockedMs=5\d{3}$/,
  )
  await app.drained(blocksMs + 10_000)
  expect(performance.now() - began).toBeGreaterThan(blocksMs)
  await app.feed(2)
  await app.judged()
  await first.said('the main thread was blocked')
  expect(times(first, 'joined the group') + times(second, 'joined the group')).toBe(joined)
  expect(await shares()).toEqual({ one: 1, two: 1 })
  await stop()
  const { blockedMs = '0' } =
    /stopped state=closed .* blocked=1 blockedMs=(?<blockedMs>\d+)/.exec(first.stderr)?.groups ?? {}
  expect(Number(blockedMs)).toBeGreaterThan(blocksMs - 1500)
  expect(first.stderr).toContain('recovered=0')
}, 90_000)
