// Topics by pattern on a real broker: found while workers run, agreed among them, each record once.
import { setTimeout as sleep } from 'node:timers/promises'
import {
  createProducer,
  int64,
  output,
  type Producer,
  store,
  string,
  topic,
  topicPattern,
  type Topology,
  topology,
} from 'millstream'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Judge, startJudge } from '../support/judge.ts'
import { kafkaBrokers, uniqueTopic } from '../support/kafka.ts'
import { outputOf, quickly } from '../support/numbered.ts'
import { startWorker, type TestWorker, temporaryDirectory } from '../support/worker.ts'

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

/** Tells of each record its topic and its value; with a store also its number among those of its key. */
const appOf = (name: string, stateful: boolean, recordMs = 0) => {
  const id = uniqueTopic(name)
  const pattern = topicPattern(new RegExp(`${id}-from-.+`), { key: string, value: string })
  const out = topic(`${id}-out`, { key: string, value: string })
  const seen = store('seen', { key: string, value: int64 })
  const built: Topology = topology(id, (t) => {
    const stream = t.stream(pattern)
    const told = stateful
      ? stream.process({
          stores: { seen },
          outputs: output<string, string>(),
          process(record, { stores, metadata, forward }) {
            const since = performance.now()
            while (performance.now() - since < recordMs);
            const number = (stores.seen.get(record.key) ?? 0) + 1
            stores.seen.put(record.key, number)
            forward(record.withValue(`${number}. ${metadata?.topic.split('-').at(-1)} ${record.value}`))
          },
        })
      : stream.process({
          outputs: output<string, string>(),
          process(record, { metadata, forward }) {
            forward(record.withValue(`${metadata?.topic.split('-').at(-1)} ${record.value}`))
          },
        })
    told.to(out)
  })
  const inputOf = (place: string) => topic(`${id}-from-${place}`, { key: string, value: string })
  const send = async (place: string, from: number, to: number): Promise<void> => {
    const numbers = Array.from({ length: to - from }, (_, index) => from + index)
    await Promise.all(
      numbers.map((number) =>
        producer.send(inputOf(place), { key: `k${number % 5}`, value: String(number) }),
      ),
    )
  }
  const create = (place: string, partitions: number): Promise<void> =>
    judge.createTopics({ name: inputOf(place).name, partitions })
  return { id, out, built, send, create }
}

type App = ReturnType<typeof appOf>

const range = (from: number, to: number, place: string): string[] =>
  Array.from({ length: to - from }, (_, index) => `${place} ${from + index}`)

/** The output without the numbers. */
const told = async ({ out }: App): Promise<string[]> =>
  (await outputOf(judge, out.name)).map((line) => line.replace(/^\d+\. /, '')).sort()

const untilTold = async (app: App, wanted: readonly string[]): Promise<void> => {
  await expect
    .poll(async () => (await told(app)).length, { timeout: 30_000, interval: 100 })
    .toBeGreaterThanOrEqual(wanted.length)
  expect(await told(app)).toEqual([...wanted].sort())
}

const tasksOf = ({ worker }: TestWorker): string[] => worker.status().tasks.map(({ id }) => id)

const inputsOf = ({ worker }: TestWorker): string[] =>
  worker
    .status()
    .tasks.flatMap(({ inputs }) => inputs.map((one) => `${one.topic.split('-').at(-1)}/${one.partition}`))

const seldom = 3_600_000

