// Global tables on a real broker: loaded before anything is processed, kept up to date from another client's
// transactions, never with what was aborted, and continued from the disk.
import { setTimeout as sleep } from 'node:timers/promises'
import {
  createProducer,
  globalStore,
  int64,
  nullable,
  type Producer,
  store,
  string,
  type TopicHandle,
  topic,
  topology,
} from 'millstream'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { readinessOf } from '../../src/metrics/readiness.ts'
import { brokerAddress } from '../support/each-once.ts'
import { type Judge, type RecordToWrite, startJudge } from '../support/judge.ts'
import { kafkaBrokers, uniqueTopic } from '../support/kafka.ts'
import { outputOf, quickly } from '../support/numbered.ts'
import { apiKeys, KafkaProxy } from '../support/proxy.ts'
import { startWorker, type TestWorker, temporaryDirectory, testWorker } from '../support/worker.ts'

let judge: Judge
let producer: Producer

beforeAll(async () => {
  judge = await startJudge(kafkaBrokers())
  producer = createProducer({ brokers: kafkaBrokers() })
})

afterAll(async () => {
  await producer.close()
  await judge.stop()
})

const rowsCount = 500
const ratePartitions = 3

/** Each order names a rate, and becomes `<rate>=<value>`, with the number of the order. */
const shopOf = (name: string) => {
  const id = uniqueTopic(name)
  const orders = topic(`${id}-orders`, { key: string, value: string })
  const rates = topic(`${id}-rates`, { key: string, value: nullable(string) })
  const out = topic(`${id}-out`, { key: string, value: string })
  const rateRows = globalStore('rates', { key: string, value: string })
  const seen = store('seen', { key: string, value: int64 })
  const built = topology(id, (t) => {
    const joined = t.stream(orders).leftJoinGlobal(
      t.globalTable(rates, { store: rateRows }),
      ({ value }) => value,
      (rate, value) => `${rate}=${value ?? 'none'}`,
    )
    joined.to(out)
    joined.groupByKey().count(seen)
  })
  return { id, orders, rates, out, built }
}

type Shop = ReturnType<typeof shopOf>

const createTopics = ({ orders, rates, out }: Shop): Promise<void> =>
  judge.createTopics(
    { name: orders.name, partitions: 2 },
    { name: rates.name, partitions: ratePartitions, settings: { 'cleanup.policy': 'compact' } },
    { name: out.name },
  )

const ratesOf = (from: number, to: number, value: string): RecordToWrite[] =>
  Array.from({ length: to - from }, (_, index) => ({
    key: `r${from + index}`,
    value,
    partition: (from + index) % ratePartitions,
  }))

const order = async (orders: TopicHandle<string, string>, wanted: readonly string[]): Promise<unknown> =>
  Promise.all(wanted.map((rate) => producer.send(orders, { key: `of ${rate}`, value: rate })))

/** Waits until so many orders are in the output. @returns the new ones */
const joined = async (shop: Shop, before: number, count: number): Promise<string[]> => {
  await expect
    .poll(async () => (await outputOf(judge, shop.out.name)).length, { timeout: 30_000, interval: 50 })
    .toBe(before + count)
  return (await outputOf(judge, shop.out.name)).slice(before).sort()
}

const untilFollowed = ({ worker }: TestWorker, seconds = 20): Promise<void> =>
  expect.poll(() => worker.status().globals[0]?.lag, { timeout: seconds * 1000, interval: 20 }).toBe(0)

/**
 * Orders until a row is as wanted: a lag of 0 says only that all is there that the last answers knew of.
 * @returns how many orders are in the output
 */
const untilSeen = async (shop: Shop, wanted: string, before: number): Promise<number> => {
  for (let position = before; ; position++) {
    await order(shop.orders, [wanted.slice(0, wanted.indexOf('='))])
    const [found] = await joined(shop, position, 1)
    if (found === wanted) return position + 1
  }
}

const loadedBy = ({ log }: TestWorker): unknown => log.with('global tables loaded')[0]?.fields['records']

