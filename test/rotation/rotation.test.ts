// `npm run test:rotation`: 33,000 small transactions of one worker, more than a producer id has epochs. It takes minutes, so it
// is no part of `npm test`; test/integration/rotation.test.ts crosses the same border from nearby.
import { afterAll, beforeAll, expect, it } from 'vitest'
import { brokerAddress, eachOnce } from '../support/each-once.ts'
import { type Judge, startJudge } from '../support/judge.ts'
import { quickly } from '../support/numbered.ts'
import { startWorker, temporaryDirectory } from '../support/worker.ts'

const transactions = 33_000

let judge: Judge

beforeAll(async () => {
  judge = await startJudge([brokerAddress()])
})

afterAll(async () => {
  await judge?.stop()
})

it(`each record has its effect once over ${transactions} transactions`, async () => {
  const app = await eachOnce(judge, 'many', 1)
  const instanceId = 'one'
  const producerId = async (): Promise<number | undefined> =>
    (await judge.describeTransactions(`${app.applicationId}.${instanceId}.0`))[0]?.producerId
  using state = temporaryDirectory()
  const settings = { ...quickly([brokerAddress()], state.path), commitIntervalMs: 1, instanceId }
  await using test = await startWorker(app.topology, settings)
  await app.feed(1)
  await app.drained()
  const before = await producerId()
  const began = performance.now()
  for (let said = 0; test.worker.counts.committed < transactions && test.failure() === undefined; ) {
    await app.feed(1)
    if (test.worker.counts.committed < said + 3000) continue
    said = test.worker.counts.committed
    console.log(`${said} transactions in ${Math.round((performance.now() - began) / 1000)} s`)
  }
  await app.judged()
  expect(test.failure()).toBe(undefined)
  expect(test.worker.counts).toMatchObject({ aborted: 0, recovered: 0, rebalanced: 1 })
  expect(await producerId()).not.toBe(before)
})
