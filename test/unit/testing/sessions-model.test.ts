// Sessions against a naive model: every record in order, sessions in a list. Aborted transactions, restarts with and
// without the disk, and several partitions must not show: neither in what comes out, nor in what is kept.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  int64,
  nullable,
  sessions,
  string,
  topic,
  topology,
  type Windowed,
  windowed,
  windowStore,
} from '../../../src/index.ts'
import { testDriver } from '../../../src/testing/index.ts'
import { orderIn, partitionsOf, play, restarts, turns } from './model-steps.ts'

const input = topic('in', { key: string, value: int64 })
const gapMs = 4
const graceMs = 6
const windows = sessions({ gapMs, graceMs })
const key = windowed(string, windows)
const updated = topic('updated', { key, value: nullable(int64) })
const closed = topic('closed', { key, value: nullable(int64) })
const lates = topic('lates', { key: string, value: int64 })
const counts = windowStore('counts', { key: string, value: int64 })
const retentionMs = 25
const sums = windowStore('sums', { key: string, value: int64, retentionMs })

const described = topology('sessions', (t) => {
  const grouped = t.stream(input).groupByKey().windowedBy(windows)
  const counted = grouped.count(counts)
  counted.toStream().to(updated)
  counted.late().to(lates)
  grouped
    .reduce(sums, (sum, value) => sum + value, { emit: 'on-close' })
    .toStream()
    .to(closed)
})

interface Sent {
  readonly key: string
  readonly value: number
  readonly timestamp: number
}

interface Session {
  readonly key: string
  readonly start: number
  readonly end: number
  readonly value: number
}

interface Told {
  readonly key: Windowed<string>
  readonly value: number | null
  readonly timestamp: number
}

/** What one partition of one aggregation comes to. */
const modelOf = (sent: readonly Sent[], retention: number, add: (sum: number, value: number) => number) => {
  let all: Session[] = []
  const updates: string[] = []
  const late: string[] = []
  const closes: string[] = []
  const told = new Set<Session>()
  let time = -1
  const note = ({ key: id, start, end }: Session, value: number | null): void =>
    void updates.push(`${id}@${start}-${end}=${value}/${end}`)
  for (const { key: id, value, timestamp } of sent) {
    const hidden = time - retention
    time = Math.max(time, timestamp)
    const open = time - graceMs - gapMs
    const joined = all.filter(
      (one) =>
        one.key === id && one.end > hidden && one.end >= timestamp - gapMs && one.start <= timestamp + gapMs,
    )
    const start = Math.min(timestamp, ...joined.map((one) => one.start))
    const end = Math.max(timestamp, ...joined.map((one) => one.end))
    if (end < open) late.push(`${id}=${value}/${timestamp}`)
    else {
      all = all.filter((one) => !joined.includes(one))
      if (start !== end) for (const one of joined) note(one, null)
      const sum = joined.reduce((total, one) => total + one.value, 0)
      const session = { key: id, start, end, value: add(sum, value) }
      all.push(session)
      note(session, session.value)
    }
    all.sort((one, other) => one.end - other.end || one.start - other.start || (one.key < other.key ? -1 : 1))
    for (const one of all) {
      if (one.end >= open || told.has(one)) continue
      told.add(one)
      closes.push(`${one.key}@${one.start}-${one.end}=${one.value}/${one.end}`)
    }
  }
  const kept = all
    .filter(({ end }) => end + retention > time)
    .map((one) => `${one.key}@${one.start}-${one.end}=${one.value}`)
  return { updates, late, closes, kept }
}

const step = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constant('send' as const),
      key: fc.constantFrom('a', 'b', 'c', 'ab'),
      value: fc.integer({ min: -9, max: 9 }),
      forwardMs: fc.oneof(
        { weight: 8, arbitrary: fc.integer({ min: -6, max: 7 }) },
        { weight: 1, arbitrary: fc.integer({ min: -30, max: 40 }) },
      ),
    }),
  },
  turns,
  restarts,
)

const show = (found: Iterable<{ key: Windowed<string>; value: unknown }>): string[] =>
  [...found].map(({ key: of, value }) => `${of.key}@${of.start}-${of.end}=${value}`)

describe('sessions under aborts and restarts', () => {
  it('are those of a naive model', () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 80, size: 'max' }),
        fc.integer({ min: 1, max: 3 }),
        (steps, partitions) => {
          using driver = testDriver(described, { partitions })
          const sent: Sent[][] = Array.from({ length: partitions }, () => [])
          const partitionOf = partitionsOf(partitions)
          let timestamp = 0
          play(driver, steps, (one) => {
            timestamp = Math.max(0, timestamp + one.forwardMs)
            driver.input(input).send(one.key, one.value, { timestamp })
            sent[partitionOf(one.key)]?.push({ key: one.key, value: one.value, timestamp })
          })

          const updates = driver.output(updated).readAll()
          const closes = driver.output(closed).readAll()
          const late = driver.output(lates).readAll()
          for (const [partition, records] of sent.entries()) {
            const ordered = orderIn(partitions)
            const told = (all: readonly Told[]): string[] =>
              all
                .filter((one) => partitionOf(one.key.key) === partition)
                .map((one) => `${one.key.key}@${one.key.start}-${one.key.end}=${one.value}/${one.timestamp}`)
            const count = modelOf(records, gapMs + graceMs, (sum) => sum + 1)
            const sum = modelOf(records, retentionMs, (total, value) => total + value)
            expect(ordered(told(updates))).toEqual(ordered(count.updates))
            expect(ordered(told(closes))).toEqual(ordered(sum.closes))
            const lateHere = late.filter((one) => partitionOf(one.key) === partition)
            expect(ordered(lateHere.map((one) => `${one.key}=${one.value}/${one.timestamp}`))).toEqual(
              ordered(count.late),
            )
            expect(show(driver.store(counts, { partition }).all())).toEqual(count.kept)
            expect(show(driver.store(sums, { partition }).all())).toEqual(sum.kept)
          }
        },
      ),
      { numRuns: 150 },
    )
  })
})
