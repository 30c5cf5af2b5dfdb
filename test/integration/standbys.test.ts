// Standbys: a task moves to a worker that has its state at hand, and nobody waits for a long restore.
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { brokerAddress, type EachOnce, eachOnce } from '../support/each-once.ts'
import { type Judge, startJudge } from '../support/judge.ts'
import { quickly } from '../support/numbered.ts'
import { apiKeys, KafkaProxy } from '../support/proxy.ts'
import { startWorker, type TestWorker, temporaryDirectory } from '../support/worker.ts'

let judge: Judge

beforeAll(async () => {
  judge = await startJudge([brokerAddress()])
})

afterAll(async () => {
  await judge?.stop()
})

const settingsOf = (address: string, stateDir: string, instanceId: string, more: object = {}) => ({
  ...quickly([address], stateDir),
  heartbeatIntervalMs: 100,
  rebalanceTimeoutMs: 5000,
  instanceId,
  hostId: instanceId,
  ...more,
})

const tasksOf = ({ worker }: TestWorker): string[] => worker.status().tasks.map(({ id }) => id)

const lags = ({ worker }: TestWorker): (number | undefined)[] =>
  worker.status().standbys.map(({ lag }) => lag)

const restoredBy = ({ worker }: TestWorker): number => worker.status().restored.records

/** Waits until each of them runs so many tasks, and keeps as many standbys without lag. */
const untilShared = async (
  workers: readonly TestWorker[],
  tasks: number,
  standbys: number,
): Promise<void> => {
  const wanted = workers.map(() => [tasks, ...Array.from({ length: standbys }, () => 0)])
  const found = (): unknown => workers.map((one) => [tasksOf(one).length, ...lags(one)])
  await expect.poll(found, { timeout: 30_000 }).toEqual(wanted)
}

const nothingWasUndone = (workers: readonly TestWorker[]): void => {
  for (const { worker, failure } of workers) {
    expect(failure()).toBe(undefined)
    expect({ aborted: worker.counts.aborted, recovered: worker.counts.recovered }).toEqual({
      aborted: 0,
      recovered: 0,
    })
  }
}

/** Feeds until each partition's changelog is long. */
const fedWell = async (app: EachOnce): Promise<void> => {
  for (let round = 0; round < 10; round++) await app.feed(20)
  await app.drained()
}

it('a worker that leaves is followed by its standbys, which have only the last moments to restore', async () => {
  const app = await eachOnce(judge, 'takes-over', 4)
  using directory = temporaryDirectory()
  const start = (name: string): Promise<TestWorker> =>
    startWorker(
      app.topology,
      settingsOf(brokerAddress(), `${directory.path}/${name}`, name, { standbyReplicas: 1 }),
    )
  await using one = await start('one')
  await fedWell(app)
  await using two = await start('two')
  await untilShared([one, two], 2, 2)
  await app.feed(5)
  await app.drained()
  await untilShared([one, two], 2, 2)
  const restored = restoredBy(one)
  await two.worker.close({ leave: true })
  await expect.poll(() => tasksOf(one).length, { timeout: 20_000 }).toBe(4)
  expect(restoredBy(one) - restored).toBeLessThanOrEqual(4)
  expect(lags(one)).toEqual([])
  await app.feed(5)
  await app.judged()
  nothingWasUndone([one, two])
  await one.worker.close({ leave: true })
}, 90_000)

it('a newcomer gets a task when it has caught up; until then the old owner works', async () => {
  const app = await eachOnce(judge, 'warms-up', 2)
  const proxy = await KafkaProxy.start(brokerAddress())
  using directory = temporaryDirectory()
  // One record of the changelog for each transaction: whoever lacks any is far behind.
  const close = { standbyReplicas: 1, standbyLagMax: 0 }
  await using one = await startWorker(
    app.topology,
    settingsOf(brokerAddress(), `${directory.path}/one`, 'one', close),
  )
  await fedWell(app)
  const gate = Promise.withResolvers<void>()
  proxy.rules = {
    request: ({ apiKey, bytes }) =>
      apiKey === apiKeys.Fetch && bytes.includes(app.changelog) ? { until: gate.promise } : 'pass',
  }
  await using two = await startWorker(
    app.topology,
    settingsOf(proxy.address, `${directory.path}/two`, 'two', close),
  )
  await expect.poll(() => two.worker.status().standbys.length, { timeout: 20_000 }).toBe(2)
  await app.feed(5)
  await app.drained()
  await sleep(500)
  expect([tasksOf(one).length, tasksOf(two).length]).toEqual([2, 0])
  proxy.rules = {}
  gate.resolve()
  await untilShared([one, two], 1, 1)
  await app.feed(5)
  await app.drained()

  // What the other one has written meanwhile is there when the task comes back to who ran it first.
  const restored = restoredBy(one)
  await untilShared([one, two], 1, 1)
  await two.worker.close({ leave: true })
  await expect.poll(() => tasksOf(one).length, { timeout: 20_000 }).toBe(2)
  expect(restoredBy(one) - restored).toBeLessThanOrEqual(4)
  await app.feed(5)
  await app.judged()
  nothingWasUndone([one, two])
  await one.worker.close({ leave: true })
  await proxy.stop()
}, 90_000)

it('a standby that finds itself close, and is found too far behind, does not ask again at once', async () => {
  const app = await eachOnce(judge, 'asks-again', 2)
  const proxy = await KafkaProxy.start(brokerAddress())
  using directory = temporaryDirectory()
  await using one = await startWorker(
    app.topology,
    settingsOf(brokerAddress(), `${directory.path}/one`, 'one', { standbyLagMax: 0 }),
  )
  // More transactions than fit into one answer.
  for (let round = 0; round < 20; round++) {
    await app.feed(1)
    await app.drained()
  }
  // It reads the beginning of the changelog, and nothing more.
  const gate = Promise.withResolvers<void>()
  let fetches = 0
  proxy.rules = {
    request: ({ apiKey, bytes }) =>
      apiKey === apiKeys.Fetch && bytes.includes(app.changelog) && fetches++ > 0
        ? { until: gate.promise }
        : 'pass',
  }
  await using two = await startWorker(
    app.topology,
    settingsOf(proxy.address, `${directory.path}/two`, 'two', {
      standbyLagMax: 1_000_000,
      partitionFetchBytesMax: 1024,
      fetchBytesMax: 1024,
    }),
  )
  await expect.poll(() => lags(two)[0], { timeout: 10_000, interval: 10 }).toBeGreaterThan(0)
  await sleep(1500)
  // It asked once, and was told to go on warming up.
  expect(two.log.with('joined the group')).toHaveLength(2)
  expect([tasksOf(one).length, tasksOf(two).length]).toEqual([2, 0])
  proxy.rules = {}
  gate.resolve()
  await app.feed(2)
  await app.judged()
  nothingWasUndone([one, two])
  for (const { worker } of [one, two]) await worker.close({ leave: true })
  await proxy.stop()
}, 60_000)
