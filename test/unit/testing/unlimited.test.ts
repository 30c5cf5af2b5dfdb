// Windows without an end: case by case, and against a naive model under aborts and restarts.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  int64,
  nullable,
  string,
  topic,
  topology,
  type TopologyScope,
  unlimited,
  untilTimeLimit,
  untilWindowCloses,
  windowed,
  windowStore,
} from '../../../src/index.ts'
import { testDriver } from '../../../src/testing/index.ts'
import { play, restarts, turns } from './model-steps.ts'

const end = Number.POSITIVE_INFINITY
const startMs = 10
const from = unlimited({ startMs })
const input = topic('in', { key: string, value: nullable(string) })
/** The same one, for records without a key. */
const anyKey = topic('in', { key: nullable(string), value: nullable(string) })
const counts = windowStore('counts', { key: string, value: int64 })
const texts = windowStore('texts', { key: string, value: nullable(string) })
const out = topic('out', { key: windowed(string, from), value: int64 })
const joined = topic('joined', { key: windowed(string, from), value: nullable(string) })

const counting = topology('unlimited', (t) => {
  const grouped = t.stream(input).groupByKey().windowedBy(from)
  grouped.count(counts).toStream().to(out)
  grouped
    .reduce(texts, (one, other) => `${one}${other}`, { emit: 'per-commit' })
    .toStream()
    .to(joined)
})

const window = (key: string) => ({ key, start: startMs, end })

