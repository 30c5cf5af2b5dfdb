import { describe, expect, it } from 'vitest'
import {
  int64,
  nullable,
  sessions,
  sliding,
  store,
  string,
  topic,
  topology,
  tumbling,
  untilTimeLimit,
  untilWindowCloses,
  type HoldingLimits,
  type Sessions,
  type SlidingWindows,
  type TimeLimitOptions,
  type TimeWindows,
  type TopologyScope,
  windowed,
  windowStore,
} from '../../../src/index.ts'
import { testDriver, type TestDriverOptions } from '../../../src/testing/index.ts'

const input = topic('in', { key: string, value: nullable(int64) })
const other = topic('other', { key: string, value: nullable(int64) })
const rows = store('rows', { key: string, value: int64 })
const held = { name: 'held', key: string, value: int64 }
const told = topic('told', { key: string, value: nullable(int64) })
const ten = tumbling({ sizeMs: 10, graceMs: 5 })

type In = readonly [key: string, value: number | null, timestamp: number]

const runOf = (build: (t: TopologyScope) => void, options?: TestDriverOptions) =>
  testDriver(topology('suppressed', build), options)

/** Windows are told as `key@start-end`. */
const inWindows = (windows: TimeWindows | SlidingWindows | Sessions, limits?: HoldingLimits) =>
  runOf((t) => {
    const grouped = t.stream(input).groupByKey()
    const counts = windowStore('counts', { key: string, value: int64, retentionMs: 1000 })
    const counted =
      windows.kind === 'sessions'
        ? grouped.windowedBy(windows).count(counts)
        : grouped.windowedBy(windows).count(counts)
    counted
      .suppress(untilWindowCloses(limits), { name: 'held', key: windowed(string, windows), value: int64 })
      .toStream()
      .map(({ key, value }) => ({ key: `${key.key}@${key.start}-${key.end}`, value }))
      .to(told)
  })

const limited = (options: TimeLimitOptions) =>
  runOf((t) => t.table(input, rows).suppress(untilTimeLimit(options), held).toStream().to(told))

const send = (driver: ReturnType<typeof runOf>, records: readonly In[]): void => {
  for (const [key, value, timestamp] of records) driver.input(input).send(key, value, { timestamp })
}

const read = (driver: ReturnType<typeof runOf>): In[] =>
  driver
    .output(told)
    .readAll()
    .map(({ key, value, timestamp }): In => [key, value, timestamp])

describe('a table suppressed until its windows close', () => {
  it('tells each window once, in the order of time and key, as late as its latest record', () => {
    using driver = inWindows(ten)
    send(driver, [
      ['b', 1, 3],
      ['a', 1, 9],
      ['b', 1, 7],
      ['a', 1, 12],
      ['b', 1, 4],
    ])
    expect(read(driver)).toEqual([])
    send(driver, [['c', 1, 29]])
    expect(read(driver)).toEqual([
      ['a@0-10', 1, 9],
      ['b@0-10', 3, 7],
      ['a@10-20', 1, 12],
    ])
  })

  it('waits for the grace, to the last millisecond', () => {
    using driver = inWindows(ten)
    send(driver, [
      ['a', 1, 0],
      ['c', 1, 14],
    ])
    expect(read(driver)).toEqual([])
    send(driver, [['c', 1, 15]])
    expect(read(driver)).toEqual([['a@0-10', 1, 0]])
  })

  it('takes sessions that grew for what they became, and tells none that is gone', () => {
    using driver = inWindows(sessions({ gapMs: 5, graceMs: 10 }))
    send(driver, [
      ['a', 1, 0],
      ['a', 1, 8],
      ['a', 1, 4],
      ['b', 1, 50],
    ])
    expect(read(driver)).toEqual([['a@0-8', 3, 8]])
  })

  it('tells a session and a sliding window no sooner than they take nothing more', () => {
    for (const [windows, name] of [
      [sessions({ gapMs: 4, graceMs: 1 }), 'a@0-0'],
      [sliding({ sizeMs: 4, graceMs: 1 }), 'a@0-4'],
    ] as const) {
      using driver = inWindows(windows)
      send(driver, [
        ['a', 1, 0],
        ['b', 1, 5],
      ])
      expect(read(driver)).toEqual([])
      // The last moment at which it takes something.
      send(driver, [
        ['a', 1, 0],
        ['b', 1, 6],
      ])
      expect(read(driver)).toEqual([[name, 2, 0]])
    }
  })

  it('is more than one portion, before the next record', () => {
    using driver = inWindows(ten)
    driver.begin()
    const keys = Array.from({ length: 700 }, (_, index) => `k${1000 + index}`)
    send(
      driver,
      keys.map((key): In => [key, 1, 5]),
    )
    send(driver, [
      ['x', 1, 20],
      ['y', 1, 35],
    ])
    driver.commit()
    expect(read(driver).map(([key]) => key)).toEqual([...keys.map((key) => `${key}@0-10`), 'x@20-30'])
  })

  it('leaves out the one that fails where failures are skipped', () => {
    using driver = runOf(
      (t) => {
        t.table(input, rows)
          .suppress(untilTimeLimit({ waitMs: 10 }), held)
          .mapValues((value) => {
            if (value === 13) throw new Error('not this one')
            return value
          })
          .toStream()
          .to(told)
      },
      { settings: { onFailure: 'skip' } },
    )
    send(driver, [
      ['a', 1, 0],
      ['b', 13, 1],
      ['c', 3, 2],
      ['d', 4, 20],
      ['f', 5, 21],
      ['e', 6, 40],
    ])
    expect(read(driver)).toEqual([
      ['a', 1, 0],
      ['c', 3, 2],
      ['d', 4, 20],
      ['f', 5, 21],
    ])
    expect(driver.counts.skipped).toBe(1)
  })

  it('stops beyond a limit', () => {
    using driver = inWindows(ten, { recordsMax: 2 })
    send(driver, [
      ['a', 1, 0],
      ['b', 1, 0],
      // Those two are told first.
      ['a', 1, 15],
      ['b', 1, 15],
    ])
    expect(read(driver)).toHaveLength(2)
    expect(() => send(driver, [['c', 1, 16]])).toThrow(/SUPPRESS_FULL.*holds 3 changes/s)
  })

  it('follows a filter and a mapping of the windows, kept or not', () => {
    using driver = runOf((t) =>
      t
        .stream(input)
        .groupByKey()
        .windowedBy(ten)
        .count(windowStore('counts', { key: string, value: int64 }))
        .filter((count) => count !== 2)
        .mapValues((count) => count * 10, store('tens', { key: windowed(string, ten), value: int64 }))
        .suppress(untilWindowCloses(), { ...held, key: windowed(string, ten) })
        .toStream()
        .map(({ key, value }) => ({ key: `${key.key}@${key.start}`, value }))
        .to(told),
    )
    send(driver, [
      ['a', 1, 0],
      ['b', 1, 0],
      ['b', 1, 0],
      ['c', 1, 15],
    ])
    expect(read(driver)).toEqual([['a@0', 10, 0]])
  })
})

