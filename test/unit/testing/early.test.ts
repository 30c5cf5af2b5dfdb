// Early results of windows that are told on close.
import { describe, expect, it } from 'vitest'
import {
  calendar,
  int64,
  nullable,
  sessions,
  sliding,
  string,
  topic,
  topology,
  type TopologyScope,
  tumbling,
  unlimited,
  type Windowed,
  windowed,
  windowStore,
} from '../../../src/index.ts'
import { type TestDriver, testDriver } from '../../../src/testing/index.ts'

const input = topic('in', { key: string, value: nullable(int64) })
const ten = tumbling({ sizeMs: 10, graceMs: 5 })
const visits = sessions({ gapMs: 5, graceMs: 10 })
const counts = windowStore('counts', { key: string, value: int64 })
const sums = windowStore('sums', { key: string, value: nullable(int64) })
const value = nullable(int64)
const finals = topic('finals', { key: windowed(string, ten), value })
const earlies = topic('earlies', { key: windowed(string, ten), value })
const visitsSoFar = topic('visits', { key: windowed(string, visits), value })
const onClose = { emit: 'on-close' } as const

const counting = topology('early', (t) => {
  const counted = t.stream(input).groupByKey().windowedBy(ten).count(counts, onClose)
  counted.toStream().to(finals)
  counted.early({ everyMs: 4 }).to(earlies)
})

type In = readonly [key: string, timestamp: number, value?: number]

const send = (driver: TestDriver, ...records: readonly In[]): void => {
  for (const [key, timestamp, number = 1] of records) driver.input(input).send(key, number, { timestamp })
}

type Topic = typeof finals

/** Key, start, value and timestamp of each result. */
const told = (driver: TestDriver, from: Topic): string[] =>
  driver
    .output(from)
    .readAll()
    .map(({ key, value: number, timestamp }) => `${key.key}@${key.start}=${number}/${timestamp}`)

const run = (describeIt: (t: TopologyScope) => void, ...records: readonly In[]): TestDriver => {
  const driver = testDriver(topology('early', describeIt))
  send(driver, ...records)
  return driver
}

