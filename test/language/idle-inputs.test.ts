// Tasks with several inputs against the embedded broker over TCP: in which order they take their records, also after a
// restart, and what of their time a restart keeps.
import { Kafka, logLevel } from 'kafkajs'
import {
  createProducer,
  createWorker,
  output,
  type Producer,
  type SettingsInput,
  StreamRecord,
  string,
  topic,
  topology,
  type TopicHandle,
  type Worker,
} from 'millstream'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { EmbeddedKafka } from '../../src/embedded/embedded-kafka.ts'
import { readWithKafkaJs } from '../../src/testing/plain-reader.ts'
import { quickly } from '../support/numbered.ts'
import { temporaryDirectory } from '../support/worker.ts'

let broker: EmbeddedKafka
let producer: Producer

beforeAll(async () => {
  broker = await EmbeddedKafka.start()
  producer = createProducer({ brokers: [...broker.brokers] })
})

afterAll(async () => {
  await producer?.close()
  await broker?.close()
})

const access = () => ({
  brokers: [...broker.brokers],
  tls: false,
  sasl: undefined,
  connectionTimeoutMs: 5000,
})

type Texts = TopicHandle<string, string>

/** Two inputs and an output of one partition each, and what puts the inputs together. */
const merged = async (name: string) => {
  const texts = (place: string): Texts => topic(`${name}-${place}`, { key: string, value: string })
  const [left, right, out] = [texts('left'), texts('right'), texts('out')]
  const admin = new Kafka({ brokers: [...broker.brokers], logLevel: logLevel.NOTHING }).admin()
  await admin.connect()
  await admin.createTopics({
    topics: [left, right, out].map(({ name: one }) => ({ topic: one, numPartitions: 1 })),
  })
  await admin.disconnect()
  const times: number[] = []
  const app = topology(name, (t) => {
    t.stream(left)
      .merge(t.stream(right))
      .process({
        outputs: output<string, string>(),
        init: ({ streamTime }) => void times.push(streamTime),
        process: ({ key, value, timestamp }, { forward, streamTime }) =>
          forward(StreamRecord.of({ key, value: `${value} of ${streamTime}`, timestamp })),
      })
      .to(out)
  })
  return {
    left,
    right,
    out,
    /** The stream time with which each task began. */
    times,
    worker: (stateDir: string, settings: Partial<SettingsInput> = {}): Worker =>
      createWorker(app, { ...quickly(broker.brokers, stateDir), ...settings }),
    told: async (): Promise<string[]> =>
      (await readWithKafkaJs(access(), out.name)).map(({ value }) => String(value)),
  }
}

const send = async (where: Texts, timestamps: readonly number[]): Promise<void> => {
  await Promise.all(
    timestamps.map((timestamp) =>
      producer.send(where, { key: 'k', value: `${where.name.split('-').at(-1)} ${timestamp}`, timestamp }),
    ),
  )
}

const processed = (worker: Worker, count: number): Promise<void> =>
  expect.poll(() => worker.counts.processed, { timeout: 20_000 }).toBeGreaterThanOrEqual(count)

const every = (step: number, from: number, count: number): number[] =>
  Array.from({ length: count }, (_, index) => from + index * step)

describe('a task with two inputs', () => {
  it('takes what is on the broker in the order of time, also from where another one stopped', async () => {
    using first = temporaryDirectory()
    using second = temporaryDirectory()
    const app = await merged('ordered')
    // Far apart on the broker: of the one input much is fetched before anything of the other.
    await send(app.left, every(2, 1000, 400))
    await send(app.right, every(2, 1001, 400))
    const small = { fetchBytesMax: 1024, partitionFetchBytesMax: 1024 }
    const one = app.worker(first.path, small)
    await one.start()
    await processed(one, 100)
    await one.close({ leave: true })
    const other = app.worker(second.path, small)
    await other.start()
    await processed(other, 800 - one.counts.processed)
    await other.close()
    expect(await app.told()).toEqual(
      every(1, 1000, 800).map((time) => `${time % 2 === 0 ? 'left' : 'right'} ${time} of ${time}`),
    )
    expect(app.times[0]).toBe(-1)
    expect(app.times[1]).toBe(999 + one.counts.processed)
  })

  it('waits for an input that has nothing more as long as was asked for, and says so', async () => {
    using directory = temporaryDirectory()
    const app = await merged('waiting')
    const worker = app.worker(directory.path, { maxTaskIdleMs: 3_600_000 })
    await worker.start()
    await send(app.left, [10, 20])
    const awaited = (): string[] =>
      worker
        .status()
        .tasks.flatMap(({ inputs }) => inputs.filter((one) => one.awaited).map((one) => one.topic))
    await expect.poll(awaited).toEqual([app.right.name])
    expect(worker.counts.processed).toBe(0)
    await send(app.right, [15, 16])
    await processed(worker, 3)
    await expect.poll(awaited).toEqual([app.right.name])
    expect(worker.counts.processed).toBe(3)
    await worker.close()
    expect(await app.told()).toEqual(['left 10 of 10', 'right 15 of 15', 'right 16 of 16'])
  })

  it('goes on when the idle time is over', async () => {
    using directory = temporaryDirectory()
    const app = await merged('released')
    const worker = app.worker(directory.path, { maxTaskIdleMs: 1000 })
    await worker.start()
    await send(app.left, [10])
    await processed(worker, 1)
    await worker.close()
    expect(await app.told()).toEqual(['left 10 of 10'])
  })
})
