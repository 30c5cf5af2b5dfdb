// Bugs that others had in restoring their state, each as a test with its name. The others are in regressions.test.ts.
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startKafka } from '../../src/testing/kafka/start-kafka.ts'
import { brokerAddress, eachOnce, impatiently } from '../support/each-once.ts'
import { type Judge, startJudge } from '../support/judge.ts'
import { quickly } from '../support/numbered.ts'
import { apiKeys, KafkaProxy, type ProxyRules } from '../support/proxy.ts'
import { startWorker, temporaryDirectory, testWorker } from '../support/worker.ts'

let judge: Judge

beforeAll(async () => {
  judge = await startJudge([brokerAddress()])
})

afterAll(async () => {
  await judge?.stop()
})

const number = (value: number): Buffer => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64BE(BigInt(value))
  return bytes
}

/** No fetch of this topic is answered. */
const without = (topic: string): ProxyRules => ({
  request: ({ apiKey, bytes }) => (apiKey === apiKeys.Fetch && bytes.includes(topic) ? 'drop' : 'pass'),
})

it('quix#1017: a restore ends where trailing records and markers were compacted away', async () => {
  const brokerSettings = { 'log.cleaner.backoff.ms': '100', 'log.initial.task.delay.ms': '100' }
  await using kafka = await startKafka({ backend: 'jvm', brokerSettings })
  await using own = await startJudge(kafka.brokers)
  const app = await eachOnce(own, 'compacted', 1)
  await own.createTopics({
    name: app.changelog,
    settings: {
      'cleanup.policy': 'compact',
      'segment.ms': '200',
      'min.cleanable.dirty.ratio': '0',
      'delete.retention.ms': '0',
    },
  })
  const foreign = await own.openProducer({ transactionalId: `${app.applicationId}-foreign` })
  const abort = async (): Promise<void> => {
    await foreign.begin()
    await foreign.send(app.changelog, [{ partition: 0, key: 'aborted', value: number(999) }])
    await foreign.abort()
  }
  using state = temporaryDirectory()
  {
    await using test = await startWorker(app.topology, quickly(kafka.brokers, state.path))
    for (let round = 0; round < 5; round++) {
      await app.feed(2)
      await app.drained()
      await abort()
      await sleep(250)
    }
    await test.worker.close()
  }
  await abort()
  // What is left of the commits is one record, behind it nothing but markers and what was aborted.
  const raw = async (): Promise<number> =>
    (await own.dump(app.changelog, { isolation: 'read_uncommitted' })).records.length
  await expect.poll(raw, { timeout: 20_000 }).toBeLessThan(5)
  const [end] = await own.offsets(app.changelog)
  expect(end?.highWatermark).toBeGreaterThan(20)
  expect((await own.dump(app.changelog)).records.at(-1)?.offset).toBeLessThan((end?.highWatermark ?? 0) - 2)
  using empty = temporaryDirectory()
  await using test = await startWorker(app.topology, quickly(kafka.brokers, empty.path))
  await app.feed(3)
  await app.judged()
  await test.worker.close()
  // And where nothing is left at all but an end.
  await own.alterTopic(app.changelog, { 'cleanup.policy': 'compact,delete' })
  await own.deleteRecords(app.changelog, 0, (await own.offsets(app.changelog))[0]?.highWatermark ?? 0)
  await own.alterTopic(app.changelog, { 'cleanup.policy': 'compact' })
  using other = temporaryDirectory()
  // The state is gone, which the digest would not let pass; here it is about the end alone.
  const lenient = { ...quickly(kafka.brokers, other.path), stateDigest: 'off' } as const
  await using last = await startWorker(app.topology, lenient)
  expect(last.worker.state).toBe('running')
})

