// A store of every kind on a broker: restored on an empty disk, and exported and imported under another application id,
// each has the entries that it had, byte for byte; and what is made of further records is the same everywhere.
import fs from 'node:fs'
import path from 'node:path'
import {
  calendar,
  createProducer,
  int64,
  joinStore,
  nullable,
  output,
  type Producer,
  type ProducerRecord,
  sessions,
  sliding,
  store,
  StreamRecord,
  string,
  timerStore,
  topic,
  topology,
  type Topology,
  tumbling,
  untilTimeLimit,
  untilWindowCloses,
  versionedStore,
  windowed,
  windowStore,
  within,
} from 'millstream'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { nodePorts } from '../../src/base/node-ports.ts'
import { RecordCursor } from '../../src/record/record-cursor.ts'
import { exportSavepoint } from '../../src/savepoint/export.ts'
import { importSavepoint } from '../../src/savepoint/import.ts'
import { readRecordFile } from '../../src/savepoint/record-file.ts'
import { LmdbEngine } from '../../src/state/lmdb-engine.ts'
import { internalTopics } from '../../src/topology/internal-topics.ts'
import { type Judge, startJudge } from '../support/judge.ts'
import { kafkaBrokers, uniqueTopic } from '../support/kafka.ts'
import { quickly } from '../support/numbered.ts'
import { savepointOptions } from '../support/savepoint.ts'
import { startWorker, temporaryDirectory } from '../support/worker.ts'

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

const text = { key: string, value: string }
const count = { key: string, value: int64 }
const minute = tumbling({ sizeMs: 60_000, graceMs: 20_000 })

interface App {
  readonly applicationId: string
  readonly topology: Topology
  readonly outputs: readonly string[]
}

/** Two of one input have one shape: they differ in their outputs alone. */
const appOf = (applicationId: string, input: string): App => {
  const outputs: string[] = []
  const outOf = (name: string) => {
    outputs.push(`${applicationId}-${name}`)
    return topic(`${applicationId}-${name}`, { key: string, value: nullable(string) })
  }
  const built = topology(applicationId, (t) => {
    const all = t.stream(topic(input, { key: string, value: string }))
    const { left, right } = all.branch({ left: ({ value }) => value.startsWith('L'), right: () => true })
    const grouped = all.groupByKey()
    const asText = (value: number | null): string | null => (value === null ? null : String(value))

    const counts = grouped.count(store('aggregate', count))
    const held = { name: 'suppressed', ...count }
    counts
      .suppress(untilTimeLimit({ waitMs: 30_000 }), held)
      .toStream()
      .mapValues(asText)
      .to(outOf('limited'))
    const perMinute = grouped.windowedBy(minute).count(windowStore('tumbling', count))
    perMinute
      .suppress(untilWindowCloses(), {
        name: 'windows-suppressed',
        key: windowed(string, minute),
        value: int64,
      })
      .toStream()
      .map(({ key: { key, start }, value }) => ({ key: `${key}@${start}`, value: asText(value) }))
      .to(outOf('closed'))
    const slides = sliding({ sizeMs: 10_000, graceMs: 5000 })
    grouped.windowedBy(slides).count(windowStore('sliding', count), { emit: 'on-close' })
    grouped.windowedBy(sessions({ gapMs: 4000, graceMs: 5000 })).count(windowStore('sessions', count))
    const days = calendar({ every: 'day', timeZone: 'Europe/Berlin', graceMs: 0 })
    grouped.windowedBy(days).count(windowStore('calendar', count))

    left
      .outerJoin(
        right,
        (one, other) => `${one ?? '-'} ${other ?? '-'}`,
        within({ beforeMs: 3000, afterMs: 2000, graceMs: 3000 }),
        joinStore('joined', { key: string, left: string, right: string }),
      )
      .to(outOf('joined'))
    const history = left.toTable(versionedStore('versions', { ...text, historyMs: 60_000 }))
    right
      .join(history, (value, row) => `${value} of ${row}`, { graceMs: 8000, store: store('waiting', text) })
      .to(outOf('as-of'))
    all
      .process({
        stores: { plain: store('plain', text), recent: store('expiring', { ...text, ttlMs: 25_000 }) },
        timers: timerStore('timers', { key: string }),
        outputs: output<string, string>(),
        process({ key, value, timestamp }, { stores, timers }) {
          stores.plain.put(`${key} ${timestamp % 7}`, value)
          if (timestamp % 5 === 0) stores.plain.delete(`${key} 3`)
          stores.recent.put(`${key} ${timestamp % 11}`, value)
          timers.set(key, timestamp + 15_000, timestamp % 2 === 0 ? 'even' : 'odd')
        },
        onTimer({ key, at, name }, { stores, forward }) {
          const found = [...stores.recent.prefixScan(`${key} `, string)].length
          forward(StreamRecord.of({ key, value: `${name} ${found}`, timestamp: at }))
        },
      })
      .to(outOf('alarms'))
    right.toTable(store('rows', text)).foreignKeyJoin(
      left.toTable(store('others', text)),
      (value) => value.slice(-1),
      (one, other) => one + other,
      {
        name: 'by-digit',
        foreignKey: string,
        value: string,
        store: store('by-foreign-key', text),
      },
    )
  })
  return { applicationId, topology: built, outputs }
}

