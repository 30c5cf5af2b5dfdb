// What the test driver does when a record fails, by policy, and when a test asks for what cannot be.
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import {
  int64,
  isMillstreamError,
  type MillstreamError,
  nullable,
  output,
  store,
  StreamRecord,
  string,
  topic,
  topology,
} from 'millstream'
import { testDriver, type TestDriver } from 'millstream/testing'
import { describe, expect, it } from 'vitest'
import { nodePorts } from '../../../src/base/node-ports.ts'
import { LmdbEngine } from '../../../src/state/lmdb-engine.ts'
import { DriverEngine } from '../../../src/testing/driver/driver-engine.ts'
import { DriverInput, InputState } from '../../../src/testing/driver/input.ts'
import { diskKeyBytesMax } from '../../../src/testing/driver/driver-tasks.ts'
import { KeptLog } from '../../support/worker.ts'
import wordCount, { counts, lines, totals } from '../../../processors/word-count/index.ts'

const orders = topic('orders', { key: string, value: string })
const done = topic('done', { key: string, value: string })
const seen = store('seen', { key: string, value: int64 })

/** Writes to a store and an output, then throws for values that begin with `bad`, as often as is said. */
const shop = (failures = Number.POSITIVE_INFINITY) => {
  let left = failures
  return topology('shop', (t) =>
    t
      .stream(orders)
      .process({
        stores: { seen },
        outputs: output<string, string>(),
        process(record, { stores, forward }) {
          stores.seen.put(record.key, (stores.seen.get(record.key) ?? 0) + 1)
          forward(record)
          if (!record.value.startsWith('bad') || left === 0) return
          left--
          throw new Error('no such order')
        },
      })
      .to(done),
  )
}

const values = (driver: TestDriver): string[] =>
  driver
    .output(done)
    .readAll()
    .map(({ value }) => value)