describe('early results', () => {
  it('are what has changed, whenever stream time passes a multiple; the final ones are told apart from them', () => {
    using driver = testDriver(counting)
    send(driver, ['b', 1], ['a', 1], ['a', 3])
    // The first record moves time past 0.
    expect(told(driver, earlies)).toEqual(['b@0=1/1'])
    send(driver, ['a', 4])
    expect(told(driver, earlies)).toEqual(['a@0=3/4'])
    send(driver, ['a', 6], ['a', 5], ['b', 7], ['c', 13])
    expect(told(driver, earlies)).toEqual(['a@0=5/6', 'b@0=2/7', 'c@10=1/13'])
    // Nothing but the window that is new has changed since.
    send(driver, ['c', 15], ['c', 16])
    expect(told(driver, earlies)).toEqual(['c@10=3/16'])
    expect(told(driver, finals)).toEqual(['a@0=5/6', 'b@0=2/7'])
  })

  it('are those of windows that are open: what has closed is final', () => {
    using driver = testDriver(counting)
    send(driver, ['a', 1], ['a', 2], ['b', 11], ['b', 12], ['c', 16])
    expect(told(driver, earlies)).toEqual(['a@0=1/1', 'a@0=2/2', 'b@10=1/11', 'b@10=2/12', 'c@10=1/16'])
    send(driver, ['b', 17], ['z', 1000])
    expect(told(driver, earlies)).toEqual(['z@1000=1/1000'])
    expect(told(driver, finals)).toEqual(['a@0=2/2', 'b@10=3/17', 'c@10=1/16'])
  })

  it('and the final ones can go the same way, in their order', () => {
    const all = topic('all', { key: string, value: string })
    const text = (kind: string) => (one: { key: Windowed<string>; value: number }) => ({
      key: one.key.key,
      value: `${kind} ${one.value}`,
    })
    using driver = run(
      (t) => {
        const table = t.stream(input).groupByKey().windowedBy(ten).count(counts, onClose)
        const early = table.early({ everyMs: 4 }).map(text('early'))
        table.toStream().map(text('final')).merge(early).to(all)
      },
      ['a', 1],
      ['a', 2],
      ['a', 4],
      ['b', 15],
    )
    expect(driver.output(all).readKeyValues()).toEqual([
      { key: 'a', value: 'early 1' },
      { key: 'a', value: 'early 3' },
      { key: 'a', value: 'final 3' },
      { key: 'b', value: 'early 1' },
    ])
  })

  it('of a session that was told and becomes one with another are taken back', () => {
    using driver = run(
      (t) =>
        t
          .stream(input)
          .groupByKey()
          .windowedBy(visits)
          .count(counts, onClose)
          .early({ everyMs: 10 })
          .to(visitsSoFar),
      ['a', 1],
      ['b', 3],
      ['b', 4],
      ['a', 8],
      ['z', 10],
    )
    // b@3-3 came and went before it was told.
    expect(told(driver, visitsSoFar)).toEqual(['a@1=1/1', 'b@3=2/4', 'a@8=1/8', 'z@10=1/10'])
    send(driver, ['a', 4], ['z', 20])
    expect(told(driver, visitsSoFar)).toEqual(['a@1=null/20', 'a@1=3/8', 'a@8=null/20', 'z@20=1/20'])
  })

  it('of a session that was told are taken back also where all has closed meanwhile', () => {
    using driver = run(
      (t) =>
        t
          .stream(input)
          .groupByKey()
          .windowedBy(visits)
          .count(counts, onClose)
          .early({ everyMs: 10 })
          .to(visitsSoFar),
      ['a', 1],
      ['a', 2],
      ['z', 1000],
    )
    expect(told(driver, visitsSoFar)).toEqual(['a@1=1/1', 'a@1=null/1000', 'z@1000=1/1000'])
  })

  it('are null where an aggregate that was told is taken out, and nothing where it comes back as nothing', () => {
    using driver = run(
      (t) =>
        t
          .stream(input)
          .groupByKey()
          .windowedBy(ten)
          .reduce(sums, (one, other) => (other === 0 ? null : (one ?? 0) + (other ?? 0)), onClose)
          .early({ everyMs: 3 })
          .to(earlies),
      ['a', 1, 5],
      ['a', 1, 0],
      ['b', 1, 7],
      ['b', 2, 0],
      ['a', 3, 0],
    )
    expect(told(driver, earlies)).toEqual(['a@0=5/1', 'a@0=0/3'])
    // Taken out again, and back before the next time.
    send(driver, ['a', 4, 0], ['a', 4, 6], ['c', 6])
    expect(told(driver, earlies)).toEqual(['a@0=6/4', 'c@0=1/6'])
    send(driver, ['a', 8, 0], ['c', 9])
    expect(told(driver, earlies)).toEqual(['a@0=null/9', 'c@0=2/9'])
  })

  it('of sliding windows, and of those of the calendar', () => {
    const slides = sliding({ sizeMs: 5, graceMs: 5 })
    const days = calendar({ every: 'day', timeZone: 'UTC', graceMs: 0 })
    const hourMs = 3_600_000
    const slidesSoFar = topic('slides', { key: windowed(string, slides), value: int64 })
    const daysSoFar = topic('days', { key: windowed(string, days), value: int64 })
    using driver = run(
      (t) => {
        const grouped = t.stream(input).groupByKey()
        const ofDays = windowStore('days', { key: string, value: int64 })
        grouped.windowedBy(slides).count(counts, onClose).early({ everyMs: 4 }).to(slidesSoFar)
        grouped.windowedBy(days).count(ofDays, onClose).early({ everyMs: hourMs }).to(daysSoFar)
      },
      ['a', 6],
      ['a', 7],
      ['a', 9],
      ['a', hourMs - 1],
      ['a', hourMs + 5],
      ['a', 24 * hourMs],
    )
    expect(told(driver, slidesSoFar as never).slice(0, 6)).toEqual([
      'a@1=1/6',
      'a@2=2/7',
      'a@4=3/9',
      'a@7=2/9',
      'a@8=1/9',
      `a@${hourMs - 6}=1/${hourMs - 1}`,
    ])
    expect(told(driver, daysSoFar as never)).toEqual([
      'a@0=1/6',
      `a@0=5/${hourMs + 5}`,
      `a@${24 * hourMs}=1/${24 * hourMs}`,
    ])
  })

  it('of a cogroup, whatever input a change came from', () => {
    const others = topic('others', { key: string, value: nullable(int64) })
    using driver = run((t) => {
      const add = ({ value: number }: { value: number | null }, sum: number): number => sum + (number ?? 0)
      t.stream(input)
        .groupByKey()
        .cogroup(add)
        .cogroup(t.stream(others).groupByKey(), add)
        .windowedBy(ten)
        .aggregate(counts, { initial: () => 0 }, onClose)
        .early({ everyMs: 4 })
        .to(earlies)
    })
    send(driver, ['a', 1, 5])
    driver.input(others).send('a', 30, { timestamp: 4 })
    expect(told(driver, earlies)).toEqual(['a@0=5/1', 'a@0=35/4'])
  })

  it('that are due survive a commit, a restart and the loss of the disk; what is aborted is told of nothing', () => {
    for (const keepState of [true, false]) {
      using driver = testDriver(counting)
      send(driver, ['a', 1], ['a', 2])
      driver.begin()
      send(driver, ['a', 3], ['b', 4])
      driver.abort()
      driver.run()
      driver.restart({ keepState })
      send(driver, ['c', 5], ['b', 8])
      expect(told(driver, earlies)).toEqual(['a@0=1/1', 'a@0=3/3', 'b@0=1/4', 'b@0=2/8', 'c@0=1/5'])
    }
  })

  it('are more than one portion, and come before the next record', () => {
    using driver = testDriver(counting)
    const keys = Array.from({ length: 600 }, (_, index) => `k${1000 + index}`)
    send(driver, ['a', 1], ...keys.map((key): In => [key, 2]), ['a', 4], ['b', 4])
    const expected = keys.map((key) => `${key}@0=1/2`)
    expect(told(driver, earlies)).toEqual(['a@0=1/1', 'a@0=2/4', ...expected])
    send(driver, ['b', 8])
    expect(told(driver, earlies)).toEqual(['b@0=2/8'])
  })

  it('leave out the one that fails where failures are skipped', () => {
    const describeIt = (t: TopologyScope): void => {
      const counted = t.stream(input).groupByKey().windowedBy(ten).count(counts, onClose)
      counted.toStream().to(finals)
      counted
        .early({ everyMs: 4 })
        .peek(({ key }) => {
          if (key.key === 'bad') throw new Error('bad')
        })
        .to(earlies)
    }
    using driver = testDriver(topology('early', describeIt), { settings: { onFailure: 'skip' } })
    send(driver, ['a', 1], ['a', 2], ['bad', 2], ['c', 2], ['c', 4], ['z', 20])
    expect(told(driver, earlies)).toEqual(['a@0=1/1', 'a@0=2/2', 'c@0=2/4', 'z@20=1/20'])
    expect(told(driver, finals)).toEqual(['a@0=2/2', 'bad@0=1/2', 'c@0=2/4'])
    expect(driver.counts.skipped).toBe(1)
  })

  it('leave nothing behind in the store when the windows are gone', () => {
    using driver = testDriver(counting)
    send(driver, ['a', 1], ['b', 2], ['a', 3], ['a', 12], ['z', 100], ['z', 200])
    const raw = topic(driver.topics.find((name) => name.endsWith('-counts-changelog')) as string, {
      key: {
        name: 'hex',
        encode: () => Buffer.alloc(0),
        decode: (key: Uint8Array) => Buffer.from(key).toString('hex'),
      },
      value: nullable(string),
    })
    const live = [...driver.output(raw).toMap()].flatMap(([key, left]) => (left === null ? [] : [key]))
    // The window of 200, how far its time has come, and how far the walk over what was told early.
    expect(live.toSorted()).toEqual([`${'00'.repeat(7)}c87a`, 'fe', 'ff'])
  })
})

