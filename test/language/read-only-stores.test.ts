// Read-only stores on a real broker: a topic that another client writes in transactions fills them, and is all that they
// are restored from: on the same disk, on an empty one, by a standby, and under a new application id.
import path from 'node:path'
import {
  createProducer,
  nullable,
  output,
  type Producer,
  readOnlyStore,
  string,
  topic,
  topology,
} from 'millstream'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { describeTopics } from '../../src/client/topic-admin.ts'
import { exportSavepoint } from '../../src/savepoint/export.ts'
import { importSavepoint } from '../../src/savepoint/import.ts'
import { changelogTopicName } from '../../src/topology/internal-topics.ts'
import { connect } from '../support/client.ts'
import { type Judge, type RecordToWrite, startJudge } from '../support/judge.ts'
import { kafkaBrokers, uniqueTopic } from '../support/kafka.ts'
import { outputOf, quickly } from '../support/numbered.ts'
import { savepointOptions } from '../support/savepoint.ts'
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

const rowsCount = 300

/** Each order names a rate by its key, and becomes `<rate>=<value>`. */
const shopOf = (name: string, inputs: string = uniqueTopic(name)) => {
  const id = uniqueTopic(name)
  const orders = topic(`${inputs}-orders`, { key: string, value: string })
  const rates = topic(`${inputs}-rates`, { key: string, value: nullable(string) })
  const out = topic(`${id}-out`, { key: string, value: string })
  const rateRows = readOnlyStore('rates', { key: string, value: string })
  const built = topology(id, (t) => {
    t.readOnlyStore(rates, { store: rateRows })
    t.stream(orders)
      .process({
        stores: { rateRows },
        outputs: output<string, string>(),
        process: (record, { stores, forward }) =>
          forward(record.withValue(`${record.key}=${stores.rateRows.get(record.key) ?? 'none'}`)),
      })
      .to(out)
  })
  return { id, applicationId: id, inputs, orders, rates, out, built }
}

type Shop = ReturnType<typeof shopOf>

const createTopics = ({ orders, rates, out }: Shop): Promise<void> =>
  judge.createTopics(
    { name: orders.name, partitions: 2 },
    { name: rates.name, partitions: 2, settings: { 'cleanup.policy': 'compact' } },
    { name: out.name },
  )

const ratesOf = (from: number, to: number, value: string | null): RecordToWrite[] =>
  Array.from({ length: to - from }, (_, index) => ({ key: `r${from + index}`, value }))

/** Writes rates in transactions of their own. */
const rateWriter = async ({ id, rates }: Shop) => {
  const writer = await judge.openProducer({ transactionalId: `${id}-writer` })
  return {
    write: async (records: readonly RecordToWrite[], end: 'commit' | 'abort'): Promise<void> => {
      await writer.begin()
      await writer.send(rates.name, records)
      await writer[end]()
    },
    close: () => writer.close(),
  }
}

/** Orders these, and waits for what becomes of them. @param before how many orders are in the output */
const order = async (shop: Shop, wanted: readonly string[], before: number): Promise<string[]> => {
  await Promise.all(wanted.map((key) => producer.send(shop.orders, { key, value: 'order' })))
  await expect
    .poll(async () => (await outputOf(judge, shop.out.name)).length, { timeout: 30_000, interval: 50 })
    .toBe(before + wanted.length)
  return (await outputOf(judge, shop.out.name)).slice(before).sort()
}

/** Waits until the group has committed everything that is in the topic by now. */
const untilFilled = async ({ id, rates }: Shop): Promise<void> => {
  const ends = await judge.offsets(rates.name)
  const wanted = ends.map(({ partition, highWatermark }) => [partition, highWatermark]).sort()
  await expect
    .poll(
      async () =>
        (await judge.groupOffsets(id))
          .filter(({ topic: name }) => name === rates.name)
          .map(({ partition, offset }) => [partition, offset])
          .sort(),
      { timeout: 30_000, interval: 50 },
    )
    .toEqual(wanted)
}

