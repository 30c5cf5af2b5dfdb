// Windows of the calendar: case by case, and against a model that asks Intl for the date of each record.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  calendar,
  int64,
  string,
  topic,
  topology,
  type TopologyScope,
  windowed,
  windowStore,
} from '../../../src/index.ts'
import { testDriver } from '../../../src/testing/index.ts'
import { play, restarts, turns } from './model-steps.ts'

const hourMs = 3_600_000
const input = topic('in', { key: string, value: string })
const berlin = calendar({ every: 'day', timeZone: 'Europe/Berlin', graceMs: 2 * hourMs })
const counts = windowStore('counts', { key: string, value: int64 })
const out = topic('out', { key: windowed(string, berlin), value: int64 })
const closed = topic('closed', { key: windowed(string, berlin), value: int64 })
const lates = topic('lates', { key: string, value: string })

const days = topology('days', (t) => {
  const grouped = t.stream(input).groupByKey()
  const counted = grouped.windowedBy(berlin).count(counts)
  counted.toStream().to(out)
  counted.late().to(lates)
  grouped
    .windowedBy(berlin)
    .count(windowStore('told', { key: string, value: int64 }), { emit: 'on-close' })
    .toStream()
    .to(closed)
})

const at = (text: string): number => Date.parse(text)

describe('windows of the calendar', () => {
  it('have 23 hours where clocks are turned, and wait for the grace', () => {
    using driver = testDriver(days)
    const send = (text: string): unknown => driver.input(input).send('k', 'v', { timestamp: at(text) })
    send('2026-03-28T23:00Z')
    send('2026-03-29T21:59Z')
    send('2026-03-29T22:00Z')
    send('2026-03-29T21:00Z')
    send('2026-03-29T23:59Z')
    expect(driver.output(closed).readAll()).toEqual([])
    send('2026-03-30T00:00Z')
    send('2026-03-29T21:00Z')
    const day = { key: 'k', start: at('2026-03-28T23:00Z'), end: at('2026-03-29T22:00Z') }
    const next = { key: 'k', start: at('2026-03-29T22:00Z'), end: at('2026-03-30T22:00Z') }
    expect(driver.output(out).readKeyValues()).toEqual([
      { key: day, value: 1 },
      { key: day, value: 2 },
      { key: next, value: 1 },
      { key: day, value: 3 },
      { key: next, value: 2 },
      { key: next, value: 3 },
    ])
    expect(driver.output(closed).readKeyValues()).toEqual([{ key: day, value: 3 }])
    expect(driver.output(lates).readAll()).toMatchObject([{ timestamp: at('2026-03-29T21:00Z') }])
    expect([...driver.store(counts).all()]).toEqual([
      { key: day, value: 3 },
      { key: next, value: 3 },
    ])
    expect(driver.store(counts).get('k', day.start)).toBe(3)
    expect([...driver.store(counts).fetch('k', day.start + 1, Number.POSITIVE_INFINITY)]).toEqual([
      { key: next, value: 3 },
    ])
    send('2026-04-02T00:00Z')
    expect([...driver.store(counts).all()]).toMatchObject([{ value: 1 }])
  })

  const mistakeOf = (describeIt: (t: TopologyScope) => void): string => {
    try {
      topology('days', describeIt)
    } catch (error) {
      return (error as Error).message
    }
    return 'none'
  }

  it.each([
    [{ ...berlin, graceMs: -1 }, counts, /graceMs is -1/],
    [{ ...berlin, every: 'year' as never }, counts, /every is year, but takes day, week, month/],
    [{ ...berlin, timeZone: 'Europe/Bonn' }, counts, /timeZone is Europe\/Bonn, which is no time zone/],
    [
      berlin,
      windowStore('counts', { key: string, value: int64, retentionMs: 25 * hourMs }),
      /retentionMs is 90000000, but what comes within the longest of these windows and grace takes 100800000 ms/,
    ],
  ])('mistakes are named %#', (windows, store, expected) => {
    const message = mistakeOf((t) => {
      t.stream(topic('in', { key: string, value: string }))
        .groupByKey()
        .windowedBy(windows)
        .count(store)
    })
    expect(message).toMatch(expected)
  })

  it('a key in a window of no zone is refused', () => {
    expect(() => windowed(string, { ...berlin, timeZone: 'Nowhere' })).toThrow(/Nowhere is no time zone/)
  })

  it('are those of a naive model under aborts and restarts', () => {
    const step = fc.oneof(
      {
        weight: 12,
        arbitrary: fc.record({
          kind: fc.constant('send' as const),
          key: fc.constantFrom('a', 'b'),
          forwardMs: fc.oneof(
            { weight: 6, arbitrary: fc.integer({ min: -3 * hourMs, max: 9 * hourMs }) },
            { weight: 1, arbitrary: fc.integer({ min: -200 * hourMs, max: 200 * hourMs }) },
          ),
        }),
      },
      turns,
      restarts,
    )
    const date = new Intl.DateTimeFormat('en-CA', { timeZone: 'Europe/Berlin', dateStyle: 'short' })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
        using driver = testDriver(days)
        const sent: { readonly key: string; readonly timestamp: number }[] = []
        let timestamp = at('2026-03-25T00:00Z')
        play(driver, steps, (one) => {
          timestamp += one.forwardMs
          sent.push({ key: one.key, timestamp })
          driver.input(input).send(one.key, 'v', { timestamp })
        })

        const told: string[] = []
        const present = new Map<string, number>()
        let time = -1
        let late = 0
        // A day has closed when two hours ago it was a later one.
        const hasClosed = (day: string): boolean => day < date.format(time - 2 * hourMs)
        for (const one of sent) {
          time = Math.max(time, one.timestamp)
          const day = date.format(one.timestamp)
          const id = `${day} ${one.key}`
          if (hasClosed(day)) late += 1
          else {
            present.set(id, (present.get(id) ?? 0) + 1)
            told.push(`${id} ${present.get(id)}`)
          }
        }
        const show = ({
          key,
          value,
        }: {
          key: { key: string; start: number; end: number }
          value: number
        }): string => {
          expect(date.format(key.end - 1)).toBe(date.format(key.start))
          return `${date.format(key.start)} ${key.key} ${value}`
        }
        expect(driver.output(out).readKeyValues().map(show)).toEqual(told)
        expect(driver.output(lates).readAll()).toHaveLength(late)
        const ends = [...present].filter(([id]) => hasClosed(id.slice(0, 10)))
        expect(driver.output(closed).readKeyValues().map(show)).toEqual(
          ends.map(([id, count]) => `${id} ${count}`).toSorted(),
        )
      }),
      { numRuns: 60 },
    )
  })
})