describe('a join of windows, suppressed', () => {
  it('tells a window when it has closed on both sides', () => {
    using driver = runOf((t) => {
      const counted = (from: typeof input, name: string, graceMs: number) =>
        t
          .stream(from)
          .groupByKey()
          .windowedBy(tumbling({ sizeMs: 10, graceMs }))
          .count(windowStore(name, { key: string, value: int64, retentionMs: 100 }))
      counted(input, 'short', 0)
        .join(counted(other, 'long', 20), (one, two) => one * 100 + two)
        .suppress(untilWindowCloses(), { ...held, key: windowed(string, ten) })
        .toStream()
        .map(({ key, value }) => ({ key: `${key.key}@${key.start}`, value }))
        .to(told)
    })
    const both = (timestamp: number): void => {
      driver.input(other).send('a', 1, { timestamp })
      send(driver, [['a', 1, timestamp]])
    }
    both(1)
    both(29)
    expect(read(driver)).toEqual([])
    driver.input(other).send('a', 1, { timestamp: 2 })
    both(30)
    expect(read(driver)).toEqual([['a@0', 102, 2]])
  })
})

describe('a table suppressed until a time limit', () => {
  it('tells the last change of a key, at the place and time of the first', () => {
    using driver = limited({ waitMs: 10 })
    send(driver, [
      ['b', 1, 0],
      ['a', 1, 1],
      ['b', 2, 6],
      ['a', 2, 9],
    ])
    expect(read(driver)).toEqual([])
    send(driver, [['c', 1, 10]])
    expect(read(driver)).toEqual([['b', 2, 6]])
    send(driver, [['b', 3, 11]])
    expect(read(driver)).toEqual([['a', 2, 9]])
    send(driver, [['d', 1, 100]])
    expect(read(driver)).toEqual([
      ['c', 1, 10],
      ['b', 3, 11],
    ])
  })

  it('tells at once what is late already, and what need not wait', () => {
    using driver = limited({ waitMs: 10 })
    send(driver, [
      ['a', 1, 50],
      ['b', 1, 40],
      ['a', 2, 30],
      ['c', 1, 41],
    ])
    expect(read(driver)).toEqual([['b', 1, 40]])
    using none = limited({ waitMs: 0 })
    send(none, [
      ['a', 1, 5],
      ['a', 2, 3],
    ])
    expect(read(none)).toEqual([
      ['a', 1, 5],
      ['a', 2, 3],
    ])
  })

  it('tells that a key is gone, also one that it never told', () => {
    using driver = limited({ waitMs: 10 })
    send(driver, [
      ['a', 1, 0],
      ['a', null, 1],
      ['b', 1, 20],
    ])
    expect(read(driver)).toEqual([['a', null, 1]])
  })

  it('tells the oldest early beyond a limit of keys', () => {
    using driver = limited({ waitMs: 100, recordsMax: 2 })
    send(driver, [
      ['a', 1, 5],
      ['b', 1, 3],
      ['a', 2, 6],
    ])
    expect(read(driver)).toEqual([])
    send(driver, [['c', 1, 7]])
    expect(read(driver)).toEqual([['b', 1, 3]])
    send(driver, [['d', 1, 4]])
    expect(read(driver)).toEqual([['d', 1, 4]])
  })

  it('tells early beyond a limit of bytes, as many as it takes', () => {
    // Time and key 9, timestamp 8, no headers 4, a change from nothing 5 and 8.
    using driver = limited({ waitMs: 100, bytesMax: 2 * 34 })
    send(driver, [
      ['a', 1, 1],
      ['b', 1, 2],
    ])
    expect(read(driver)).toEqual([])
    send(driver, [['long-key-of-so-many-bytes-that-it-takes-the-place-of-two', 1, 3]])
    expect(read(driver).map(([key]) => key)).toEqual(['a', 'b', expect.stringMatching(/^long/)])
    send(driver, [
      ['a', 2, 4],
      // A change of a value that was told takes its bytes as well.
      ['b', 2, 5],
    ])
    expect(read(driver).map(([key]) => key)).toEqual(['a'])
  })

  it('stops beyond a limit where it is told to, and goes on where the limit is higher', () => {
    using driver = limited({ waitMs: 100, recordsMax: 1, whenFull: 'stop' })
    send(driver, [['a', 1, 5]])
    expect(() => send(driver, [['b', 1, 3]])).toThrow(/SUPPRESS_FULL/)
    expect(read(driver)).toEqual([])
  })

  it('hands on the headers of the last change', () => {
    using driver = limited({ waitMs: 10 })
    const headers = [
      { key: 'trace', value: Buffer.from('x') },
      { key: 'nothing', value: null },
    ]
    driver.input(input).send('a', 1, { timestamp: 1, headers })
    driver.input(input).send('b', 1, { timestamp: 20 })
    expect(driver.output(told).readAll()[0]?.headers).toEqual(headers)
  })
})

