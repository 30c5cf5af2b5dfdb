import { describe, expect, it } from 'vitest'
import {
  int64,
  nullable,
  type Sessions,
  sessions,
  store,
  string,
  topic,
  topology,
  type TopologyScope,
  windowed,
  windowStore,
} from '../../../src/index.ts'
import { testDriver } from '../../../src/testing/index.ts'

const input = topic('in', { key: string, value: nullable(string) })
const anyKey = topic('in', { key: nullable(string), value: nullable(string) })
const lates = topic('lates', { key: string, value: nullable(string) })
const counts = windowStore('counts', { key: string, value: int64 })
const totals = store('totals', { key: string, value: int64 })
const fives = sessions({ gapMs: 5, graceMs: 10 })
const out = topic('out', { key: windowed(string, fives), value: nullable(int64) })
const texts = topic('texts', { key: windowed(string, fives), value: nullable(string) })

type In = readonly [key: string | null, timestamp: number, value?: string | null]

const counting =
  (windows: Sessions, emit: 'on-update' | 'on-close' = 'on-update') =>
  (t: TopologyScope): void => {
    const table = t.stream(input).groupByKey().windowedBy(windows).count(counts, { emit })
    table.toStream().to(out)
    table.late().to(lates)
  }

/** Key, start, end, value and timestamp of what came out. */
const run = (records: readonly In[], describeIt: (t: TopologyScope) => void) => {
  const driver = testDriver(topology('sessions', describeIt))
  const results = (): unknown[] =>
    driver
      .output(out)
      .readAll()
      .map(({ key, value, timestamp }) => [key.key, key.start, key.end, value, timestamp])
  const send = (...[key, timestamp, value = 'v']: In): unknown =>
    driver.input(anyKey).send(key, value, { timestamp })
  for (const record of records) send(...record)
  return { driver, send, results }
}

