// Rebalances that meet something else halfway: a task that is only just being adopted, a recovery, a close. What runs goes
// on, what others wait for is handed over, and no decision that was taken is forgotten. The Java consumer judges.
import { afterAll, beforeAll, expect, it } from 'vitest'
import { brokerAddress, type EachOnce, eachOnce, impatiently } from '../support/each-once.ts'
import { type Judge, startJudge } from '../support/judge.ts'
import { asksForPositions, LostCommit, recoveryKeys, refuseOffsets } from '../support/lost-commit.ts'
import { outputOf } from '../support/numbered.ts'
import { apiKeys, KafkaProxy, type ProxiedRequest } from '../support/proxy.ts'
import { startWorker, type TestWorker, temporaryDirectory, testWorker } from '../support/worker.ts'

let judge: Judge

beforeAll(async () => {
  judge = await startJudge([brokerAddress()])
})

afterAll(async () => {
  await judge?.stop()
})

const settingsOf = (address: string, directory: string, instanceId: string) => ({
  ...impatiently(address, `${directory}/${instanceId}`),
  instanceId,
})

const tasksOf = ({ worker }: TestWorker): string[] => worker.status().tasks.map(({ id }) => id)

const assigned = ({ log }: TestWorker): string =>
  String(log.with('tasks assigned').at(-1)?.fields['tasks'] ?? '')

/** Holds requests until it is opened, or the test ends: made after the workers, it opens before they are closed. */
const closedGate = (): Disposable & { readonly opened: Promise<void>; open(): void } => {
  const { promise, resolve } = Promise.withResolvers<void>()
  return { opened: promise, open: resolve, [Symbol.dispose]: resolve }
}

/**
 * The partitions of this topic in a Fetch (v12): topic compact string · partitions [ index int32 · current_leader_epoch
 * int32 · fetch_offset int64 · last_fetched_epoch int32 · log_start_offset int64 · partition_max_bytes int32 · tags ]
 */
const fetchedPartitions = ({ apiKey, bytes }: ProxiedRequest, topic: string): number[] => {
  const at = bytes.indexOf(topic) + topic.length
  if (apiKey !== apiKeys.Fetch || at < topic.length) return []
  return Array.from({ length: bytes.readUInt8(at) - 1 }, (_, index) => bytes.readInt32BE(at + 1 + 33 * index))
}

/** One worker of each partition; whoever is named first is behind the proxy. */
const untilShared = async (one: TestWorker, two: TestWorker): Promise<void> =>
  await expect
    .poll(() => [tasksOf(one).length, tasksOf(two).length], { timeout: 15_000, interval: 20 })
    .toEqual([1, 1])

const partitionOf = (test: TestWorker): number => Number(tasksOf(test)[0]?.split('_')[1])

it('a start that was chosen while the next assignment came is committed before any record', async () => {
  const app = await eachOnce(judge, 'start-kept', 1)
  await app.feed(2)
  using directory = temporaryDirectory()
  const settings = (address: string, name: string) => ({
    ...settingsOf(address, directory.path, name),
    startFrom: 'latest' as const,
  })
  // It never gets to commit the start that it has chosen.
  const refusing = await KafkaProxy.start(brokerAddress(), {
    answer: ({ apiKey }, answer) =>
      apiKey === apiKeys.TxnOffsetCommit ? { replaceBy: refuseOffsets(answer) } : 'pass',
  })
  const proxy = await KafkaProxy.start(brokerAddress())
  await using two = await startWorker(app.topology, settings(refusing.address, 'two'))
  await using one = await startWorker(app.topology, settings(proxy.address, 'one'))
  await using three = testWorker(app.topology, settings(brokerAddress(), 'three'))
  using gate = closedGate()
  expect(tasksOf(one)).toEqual([])
  let asked = 0
  proxy.rules = {
    answer: ({ apiKey, bytes }) => {
      if (apiKey !== recoveryKeys.ListOffsets || !bytes.includes(app.input)) return 'pass'
      asked++
      return { until: gate.opened }
    },
  }
  await two.worker.close({ leave: true })
  await expect.poll(() => asked, { timeout: 10_000, interval: 10 }).toBe(1)
  const before = one.log.with('tasks assigned').length
  await three.worker.start()
  await expect.poll(() => one.log.with('tasks assigned').length, { interval: 10 }).toBe(before + 1)
  expect(await app.offsets()).toEqual([-1])
  gate.open()
  await expect.poll(() => app.offsets(), { timeout: 5000 }).toEqual([2])
  expect(tasksOf(one)).toEqual(['0_0'])
  // Somebody else goes on there, and not where the input ends by then.
  await one.worker.close({ leave: true })
  await app.feed(1)
  await expect.poll(() => outputOf(judge, app.output), { timeout: 10_000 }).toEqual(['1:v3'])
  for (const { failure } of [one, two, three]) expect(failure()).toBe(undefined)
  await three.worker.close({ leave: true })
  for (const each of [refusing, proxy]) await each.stop()
}, 40_000)

/** Feeds what is committed without an answer; the rules of the proxy go on beside that. */
const loseCommit = async (app: EachOnce, proxy: KafkaProxy, partition: number): Promise<LostCommit> => {
  const { rules } = proxy
  const trouble = new LostCommit('applied')
  proxy.rules = {
    request: (request) => {
      const verdict = trouble.request(request)
      return verdict === 'pass' ? (rules.request?.(request) ?? 'pass') : verdict
    },
    answer: (request, answer) => {
      const verdict = trouble.answer(request, answer)
      return verdict === 'pass' ? (rules.answer?.(request, answer) ?? 'pass') : verdict
    },
  }
  trouble.state = 'armed'
  await app.feed(2, [partition])
  await expect.poll(() => trouble.state, { timeout: 5000, interval: 10 }).toBe('lost')
  return trouble
}

