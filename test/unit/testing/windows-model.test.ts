// Windows against a naive model: every record in order, windows in maps. Aborted transactions, restarts with and without
// the disk, and several partitions must not show: neither in what comes out, nor in what is kept.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  hopping,
  int64,
  nullable,
  string,
  topic,
  topology,
  tumbling,
  type Windowed,
  windowed,
  windowStore,
} from '../../../src/index.ts'
import { testDriver } from '../../../src/testing/index.ts'
import { orderIn, partitionsOf, play, restarts, turns } from './model-steps.ts'

const input = topic('in', { key: string, value: nullable(int64) })
const hops = hopping({ sizeMs: 10, advanceMs: 4, graceMs: 3 })
const tumbles = tumbling({ sizeMs: 8, graceMs: 5 })
const counted = topic('counted', { key: windowed(string, hops), value: int64 })
const summed = topic('summed', { key: windowed(string, tumbles), value: nullable(int64) })
const lates = topic('lates', { key: string, value: nullable(int64) })
const counts = windowStore('counts', { key: string, value: int64 })
const sums = windowStore('sums', { key: string, value: nullable(int64), retentionMs: 30 })

const windows = topology('windows', (t) => {
  const grouped = t.stream(input).groupByKey()
  const hopped = grouped.windowedBy(hops).count(counts)
  hopped.toStream().to(counted)
  hopped.late().to(lates)
  grouped
    .windowedBy(tumbles)
    .reduce(sums, (sum, value) => (sum ?? 0) + (value ?? 0), { emit: 'on-close' })
    .toStream()
    .to(summed)
})

interface Sent {
  readonly key: string
  readonly value: number | null
  readonly timestamp: number
}

interface Told {
  readonly key: Windowed<string>
  readonly value: number | null
  readonly timestamp: number
}

interface Window {
  readonly key: string
  readonly start: number
  value: number
  timestamp: number
}

type Shape = { readonly sizeMs: number; readonly advanceMs: number; readonly graceMs: number }

/** What one partition of one aggregation comes to. */
const modelOf = (
  sent: readonly Sent[],
  { sizeMs, advanceMs, graceMs }: Shape,
  next: (present: number | undefined, value: number | null) => number | null,
) => {
  const open = new Map<string, Window>()
  const updates: string[] = []
  const late: Sent[] = []
  let time = -1
  for (const record of sent) {
    const { key, value, timestamp } = record
    time = Math.max(time, timestamp)
    let isLate = false
    for (let start = 0; start <= timestamp; start += advanceMs) {
      if (timestamp >= start + sizeMs) continue
      if (start + sizeMs + graceMs <= time) {
        isLate = true
        continue
      }
      const id = `${key}@${start}`
      const old = open.get(id)
      const after = next(old?.value, value)
      if (after === null) continue
      const latest = Math.max(timestamp, old?.timestamp ?? 0)
      open.set(id, { key, start, value: after, timestamp: latest })
      updates.push(`${id}=${after}/${latest}`)
    }
    if (isLate) late.push(record)
  }
  const all = [...open.values()].sort(
    (one, other) => one.start - other.start || (one.key < other.key ? -1 : 1),
  )
  const show = ({ key, start, value, timestamp }: Window): string => `${key}@${start}=${value}/${timestamp}`
  const kept = (retentionMs: number): string[] =>
    all
      .filter(({ start }) => start + retentionMs > time)
      .map(({ key, start, value }) => `${key}@${start}=${value}`)
  const closed = all.filter(({ start }) => start + sizeMs + graceMs <= time).map(show)
  return { updates, late, closed, kept }
}

const step = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constant('send' as const),
      key: fc.constantFrom('a', 'b', 'c', 'd'),
      value: fc.option(fc.integer({ min: -9, max: 9 }), { freq: 5 }),
      forwardMs: fc.oneof(
        { weight: 6, arbitrary: fc.integer({ min: -4, max: 6 }) },
        { weight: 1, arbitrary: fc.integer({ min: -40, max: 40 }) },
      ),
    }),
  },
  turns,
  restarts,
)

const show = (found: Iterable<{ key: { key: string; start: number }; value: unknown }>): string[] =>
  [...found].map(({ key, value }) => `${key.key}@${key.start}=${value}`)

describe('windows under aborts and restarts', () => {
  it('are those of a naive model', () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 80, size: 'max' }),
        fc.integer({ min: 1, max: 3 }),
        (steps, partitions) => {
          using driver = testDriver(windows, { partitions })
          const sent: Sent[][] = Array.from({ length: partitions }, () => [])
          const partitionOf = partitionsOf(partitions)
          let timestamp = 0
          play(driver, steps, (one) => {
            timestamp = Math.max(0, timestamp + one.forwardMs)
            driver.input(input).send(one.key, one.value, { timestamp })
            sent[partitionOf(one.key)]?.push({ key: one.key, value: one.value, timestamp })
          })

          const updates = driver.output(counted).readAll()
          const closes = driver.output(summed).readAll()
          const late = driver.output(lates).readAll()
          for (const [partition, records] of sent.entries()) {
            const told = (all: readonly Told[]): string[] =>
              all
                .filter(({ key }) => partitionOf(key.key) === partition)
                .map(({ key, value, timestamp: at }) => `${key.key}@${key.start}=${value}/${at}`)
            const count = modelOf(records, hops, (present) => (present ?? 0) + 1)
            const sum = modelOf(records, tumbles, (present, value) =>
              present === undefined ? value : present + (value ?? 0),
            )
            const byWindow = orderIn(partitions)
            expect(byWindow(told(updates))).toEqual(byWindow(count.updates))
            expect(byWindow(told(closes))).toEqual(byWindow(sum.closed))
            const lateOf = (all: readonly Sent[]): string[] =>
              byWindow(all.map(({ key, value, timestamp: at }) => `${key}=${value}/${at}`))
            expect(lateOf(late.filter(({ key }) => partitionOf(key) === partition))).toEqual(
              lateOf(count.late),
            )
            expect(show(driver.store(counts, { partition }).all())).toEqual(count.kept(13))
            expect(show(driver.store(sums, { partition }).all())).toEqual(sum.kept(30))
          }
        },
      ),
      { numRuns: 150 },
    )
  })
})