it('is loaded first, follows committed transactions, and goes on from the disk', async () => {
  const shop = shopOf('global')
  await createTopics(shop)
  const writer = await judge.openProducer({ transactionalId: `${shop.id}-writer` })
  await writer.begin()
  await writer.send(shop.rates.name, ratesOf(0, rowsCount, 'old'))
  await writer.commit()
  await writer.begin()
  await writer.send(shop.rates.name, ratesOf(0, rowsCount, 'aborted'))
  await writer.abort()
  // Still open while the worker starts: it keeps nobody from starting, and nobody sees it.
  await writer.begin()
  await writer.send(shop.rates.name, ratesOf(0, 10, 'new'))
  await order(shop.orders, ['r0', 'r1', 'r2', 'r499', 'r500'])

  using directory = temporaryDirectory()
  const settings = quickly(kafkaBrokers(), directory.path)
  let position = 0
  {
    await using running = await startWorker(shop.built, settings)
    expect(loadedBy(running)).toBe(rowsCount)
    expect(running.worker.status().restored.records).toBe(rowsCount)
    const first = await joined(shop, position, 5)
    expect(first).toEqual(['r0=old', 'r1=old', 'r2=old', 'r499=old', 'r500=none'])
    position += 5

    await writer.commit()
    await writer.begin()
    await writer.send(shop.rates.name, ratesOf(0, 10, 'aborted'))
    await writer.abort()
    await writer.begin()
    await writer.send(shop.rates.name, [
      { key: 'r1', value: null, partition: 1 },
      ...ratesOf(500, 501, 'added'),
    ])
    await writer.commit()
    for (const seen of ['r0=new', 'r1=none', 'r500=added']) position = await untilSeen(shop, seen, position)
    await order(shop.orders, ['r0', 'r1', 'r2', 'r499', 'r500'])
    const second = await joined(shop, position, 5)
    expect(second).toEqual(['r0=new', 'r1=none', 'r2=new', 'r499=old', 'r500=added'])
    position += 5
    expect(running.failure()).toBeUndefined()
  }

  await writer.begin()
  await writer.send(shop.rates.name, ratesOf(20, 27, 'while it was down'))
  await writer.commit()
  await order(shop.orders, ['r0', 'r1', 'r20', 'r499', 'r500'])
  {
    await using running = await startWorker(shop.built, settings)
    // What it lacks, and no more.
    expect(loadedBy(running)).toBe(7)
    const third = await joined(shop, position, 5)
    expect(third).toEqual(['r0=new', 'r1=none', 'r20=while it was down', 'r499=old', 'r500=added'])
    position += 5
    expect(running.log.with('loaded anew')).toEqual([])
  }
  await writer.close()

  // Another topic of the same name: nothing of the old one is left.
  await judge.deleteTopics(shop.rates.name)
  await judge.createTopics({ name: shop.rates.name, partitions: 2 })
  await producer.send(shop.rates, { key: 'r0', value: 'another' })
  await order(shop.orders, ['r0', 'r499'])
  await using running = await startWorker(shop.built, settings)
  expect(running.log.with('loaded anew')[0]?.fields['reason']).toContain('changelogTopicId')
  expect(await joined(shop, position, 2)).toEqual(['r0=another', 'r499=none'])
}, 90_000)

