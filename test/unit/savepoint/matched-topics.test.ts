// Savepoints of applications that read topics by pattern, on the embedded broker: what goes on where it was, what begins,
// and what is refused.
import path from 'node:path'
import { Kafka, logLevel } from 'kafkajs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { nodePorts } from '../../../src/base/node-ports.ts'
import { resolveSettings } from '../../../src/config/settings.ts'
import { EmbeddedKafka } from '../../../src/embedded/embedded-kafka.ts'
import {
  createProducer,
  createWorker,
  int64,
  openView,
  type Producer,
  store,
  string,
  topic,
  topicPattern,
  topology,
  type Topology,
} from '../../../src/index.ts'
import { exportSavepoint } from '../../../src/savepoint/export.ts'
import { importSavepoint } from '../../../src/savepoint/import.ts'
import { KeptLog, temporaryDirectory } from '../../support/worker.ts'

let broker: EmbeddedKafka
let kafka: Kafka
let producer: Producer

beforeAll(async () => {
  broker = await EmbeddedKafka.start({})
  kafka = new Kafka({ brokers: [...broker.brokers], logLevel: logLevel.NOTHING })
  producer = createProducer({ brokers: [...broker.brokers] })
})

afterAll(async () => {
  await producer?.close()
  await broker?.close()
})

const seen = store('seen', { key: string, value: int64 })

/** Counts the records of each key over all topics that match. */
const counting = (pattern: RegExp): Topology =>
  topology('counting', (t) => {
    t.stream(topicPattern(pattern, { key: string, value: string }))
      .groupByKey()
      .count(seen)
  })

const withAdmin = async <T>(act: (admin: ReturnType<Kafka['admin']>) => Promise<T>): Promise<T> => {
  const admin = kafka.admin()
  await admin.connect()
  try {
    return await act(admin)
  } finally {
    await admin.disconnect()
  }
}

const create = (name: string, numPartitions = 1): Promise<boolean> =>
  withAdmin((admin) => admin.createTopics({ topics: [{ topic: name, numPartitions }] }))

const send = async (name: string, count: number): Promise<void> => {
  const to = topic(name, { key: string, value: string })
  for (let number = 0; number < count; number++) await producer.send(to, { key: 'k', value: String(number) })
}

const settingsOf = (applicationId: string, stateDir: string) => ({
  brokers: [...broker.brokers],
  applicationId,
  stateDir,
  fetchWaitMs: 50,
  commitIntervalMs: 50,
})

/** Runs until all of these topics are processed. @returns how many are counted */
const run = async (app: Topology, applicationId: string, topics: readonly string[]): Promise<number> => {
  using state = temporaryDirectory()
  const settings = settingsOf(applicationId, state.path)
  const worker = createWorker(app, settings)
  await worker.start()
  const lags = () =>
    worker.status().tasks.flatMap(({ inputs }) => inputs.map(({ topic: name, lag }) => `${name} ${lag}`))
  const none = topics.map((name) => `${name} 0`)
  await expect.poll(() => lags().toSorted(), { timeout: 20_000 }).toEqual(none)
  await worker.close({ leave: true })
  await using view = await openView({ topology: app, store: seen }, settings)
  return view.get('k') ?? 0
}

const savepoint = (applicationId: string, directory: string, log = new KeptLog()) => ({
  ports: nodePorts,
  settings: resolveSettings({ given: settingsOf(applicationId, directory) }, applicationId),
  log,
  stop: new AbortController().signal,
  directory,
})

describe('a savepoint of an application that reads topics by pattern', () => {
  it('goes on in each of them where it was, begins those that came later, and does without those that went', async () => {
    const app = counting(/places-.+/)
    for (const place of ['eu', 'us', 'gone']) await create(`places-${place}`)
    await send('places-eu', 3)
    await send('places-us', 2)
    await send('places-gone', 1)
    const places = ['places-eu', 'places-gone', 'places-us']
    expect(await run(app, 'first', places)).toBe(6)
    await send('places-us', 4)
    using directory = temporaryDirectory()
    const target = path.join(directory.path, 'savepoint')
    const manifest = await exportSavepoint(app, savepoint('first', target))
    expect(manifest.inputs.map((one) => [one.topic, one.offset !== null, one.topicId !== ''])).toEqual([
      ['places-eu', true, true],
      ['places-gone', true, true],
      ['places-us', true, true],
    ])

    await create('places-asia')
    await send('places-asia', 10)
    await withAdmin((admin) => admin.deleteTopics({ topics: ['places-gone'] }))
    const log = new KeptLog()
    await importSavepoint(app, savepoint('second', target, log))
    expect(log.with('do not exist any more')[0]?.fields['topics']).toBe('places-gone')
    // 6 were counted, 4 waited, and 10 are those of the topic that came.
    for (const id of ['second', 'first'])
      expect(await run(app, id, ['places-asia', 'places-eu', 'places-us']), id).toBe(20)
  }, 30_000)

  it('is refused where a topic was made anew or grew, and where the new one would read the old one', async () => {
    const app = counting(/(zones|old)-.+/)
    await create('zones-eu')
    await send('zones-eu', 2)
    expect(await run(app, 'zones', ['zones-eu'])).toBe(2)
    using directory = temporaryDirectory()
    const target = path.join(directory.path, 'savepoint')
    await exportSavepoint(app, savepoint('zones', target))
    // Its own topics match none of its patterns, whatever these say; those of the other application do.
    await expect(importSavepoint(app, savepoint('others', target))).rejects.toMatchObject({
      code: 'SAVEPOINT_MISMATCH',
      message: expect.stringContaining('matches an internal topic of zones'),
    })

    const narrow = counting(/areas-.+/)
    await create('areas-eu')
    await send('areas-eu', 2)
    expect(await run(narrow, 'narrow', ['areas-eu'])).toBe(2)
    const other = path.join(directory.path, 'other')
    await exportSavepoint(narrow, savepoint('narrow', other))
    await withAdmin((admin) => admin.createPartitions({ topicPartitions: [{ topic: 'areas-eu', count: 2 }] }))
    await expect(importSavepoint(narrow, savepoint('grown', other))).rejects.toMatchObject({
      code: 'SAVEPOINT_MISMATCH',
      message: expect.stringContaining('had 1 when'),
    })
    await withAdmin((admin) => admin.deleteTopics({ topics: ['areas-eu'] }))
    await create('areas-eu')
    await expect(importSavepoint(narrow, savepoint('anew', other))).rejects.toMatchObject({
      code: 'SAVEPOINT_MISMATCH',
      message: expect.stringContaining('made anew'),
    })
  }, 30_000)
})