describe('windows without an end', () => {
  it('are one for each key, which takes all from its start on, however late', () => {
    using driver = testDriver(counting)
    const send = (key: string | null, timestamp: number, value: string | null = 'v'): unknown =>
      driver.input(anyKey).send(key, value, { timestamp })
    send('a', 9)
    send('a', 10)
    send('b', 1_000_000)
    send('a', 8)
    send('a', 10, null)
    send(null, 12)
    expect(driver.output(out).readAll()).toMatchObject([
      { key: window('a'), value: 1, timestamp: 10 },
      { key: window('b'), value: 1, timestamp: 1_000_000 },
      { key: window('a'), value: 2, timestamp: 10 },
    ])
    // As in Kafka Streams: what is before the start is in no window, and so misses none.
    expect(driver.counts.late).toBe(0)
    expect([...driver.store(counts).all()]).toEqual([
      { key: window('a'), value: 2 },
      { key: window('b'), value: 1 },
    ])
    expect(driver.store(counts).get('a', startMs)).toBe(2)
    expect(driver.store(counts).get('a', startMs + 1)).toBeUndefined()
    expect([...driver.store(counts).fetch('a', 0, end)]).toEqual([{ key: window('a'), value: 2 }])
    expect([...driver.store(counts).fetch('a', 0, startMs)]).toEqual([])
  })

  it('begin at 0 unless it is said', () => {
    expect(unlimited()).toEqual({ kind: 'unlimited', startMs: 0 })
  })

  it('are told per commit', () => {
    using driver = testDriver(counting)
    driver.begin()
    for (const value of ['x', 'y']) driver.input(input).send('a', value, { timestamp: 11 })
    driver.commit()
    driver.input(input).send('a', 'z', { timestamp: 12 })
    expect(driver.output(joined).readKeyValues()).toEqual([
      { key: window('a'), value: 'xy' },
      { key: window('a'), value: 'xyz' },
    ])
  })

  it('are told when a time limit is over, in a cogroup', () => {
    const held = { name: 'held', key: windowed(string, from), value: string }
    const described = topology('unlimited', (t) => {
      const grouped = t.stream(input).groupByKey()
      grouped
        .cogroup(({ value }, sum: string) => `${sum}${value}`)
        .windowedBy(from)
        .aggregate(windowStore('sums', { key: string, value: string }), { initial: () => '' })
        .suppress(untilTimeLimit({ waitMs: 5 }), held)
        .toStream()
        .to(joined)
    })
    using driver = testDriver(described)
    for (const [value, timestamp] of [
      ['x', 10],
      ['y', 12],
      ['z', 15],
    ] as const)
      driver.input(input).send('a', value, { timestamp })
    expect(driver.output(joined).readKeyValues()).toEqual([{ key: window('a'), value: 'xyz' }])
  })

  const mistakeOf = (describeIt: (t: TopologyScope) => void): string => {
    try {
      topology('unlimited', describeIt)
    } catch (error) {
      return (error as Error).message
    }
    return 'none'
  }

  it.each<readonly [string, (t: TopologyScope) => unknown, RegExp]>([
    [
      'a start before 0',
      (t) =>
        t
          .stream(input)
          .groupByKey()
          .windowedBy(unlimited({ startMs: -1 }))
          .count(counts),
      /startMs is -1, but takes a whole number from 0/,
    ],
    [
      'told on close',
      (t) => t.stream(input).groupByKey().windowedBy(from).count(counts, { emit: 'on-close' }),
      /store counts: emit is on-close, but windows without an end never close/,
    ],
    [
      'a retention',
      (t) =>
        t
          .stream(input)
          .groupByKey()
          .windowedBy(from)
          .count(windowStore('counts', { key: string, value: int64, retentionMs: 1 })),
      /store counts: retentionMs is 1, but windows without an end are kept for good/,
    ],
    [
      'late records',
      (t) => t.stream(input).groupByKey().windowedBy(from).count(counts).late().to(input),
      /late of windowedCount-counts: nothing comes too late for windows without an end/,
    ],
    [
      'held until they close',
      (t) =>
        t
          .stream(input)
          .groupByKey()
          .windowedBy(from)
          .count(counts)
          .suppress(untilWindowCloses(), { name: 'held', key: windowed(string, from), value: int64 }),
      /suppress into store held: the table has no windows that close: hold its changes with untilTimeLimit/,
    ],
  ])('%s: the mistake is named', (_case, describeIt, expected) => {
    expect(mistakeOf((t) => void describeIt(t))).toMatch(expected)
  })

  it('are those of a naive model under aborts and restarts', () => {
    const step = fc.oneof(
      {
        weight: 12,
        arbitrary: fc.record({
          kind: fc.constant('send' as const),
          key: fc.constantFrom('a', 'b', 'ab'),
          value: fc.option(fc.constantFrom('x', 'y'), { freq: 5 }),
          timestamp: fc.oneof(fc.integer({ min: 0, max: 20 }), fc.integer({ min: 0, max: 1_000_000 })),
        }),
      },
      turns,
      restarts,
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
        using driver = testDriver(counting)
        const told: string[] = []
        const present = new Map<string, { count: number; text: string | null; latest: number }>()
        play(driver, steps, ({ key, value, timestamp }) => {
          driver.input(input).send(key, value, { timestamp })
          if (timestamp < startMs) return
          const { count, text, latest } = present.get(key) ?? { count: 0, text: null, latest: 0 }
          const next = {
            count: count + 1,
            text: text === null ? value : `${text}${value}`,
            latest: Math.max(latest, timestamp),
          }
          present.set(key, next)
          told.push(`${key}=${next.count}/${next.latest}`)
        })

        expect(
          driver
            .output(out)
            .readAll()
            .map(({ key, value, timestamp }) => `${key.key}=${value}/${timestamp}`),
        ).toEqual(told)
        const kept = [...present].toSorted(([one], [other]) => (one < other ? -1 : 1))
        expect([...driver.store(counts).all()]).toEqual(
          kept.map(([key, { count }]) => ({ key: window(key), value: count })),
        )
        expect([...driver.store(texts).all()]).toEqual(
          kept
            .filter(([, { text }]) => text !== null)
            .map(([key, { text }]) => ({ key: window(key), value: text })),
        )
      }),
      { numRuns: 60 },
    )
  })
})