it('are read by all workers as soon as one has found them, and nothing is lost or doubled', async () => {
  const app = appOf('pattern', true, 2)
  await app.create('eu', 2)
  await judge.createTopics({ name: app.out.name })
  await app.send('eu', 0, 50)
  using directory = temporaryDirectory()
  const start = (name: string, topicRefreshMs: number): Promise<TestWorker> =>
    startWorker(app.built, {
      ...quickly(kafkaBrokers(), `${directory.path}/${name}`),
      instanceId: name,
      // With a backlog a transaction is open all the time.
      commitIntervalMs: 500,
      heartbeatIntervalMs: 100,
      rebalanceTimeoutMs: 5000,
      topicRefreshMs,
    })
  // The first one is the leader of the group, and does not look again by itself.
  await using one = await start('one', seldom)
  await using two = await start('two', 300)
  await expect.poll(() => [tasksOf(one).length, tasksOf(two).length], { timeout: 30_000 }).toEqual([1, 1])
  await untilTold(app, range(0, 50, 'eu'))

  // Work goes on meanwhile: what is processed and not committed when a task is opened anew would be there twice.
  let fed = 50
  let isFed = true
  const feeding = (async () => {
    while (isFed) {
      await app.send('eu', fed, fed + 60)
      fed += 60
      await sleep(40)
    }
  })()
  await app.create('us', 2)
  await app.send('us', 0, 50)
  await expect
    .poll(() => [...inputsOf(one), ...inputsOf(two)], { timeout: 30_000, interval: 20 })
    .toEqual(expect.arrayContaining(['us/0', 'us/1']))
  isFed = false
  await feeding
  const wanted = [...range(0, fed, 'eu'), ...range(0, 50, 'us')]
  await untilTold(app, wanted)
  expect([...inputsOf(one), ...inputsOf(two)].sort()).toEqual(['eu/0', 'eu/1', 'us/0', 'us/1'])
  // The group is told of news once.
  const rebalanced = [one, two].map(({ worker }) => worker.counts.rebalanced)
  await sleep(1500)
  expect([one, two].map(({ worker }) => worker.counts.rebalanced)).toEqual(rebalanced)
  // The state went on: the numbers of each key are whole.
  const numbers = new Map<string, number[]>()
  for (const { key, value } of (await judge.dump(app.out.name)).records) {
    const list = numbers.get(String(key)) ?? []
    numbers.set(String(key), [...list, Number.parseInt(String(value), 10)])
  }
  for (const list of numbers.values()) expect(list).toEqual(Array.from(list, (_, index) => index + 1))
  for (const { failure, worker } of [one, two]) {
    expect(failure()).toBeUndefined()
    expect({ aborted: worker.counts.aborted, recovered: worker.counts.recovered }).toEqual({
      aborted: 0,
      recovered: 0,
    })
  }

  // A restart reads both, from where they were left.
  await two.worker.close({ leave: true })
  await one.worker.close({ leave: true })
  await app.send('us', 50, 60)
  await using again = await start('again', seldom)
  await untilTold(app, [...wanted, ...range(50, 60, 'us')])
  expect(inputsOf(again).sort()).toEqual(['eu/0', 'eu/1', 'us/0', 'us/1'])

  // One of another size would have the same key in two partitions of the store.
  await again.worker.close({ leave: true })
  await using last = await start('last', 300)
  await app.create('asia', 3)
  const failure = await last.failed()
  expect(failure.code).toBe('TOPOLOGY_INVALID')
  expect(failure.message).toMatch(/different numbers of partitions: .*from-asia has 3, .*from-eu has 2/)
}, 120_000)

it('may all come later, and make new tasks where they are larger', async () => {
  const app = appOf('pattern-empty', false)
  await judge.createTopics({ name: app.out.name })
  using directory = temporaryDirectory()
  const settings = { ...quickly(kafkaBrokers(), directory.path), topicRefreshMs: 200 }
  await using running = await startWorker(app.built, settings)
  expect(tasksOf(running)).toEqual([])
  await app.create('eu', 1)
  await app.send('eu', 0, 10)
  await untilTold(app, range(0, 10, 'eu'))
  expect(tasksOf(running)).toEqual(['0_0'])
  await app.create('us', 3)
  await app.send('us', 0, 30)
  await untilTold(app, [...range(0, 10, 'eu'), ...range(0, 30, 'us')])
  expect(tasksOf(running).sort()).toEqual(['0_0', '0_1', '0_2'])
  expect(inputsOf(running).sort()).toEqual(['eu/0', 'us/0', 'us/1', 'us/2'])
  expect(running.failure()).toBeUndefined()
}, 60_000)

it('are needed from the start where they decide how many partitions a changelog has', async () => {
  const app = appOf('pattern-none', true)
  await judge.createTopics({ name: app.out.name })
  using directory = temporaryDirectory()
  await expect(startWorker(app.built, quickly(kafkaBrokers(), directory.path))).rejects.toThrow(
    /TOPIC_MISSING: no topic matches the pattern by which .*-seen-changelog is fed/,
  )
})
