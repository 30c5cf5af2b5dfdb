import { describe, expect, it } from 'vitest'
import {
  hopping,
  int64,
  nullable,
  string,
  topic,
  topology,
  tumbling,
  type TimeWindows,
  windowed,
  windowStore,
} from '../../../src/index.ts'
import type { TopologyScope } from '../../../src/index.ts'
import { testDriver } from '../../../src/testing/index.ts'

const input = topic('in', { key: string, value: nullable(string) })
/** The same one, for records without a key. */
const anyKey = topic('in', { key: nullable(string), value: nullable(string) })
const lates = topic('lates', { key: string, value: nullable(string) })
const counts = windowStore('counts', { key: string, value: int64 })
const ten = tumbling({ sizeMs: 10, graceMs: 0 })
const outOf = (windows: TimeWindows) =>
  topic('out', { key: windowed(string, windows), value: nullable(int64) })

type In = readonly [key: string | null, timestamp: number, value?: string | null]
/** Key, start and end of the window, value, timestamp. */
type Out = readonly [key: string, start: number, end: number, value: number | null, timestamp: number]

const counting =
  (windows: TimeWindows, emit: 'on-update' | 'on-close' = 'on-update') =>
  (t: TopologyScope): void =>
    t.stream(input).groupByKey().windowedBy(windows).count(counts, { emit }).toStream().to(outOf(windows))

const run = (windows: TimeWindows, records: readonly In[], describeIt = counting(windows)) => {
  const driver = testDriver(topology('windows', describeIt))
  for (const [key, timestamp, value = 'v'] of records) driver.input(anyKey).send(key, value, { timestamp })
  const out = driver
    .output(outOf(windows))
    .readAll()
    .map(({ key, value, timestamp }): Out => [key.key, key.start, key.end, value, timestamp])
  return { driver, out }
}

describe('tumbling windows', () => {
  it('count each key apart, from start to before the end, as late as the latest record', () => {
    const { out } = run(ten, [
      ['a', 0],
      ['a', 9],
      ['b', 3],
      ['a', 5],
      ['a', 10],
    ])
    expect(out).toEqual([
      ['a', 0, 10, 1, 0],
      ['a', 0, 10, 2, 9],
      ['b', 0, 10, 1, 3],
      ['a', 0, 10, 3, 9],
      ['a', 10, 20, 1, 10],
    ])
  })

  it('take what is late within the grace, to the last millisecond', () => {
    const { driver, out } = run(tumbling({ sizeMs: 10, graceMs: 5 }), [
      ['a', 1],
      ['b', 14],
      ['a', 2],
      ['b', 15],
      ['a', 3],
      ['a', 12],
    ])
    expect(out).toEqual([
      ['a', 0, 10, 1, 1],
      ['b', 10, 20, 1, 14],
      ['a', 0, 10, 2, 2],
      ['b', 10, 20, 2, 15],
      ['a', 10, 20, 1, 12],
    ])
    expect(driver.counts).toMatchObject({ processed: 6, late: 1 })
  })

  it('leave out what has no key, but count what has no value', () => {
    const { out, driver } = run(ten, [
      [null, 50],
      ['a', 1, null],
      ['a', 2],
    ])
    expect(out).toEqual([
      ['a', 0, 10, 1, 1],
      ['a', 0, 10, 2, 2],
    ])
    expect(driver.counts.late).toBe(0)
  })

  it('have a time of their own: of the records that come to them', () => {
    const { out } = run(
      ten,
      [
        ['a', 1],
        ['a', 99, 'other'],
        ['a', 2],
      ],
      (t) =>
        t
          .stream(input)
          .filter(({ value }) => value !== 'other')
          .groupByKey()
          .windowedBy(ten)
          .count(counts)
          .toStream()
          .to(outOf(ten)),
    )
    expect(out).toEqual([
      ['a', 0, 10, 1, 1],
      ['a', 0, 10, 2, 2],
    ])
  })

  it('hand what is late to a side output, as it came', () => {
    const { driver } = run(
      ten,
      [
        ['a', 1],
        ['a', 10],
        ['a', 2, 'too late'],
        ['b', 3, null],
        ['b', 11],
      ],
      (t) => {
        const table = t.stream(input).groupByKey().windowedBy(ten).count(counts)
        table.late().to(lates)
        table.toStream().to(outOf(ten))
      },
    )
    expect(driver.output(lates).readAll()).toMatchObject([
      { key: 'a', value: 'too late', timestamp: 2 },
      { key: 'b', value: null, timestamp: 3 },
    ])
    expect(driver.counts.late).toBe(2)
  })

  it('count what is late once, and not at all where its record fails', () => {
    const driver = testDriver(
      topology('windows', (t) => {
        t.stream(input)
          .groupByKey()
          .windowedBy(ten)
          .count(counts)
          .late()
          .peek(({ value }) => {
            if (value === 'bad') throw new Error('bad')
          })
          .to(lates)
      }),
      { settings: { onFailure: 'skip' } },
    )
    for (const [value, timestamp] of [
      ['v', 20],
      ['bad', 1],
      ['good', 2],
    ] as const)
      driver.input(input).send('a', value, { timestamp })
    expect(driver.counts).toMatchObject({ late: 1, skipped: 1 })
  })

  it('hand it over also where nobody reads the table', () => {
    const { driver } = run(
      ten,
      [
        ['a', 10],
        ['a', 2],
      ],
      (t) => {
        t.stream(input).groupByKey().windowedBy(ten).count(counts).late().to(lates)
        t.stream(topic('other', { key: windowed(string, ten), value: int64 })).to(outOf(ten))
      },
    )
    expect(driver.output(lates).readKeyValues()).toEqual([{ key: 'a', value: 'v' }])
  })
})