describe('a mistake with early results', () => {
  const mistakeOf = (describeIt: (t: TopologyScope) => void): string => {
    try {
      topology('early', describeIt)
    } catch (error) {
      return (error as Error).message
    }
    return 'none'
  }
  const table = (t: TopologyScope) => t.stream(input).groupByKey().windowedBy(ten).count(counts, onClose)

  it.each<readonly [string, (t: TopologyScope) => unknown, RegExp]>([
    [
      'a time that is none',
      (t) => table(t).early({ everyMs: 0 }).to(earlies),
      /early of windowedCount-counts: everyMs is 0, but takes a whole number from 1/,
    ],
    [
      'two times',
      (t) => {
        const counted = table(t)
        counted.early({ everyMs: 5 }).to(earlies)
        counted.early({ everyMs: 7 }).to(earlies)
      },
      /early of windowedCount-counts: everyMs is 7, and 5 in another place/,
    ],
    [
      'a table that tells each change',
      (t) => t.stream(input).groupByKey().windowedBy(ten).count(counts).early({ everyMs: 5 }).to(earlies),
      /early of windowedCount-counts: the table tells no final results: take emit: 'on-close'/,
    ],
    [
      'windows without an end',
      (t) =>
        t.stream(input).groupByKey().windowedBy(unlimited()).count(counts).early({ everyMs: 5 }).to(earlies),
      /early of windowedCount-counts: windows without an end have no final results/,
    ],
    [
      'results that lead nowhere',
      (t) => table(t).early({ everyMs: 5 }),
      /the output early of windowedCount-counts leads nowhere/,
    ],
  ])('%s is named', (_case, describeIt, expected) => {
    expect(mistakeOf((t) => void describeIt(t))).toMatch(expected)
  })

  it('the same time twice is none', () => {
    expect(
      mistakeOf((t) => {
        const counted = table(t)
        counted.early({ everyMs: 5 }).to(earlies)
        counted.early({ everyMs: 5 }).to(finals)
      }),
    ).toBe('none')
  })
})