const kinds = [
  'aggregate',
  'by-digit-subscriptions',
  'by-foreign-key',
  'calendar',
  'expiring',
  'joined',
  'others',
  'plain',
  'rows',
  'sessions',
  'sliding',
  'suppressed',
  'timers',
  'tumbling',
  'versions',
  'waiting',
  'windows-suppressed',
]

/** Keys are digits, so that values name keys of the other side. */
const recordsOf = (from: number, to: number): ProducerRecord<string, string>[] =>
  Array.from({ length: to - from }, (_, index) => {
    const number = from + index
    const backMs = number % 9 === 0 ? 12_000 : 0
    return {
      key: String((number * 7) % 10),
      value: `${number % 3 === 0 ? 'L' : 'R'} ${number} ${(number * 3) % 10}`,
      timestamp: 1_750_000_000_000 + number * 733 - backMs,
      headers: [],
    }
  })

const send = async (input: string, from: number, to: number): Promise<void> => {
  const into = topic(input, text)
  await Promise.all(recordsOf(from, to).map((record) => producer.send(into, record)))
}

/** What the group has not processed. */
const lagOf = async ({ applicationId, topology: { graph } }: App, input: string): Promise<number> => {
  const committed = await judge.groupOffsets(applicationId)
  const internal = internalTopics(graph, applicationId).filter(({ kind }) => kind === 'repartition')
  let lag = 0
  for (const name of [input, ...internal.map((one) => one.topic)]) {
    for (const { partition, highWatermark } of await judge.offsets(name)) {
      const found = committed.find((one) => one.topic === name && one.partition === partition)
      lag += highWatermark - (found?.offset ?? 0)
    }
  }
  return lag
}

/** Works until nothing is left, and ends. */
const work = async (app: App, input: string, stateDir: string): Promise<void> => {
  await using test = await startWorker(app.topology, {
    ...quickly(kafkaBrokers(), stateDir),
    applicationId: app.applicationId,
  })
  await expect.poll(() => test.worker.status().tasks.length, { timeout: 20_000 }).toBe(2)
  await expect.poll(() => lagOf(app, input), { timeout: 30_000, interval: 100 }).toBe(0)
  await test.worker.close({ leave: true })
  expect(test.failure()).toBeUndefined()
  expect(test.worker.status().diverged).toBe(0)
}

const shown = (key: Buffer, value: Buffer): string => `${key.toString('hex')} ${value.toString('hex')}`