describe('hopping windows', () => {
  const hops = hopping({ sizeMs: 10, advanceMs: 4, graceMs: 0 })

  it('are several for a record, the oldest first, and none begins before 0', () => {
    const { out } = run(hops, [
      ['a', 3],
      ['a', 9],
    ])
    expect(out).toEqual([
      ['a', 0, 10, 1, 3],
      ['a', 0, 10, 2, 9],
      ['a', 4, 14, 1, 9],
      ['a', 8, 18, 1, 9],
    ])
  })

  it('close one by one: a record may be late for the first of them', () => {
    const { driver, out } = run(hops, [
      ['b', 12],
      ['a', 9],
    ])
    expect(out.filter(([key]) => key === 'a')).toEqual([
      ['a', 4, 14, 1, 9],
      ['a', 8, 18, 1, 9],
    ])
    expect(driver.counts.late).toBe(1)
  })
})

describe('windows told on close', () => {
  it('come once each, in the order of time, with the timestamp of their latest record', () => {
    const { out } = run(
      ten,
      [
        ['b', 1],
        ['a', 8],
        ['b', 5],
        ['c', 12],
        ['a', 40],
        ['a', 41],
      ],
      counting(ten, 'on-close'),
    )
    expect(out).toEqual([
      ['a', 0, 10, 1, 8],
      ['b', 0, 10, 2, 5],
      ['c', 10, 20, 1, 12],
    ])
  })

  it('wait for the grace', () => {
    const windows = tumbling({ sizeMs: 10, graceMs: 5 })
    const { driver, out } = run(
      windows,
      [
        ['a', 1],
        ['a', 14],
        ['a', 2],
      ],
      counting(windows, 'on-close'),
    )
    expect(out).toEqual([])
    driver.input(input).send('z', 'v', { timestamp: 15 })
    expect(driver.output(outOf(windows)).readAll()).toMatchObject([
      { key: { key: 'a', start: 0, end: 10 }, value: 2, timestamp: 2 },
    ])
  })

  it('are more than one portion, and come before the next record', () => {
    const records = Array.from({ length: 700 }, (_, index): In => [`k${index}`, 1])
    const { driver, out } = run(ten, [...records, ['z', 30], ['z', 50]], counting(ten, 'on-close'))
    expect(out.map(([key]) => key)).toEqual([...records.map(([key]) => key).sort(), 'z'])
    expect([...driver.store(counts).all()]).toEqual([{ key: { key: 'z', start: 50, end: 60 }, value: 1 }])
  })

  it('are more than one portion also where they are kept longer', () => {
    const kept = windowStore('counts', { key: string, value: int64, retentionMs: 1000 })
    const records = Array.from({ length: 700 }, (_, index): In => [`k${index}`, 1])
    const { driver, out } = run(ten, [...records, ['z', 30]], (t) =>
      t
        .stream(input)
        .groupByKey()
        .windowedBy(ten)
        .count(kept, { emit: 'on-close' })
        .toStream()
        .to(outOf(ten)),
    )
    expect(out).toHaveLength(700)
    expect([...driver.store(kept).all()]).toHaveLength(701)
  })

  it('a window whose consumer fails is skipped alone, where failures are', () => {
    const driver = testDriver(
      topology('windows', (t) =>
        t
          .stream(input)
          .groupByKey()
          .windowedBy(ten)
          .count(counts, { emit: 'on-close' })
          .toStream()
          .mapValues((value, { key: { key } }) => {
            if (key === 'k3') throw new Error('no k3')
            return value
          })
          .to(outOf(ten)),
      ),
      { settings: { onFailure: 'skip' } },
    )
    for (let index = 0; index < 6; index++) driver.input(input).send(`k${index}`, 'v', { timestamp: 1 })
    driver.input(input).send('z', 'v', { timestamp: 20 })
    const keys = driver
      .output(outOf(ten))
      .readAll()
      .map(({ key }) => key.key)
    expect(keys).toEqual(['k0', 'k1', 'k2', 'k4', 'k5'])
    expect(driver.counts.skipped).toBe(1)
  })

  it('or fails the transaction, and comes again', () => {
    let broken = true
    const driver = testDriver(
      topology('windows', (t) =>
        t
          .stream(input)
          .groupByKey()
          .windowedBy(ten)
          .count(counts, { emit: 'on-close' })
          .toStream()
          .peek(() => {
            if (broken) throw new Error('not now')
          })
          .to(outOf(ten)),
      ),
    )
    driver.input(input).send('a', 'v', { timestamp: 1 })
    expect(() => driver.input(input).send('z', 'v', { timestamp: 20 })).toThrow(
      /PUNCTUATOR_FAILED: what a closed window or a timer led to failed.*not now/,
    )
    broken = false
    driver.run()
    expect(driver.output(outOf(ten)).readAll()).toHaveLength(1)
  })
})