describe('what is behind a suppressed table', () => {
  it('sees what was told: a row is taken out of an aggregate as it was put in', () => {
    const sums = store('sums', { key: string, value: int64 })
    using driver = runOf((t) =>
      t
        .table(input, rows)
        .suppress(untilTimeLimit({ waitMs: 10 }), held)
        .groupBy((value, key) => ({ key: key.slice(0, 1), value }), {
          name: 'first',
          key: string,
          value: int64,
        })
        .reduce(sums, { add: (sum, value) => sum + value, subtract: (sum, value) => sum - value })
        .toStream()
        .to(told),
    )
    send(driver, [
      ['aa', 1, 0],
      ['x', 0, 10],
      ['aa', 10, 11],
      ['aa', 100, 12],
      ['x', 1, 30],
    ])
    expect(driver.store(sums).get('a')).toBe(100)
  })

  it('is joined with what was told, until the change is', () => {
    const others = store('others', { key: string, value: int64 })
    using driver = runOf((t) =>
      t
        .table(input, rows)
        .suppress(untilTimeLimit({ waitMs: 10 }), held)
        .outerJoin(t.table(other, others), (one, two) => (one ?? 0) * 100 + (two ?? 0))
        .toStream()
        .to(told),
    )
    send(driver, [['a', 1, 0]])
    driver.input(other).send('a', 2, { timestamp: 20 })
    expect(read(driver)).toEqual([['a', 2, 20]])
    send(driver, [['x', 0, 10]])
    expect(read(driver)).toEqual([['a', 102, 20]])
    send(driver, [['a', 3, 11]])
    driver.input(other).send('a', 4, { timestamp: 30 })
    expect(read(driver)).toEqual([['a', 104, 30]])
  })
})

describe('what is held', () => {
  it.each([true, false])('is there after an abort and a restart (disk kept: %s)', (keepState) => {
    using driver = limited({ waitMs: 10 })
    send(driver, [['a', 1, 0]])
    driver.begin()
    send(driver, [['a', 2, 20]])
    driver.abort()
    expect(read(driver)).toEqual([])
    driver.run()
    expect(read(driver)).toEqual([['a', 2, 20]])
    send(driver, [['b', 1, 21]])
    driver.restart({ keepState })
    send(driver, [['c', 1, 40]])
    expect(read(driver)).toEqual([['b', 1, 21]])
  })
})