/** Where the rates of a task end. */
const lastOffset = async ({ rates }: Shop, task: unknown): Promise<number | undefined> =>
  (await judge.offsets(rates.name)).find(({ partition }) => `0_${partition}` === task)?.highWatermark

const restoredBy = ({ worker }: TestWorker): number => worker.status().restored.records

it('is filled from its topic, and restored from it: on its disk, on an empty one, under a new id', async () => {
  const shop = shopOf('read-only')
  await createTopics(shop)
  const rates = await rateWriter(shop)
  await rates.write(ratesOf(0, rowsCount, 'old'), 'commit')
  await rates.write(ratesOf(0, rowsCount, 'aborted'), 'abort')
  using directory = temporaryDirectory()
  // What fills a store is read from its start all the same.
  const settings = {
    ...quickly(kafkaBrokers(), path.join(directory.path, 'one')),
    startFrom: 'latest' as const,
  }
  {
    await using running = await startWorker(shop.built, settings)
    await untilFilled(shop)
    expect(await order(shop, ['r0', 'r299', 'r300'], 0)).toEqual(['r0=old', 'r299=old', 'r300=none'])
    await rates.write(ratesOf(0, 10, 'new'), 'commit')
    await rates.write(ratesOf(0, 20, 'aborted'), 'abort')
    await rates.write(ratesOf(5, 7, null), 'commit')
    await untilFilled(shop)
    expect(await order(shop, ['r0', 'r5', 'r10'], 3)).toEqual(['r0=new', 'r10=old', 'r5=none'])
    // It has them from the input: there was nothing to restore.
    expect(restoredBy(running)).toBe(0)
    expect(running.failure()).toBeUndefined()
  }
  await rates.write(ratesOf(20, 23, 'while it was down'), 'commit')
  {
    await using running = await startWorker(shop.built, settings)
    await untilFilled(shop)
    expect(await order(shop, ['r5', 'r20', 'r299'], 6)).toEqual([
      'r20=while it was down',
      'r299=old',
      'r5=none',
    ])
    expect(restoredBy(running)).toBe(0)
    expect(running.log.with('rebuilt')).toEqual([])
  }

  // What is not committed yet comes in its turn, whatever disk there is.
  await rates.write(ratesOf(30, 33, 'behind'), 'commit')
  await rates.write(ratesOf(30, 33, 'aborted'), 'abort')
  {
    const other = { ...settings, stateDir: path.join(directory.path, 'other') }
    await using running = await startWorker(shop.built, other)
    await untilFilled(shop)
    expect(await order(shop, ['r0', 'r5', 'r30', 'r40'], 9)).toEqual([
      'r0=new',
      'r30=behind',
      'r40=old',
      'r5=none',
    ])
    // Every committed record below the offsets, and none behind them.
    expect(restoredBy(running)).toBe(rowsCount + 10 + 2 + 3)
  }
  const cluster = await connect()
  const [changelog] = await describeTopics(cluster, [changelogTopicName(shop.id, 'rates')])
  await cluster.close()
  expect(changelog?.exists).toBe(false)

  const savepoint = path.join(directory.path, 'savepoint')
  await expect
    .poll(async () => (await judge.describeGroup(shop.id)).members.length, { timeout: 60_000 })
    .toBe(0)
  const manifest = await exportSavepoint(shop.built, savepointOptions(shop, savepoint))
  expect(manifest.stores).toEqual([])
  const copy = shopOf('read-only-copy', shop.inputs)
  await judge.createTopics({ name: copy.out.name })
  await importSavepoint(copy.built, savepointOptions(copy, savepoint))
  await rates.write(ratesOf(40, 41, 'behind the cut'), 'commit')
  {
    await using running = await startWorker(copy.built, {
      ...settings,
      stateDir: path.join(directory.path, 'copy'),
    })
    await untilFilled(copy)
    expect(await order(copy, ['r0', 'r30', 'r40'], 0)).toEqual(['r0=new', 'r30=behind', 'r40=behind the cut'])
    expect(restoredBy(running)).toBe(rowsCount + 10 + 2 + 3 + 3)
  }
  await rates.close()
}, 120_000)