describe('a store of windows', () => {
  const kept = windowStore('counts', { key: string, value: int64, retentionMs: 30 })
  const keeping = (t: TopologyScope): void => {
    t.stream(input).groupByKey().windowedBy(ten).count(kept).toStream().to(outOf(ten))
  }
  const records: readonly In[] = [
    ['a', 1],
    ['b', 2],
    ['a', 12],
    ['a', 21],
    ['b', 21],
  ]

  it('is read by key and time, within its retention', () => {
    const { driver } = run(ten, records, keeping)
    const windows = driver.store(kept)
    const of = (found: Iterable<{ key: { key: string; start: number }; value: number }>): unknown[] =>
      [...found].map(({ key, value }) => `${key.key}${key.start}=${value}`)
    expect(windows.get('a', 10)).toBe(1)
    expect(windows.get('a', 11)).toBeUndefined()
    expect(windows.get('a', -10)).toBeUndefined()
    expect(of(windows.fetch('a', 0, 20))).toEqual(['a0=1', 'a10=1'])
    expect(of(windows.fetch('a', 1, 21))).toEqual(['a10=1', 'a20=1'])
    expect(of(windows.fetch('b', 0, Number.POSITIVE_INFINITY))).toEqual(['b0=1', 'b20=1'])
    expect(of(windows.fetchAll(0, 20))).toEqual(['a0=1', 'b0=1', 'a10=1'])
    expect([...windows.all()].at(-1)).toEqual({ key: { key: 'b', start: 20, end: 30 }, value: 1 })
    driver.input(input).send('b', 'v', { timestamp: 29 })
    expect(windows.get('a', 0)).toBe(1)
    driver.input(input).send('b', 'v', { timestamp: 30 })
    expect(windows.get('a', 0)).toBeUndefined()
    expect(of(windows.all())).toEqual(['a10=1', 'a20=1', 'b20=2', 'b30=1'])
  })

  it('loses what is past its retention also in its changelog', () => {
    const { driver } = run(ten, [...records, ['a', 100]], keeping)
    const raw = topic(driver.topics.find((name) => name.endsWith('-counts-changelog')) as string, {
      key: {
        name: 'latin1',
        encode: () => Buffer.alloc(0),
        decode: (key: Uint8Array) => Buffer.from(key).toString('latin1'),
      },
      value: nullable(string),
    })
    const of100 = `${'\u0000'.repeat(7)}da`
    const live = [...driver.output(raw).toMap()].flatMap(([key, value]) => (value === null ? [] : [key]))
    // Beside the window of 100 there is the progress of the walks.
    expect(live.sort()).toEqual([of100, '\u00ff'])
    const removedBy = (timestamp: number): string[] => {
      driver.input(input).send('b', 'v', { timestamp })
      const changes = driver.output(raw).readAll()
      return changes.filter(({ value }) => value === null).map(({ key }) => key)
    }
    expect(removedBy(129)).toEqual([])
    expect(removedBy(130)).toEqual([of100])
  })

  it('is there for a processor, also after a restart, and so is its time', () => {
    const seen: unknown[] = []
    const { driver } = run(
      ten,
      [
        ['a', 1],
        ['a', 12],
        ['a', 13],
      ],
      (t) => {
        const counted = t.stream(input).groupByKey().windowedBy(ten).count(kept)
        counted.toStream().to(outOf(ten))
        counted.toStream().process({
          stores: { kept },
          process: (_record, { stores }) => void seen.push(stores.kept.get('a', 10)),
        })
      },
    )
    expect(seen).toEqual([undefined, 1, 2])
    driver.restart()
    driver.input(input).send('a', 'late', { timestamp: 9 })
    expect(driver.counts.late).toBe(1)
    expect(driver.store(kept).get('a', 0)).toBe(1)
  })

  it('reduces and aggregates; an aggregate that becomes null is taken out', () => {
    const longest = windowStore('longest', { key: string, value: nullable(string) })
    const texts = topic('texts', { key: windowed(string, ten), value: nullable(string) })
    const driver = testDriver(
      topology('windows', (t) => {
        const grouped = t
          .stream(topic('words', { key: string, value: string }))
          .groupByKey()
          .windowedBy(ten)
        grouped
          .reduce(windowStore('joined', { key: string, value: string }), (left, right) => left + right)
          .filter((value) => value.length > 1)
          .toStream()
          .to(texts)
        grouped
          .aggregate(longest, {
            initial: () => '',
            add: ({ value }, longestYet) =>
              value === '-' ? null : value > (longestYet ?? '') ? value : longestYet,
          })
          .toStream()
          .to(topic('longests', { key: windowed(string, ten), value: nullable(string) }))
      }),
    )
    const words = driver.input(topic('words', { key: string, value: string }))
    words.send('k', 'x', { timestamp: 1 })
    words.send('k', '-', { timestamp: 2 })
    words.send('k', 'y', { timestamp: 3 })
    expect(
      driver
        .output(texts)
        .readAll()
        .map(({ value }) => value),
    ).toEqual(['x-', 'x-y'])
    const longests = topic('longests', { key: windowed(string, ten), value: nullable(string) })
    expect(
      driver
        .output(longests)
        .readAll()
        .map(({ value }) => value),
    ).toEqual(['x', null, 'y'])
  })

  it('joins with another table of windows', () => {
    const other = topic('other', { key: string, value: string })
    const rights = windowStore('rights', { key: string, value: int64 })
    const driver = testDriver(
      topology('windows', (t) => {
        const left = t.stream(input).groupByKey().windowedBy(ten).count(counts)
        const right = t.stream(other).groupByKey().windowedBy(ten).count(rights)
        left
          .join(right, (one, two) => one * 10 + two)
          .toStream()
          .to(outOf(ten))
      }),
    )
    driver.input(input).send('a', 'v', { timestamp: 1 })
    driver.input(other).send('a', 'v', { timestamp: 2 })
    driver.input(other).send('a', 'v', { timestamp: 12 })
    expect(driver.output(outOf(ten)).readAll()).toMatchObject([
      { key: { key: 'a', start: 0, end: 10 }, value: 11, timestamp: 2 },
    ])
  })
})
