// A close ends within its budget, whatever the brokers do not answer, and nothing is lost or done twice by it.
import { afterAll, beforeAll, expect, it } from 'vitest'
import { brokerAddress, type EachOnce, eachOnce, impatiently } from '../support/each-once.ts'
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

const closeTimeoutMs = 1600

const settingsOf = (address: string, stateDir: string) => ({
  ...impatiently(address, stateDir),
  requestTimeoutMs: 30_000,
  closeTimeoutMs,
})

const closesInTime = async ({ worker }: TestWorker, leave: boolean): Promise<void> => {
  const startedMs = performance.now()
  await worker.close({ leave })
  expect(performance.now() - startedMs).toBeLessThan(closeTimeoutMs + 1000)
  expect(worker.state).toBe('closed')
}

/** The next life, with brokers that answer. */
const goesOn = async (app: EachOnce, stateDir: string): Promise<void> => {
  await using next = await startWorker(app.topology, impatiently(brokerAddress(), stateDir))
  await app.feed(2)
  await app.judged()
  expect(next.log.with('a store is rebuilt')).toEqual([])
  await next.worker.close()
}

it('with offsets that are not answered: the last transaction is aborted, and nobody waits for its timeout', async () => {
  const app = await eachOnce(judge, 'closing-abort', 2)
  const proxy = await KafkaProxy.start(brokerAddress())
  using state = temporaryDirectory()
  await using test = await startWorker(app.topology, {
    ...settingsOf(proxy.address, state.path),
    transactionTimeoutMs: 30_000,
    sessionTimeoutMs: 45_000,
  })
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
  await app.feed(5)
  await expect.poll(() => unanswered, { interval: 10 }).toBe(1)
  await closesInTime(test, true)
  const ours = async (): Promise<string[]> =>
    (await judge.listTransactions())
      .filter(({ transactionalId }) => transactionalId.startsWith(`${app.applicationId}.`))
      .map(({ state: ended }) => ended)
  await expect.poll(ours, { timeout: 3000 }).toEqual(['CompleteAbort'])
  await proxy.stop()
  await goesOn(app, state.path)
}, 40_000)

it.each([
  ['silent', 'the end of the transaction', apiKeys.EndTxn],
  ['away', 'the produce', apiKeys.Produce],
] as const)(
  'with brokers that are %s since %s of the last commit',
  async (how, _what, from) => {
    const app = await eachOnce(judge, 'closing', 2)
    const proxy = await KafkaProxy.start(brokerAddress())
    using state = temporaryDirectory()
    await using test = await startWorker(app.topology, settingsOf(proxy.address, state.path))
    await app.feed(3)
    await app.drained()
    let silent = false
    proxy.rules = {
      request: ({ apiKey }) => {
        silent ||= apiKey === from
        if (!silent) return 'pass'
        return how === 'away' ? 'cut' : 'drop'
      },
    }
    await app.feed(5)
    await expect.poll(() => silent, { interval: 10 }).toBe(true)
    if (how === 'away') await proxy.stop()
    await closesInTime(test, how === 'silent')
    if (how === 'silent') await proxy.stop()
    await goesOn(app, state.path)
  },
  40_000,
)

it('before it has worked: what it waits for at the start is not waited for', async () => {
  const app = await eachOnce(judge, 'closing-early', 1)
  await app.feed(3)
  let asked = false
  const proxy = await KafkaProxy.start(brokerAddress(), {
    request: ({ apiKey }) => {
      asked ||= apiKey === recoveryKeys.OffsetFetch
      return asked ? 'drop' : 'pass'
    },
  })
  using state = temporaryDirectory()
  await using test = testWorker(app.topology, settingsOf(proxy.address, state.path))
  const started = expect(test.worker.start()).rejects.toMatchObject({ code: 'CLOSED' })
  await expect.poll(() => asked, { timeout: 10_000, interval: 10 }).toBe(true)
  await closesInTime(test, false)
  await started
  await proxy.stop()
  await goesOn(app, state.path)
}, 40_000)