/** Takes a savepoint. @returns every entry of every store in it, by store and task */
const exported = async (app: App, directory: string): Promise<Record<string, string[]>> => {
  const { stores } = await exportSavepoint(app.topology, savepointOptions(app, directory))
  const found: Record<string, string[]> = {}
  const cursor = new RecordCursor()
  for (const file of stores) {
    const entries: string[] = []
    for (const batch of readRecordFile(nodePorts.disk, directory, file)) {
      cursor.reset(batch)
      while (cursor.next()) {
        const { buffer, keyStart, keyLength, valueStart, valueLength } = cursor
        const value = buffer.subarray(valueStart, valueStart + valueLength)
        entries.push(shown(buffer.subarray(keyStart, keyStart + keyLength), value))
      }
    }
    found[`${file.store} 0_${file.partition}`] = entries
  }
  return found
}

/** Every entry of every store on the disk. */
const entriesIn = (stateDir: string, { applicationId }: App): Record<string, string[]> => {
  const root = path.join(stateDir, applicationId)
  const found: Record<string, string[]> = {}
  for (const task of fs.readdirSync(root).filter((name) => /^\d+_\d+$/.test(name))) {
    for (const name of fs.readdirSync(path.join(root, task))) {
      const engine = new LmdbEngine({ directory: path.join(root, task, name), disk: nodePorts.disk })
      found[`${name} ${task}`] = [...engine.range(undefined, undefined, false)].map(({ key, value }) =>
        shown(Buffer.from(key, 'latin1'), Buffer.from(value)),
      )
      engine.close()
    }
  }
  return found
}

const outputsOf = async ({ applicationId, outputs }: App): Promise<Record<string, string[]>> => {
  const all: Record<string, string[]> = {}
  for (const name of outputs)
    all[name.slice(applicationId.length)] = (await judge.dump(name)).records.map(
      ({ key, value, timestamp }) => `${String(key)} ${String(value)} ${timestamp}`,
    )
  return all
}

it('is restored, exported and imported with all its entries, and goes on alike', async () => {
  const input = uniqueTopic('every-in')
  const [first, second] = [appOf(uniqueTopic('every'), input), appOf(uniqueTopic('every-copy'), input)]
  const forEver = { 'retention.ms': '-1' }
  await judge.createTopics(
    { name: input, partitions: 2, settings: forEver },
    ...[...first.outputs, ...second.outputs].map((name) => ({ name, settings: forEver })),
  )
  await send(input, 0, 300)
  using directory = temporaryDirectory()
  const [one, two, three] = ['one', 'two', 'three'].map((name) => path.join(directory.path, name)) as [
    string,
    string,
    string,
  ]
  await work(first, input, one)
  const before = await exported(first, path.join(directory.path, 'before'))
  expect(entriesIn(one, first)).toEqual(before)
  for (const kind of kinds) {
    const own = Object.entries(before).filter(([name]) => name.startsWith(`${kind} `))
    expect(own.flatMap(([, entries]) => entries).length, kind).toBeGreaterThan(1)
  }
  expect(new Set(Object.keys(before).map((name) => name.split(' ')[0]))).toEqual(new Set(kinds))

  // On an empty disk. A start looks for what is past its time, so that a little may have changed since.
  await work(first, input, two)
  const target = path.join(directory.path, 'savepoint')
  const restored = await exported(first, target)
  expect(entriesIn(two, first)).toEqual(restored)

  // Under another application id.
  await importSavepoint(second.topology, savepointOptions(second, target))
  expect(await exported(second, path.join(directory.path, 'imported'))).toEqual(restored)
  await work(second, input, three)
  expect(entriesIn(three, second)).toEqual(await exported(second, path.join(directory.path, 'after')))

  // What waited, was held back, is to expire, to close or to fire does so in both.
  const told = await outputsOf(first)
  await send(input, 300, 450)
  await work(first, input, two)
  await work(second, input, three)
  expect(entriesIn(three, second)).toEqual(entriesIn(two, first))
  const [after, made] = [await outputsOf(first), await outputsOf(second)]
  for (const [name, records] of Object.entries(after)) {
    const since = records.slice(told[name]?.length)
    expect(since.length, name).toBeGreaterThan(1)
    expect(made[name]?.toSorted(), name).toEqual(since.toSorted())
  }
}, 60_000)
