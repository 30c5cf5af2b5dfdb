// A rebalance that meets a record which takes longer than the group waits for a member to join again.
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { brokerAddress } from '../support/each-once.ts'
import { type Judge, startJudge } from '../support/judge.ts'
import { quickly } from '../support/numbered.ts'
import { times, twoWorkers } from '../support/two-workers.ts'
import { temporaryDirectory, testWorker } from '../support/worker.ts'

let judge: Judge

beforeAll(async () => {
  judge = await startJudge([brokerAddress()])
})

afterAll(async () => {
  await judge?.stop()
})

it('a worker that misses a rebalance in a long record comes back, and the record is committed', async () => {
  // Longer than the 5 s of a rebalance, and shorter than two of them.
  const { app, first, stop } = await twoWorkers(judge, 'missed', 9000, 60_000)
  using directory = temporaryDirectory()
  await app.feed(1)
  // Early in the record: the group forms a generation without it, and then waits for its SyncGroup for as long again.
  await sleep(300)
  const three = testWorker(app.topology, {
    ...quickly([brokerAddress()], directory.path),
    transactionTimeoutMs: 1500,
    sessionTimeoutMs: 12_000,
    rebalanceTimeoutMs: 5000,
    heartbeatIntervalMs: 300,
    instanceId: 'three',
  })
  const started = three.worker.start()
  await app.drained(50_000)
  await started
  // It missed one rebalance, and did not set off the next one by its return.
  expect(times(first, 'the membership is over')).toBeLessThanOrEqual(2)
  await app.feed(2)
  await app.judged()
  await three.worker.close({ leave: true })
  await stop()
}, 120_000)
