// Rebalances that nobody has to stand still for: workers process and commit while a join is under way, and a task moves
// only after the worker that had it has committed it. The Java consumer judges.
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { brokerAddress, type EachOnce, eachOnce } from '../support/each-once.ts'
import { type Judge, startJudge } from '../support/judge.ts'
import { quickly } from '../support/numbered.ts'
import { apiKeys, KafkaProxy } from '../support/proxy.ts'
import { startWorker, type TestWorker, temporaryDirectory } from '../support/worker.ts'

const JOIN_GROUP = 11
const SYNC_GROUP = 14

let judge: Judge

beforeAll(async () => {
  judge = await startJudge([brokerAddress()])
})

afterAll(async () => {
  await judge?.stop()
})

const settingsOf = (address: string, stateDir: string, instanceId: string) => ({
  ...quickly([address], stateDir),
  heartbeatIntervalMs: 100,
  instanceId,
})

/** Feeds without a pause until it is stopped. */
const feeding = (app: EachOnce): { stop(): Promise<void> } => {
  let goesOn = true
  const fed = (async () => {
    while (goesOn) {
      await app.feed(3)
      await sleep(5)
    }
  })()
  return {
    stop: async () => {
      goesOn = false
      await fed
    },
  }
}

/** None of them had anything to take back. */
const nothingWasUndone = (workers: readonly TestWorker[]): void => {
  for (const { worker, failure } of workers) {
    expect(failure()).toBe(undefined)
    expect({ aborted: worker.counts.aborted, recovered: worker.counts.recovered }).toEqual({
      aborted: 0,
      recovered: 0,
    })
  }
}

const held = ({ log }: TestWorker): string => String(log.with('tasks assigned').at(-1)?.fields['tasks'])

it('grows from one worker to four and back, with nothing undone and nothing done twice', async () => {
  const app = await eachOnce(judge, 'grows', 8)
  using directory = temporaryDirectory()
  const names = ['one', 'two', 'three', 'four']
  const workers: TestWorker[] = []
  const feed = feeding(app)
  for (const name of names) {
    workers.push(
      await startWorker(app.topology, settingsOf(brokerAddress(), `${directory.path}/${name}`, name)),
    )
    await expect
      .poll(
        () => workers.map((one) => held(one).split(' ').filter(Boolean).length).reduce((a, b) => a + b, 0),
        {
          timeout: 15_000,
        },
      )
      .toBe(8)
    await expect.poll(() => workers.at(-1)?.worker.counts.processed, { timeout: 10_000 }).toBeGreaterThan(20)
  }
  expect(workers.map((one) => held(one).split(' ').length)).toEqual([2, 2, 2, 2])
  for (const { worker } of workers.slice(1)) await worker.close({ leave: true })
  const [first] = workers as [TestWorker]
  await expect.poll(() => held(first).split(' ').length, { timeout: 10_000 }).toBe(8)
  await feed.stop()
  await app.judged()
  nothingWasUndone(workers)
  await first.worker.close({ leave: true })
}, 90_000)

describe('two workers, of which one is slow to join again', () => {
  it('the other goes on with the tasks that it has, and commits them', async () => {
    const app = await eachOnce(judge, 'slow-join', 4)
    const proxy = await KafkaProxy.start(brokerAddress())
    using directory = temporaryDirectory()
    await using one = await startWorker(
      app.topology,
      settingsOf(brokerAddress(), `${directory.path}/one`, 'one'),
    )
    await using two = await startWorker(
      app.topology,
      settingsOf(proxy.address, `${directory.path}/two`, 'two'),
    )
    await expect.poll(() => held(one).split(' ').length, { timeout: 10_000 }).toBe(2)
    await expect.poll(() => held(two).split(' ').length, { timeout: 10_000 }).toBe(2)
    await app.feed(3)
    await app.drained()
    // The group waits for the second one, which asks to join later.
    proxy.rules = { request: ({ apiKey }) => (apiKey === JOIN_GROUP ? { delayMs: 3000 } : 'pass') }
    const three = startWorker(app.topology, settingsOf(brokerAddress(), `${directory.path}/three`, 'three'))
    await expect
      .poll(() => one.log.with('a heartbeat was answered').length, { timeout: 10_000 })
      .toBeGreaterThan(1)
    const joined = one.log.with('joined the group').length
    await app.feed(5)
    await app.drained(2500)
    expect(one.log.with('joined the group')).toHaveLength(joined)
    proxy.rules = {}
    await using third = await three
    await app.feed(5)
    await app.judged()
    nothingWasUndone([one, two, third])
    for (const { worker } of [one, two, third]) await worker.close({ leave: true })
    await proxy.stop()
  }, 40_000)
})