it('a worker that recovers hands over what others are to have before it reads back what is its own', async () => {
  const app = await eachOnce(judge, 'hand-over-first', 2)
  const proxy = await KafkaProxy.start(brokerAddress())
  using directory = temporaryDirectory()
  await using one = await startWorker(app.topology, settingsOf(proxy.address, directory.path, 'one'))
  await using two = testWorker(app.topology, settingsOf(brokerAddress(), directory.path, 'two'))
  using gate = closedGate()
  await app.feed(3)
  await app.drained()
  const trouble: LostCommit = await loseCommit(app, proxy, 0)
  const { rules } = proxy
  proxy.rules = {
    ...rules,
    // Its own recovery gets no further than this.
    answer: (request, answer) =>
      asksForPositions(request, app) ? { until: gate.opened } : (rules.answer?.(request, answer) ?? 'pass'),
  }
  await two.worker.start()
  await expect.poll(() => tasksOf(two).length, { timeout: 10_000, interval: 20 }).toBe(1)
  const handedOver = partitionOf(two)
  await app.feed(4, [handedOver])
  const expected = 3 + 4 + (handedOver === 0 ? 2 : 0)
  await expect.poll(async () => (await app.offsets())[handedOver], { timeout: 5000 }).toBe(expected)
  expect(trouble.state).toBe('initialised')
  expect(one.worker.state).not.toBe('running')
  gate.open()
  await app.feed(3)
  await app.judged()
  for (const { worker, failure } of [one, two]) {
    expect(failure()).toBe(undefined)
    await worker.close({ leave: true })
  }
  await proxy.stop()
}, 40_000)

/** The first of two workers, which restores the task of the second one for as long as the gate is closed. */
interface Restoring {
  readonly app: EachOnce
  readonly one: TestWorker
  readonly proxy: KafkaProxy
  /** The partition of the task that it runs. */
  readonly running: number
}

/** @param holds whether this request belongs to the restore of that partition */
const whileRestoring = async (
  name: string,
  holds: (request: ProxiedRequest, app: EachOnce, partition: number) => boolean,
  act: (context: Restoring) => Promise<void>,
  more: object = {},
): Promise<void> => {
  const app = await eachOnce(judge, name, 2)
  const proxy = await KafkaProxy.start(brokerAddress())
  using directory = temporaryDirectory()
  await using one = await startWorker(app.topology, {
    ...settingsOf(proxy.address, directory.path, 'one'),
    ...more,
  })
  await using two = await startWorker(app.topology, settingsOf(brokerAddress(), directory.path, 'two'))
  using gate = closedGate()
  await untilShared(one, two)
  // Each partition is asked about over a connection that stays (marker-guard.ts): the later commits need none of that.
  for (const count of [2, 1]) {
    await app.feed(count)
    await app.drained()
  }
  const restoring = partitionOf(two)
  let held = 0
  proxy.rules = {
    request: (request) => {
      if (!holds(request, app, restoring)) return 'pass'
      held++
      return { until: gate.opened }
    },
  }
  await two.worker.close({ leave: true })
  await expect.poll(() => assigned(one).split(' ').length, { timeout: 10_000, interval: 20 }).toBe(2)
  await expect.poll(() => held, { timeout: 5000, interval: 20 }).toBeGreaterThan(0)
  expect(tasksOf(one)).toHaveLength(1)
  await act({ app, one, proxy, running: 1 - restoring })
  proxy.rules = {}
  gate.open()
  if (one.worker.state === 'closing') await one.worker.close()
  await using last =
    one.worker.state === 'closed'
      ? await startWorker(app.topology, settingsOf(brokerAddress(), directory.path, 'one'))
      : one
  await app.feed(2)
  await app.judged()
  for (const { failure } of [one, two, last]) expect(failure()).toBe(undefined)
  await last.worker.close({ leave: true })
  await proxy.stop()
}

it('a worker that recovers goes on with what ran, and restores the rest beside it', async () => {
  await whileRestoring(
    'recovers-beside',
    (request, app, partition) => fetchedPartitions(request, app.changelog).includes(partition),
    async ({ app, one, proxy, running }) => {
      const trouble = await loseCommit(app, proxy, running)
      await expect.poll(() => trouble.state, { timeout: 10_000, interval: 20 }).toBe('initialised')
      await app.feed(2, [running])
      await expect.poll(async () => (await app.offsets())[running], { timeout: 5000 }).toBe(7)
      expect(one.worker.counts.recovered).toBe(1)
      expect(tasksOf(one)).toHaveLength(1)
    },
  )
}, 40_000)

it('a close commits what was processed before it waits for a task that is being adopted', async () => {
  await whileRestoring(
    'close-commits-first',
    ({ apiKey, bytes }, app) => apiKey === recoveryKeys.ListOffsets && bytes.includes(app.changelog),
    async ({ app, one, running }) => {
      app.before = () => {
        one.worker.pause()
        app.before = () => {}
      }
      await app.feed(3000, [running])
      // With input left the interval decides about the commit.
      await expect.poll(() => one.worker.counts.processed, { interval: 10 }).toBeGreaterThan(6)
      const processed = one.worker.counts.processed
      expect((await app.offsets())[running]).toBe(3)
      void one.worker.close()
      await expect.poll(async () => (await app.offsets())[running], { timeout: 3000 }).toBe(processed)
      expect(one.worker.state).toBe('closing')
    },
    { commitIntervalMs: 1400, requestTimeoutMs: 8000 },
  )
}, 40_000)