it('is awaited by the worker: it joins no group and is not ready before', async () => {
  const shop = shopOf('global-waits')
  await createTopics(shop)
  const plain = await judge.openProducer()
  await plain.send(shop.rates.name, ratesOf(0, rowsCount, 'there'))
  await plain.close()
  await order(shop.orders, ['r0', 'r499'])
  const proxy = await KafkaProxy.start(brokerAddress())
  const gate = Promise.withResolvers<void>()
  proxy.rules = {
    request: ({ apiKey, bytes }) =>
      apiKey === apiKeys.Fetch && bytes.includes(shop.rates.name) ? { until: gate.promise } : 'pass',
  }
  using directory = temporaryDirectory()
  await using running = testWorker(shop.built, quickly([proxy.address], directory.path))
  const started = running.worker.start()
  await expect
    .poll(() => readinessOf(running.worker.status()), { timeout: 20_000, interval: 20 })
    .toBe('restoring 1 store: 500 of 500 offsets left')
  await sleep(500)
  expect(running.worker.state).toBe('starting')
  expect(running.log.with('tasks assigned')).toEqual([])
  proxy.rules = {}
  gate.resolve()
  await started
  expect(loadedBy(running)).toBe(rowsCount)
  expect(await joined(shop, 0, 2)).toEqual(['r0=there', 'r499=there'])
  await running.worker.close()

  // A worker that waits for it can be closed.
  await order(shop.orders, ['r1'])
  proxy.rules = {
    request: ({ apiKey, bytes }) =>
      apiKey === apiKeys.Fetch && bytes.includes(shop.rates.name)
        ? { until: new Promise(() => undefined) }
        : 'pass',
  }
  const emptied = testWorker(shop.built, quickly([proxy.address], `${directory.path}/other`))
  const refused = expect(emptied.worker.start()).rejects.toThrow('CLOSED')
  await expect.poll(() => readinessOf(emptied.worker.status()), { timeout: 20_000 }).toContain('restoring')
  await emptied.worker.close()
  await refused
  expect(emptied.failure()).toBeUndefined()
  await proxy.stop()
}, 60_000)

it('of a topic that is not there stops the start, and says so', async () => {
  const shop = shopOf('global-missing')
  await judge.createTopics({ name: shop.orders.name }, { name: shop.out.name })
  using directory = temporaryDirectory()
  const { worker } = testWorker(shop.built, quickly(kafkaBrokers(), directory.path))
  await expect(worker.start()).rejects.toThrow(new RegExp(`TOPIC_MISSING.*${shop.rates.name}`))
})

it('with a record that cannot be read stops the worker there, also long after the start', async () => {
  const id = uniqueTopic('global-bad')
  const orders = topic(`${id}-orders`, { key: string, value: string })
  const numbers = topic(`${id}-numbers`, { key: string, value: int64 })
  const texts = topic(numbers.name, { key: string, value: string })
  const out = topic(`${id}-out`, { key: string, value: string })
  const built = topology(id, (t) => {
    t.globalTable(numbers, { store: globalStore('numbers', { key: string, value: int64 }) })
    t.stream(orders).to(out)
  })
  await judge.createTopics({ name: orders.name }, { name: numbers.name }, { name: out.name })
  using directory = temporaryDirectory()
  const settings = quickly(kafkaBrokers(), directory.path)
  await using running = await startWorker(built, settings)
  await producer.send(numbers, { key: 'a', value: 1 })
  await untilFollowed(running)
  await producer.send(texts, { key: 'b', value: 'no number' })
  const failure = await running.failed()
  expect(failure.code).toBe('DESERIALIZATION_FAILED')
  expect(failure.where).toMatchObject({ topic: numbers.name, partition: 0, offset: 1, store: 'numbers' })
  // The next start meets it again, unless it is to be skipped.
  const again = testWorker(built, settings)
  await expect(again.worker.start()).rejects.toThrow('DESERIALIZATION_FAILED')
  await using skipping = await startWorker(built, { ...settings, onFailure: 'skip' })
  expect(skipping.log.with('a record of a global table failed and is skipped')).toHaveLength(1)
  await skipping.worker.close()

  // Other serdes: what lies on the disk cannot be read by them, and the topic can.
  const textRows = globalStore('numbers', { key: string, value: string })
  const changed = topology(id, (t) => {
    t.stream(orders)
      .joinGlobal(t.globalTable(texts, { store: textRows }), ({ value }) => value, String)
      .to(out)
  })
  await using other = await startWorker(changed, settings)
  expect(other.log.with('loaded anew')[0]?.fields['reason']).toMatch(/int64.* in the store, not .*string/)
  expect(loadedBy(other)).toBe(2)
}, 60_000)
