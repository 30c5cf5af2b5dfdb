// The wall-clock budget of a hand-over: others wait for tasks no longer than that, whatever a coordinator does not answer.
// The Java consumer judges.
import { afterAll, beforeAll, expect, it } from 'vitest'
import { brokerAddress, eachOnce, impatiently } from '../support/each-once.ts'
import { type Judge, startJudge } from '../support/judge.ts'
import { recoveryKeys } from '../support/lost-commit.ts'
import { apiKeys, KafkaProxy } from '../support/proxy.ts'
import { startWorker, type TestWorker, temporaryDirectory, testWorker } from '../support/worker.ts'

let judge: Judge

beforeAll(async () => {
  judge = await startJudge([brokerAddress()])
})

afterAll(async () => {
  await judge?.stop()
})

/** The budget is the half of these, and an answer is waited for much longer. */
const settingsOf = (address: string, directory: string, instanceId: string) => ({
  ...impatiently(address, `${directory}/${instanceId}`),
  instanceId,
  rebalanceTimeoutMs: 3000,
  transactionTimeoutMs: 3000,
  requestTimeoutMs: 25_000,
})

const assigned = ({ log }: TestWorker): string =>
  String(log.with('tasks assigned').at(-1)?.fields['tasks'] ?? '')

const withinMs = 5000

it('a commit that is not answered does not keep the group waiting: it is aborted, and the group joined', async () => {
  const app = await eachOnce(judge, 'late-join', 2)
  const proxy = await KafkaProxy.start(brokerAddress())
  using directory = temporaryDirectory()
  await using one = await startWorker(app.topology, settingsOf(proxy.address, directory.path, 'one'))
  await using two = testWorker(app.topology, settingsOf(brokerAddress(), directory.path, 'two'))
  await app.feed(3)
  await app.drained()
  let unanswered = 0
  proxy.rules = {
    request: ({ apiKey }) => {
      if (apiKey !== apiKeys.TxnOffsetCommit) return 'pass'
      unanswered++
      return 'drop'
    },
  }
  await app.feed(2)
  await expect.poll(() => unanswered, { interval: 10 }).toBe(1)
  const started = two.worker.start()
  await expect.poll(() => assigned(two), { timeout: withinMs, interval: 20 }).toMatch(/^0_[01]$/)
  await started
  expect(one.log.with('the group waits for too long').length).toBeGreaterThan(0)
  expect(one.worker.counts.aborted).toBeGreaterThan(0)
  expect(one.worker.status().membershipsLost).toBe(0)
  // It still cannot commit, and the other one can.
  const partition = Number(assigned(two).split('_')[1])
  await app.feed(2, [partition])
  await expect.poll(async () => (await app.offsets())[partition], { timeout: withinMs }).toBe(7)
  expect((await app.offsets())[1 - partition]).toBe(3)
  proxy.rules = {}
  proxy.cutAll()
  await app.judged()
  for (const { worker, failure } of [one, two]) {
    expect(failure()).toBe(undefined)
    await worker.close({ leave: true })
  }
  await proxy.stop()
}, 40_000)

it('tasks are handed over although the coordinator of transactions is silent, the abort included', async () => {
  const app = await eachOnce(judge, 'late-hand-over', 2)
  const proxy = await KafkaProxy.start(brokerAddress())
  using directory = temporaryDirectory()
  await using one = await startWorker(app.topology, {
    ...settingsOf(proxy.address, directory.path, 'one'),
    commitIntervalMs: 2900,
    rebalanceTimeoutMs: 6000,
  })
  await using two = testWorker(app.topology, settingsOf(brokerAddress(), directory.path, 'two'))
  await app.feed(3)
  await app.drained()
  const ofTransactions: readonly number[] = [apiKeys.TxnOffsetCommit, apiKeys.EndTxn, apiKeys.InitProducerId]
  let silent = false
  proxy.rules = {
    request: ({ apiKey }) => (silent && ofTransactions.includes(apiKey) ? 'drop' : 'pass'),
    // From the moment in which it learns what it is to give up.
    answer: ({ apiKey }) => {
      silent ||= apiKey === recoveryKeys.SyncGroup
      return 'pass'
    },
  }
  // With input left the interval decides about the commit: the first one is that of what it gives up.
  app.before = () => one.worker.pause()
  await app.feed(2000)
  await expect.poll(() => one.worker.counts.processed, { interval: 10 }).toBeGreaterThan(6)
  const started = two.worker.start()
  await expect.poll(() => assigned(one), { timeout: withinMs, interval: 20 }).toMatch(/^0_[01]$/)
  await expect.poll(() => assigned(two), { timeout: withinMs, interval: 20 }).toMatch(/^0_[01]$/)
  expect(one.log.with('the group waits for too long')).toHaveLength(1)
  expect(one.log.with('producer initialised')).toHaveLength(1)
  app.before = () => {}
  one.worker.resume()
  proxy.rules = {}
  proxy.cutAll()
  await started
  await app.judged()
  for (const { worker, failure } of [one, two]) {
    expect(failure()).toBe(undefined)
    await worker.close({ leave: true })
  }
  await proxy.stop()
}, 60_000)
