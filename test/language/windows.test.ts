// Windows in workers on a broker, with stores on disk: over a restart that restores from the changelog they give what the
// test driver gives in one piece.
import {
  createProducer,
  hopping,
  int64,
  nullable,
  type ProducerRecord,
  sessions,
  sliding,
  string,
  topic,
  topology,
  windowed,
  windowStore,
} from 'millstream'
import { testDriver } from 'millstream/testing'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Judge, startJudge } from '../support/judge.ts'
import { kafkaBrokers, uniqueTopic } from '../support/kafka.ts'
import { quickly } from '../support/numbered.ts'
import { startWorker, temporaryDirectory } from '../support/worker.ts'

let judge: Judge

beforeAll(async () => {
  judge = await startJudge(kafkaBrokers())
})

afterAll(async () => {
  await judge.stop()
})

const windowsOf = () => {
  const id = uniqueTopic('windows')
  const input = topic(`${id}-in`, { key: string, value: string })
  const hops = hopping({ sizeMs: 500, advanceMs: 200, graceMs: 300 })
  const visits = sessions({ gapMs: 80, graceMs: 300 })
  const slides = sliding({ sizeMs: 150, graceMs: 300 })
  const count = { key: string, value: int64 }
  // Closed windows are still there after the restart: they are not told again.
  const kept = { ...count, retentionMs: 5_000 }
  const results = {
    hops: topic(`${id}-hops`, { key: windowed(string, hops), value: nullable(int64) }),
    visits: topic(`${id}-visits`, { key: windowed(string, visits), value: nullable(int64) }),
    slides: topic(`${id}-slides`, { key: windowed(string, slides), value: nullable(int64) }),
  }
  const built = topology(id, (t) => {
    const grouped = t.stream(input).groupByKey()
    const counted = grouped.windowedBy(hops).count(windowStore('hops', kept), { emit: 'on-close' })
    counted.toStream().to(results.hops)
    grouped.windowedBy(visits).count(windowStore('visits', count)).toStream().to(results.visits)
    grouped.windowedBy(slides).count(windowStore('slides', count)).toStream().to(results.slides)
  })
  return { id, input, results, built }
}

/** Records of seven keys, mostly forwards in time, at times back and too late. */
const inputsOf = (from: number, to: number): ProducerRecord<string, string>[] =>
  Array.from({ length: to - from }, (_, index) => {
    const number = from + index
    const backMs = number % 13 === 0 ? 700 : number % 5 === 0 ? 150 : 0
    return {
      key: `key ${(number * 5) % 7}`,
      value: 'v',
      timestamp: 1_700_000_000_000 + number * 17 - backMs,
      headers: [],
    }
  })

it('windows come out of a worker as they come out of the test driver', async () => {
  const { id, input, results, built } = windowsOf()
  const topics = Object.values(results)
  await judge.createTopics(...[input, ...topics].map(({ name }) => ({ name, partitions: 1 })))
  const halves = [inputsOf(0, 400), inputsOf(400, 800)]
  let sent = 0
  for (const records of halves) {
    using directory = temporaryDirectory()
    await using running = await startWorker(built, quickly(kafkaBrokers(), directory.path))
    const producer = createProducer({ brokers: kafkaBrokers() })
    await Promise.all(records.map((record) => producer.send(input, record)))
    await producer.close()
    sent += records.length
    await expect
      .poll(
        async () => {
          const [committed] = (await judge.groupOffsets(id)).filter((one) => one.topic === input.name)
          return committed?.offset ?? 0
        },
        { timeout: 30_000, interval: 50 },
      )
      .toBeGreaterThanOrEqual(sent)
    expect(running.failure()).toBeUndefined()
    expect(running.worker.counts.late).toBeGreaterThan(10)
  }

  using driver = testDriver(built)
  for (const records of halves) driver.input(input).sendAll(records)
  for (const result of topics) {
    const ours = driver.output(result).readAll()
    const theirs = (await judge.dump(result.name)).records
    expect(ours.length, result.name).toBeGreaterThan(100)
    expect(
      theirs.map(({ key, value, timestamp }) => ({
        key: result.key.decode(key as Uint8Array),
        value: value === null ? null : int64.decode(value),
        timestamp,
      })),
      result.name,
    ).toEqual(ours.map(({ key, value, timestamp }) => ({ key, value, timestamp })))
  }
})