it('quix#1067: a restore that a rebalance interrupts begins again, and ends', async () => {
  const app = await eachOnce(judge, 'interrupted', 4)
  using one = temporaryDirectory()
  {
    await using test = await startWorker(app.topology, impatiently(brokerAddress(), one.path))
    await app.feed(5)
    await app.judged()
    await test.worker.close({ leave: true })
  }
  const proxy = await KafkaProxy.start(brokerAddress(), without(app.changelog))
  using empty = temporaryDirectory()
  using other = temporaryDirectory()
  await using first = testWorker(app.topology, {
    ...impatiently(proxy.address, empty.path),
    instanceId: 'one',
  })
  const started = first.worker.start()
  await expect.poll(() => first.log.with('tasks assigned').length, { timeout: 10_000 }).toBe(1)
  await using second = await startWorker(app.topology, {
    ...impatiently(brokerAddress(), other.path),
    instanceId: 'two',
  })
  await expect.poll(() => first.log.with('tasks assigned').length, { timeout: 10_000 }).toBe(2)
  expect(first.worker.state).not.toBe('running')
  proxy.rules = {}
  await started
  await app.feed(3)
  await app.judged()
  const running = first.log.with('task running').map(({ fields }) => fields['task'])
  expect(running).toHaveLength(2)
  for (const test of [first, second]) expect(test.failure()).toBe(undefined)
  await first.worker.close()
  await proxy.stop()
})

it('kafka-flow#850: a restore does not end at the last stable offset while committed records lie behind it', async () => {
  const app = await eachOnce(judge, 'stable', 1)
  using state = temporaryDirectory()
  {
    await using test = await startWorker(app.topology, quickly([brokerAddress()], state.path))
    await app.feed(3)
    await app.judged()
    // The last stable offset of the changelog stays before this one.
    const foreign = await judge.openProducer({ transactionalId: `${app.applicationId}-foreign` })
    await foreign.begin()
    await foreign.send(app.changelog, [{ partition: 0, key: 'k0', value: number(777) }])
    await app.feed(4)
    await app.drained()
    await test.worker.close()
    using empty = temporaryDirectory()
    await using next = testWorker(app.topology, quickly([brokerAddress()], empty.path))
    const started = next.worker.start()
    await expect.poll(() => next.log.with('tasks assigned').length, { timeout: 10_000 }).toBe(1)
    await sleep(1500)
    expect(next.worker.state).not.toBe('running')
    expect(next.log.with('task running')).toEqual([])
    await foreign.abort()
    await started
    await app.feed(2)
    await app.judged()
    expect(next.failure()).toBe(undefined)
  }
})

it('streamiz#175: a store that is in sync with its changelog needs no restore', async () => {
  const app = await eachOnce(judge, 'in-sync', 3)
  using state = temporaryDirectory()
  const settings = quickly([brokerAddress()], state.path)
  for (let life = 1; life <= 2; life++) {
    await using test = await startWorker(app.topology, settings)
    // What the second one lacks are the markers of the last commits.
    expect(test.log.with('restored').map(({ fields }) => fields['records'])).toEqual(life === 1 ? [] : [0])
    if (life === 1) await app.feed(4)
    await app.judged()
    await test.worker.close()
  }
  // The third has everything. Not one fetch of the changelog is needed: there would be no answer.
  const proxy = await KafkaProxy.start(brokerAddress(), without(app.changelog))
  await using test = await startWorker(app.topology, { ...settings, brokers: [proxy.address] })
  expect(test.log.with('a store is rebuilt')).toEqual([])
  await app.feed(3)
  await app.judged()
  await test.worker.close()
  await proxy.stop()
})

it('kafkajs#387: heartbeats go on while a restore takes longer than the session', async () => {
  const app = await eachOnce(judge, 'slow-restore', 2)
  const shortSession = {
    guarantee: 'at_least_once',
    sessionTimeoutMs: 6000,
    rebalanceTimeoutMs: 3000,
    heartbeatIntervalMs: 500,
  } as const
  using state = temporaryDirectory()
  {
    await using test = await startWorker(app.topology, {
      ...quickly([brokerAddress()], state.path),
      ...shortSession,
    })
    await app.feed(5)
    await app.judged()
    await test.worker.close({ leave: true })
  }
  const proxy = await KafkaProxy.start(brokerAddress(), without(app.changelog))
  using empty = temporaryDirectory()
  const settings = { ...quickly([proxy.address], empty.path), ...shortSession, requestTimeoutMs: 1000 }
  await using test = testWorker(app.topology, settings)
  const started = test.worker.start()
  await sleep(8000)
  expect(test.worker.state).not.toBe('running')
  expect((await judge.describeGroup(app.applicationId)).members).toHaveLength(1)
  proxy.rules = {}
  await started
  await app.feed(3)
  await app.judged()
  expect(test.log.with('joined the group').length).toBe(1)
  expect(test.failure()).toBe(undefined)
  await test.worker.close()
  await proxy.stop()
})