const thrownBy = (act: () => unknown): MillstreamError => {
  try {
    act()
  } catch (error) {
    if (isMillstreamError(error)) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

describe('a record that fails', () => {
  it('is undone and thrown with its place; the driver goes on behind it', () => {
    using driver = testDriver(shop())
    const input = driver.input(orders)
    input.send('a', 'fine')
    const error = thrownBy(() => input.send('b', 'bad'))
    expect(error.code).toBe('PROCESSING_FAILED')
    expect(error.where).toEqual({ topic: 'orders', partition: 0, offset: 1, task: '0_0' })
    expect((error.cause as Error).message).toBe('no such order')
    expect(driver.store(seen).has('b')).toBe(false)
    input.send('c', 'fine too')
    driver.restart()
    driver.run()
    expect(values(driver)).toEqual(['fine', 'fine too'])
  })

  it('leaves what came before it committed, and what follows waiting', () => {
    using driver = testDriver(shop())
    driver.begin()
    driver.input(orders).send('a', 'first')
    driver.abort()
    driver.begin()
    expect(() => driver.input(orders).send('b', 'bad')).toThrow('PROCESSING_FAILED')
    expect(values(driver)).toEqual(['first'])
    expect(() => driver.commit()).toThrow(/DRIVER_MISUSED.*no transaction is open/)
    driver.restart()
    driver.run()
    expect(values(driver)).toEqual([])
  })

  it('is skipped and counted where that is the policy', () => {
    const log = new KeptLog()
    using driver = testDriver(shop(), { settings: { onFailure: 'skip' }, log })
    driver.input(orders).sendAll([
      { key: 'a', value: 'one' },
      { key: 'b', value: 'bad' },
      { key: 'c', value: 'two' },
    ])
    expect(values(driver)).toEqual(['one', 'two'])
    expect(driver.store(seen).has('b')).toBe(false)
    expect(driver.counts).toEqual({ processed: 2, skipped: 1, retried: 0, late: 0 })
    expect(log.with('skipped')).toHaveLength(1)
  })

  it('waits for its retry, which comes with the wall clock', () => {
    const settings = { onFailure: 'retry', retryBackoffMs: 100, retryAttempts: 5 } as const
    using driver = testDriver(shop(2), { settings })
    driver.input(orders).send('a', 'bad at first')
    driver.input(orders).send('b', 'behind it')
    expect(values(driver)).toEqual([])
    driver.advanceWallClock(100)
    expect(values(driver)).toEqual([])
    driver.advanceWallClock(199)
    expect(values(driver)).toEqual([])
    driver.advanceWallClock(1)
    expect(values(driver)).toEqual(['bad at first', 'behind it'])
    expect(driver.counts).toEqual({ processed: 2, skipped: 0, retried: 2, late: 0 })
  })

  it('waits for its retry by a clock that nobody sets', () => {
    const settings = { onFailure: 'retry', retryBackoffMs: 100, retryAttempts: 5 } as const
    const engine = new DriverEngine(shop(1), { settings })
    const [task] = engine.tasks.all
    new DriverInput(engine, orders as never, new InputState()).send('a', 'bad at first')
    // The wall clock is set back by an hour.
    const { clock } = engine
    const begun = clock.now()
    clock.now = () => begun - 3_600_000
    expect(task?.wakeAtMs).toBe(clock.now() + 100)
    clock.monotonic = () => begun + 99
    engine.run()
    expect(engine.counts).toMatchObject({ processed: 0, retried: 1 })
    clock.monotonic = () => begun + 100
    engine.run()
    expect(engine.counts).toMatchObject({ processed: 1, retried: 1 })
    engine.close()
  })

  it('is thrown when its retries are over, and the next one has its own', () => {
    const settings = { onFailure: 'retry', retryBackoffMs: 100, retryAttempts: 1 } as const
    using driver = testDriver(shop(3), { settings })
    driver.input(orders).send('a', 'bad')
    expect(() => driver.advanceWallClock(100)).toThrow('PROCESSING_FAILED')
    driver.input(orders).send('b', 'bad, but only once more')
    driver.advanceWallClock(100)
    expect(values(driver)).toEqual(['bad, but only once more'])
  })

  it('has its own tries where an older record of another input comes in between', () => {
    const refunds = topic('refunds', { key: string, value: string })
    const failures = new Map([
      ['order', 2],
      ['refund', 1],
    ])
    const app = topology('two-inputs', (t) => {
      t.stream(orders)
        .merge(t.stream(refunds))
        .mapValues((value) => {
          const left = failures.get(value) ?? 0
          failures.set(value, left - 1)
          if (left > 0) throw new Error('not yet')
          return value
        })
        .to(done)
    })
    const settings = { onFailure: 'retry', retryBackoffMs: 100, retryAttempts: 2 } as const
    const log = new KeptLog()
    using driver = testDriver(app, { settings, log })
    driver.input(orders).send('a', 'order', { timestamp: 10 })
    driver.input(refunds).send('a', 'refund', { timestamp: 5 })
    driver.advanceWallClock(500)
    expect(values(driver)).toEqual(['refund', 'order'])
    expect(log.with('tried again').map(({ fields }) => [fields?.['attempt'], fields?.['delayMs']])).toEqual([
      [1, 100],
      [1, 100],
      [2, 200],
    ])
  })

  it('may be one that the serde or the timestamp refuses', () => {
    using driver = testDriver(shop())
    const bare = topic('orders', { key: nullable(string), value: string })
    expect(thrownBy(() => driver.input(bare).send(null, 'x')).code).toBe('DESERIALIZATION_FAILED')
    expect(thrownBy(() => driver.input(orders).send('a', 'x', { timestamp: -5 })).code).toBe(
      'TIMESTAMP_INVALID',
    )
    driver.input(orders).send('a', 'x')
    expect(values(driver)).toEqual(['x'])
  })

  it('fails in a task behind a repartition topic, too', () => {
    const picky = topology('picky', (t) =>
      t
        .stream(orders)
        .repartition({ name: 'again', key: string, value: string })
        .mapValues((value) => {
          if (value === 'bad') throw new Error('refused')
          return value
        })
        .to(done),
    )
    using driver = testDriver(picky)
    const error = thrownBy(() => driver.input(orders).send('a', 'bad'))
    expect(error.where).toMatchObject({ topic: 'picky-again-repartition', offset: 0, task: '1_0' })
    driver.input(orders).send('a', 'good')
    expect(values(driver)).toEqual(['good'])
  })

  it('is refused like on a disk where its key is too long for one', () => {
    using driver = testDriver(shop())
    driver.input(orders).send('k'.repeat(diskKeyBytesMax), 'x')
    expect(() => driver.input(orders).send('k'.repeat(diskKeyBytesMax + 1), 'x')).toThrow('seen')
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'millstream-test-'))
    const engine = new LmdbEngine({ directory, disk: nodePorts.disk })
    expect(engine.keyBytesMax).toBe(diskKeyBytesMax)
    engine.close()
    fs.rmSync(directory, { recursive: true })
  })
})

describe('an init that fails', () => {
  it('is thrown, and the processors that were made are closed', () => {
    let closed = 0
    const app = topology('failing-init', (t) => {
      t.stream(orders).process({
        init({ partition }) {
          if (partition === 1) throw new Error('not here')
        },
        process: () => undefined,
        close: () => {
          closed++
        },
      })
    })
    expect(() => testDriver(app, { partitions: 3 })).toThrow('PROCESSING_FAILED')
    expect(closed).toBe(2)
  })
})

describe('a topology that feeds itself', () => {
  it('is ended with an error', () => {
    const app = topology('endless', (t) => {
      t.stream(orders).to(orders)
    })
    using driver = testDriver(app, { recordsMax: 500 })
    expect(() => driver.input(orders).send('a', 'x')).toThrow(
      /TOPOLOGY_ENDLESS.*processed 501 .*recordsMax 500/,
    )
  })

  it('may do so for as long as it ends', () => {
    const app = topology('countdown', (t) => {
      t.stream(orders)
        .filter(({ value }) => value !== '0')
        .mapValues((value) => String(Number(value) - 1))
        .to(orders)
    })
    using driver = testDriver(app)
    driver.input(orders).send('a', '50')
    expect(driver.counts.processed).toBe(51)
  })
})