describe('a commit that meets a new generation', () => {
  /** One worker of two behind a proxy that troubles the commits while the second joins. */
  const meets = async (
    name: string,
    guarantee: 'exactly_once' | 'at_least_once',
    trouble: (proxy: KafkaProxy) => void,
  ): Promise<void> => {
    const app = await eachOnce(judge, name, 4)
    const settings = (address: string, path: string, instanceId: string) => ({
      ...settingsOf(address, `${path}/${instanceId}`, instanceId),
      guarantee,
    })
    const proxy = await KafkaProxy.start(brokerAddress())
    using directory = temporaryDirectory()
    await using one = await startWorker(app.topology, settings(proxy.address, directory.path, 'one'))
    const feed = feeding(app)
    await expect.poll(() => one.worker.counts.processed, { timeout: 10_000 }).toBeGreaterThan(20)
    trouble(proxy)
    await using two = await startWorker(app.topology, settings(brokerAddress(), directory.path, 'two'))
    await expect.poll(() => two.worker.counts.processed, { timeout: 20_000 }).toBeGreaterThan(20)
    proxy.rules = {}
    await feed.stop()
    await app.judged()
    nothingWasUndone([one, two])
    for (const { worker } of [one, two]) await worker.close({ leave: true })
    await proxy.stop()
  }

  it('goes on in the new generation where JoinGroup was answered and SyncGroup was not', async () => {
    const app = await eachOnce(judge, 'sync-late', 4)
    const proxy = await KafkaProxy.start(brokerAddress())
    using directory = temporaryDirectory()
    await using one = await startWorker(
      app.topology,
      settingsOf(proxy.address, `${directory.path}/one`, 'one'),
    )
    await app.feed(3)
    await app.drained()
    const gate = Promise.withResolvers<void>()
    let syncs = 0
    proxy.rules = {
      answer: ({ apiKey }) => {
        if (apiKey !== SYNC_GROUP) return 'pass'
        syncs++
        return { until: gate.promise }
      },
    }
    // The leader of the group is the one whose SyncGroup is not answered: the other one waits with it.
    const starting = startWorker(app.topology, settingsOf(brokerAddress(), `${directory.path}/two`, 'two'))
    await expect.poll(() => syncs, { timeout: 10_000 }).toBe(1)
    await app.feed(5)
    await app.drained()
    expect(syncs).toBe(1)
    proxy.rules = {}
    gate.resolve()
    await using two = await starting
    await expect.poll(() => held(two).split(' ').length, { timeout: 10_000 }).toBe(2)
    await app.feed(5)
    await app.judged()
    nothingWasUndone([one, two])
    for (const { worker } of [one, two]) await worker.close({ leave: true })
    await proxy.stop()
  }, 40_000)

  it('is repeated under the next one where the old one ended on its way', async () => {
    let refused = 0
    await meets('commit-late', 'exactly_once', (proxy) => {
      proxy.rules = {
        // The commit begins while the join is on its way, and arrives after it.
        request: ({ apiKey }) => {
          if (apiKey === apiKeys.TxnOffsetCommit) return { delayMs: 600 }
          return apiKey === JOIN_GROUP ? { delayMs: 300 } : 'pass'
        },
        answer: ({ apiKey }, answer) => {
          // ILLEGAL_GENERATION
          if (apiKey === apiKeys.TxnOffsetCommit && answer.includes(Buffer.from([0, 22]))) refused++
          return 'pass'
        },
      }
    })
    expect(refused).toBeGreaterThan(0)
  }, 40_000)

  it('waits for SyncGroup where there is no transaction: until then the group takes no offsets', async () => {
    let syncs = 0
    await meets('commit-unsynced', 'at_least_once', (proxy) => {
      proxy.rules = {
        request: ({ apiKey }) => {
          if (apiKey !== SYNC_GROUP) return 'pass'
          syncs++
          return { delayMs: 600 }
        },
      }
    })
    expect(syncs).toBeGreaterThan(0)
  }, 40_000)
})
