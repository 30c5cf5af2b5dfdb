// A worker inside a program: what follows an error that stops it, and a producer that feeds a topic.
import {
  createProducer,
  createWorker,
  string,
  topic,
  type UncaughtErrorVerdict,
  type WrapProcessor,
  type Worker,
} from 'millstream'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type EachOnce, eachOnce } from '../support/each-once.ts'
import { type Judge, startJudge } from '../support/judge.ts'
import { kafkaBrokers } from '../support/kafka.ts'
import { quickly } from '../support/numbered.ts'
import { temporaryDirectory } from '../support/worker.ts'

let judge: Judge

beforeAll(async () => {
  judge = await startJudge(kafkaBrokers())
})

afterAll(async () => {
  await judge.stop()
})

/** Throws at `v5`, as often as is said. */
const failing = (app: EachOnce, times: number): void => {
  let left = times
  app.before = ({ value }) => {
    if (value !== 'v5' || left === 0) return
    left -= 1
    throw new Error('no fives')
  }
}

/** Counts the records that pass its processors. */
const counting =
  (counts: Map<string, number>): WrapProcessor =>
  ({ name }, processor) => ({
    process(record) {
      processor.process(record)
      counts.set(name, (counts.get(name) ?? 0) + 1)
    },
  })

const workerOf = (app: EachOnce, stateDir: string, onUncaughtError: () => UncaughtErrorVerdict): Worker =>
  createWorker(app.topology, quickly(kafkaBrokers(), stateDir), { onUncaughtError })

describe('an error that stops a worker', () => {
  it('replaces it where that is the verdict, and every record counts once', async () => {
    using directory = temporaryDirectory()
    const app = await eachOnce(judge, 'replaced', 2)
    failing(app, 2)
    const verdicts: string[] = []
    const worker = workerOf(app, directory.path, () => {
      verdicts.push('replace')
      return 'replace'
    })
    await worker.start()
    await app.feed(10)
    await app.judged()
    expect(verdicts).toHaveLength(2)
    expect(worker.state).toBe('running')
    await worker.close()
    await worker.finished
  })

  it('stops it by default, at the record, with what came before committed', async () => {
    using directory = temporaryDirectory()
    const app = await eachOnce(judge, 'stopped', 1)
    failing(app, 1)
    const worker = createWorker(app.topology, quickly(kafkaBrokers(), directory.path))
    await worker.start()
    await app.feed(10)
    await expect(worker.finished).rejects.toMatchObject({
      code: 'PROCESSING_FAILED',
      where: { topic: app.input, partition: 0, offset: 4 },
    })
    expect(await app.offsets()).toEqual([4])
    await expect(worker.close()).rejects.toMatchObject({ code: 'PROCESSING_FAILED' })
  })

  it('stops every worker of the program where that is the verdict', async () => {
    using one = temporaryDirectory()
    using two = temporaryDirectory()
    const [bad, good] = [await eachOnce(judge, 'bad', 1), await eachOnce(judge, 'good', 1)]
    failing(bad, 1)
    const first = workerOf(bad, one.path, () => 'stop-all')
    const second = workerOf(good, two.path, () => 'stop')
    await Promise.all([first.start(), second.start()])
    await good.feed(10)
    await good.drained()
    await bad.feed(10)
    await expect(first.finished).rejects.toMatchObject({ code: 'PROCESSING_FAILED' })
    await second.finished
    expect([first.state, second.state]).toEqual(['failed', 'closed'])
    await good.judged()
  })
})

describe('createProducer', () => {
  it('feeds a topic, in order, and says where each record is', async () => {
    using directory = temporaryDirectory()
    const app = await eachOnce(judge, 'fed', 1)
    const input = topic(app.input, { key: string, value: string })
    const producer = createProducer({ brokers: kafkaBrokers() })
    const sent = await Promise.all(
      Array.from({ length: 500 }, (_, index) => producer.send(input, { key: 'k', value: `v${index + 1}` })),
    )
    expect(sent.map(({ offset }) => offset)).toEqual(Array.from({ length: 500 }, (_, index) => index))
    await expect(producer.send(input, { key: 'k', value: null as never })).rejects.toMatchObject({
      code: 'SERIALIZATION_FAILED',
    })
    const missing = topic(`${app.input}-missing`, { key: string, value: string })
    await expect(producer.send(missing, { key: 'k', value: 'v' })).rejects.toMatchObject({
      code: 'TOPIC_MISSING',
    })
    await producer.close()
    await expect(producer.send(input, { key: 'k', value: 'v' })).rejects.toMatchObject({ code: 'CLOSED' })

    const worker = createWorker(app.topology, quickly(kafkaBrokers(), directory.path))
    await worker.start()
    await expect
      .poll(async () => (await judge.dump(app.output)).records.length, { timeout: 20_000 })
      .toBe(500)
    const values = (await judge.dump(app.output)).records.map(({ value }) => value?.toString())
    expect(values).toEqual(Array.from({ length: 500 }, (_, index) => `${index + 1}:v${index + 1}`))
    await worker.close()
  })
})

it('runs every processor of a worker in its wrapper', async () => {
  using directory = temporaryDirectory()
  const app = await eachOnce(judge, 'wrapped', 2)
  const counts = new Map<string, number>()
  const worker = createWorker(app.topology, quickly(kafkaBrokers(), directory.path), {
    wrapProcessor: counting(counts),
  })
  await worker.start()
  await app.feed(10)
  await app.judged()
  await worker.close()
  const processors = app.topology.graph.subtopologies.flatMap(({ nodes }) =>
    nodes.flatMap(({ kind, name }) => (kind === 'processor' ? [name] : [])),
  )
  expect([...counts.keys()].toSorted()).toEqual(processors.toSorted())
  expect(Math.max(...counts.values())).toBeGreaterThanOrEqual(10)
})
