import { describe, expect, it } from 'vitest'
import {
  int64,
  nullable,
  sliding,
  type SlidingWindows,
  string,
  topic,
  topology,
  type TopologyScope,
  windowed,
  windowStore,
} from '../../../src/index.ts'
import { testDriver } from '../../../src/testing/index.ts'

const input = topic('in', { key: nullable(string), value: nullable(string) })
const texts = topic('in', { key: string, value: string })
const joined = windowStore('joined', { key: string, value: string })
const tens = sliding({ sizeMs: 10, graceMs: 5 })
const out = topic('out', { key: windowed(string, tens), value: string })

type In = readonly [timestamp: number, value: string | null, key?: string | null]

const joining =
  (windows: SlidingWindows, emit: 'on-update' | 'on-close' = 'on-update') =>
  (t: TopologyScope): void =>
    t
      .stream(texts)
      .groupByKey()
      .windowedBy(windows)
      .reduce(joined, (left, right) => left + right, { emit })
      .toStream()
      .to(out)

/** What came out: start, end, value, timestamp. */
const run = (records: readonly In[], describeIt = joining(tens)) => {
  const driver = testDriver(topology('sliding', describeIt))
  const send = (...[timestamp, value, key = 'k']: In): unknown =>
    driver.input(input).send(key, value, { timestamp })
  const results = (): unknown[] =>
    driver
      .output(out)
      .readAll()
      .map(({ key, value, timestamp }) => [key.start, key.end, value, timestamp])
  for (const record of records) send(...record)
  return { driver, send, results }
}

describe('sliding windows', () => {
  it('end with each record, and begin after each that is followed by another', () => {
    const { results } = run([
      [20, 'a'],
      [25, 'b'],
      [31, 'c'],
    ])
    expect(results()).toEqual([
      [10, 20, 'a', 20],
      [21, 31, 'b', 25],
      [15, 25, 'ab', 25],
      [21, 31, 'bc', 31],
      [26, 36, 'c', 31],
    ])
  })

  it('are filled from their neighbours where a record comes between', () => {
    const { driver } = run(
      [
        [20, 'a'],
        [30, 'c'],
        [25, 'b'],
        [25, 'd'],
      ],
      joining(sliding({ sizeMs: 10, graceMs: 100 })),
    )
    expect([...driver.store(joined).all()].map(({ key, value }) => [key.start, value])).toEqual([
      [10, 'a'],
      [15, 'abd'],
      [20, 'acbd'],
      [21, 'cbd'],
      [26, 'c'],
    ])
  })

  it('share the one from 0 where they would begin before', () => {
    const { results } = run([
      [3, 'b'],
      [1, 'a'],
      [12, 'c'],
    ])
    expect(results()).toEqual([
      [0, 10, 'b', 3],
      [2, 12, 'b', 3],
      [0, 10, 'ba', 3],
      [2, 12, 'bc', 12],
      [4, 14, 'c', 12],
    ])
  })

  it('take what is late until the grace is over, window by window', () => {
    const { results, driver } = run([
      [40, 'x'],
      [25, 'a'],
      [24, 'late'],
      [34, 'b'],
    ])
    expect(results().slice(1)).toEqual([
      // Those that end with 25 and with 34 have closed at 35: 34 is only in the one that ends with 40.
      [30, 40, 'xb', 40],
      [35, 45, 'x', 40],
    ])
    expect(driver.counts.late).toBe(3)
  })

  it('leave out what has no key or no value, and its time', () => {
    const { results, driver } = run([
      [900, null],
      [900, 'x', null],
      [20, 'a'],
    ])
    expect(results()).toEqual([[10, 20, 'a', 20]])
    expect(driver.counts.late).toBe(0)
  })

  it('told on close come once, in the order of their starts', () => {
    const { results, send } = run(
      [
        [20, 'a'],
        [25, 'b'],
      ],
      joining(tens, 'on-close'),
    )
    send(25, 'c')
    expect(results()).toEqual([])
    send(26, 'd', 'other')
    expect(results()).toEqual([[10, 20, 'a', 20]])
    send(90, 'z', 'other')
    expect(results()).toEqual([
      [15, 25, 'abc', 25],
      [16, 26, 'd', 26],
      [21, 31, 'bc', 25],
    ])
  })

  it('told on close come with the very record that closes them', () => {
    const long = windowStore('long', { key: string, value: string, retentionMs: 100_000 })
    const { results, send } = run(
      [
        [24, 'c', 'other'],
        [20, 'a'],
        [25, 'b', 'other'],
      ],
      (t) =>
        t
          .stream(texts)
          .groupByKey()
          .windowedBy(tens)
          .reduce(long, (left, right) => left + right, { emit: 'on-close' })
          .toStream()
          .to(out),
    )
    expect(results()).toEqual([])
    send(26, 'd', 'other')
    expect(results()).toEqual([[10, 20, 'a', 20]])
  })

  it('need a store that keeps them for twice their size and the grace', () => {
    const short = windowStore('short', { key: string, value: int64, retentionMs: 24 })
    expect(() =>
      topology('sliding', (t) => void t.stream(texts).groupByKey().windowedBy(tens).count(short)),
    ).toThrow(/store short: retentionMs is 24, but a new window, .* takes 25 ms/)
    expect(() =>
      topology('sliding', (t) => {
        t.stream(texts)
          .groupByKey()
          .windowedBy(sliding({ sizeMs: -1, graceMs: 0 }))
          .count(short)
      }),
    ).toThrow(/sizeMs is -1, but takes a whole number from 0/)
  })
})