describe('a test that asks for what cannot be', () => {
  const unknown = topic('unknown', { key: string, value: string })
  const mistakes: readonly (readonly [string, (driver: TestDriver) => unknown, RegExp])[] = [
    ['an input that is only an output', (d) => d.input(counts), /does not read the topic.*inputs lines/],
    ['an unknown input', (d) => d.input(unknown), /does not read the topic/],
    ['an unknown output', (d) => d.output(unknown), /no such topic.*word-count-counts-changelog/],
    ['an unknown store', (d) => d.store(seen), /no such store.*stores counts/],
    ['an unknown changelog', (d) => d.changelog(seen), /no such store/],
    [
      'a store with other serdes',
      (d) => d.store(store('counts', { key: string, value: string })),
      /other serdes/,
    ],
    ['a partition of a store that is not there', (d) => d.store(totals, { partition: 1 }), /no partition 1/],
    [
      'a partition of an input that is not there',
      (d) => d.input(lines).send('a', 'x', { partition: 1 }),
      /no partition 1/,
    ],
    ['the stream time of an output', (d) => d.streamTime(counts), /no task reads/],
    ['two transactions', (d) => [d.begin(), d.begin()], /open already/],
    ['a commit of nothing', (d) => d.commit(), /no transaction is open/],
    ['an abort of nothing', (d) => d.abort(), /no transaction is open/],
    ['a clock that goes backwards', (d) => d.advanceWallClock(-1), /moves forwards/],
    ['an input at half a millisecond', (d) => d.input(lines).advanceTime(0.5), /0.5 ms/],
    ['a clock before the epoch', () => testDriver(wordCount, { wallClock: -1 }), /stand at -1/],
    [
      'partitions of an internal topic',
      () => testDriver(wordCount, { partitions: { 'word-count-counts-changelog': 2 } }),
      /neither an input nor an output/,
    ],
    ['no partitions', () => testDriver(wordCount, { partitions: { lines: 0 } }), /0 is no number/],
    ['half a partition', () => testDriver(wordCount, { partitions: 1.5 }), /1.5 is no number/],
  ]

  it.each(mistakes)('hears of %s', (_, act, text) => {
    using driver = testDriver(wordCount)
    const error = thrownBy(() => act(driver))
    expect(error.code).toBe('DRIVER_MISUSED')
    expect(error.message).toMatch(text)
  })

  it('hears of settings that are none', () => {
    expect(() => testDriver(wordCount, { settings: { onFailure: 'panic' as never } })).toThrow(
      'SETTING_INVALID',
    )
  })

  it('hears that the driver is closed', () => {
    const driver = testDriver(wordCount)
    const input = driver.input(lines)
    const counted = driver.output(counts)
    const stored = driver.store(totals)
    driver.close()
    driver.close()
    const calls: readonly (() => unknown)[] = [
      () => input.send('a', 'x'),
      () => input.advanceTime(1),
      () => counted.read(),
      () => counted.isEmpty,
      () => stored.get('a'),
      () => stored.put('a', 1),
      () => [...stored.all()],
      () => driver.input(lines),
      () => driver.output(counts),
      () => driver.store(totals),
      () => driver.changelog(totals),
      () => driver.streamTime(),
      () => driver.advanceWallClock(1),
      () => driver.begin(),
      () => driver.commit(),
      () => driver.abort(),
      () => driver.run(),
      () => driver.restart(),
    ]
    for (const call of calls) expect(thrownBy(call).code, String(call)).toBe('CLOSED')
  })
})

describe('a record with a processor that kept its context', () => {
  it('is refused as in a worker', () => {
    let kept: (() => void) | undefined
    const app = topology('keeping', (t) =>
      t
        .stream(orders)
        .process({
          outputs: output<string, string>(),
          process(record, { forward }) {
            kept = () => forward(StreamRecord.of({ key: record.key, value: 'late', timestamp: 0 }))
          },
        })
        .to(done),
    )
    using driver = testDriver(app)
    driver.input(orders).send('a', 'x')
    expect(() => kept?.()).toThrow('CONTEXT_EXPIRED')
    expect(driver.output(done).isEmpty).toBe(true)
  })
})

describe('a record that a function keeps for a later call', () => {
  it('is refused in the driver as in a worker, whenever that comes to it', () => {
    let before: StreamRecord<string, string> | undefined
    const lagging = topology('lagging', (t) =>
      t
        .stream(orders)
        .map((record) => {
          const last = before ?? record
          before = record
          return last
        })
        .to(done),
    )
    const driver = testDriver(lagging)
    const input = driver.input(orders)
    input.send('a', 'one')
    expect(() => input.send('b', 'two')).toThrow(
      /RECORD_EXPIRED: a record was read after its turn.*topic orders, partition 0/,
    )
    driver.close()
  })
})