it('is followed by a standby up to what is committed, and taken over without a rebuild', async () => {
  const shop = shopOf('read-only-standby')
  await createTopics(shop)
  const rates = await rateWriter(shop)
  await rates.write(ratesOf(0, rowsCount, 'old'), 'commit')
  using directory = temporaryDirectory()
  const settingsOf = (name: string) => ({
    ...quickly(kafkaBrokers(), path.join(directory.path, name)),
    heartbeatIntervalMs: 100,
    rebalanceTimeoutMs: 5000,
    standbyReplicas: 1,
    hostId: name,
  })
  await using one = await startWorker(shop.built, settingsOf('one'))
  await untilFilled(shop)
  await using two = await startWorker(shop.built, settingsOf('two'))
  /** Both tasks run, and both have a standby that has followed them. */
  const untilFollowed = (): Promise<void> =>
    expect
      .poll(
        () =>
          [one, two].map(({ worker }) => {
            const { tasks, standbys } = worker.status()
            return [tasks.length, standbys.map(({ lag }) => lag)]
          }),
        { timeout: 40_000, interval: 50 },
      )
      .toEqual([
        [1, [0]],
        [1, [0]],
      ])
  await untilFollowed()
  await rates.write(ratesOf(0, 10, 'followed'), 'commit')
  await untilFilled(shop)
  for (const { log } of [one, two])
    await expect
      .poll(() => log.with('a standby follows what was committed').at(-1)?.fields['offset'], {
        timeout: 20_000,
      })
      .toBe(await lastOffset(shop, log.with('standby of a task').at(-1)?.fields['task']))
  await untilFollowed()
  const restored = restoredBy(two)
  // Neither processes: what comes in now is committed by nobody.
  one.worker.pause()
  two.worker.pause()
  await rates.write(ratesOf(0, 20, 'in its turn'), 'commit')
  await untilFollowed()
  await one.worker.close({ leave: true })
  await expect.poll(() => two.worker.status().tasks.length, { timeout: 40_000, interval: 50 }).toBe(2)
  // It had all of it.
  expect(restoredBy(two) - restored).toBe(0)
  two.worker.resume()
  await untilFilled(shop)
  expect(await order(shop, ['r0', 'r19', 'r20'], 0)).toEqual(['r0=in its turn', 'r19=in its turn', 'r20=old'])
  expect(two.log.with('rebuilt')).toEqual([])
  expect(two.log.with('a standby failed')).toEqual([])
  await rates.close()
}, 120_000)

it('is refused over a topic that forgets its rows', async () => {
  const shop = shopOf('read-only-forgets')
  await judge.createTopics(
    { name: shop.orders.name },
    { name: shop.rates.name, settings: { 'cleanup.policy': 'compact,delete', 'retention.ms': '1000000' } },
    { name: shop.out.name },
  )
  using directory = temporaryDirectory()
  const refused = testWorker(shop.built, quickly(kafkaBrokers(), directory.path))
  await expect(refused.worker.start()).rejects.toThrow(
    /TOPIC_MISMATCH: a topic that fills a read-only store has cleanup.policy compact,delete, retention.ms 1000000/,
  )
  await judge.setTopicSetting(shop.rates.name, 'retention.ms', '-1')
  await expect
    .poll(async () => (await judge.topicSettings(shop.rates.name))['retention.ms'], { timeout: 20_000 })
    .toBe('-1')
  await using running = await startWorker(shop.built, quickly(kafkaBrokers(), directory.path))
  expect(running.failure()).toBeUndefined()
})