describe('sessions', () => {
  it('grow as long as records are at most the gap apart, and old ones are taken out', () => {
    const { results } = run(
      [
        ['a', 10],
        ['a', 15],
        ['b', 16],
        ['a', 21],
      ],
      counting(fives),
    )
    expect(results()).toEqual([
      ['a', 10, 10, 1, 10],
      ['a', 10, 10, null, 10],
      ['a', 10, 15, 2, 15],
      ['b', 16, 16, 1, 16],
      ['a', 21, 21, 1, 21],
    ])
  })

  it('become one where a record comes between them', () => {
    const { results, driver } = run(
      [
        ['a', 10],
        ['a', 18],
        ['a', 14],
        ['a', 12],
      ],
      counting(fives),
    )
    expect(results().slice(2)).toEqual([
      ['a', 10, 10, null, 10],
      ['a', 18, 18, null, 18],
      ['a', 10, 18, 3, 18],
      ['a', 10, 18, null, 18],
      ['a', 10, 18, 4, 18],
    ])
    expect([...driver.store(counts).all()]).toEqual([{ key: { key: 'a', start: 10, end: 18 }, value: 4 }])
  })

  it('of one moment are changed in place', () => {
    const { results } = run(
      [
        ['a', 10],
        ['a', 10, null],
        [null, 99],
      ],
      counting(fives),
    )
    expect(results()).toEqual([
      ['a', 10, 10, 1, 10],
      ['a', 10, 10, 2, 10],
    ])
  })

  it('take what is late until gap and grace are over, by the end of what it becomes', () => {
    const { results, driver } = run(
      [
        ['b', 100],
        ['a', 85],
        ['a', 84],
        ['a', 89],
        ['a', 84],
      ],
      counting(fives),
    )
    expect(results().slice(1)).toEqual([
      ['a', 85, 85, 1, 85],
      ['a', 89, 89, 1, 89],
      ['a', 89, 89, null, 89],
      ['a', 84, 89, 2, 89],
    ])
    // At 85 it is past its retention for the next record already, as in Kafka Streams; the first 84 is late by itself.
    expect(driver.counts.late).toBe(1)
    expect(driver.output(lates).readAll()).toMatchObject([{ key: 'a', timestamp: 84 }])
  })

  it('told on close come once, in the order of their ends', () => {
    const { results, send } = run(
      [
        ['b', 10],
        ['a', 12],
        ['b', 14],
        ['a', 16],
        ['c', 29],
      ],
      counting(fives, 'on-close'),
    )
    expect(results()).toEqual([])
    send('c', 30)
    expect(results()).toEqual([['b', 10, 14, 2, 14]])
    send('z', 1000)
    expect(results()).toEqual([
      ['a', 12, 16, 2, 16],
      ['c', 29, 30, 2, 30],
    ])
    send('z', 1001)
    expect(results()).toEqual([])
  })

  const long = windowStore('long', { key: string, value: int64, retentionMs: 10_000 })
  const closing = (t: TopologyScope): void =>
    t.stream(input).groupByKey().windowedBy(fives).count(long, { emit: 'on-close' }).toStream().to(out)

  it('told on close come with the very record that closes them, whichever was opened last', () => {
    const { results, send } = run(
      [
        ['a', 20],
        ['b', 10],
        ['c', 25],
      ],
      closing,
    )
    expect(results()).toEqual([])
    send('c', 26)
    expect(results()).toEqual([['b', 10, 10, 1, 10]])
  })

  it('told on close come again where the transaction was aborted that told them', () => {
    const { results, send, driver } = run([['b', 10]], closing)
    driver.begin()
    send('z', 30)
    driver.abort()
    expect(results()).toEqual([])
    driver.run()
    expect(results()).toEqual([['b', 10, 10, 1, 10]])
  })

  it('told on close are more than one portion', () => {
    const records = Array.from({ length: 600 }, (_, index): In => [`k${index}`, 1])
    const { results, driver } = run([...records, ['z', 90]], counting(fives, 'on-close'))
    expect(results()).toHaveLength(600)
    expect([...driver.store(counts).all()]).toHaveLength(1)
  })

  it('are put together by reduce and aggregate', () => {
    const joined = windowStore('joined', { key: string, value: nullable(string) })
    const marked = windowStore('marked', { key: string, value: string })
    const { driver } = run(
      [
        ['a', 10, 'x'],
        ['a', 18, 'y'],
        ['a', 14, 'z'],
      ],
      (t) => {
        const grouped = t.stream(input).groupByKey().windowedBy(fives)
        grouped
          .reduce(joined, (one, other) => `${one}${other}`)
          .toStream()
          .to(texts)
        grouped.aggregate(marked, {
          initial: () => '.',
          add: ({ value }, marks) => `${marks}${value}`,
          merge: (one, other) => `(${one}+${other})`,
        })
      },
    )
    expect(
      driver
        .output(texts)
        .readAll()
        .map(({ value }) => value),
    ).toEqual(['x', 'y', null, null, 'xyz'])
    expect([...driver.store(marked).all()].map(({ value }) => value)).toEqual(['((.+.x)+.y)z'])
  })

  it('follow each other in tables behind them', () => {
    const sizes = windowStore('sizes', { key: string, value: int64 })
    const perKey = topic('per-key', { key: string, value: nullable(int64) })
    const { driver } = run(
      [
        ['a', 10],
        ['a', 30],
        ['a', 32],
      ],
      (t) => {
        t.stream(input)
          .groupByKey()
          .windowedBy(fives)
          .count(sizes)
          .groupBy((value, { key }) => ({ key, value }), { name: 'by-key', key: string, value: int64 })
          .reduce(totals, { add: (sum, value) => sum + value, subtract: (sum, value) => sum - value })
          .toStream()
          .to(perKey)
      },
    )
    expect([...driver.output(perKey).toMap()]).toEqual([['a', 3]])
  })

  it('are read by key and start, within their retention', () => {
    const kept = windowStore('kept', { key: string, value: int64, retentionMs: 40 })
    const { driver, send } = run(
      [
        ['a', 10],
        ['a', 13],
        ['ab', 11],
        ['a', 30],
      ],
      (t) => void t.stream(input).groupByKey().windowedBy(fives).count(kept),
    )
    const store = driver.store(kept)
    const show = (found: Iterable<{ key: { key: string; start: number; end: number }; value: number }>) =>
      [...found].map(({ key, value }) => `${key.key}${key.start}-${key.end}=${value}`)
    expect(store.get('a', 10)).toBe(2)
    expect(store.get('a', 11)).toBeUndefined()
    expect(show(store.fetch('a', 0, 30))).toEqual(['a10-13=2'])
    expect(show(store.fetch('a', 11, 31))).toEqual(['a30-30=1'])
    expect(show(store.fetchAll(0, 30))).toEqual(['ab11-11=1', 'a10-13=2'])
    send('z', 52)
    expect(show(store.all())).toEqual(['a10-13=2', 'a30-30=1', 'z52-52=1'])
    send('z', 53)
    expect(show(store.all())).toEqual(['a30-30=1', 'z52-53=2'])
    driver.restart()
    expect(show(store.all())).toEqual(['a30-30=1', 'z52-53=2'])
  })

  it('leave nothing behind in the changelog', () => {
    const { driver } = run(
      [
        ['a', 10],
        ['b', 13],
        ['a', 14],
        ['b', 30],
        ['c', 500],
      ],
      counting(fives),
    )
    const raw = topic(driver.topics.find((name) => name.endsWith('-counts-changelog')) as string, {
      key: {
        name: 'latin1',
        encode: () => Buffer.alloc(0),
        decode: (key: Uint8Array) => Buffer.from(key).toString('latin1'),
      },
      value: nullable(string),
    })
    const live = [...driver.output(raw).toMap()].filter(([, value]) => value !== null)
    // The session of c, its place, and the progress.
    expect(live).toHaveLength(3)
  })
})

describe('a mistake with sessions', () => {
  it.each([
    [sessions({ gapMs: 0, graceMs: 0 }), /gapMs is 0, but takes a whole number from 1/],
    [sessions({ gapMs: 5, graceMs: -1 }), /graceMs is -1, but takes a whole number from 0/],
    [
      sessions({ gapMs: 5, graceMs: 96 }),
      /retentionMs is 100, but what comes within gap and grace takes 101 ms/,
    ],
  ])('is named', (windows, expected) => {
    const short = windowStore('short', { key: string, value: int64, retentionMs: 100 })
    expect(() =>
      topology('sessions', (t) => void t.stream(input).groupByKey().windowedBy(windows).count(short)),
    ).toThrow(expected)
  })
})
