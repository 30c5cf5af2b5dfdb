// Suppressed tables against a naive model: what is held in a map, sorted anew whenever something may be due. Aborted
// transactions, restarts with and without the disk, and several partitions must not show.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  int64,
  nullable,
  sessions,
  store,
  string,
  topic,
  topology,
  tumbling,
  untilTimeLimit,
  untilWindowCloses,
  type Windowed,
  windowed,
  windowStore,
} from '../../../src/index.ts'
import { testDriver } from '../../../src/testing/index.ts'
import { partitionsOf, play, restarts, turns } from './model-steps.ts'

const input = topic('in', { key: string, value: nullable(int64) })
const waitMs = 12
const recordsMax = 3
const told = topic('told', { key: string, value: nullable(int64) })
const tumbles = tumbling({ sizeMs: 8, graceMs: 5 })
const visits = sessions({ gapMs: 6, graceMs: 4 })
const number = { key: string, value: int64 }
const kept = { ...number, retentionMs: 1000 }
const ends = {
  tumbles: topic('tumbles', { key: windowed(string, tumbles), value: int64 }),
  tumblesHeld: topic('tumbles-held', { key: windowed(string, tumbles), value: int64 }),
  visits: topic('visits', { key: windowed(string, visits), value: nullable(int64) }),
  visitsHeld: topic('visits-held', { key: windowed(string, visits), value: int64 }),
}
const sums = store('sums', number)

const suppressed = topology('suppressed', (t) => {
  const rows = t.table(input, store('rows', number))
  const limited = rows.suppress(untilTimeLimit({ waitMs, recordsMax }), { name: 'limited', ...number })
  limited.toStream().to(told)
  limited
    .groupBy((value, key) => ({ key: key < 'c' ? 'low' : 'high', value }), { name: 'halves', ...number })
    .reduce(sums, { add: (sum, value) => sum + value, subtract: (sum, value) => sum - value })
  const grouped = rows.toStream().groupByKey()
  const tumbling8 = grouped.windowedBy(tumbles)
  tumbling8.count(windowStore('tumbles', kept), { emit: 'on-close' }).toStream().to(ends.tumbles)
  tumbling8
    .count(windowStore('tumbles-too', kept))
    .suppress(untilWindowCloses(), { name: 'tumbles-held', key: windowed(string, tumbles), value: int64 })
    .toStream()
    .to(ends.tumblesHeld)
  const visiting = grouped.windowedBy(visits)
  visiting.count(windowStore('visits', kept), { emit: 'on-close' }).toStream().to(ends.visits)
  visiting
    .count(windowStore('visits-too', kept))
    .suppress(untilWindowCloses(), { name: 'visits-held', key: windowed(string, visits), value: int64 })
    .toStream()
    .to(ends.visitsHeld)
})

interface Sent {
  readonly key: string
  readonly value: number | null
  readonly timestamp: number
}

/** What one partition of the limited table tells. */
const modelOf = (sent: readonly Sent[]): string[] => {
  const rows = new Map<string, Sent>()
  const waiting = new Map<string, Sent & { readonly due: number }>()
  const out: string[] = []
  let time = -1
  for (const record of sent) {
    const { key, value, timestamp } = record
    const row = rows.get(key)
    if (value === null ? row === undefined : row?.value === value && timestamp >= row.timestamp) continue
    if (value === null) rows.delete(key)
    else rows.set(key, record)
    time = Math.max(time, timestamp)
    waiting.set(key, { ...record, due: waiting.get(key)?.due ?? timestamp })
    const ordered = [...waiting.values()].sort(
      (one, other) => one.due - other.due || (one.key < other.key ? -1 : 1),
    )
    for (const one of ordered) {
      if (one.due > time - waitMs && waiting.size <= recordsMax) break
      waiting.delete(one.key)
      out.push(`${one.key}=${one.value}/${one.timestamp}`)
    }
  }
  return out
}

const step = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constant('send' as const),
      key: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'),
      value: fc.option(fc.integer({ min: -3, max: 3 }), { freq: 5 }),
      forwardMs: fc.oneof(
        { weight: 6, arbitrary: fc.integer({ min: -3, max: 4 }) },
        { weight: 1, arbitrary: fc.integer({ min: -30, max: 30 }) },
      ),
    }),
  },
  turns,
  restarts,
)

interface Told {
  readonly key: string | Windowed<string>
  readonly value: number | null
  readonly timestamp: number
}

const textOf = ({ key, value, timestamp }: Told): string =>
  `${typeof key === 'string' ? key : `${key.key}@${key.start}-${key.end}`}=${value}/${timestamp}`

describe('suppressed tables under aborts and restarts', () => {
  it('tell what a naive model tells, and windows what they are on close', () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 80, size: 'max' }),
        fc.integer({ min: 1, max: 3 }),
        (steps, partitions) => {
          using driver = testDriver(suppressed, { partitions })
          const sent: Sent[][] = Array.from({ length: partitions }, () => [])
          const partitionOf = partitionsOf(partitions)
          let timestamp = 0
          play(driver, steps, (one) => {
            timestamp = Math.max(0, timestamp + one.forwardMs)
            driver.input(input).send(one.key, one.value, { timestamp })
            sent[partitionOf(one.key)]?.push({ key: one.key, value: one.value, timestamp })
          })

          const all = driver.output(told).readAll()
          for (const [partition, records] of sent.entries()) {
            const own = all.filter(({ key }) => partitionOf(key) === partition)
            expect(own.map(textOf)).toEqual(modelOf(records))
          }
          const rows = new Map(all.map(({ key, value }) => [key, value ?? 0]))
          const sumOf = (isLow: boolean): number =>
            [...rows].reduce((sum, [key, value]) => sum + (key < 'c' === isLow ? value : 0), 0)
          expect(driver.store(sums).get('low') ?? 0).toBe(sumOf(true))
          expect(driver.store(sums).get('high') ?? 0).toBe(sumOf(false))

          const texts = (of: { readonly name: string }): string[] =>
            driver
              .output<Told['key'], number | null>(of as never)
              .readAll()
              .map(textOf)
          if (partitions === 1) expect(texts(ends.tumblesHeld)).toEqual(texts(ends.tumbles))
          else expect(texts(ends.tumblesHeld).toSorted()).toEqual(texts(ends.tumbles).toSorted())
          expect(texts(ends.visitsHeld).toSorted()).toEqual(texts(ends.visits).toSorted())
        },
      ),
      { numRuns: 120 },
    )
  })
})
