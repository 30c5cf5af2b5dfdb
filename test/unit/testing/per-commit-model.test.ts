// Tables told per commit against a naive model: what a transaction changed, compared at its end. Aborted transactions,
// restarts with and without the disk, and several partitions must not show.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  int64,
  nullable,
  store,
  string,
  topic,
  topology,
  tumbling,
  type Windowed,
  windowed,
  windowStore,
} from '../../../src/index.ts'
import { testDriver } from '../../../src/testing/index.ts'
import { partitionsOf, play, restarts, turns } from './model-steps.ts'

const input = topic('in', { key: string, value: nullable(int64) })
const second = topic('in-2', { key: string, value: nullable(int64) })
const third = topic('in-3', { key: string, value: nullable(int64) })
const told = topic('told', { key: string, value: nullable(int64) })
const toldKept = topic('told-kept', { key: string, value: nullable(int64) })
const eights = tumbling({ sizeMs: 8, graceMs: 0 })
const counted = topic('counted', { key: windowed(string, eights), value: int64 })
const number = { key: string, value: int64 }
const sums = store('sums', number)
const joinedSums = store('joined-sums', number)
const keptSums = store('kept-sums', number)
const perCommit = { emit: 'per-commit' } as const
const sum = {
  add: (one: number, other: number) => one + other,
  subtract: (one: number, other: number) => one - other,
}

const tables = topology('tables', (t) => {
  const first = t.stream(input)
  const rows = first.toTable(store('rows', number), perCommit)
  rows.toStream().to(told)
  const groups = { ...number, name: 'halves' }
  const half = (key: string): string => (key < 'c' ? 'low' : 'high')
  rows.groupBy((value, key) => ({ key: half(key), value }), groups).reduce(sums, sum, perCommit)
  // Both sides change with the same record, one now and one at the commit.
  const seconds = t.stream(second).toTable(store('now', number))
  const times = (one: number | undefined, other: number | undefined): number => (one ?? 0) * (other ?? 1)
  const now = rows.outerJoin(seconds, times)
  now
    .groupBy((value, key) => ({ key: half(key), value }), { ...groups, name: 'joined' })
    .reduce(joinedSums, sum)
  const unheld = first.toTable(store('unheld', number))
  unheld
    .filter(() => true, store('kept', number), perCommit)
    .toStream()
    .to(toldKept)
  unheld
    .outerJoin(seconds, times, store('kept-join', number), perCommit)
    .groupBy((value, key) => ({ key: half(key), value }), { ...groups, name: 'kept-joined' })
    .reduce(keptSums, sum)
  t.stream(third)
    .groupByKey()
    .windowedBy(eights)
    .count(windowStore('counts', number), perCommit)
    .toStream()
    .to(counted)
})

interface Sent {
  readonly key: string
  readonly value: number | null
  readonly timestamp: number
}

/** What a transaction tells of the rows that it began with. */
const tellOf = (rows: Map<string, Sent>, sent: readonly Sent[]): string[] => {
  const before = new Map(rows)
  const changed = new Map<string, Sent>()
  for (const record of sent) {
    const { key, value, timestamp } = record
    const row = rows.get(key)
    if (value === null ? row === undefined : row?.value === value && timestamp >= row.timestamp) continue
    if (value === null) rows.delete(key)
    else rows.set(key, record)
    changed.delete(key)
    changed.set(key, record)
  }
  return [...changed.values()]
    .filter(({ key, value }) => value !== (before.get(key)?.value ?? null))
    .map(({ key, value, timestamp }) => `${key}=${value}/${timestamp}`)
}

const step = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constant('send' as const),
      key: fc.constantFrom('a', 'b', 'c', 'd'),
      value: fc.option(fc.integer({ min: -2, max: 2 }), { freq: 5 }),
      timestamp: fc.integer({ min: 0, max: 30 }),
    }),
  },
  { ...turns, weight: 4 },
  restarts,
)

describe('tables told per commit under aborts and restarts', () => {
  it('tell of each transaction what it came to', () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 60, size: 'max' }),
        fc.integer({ min: 1, max: 3 }),
        (steps, partitions) => {
          using driver = testDriver(tables, { partitions })
          const partitionOf = partitionsOf(partitions)
          const rows = Array.from({ length: partitions }, () => new Map<string, Sent>())
          const expected: string[][] = Array.from({ length: partitions }, () => [])
          const all: Sent[] = []
          let waiting: Sent[] = []
          const committed = (): void => {
            for (const [partition, told] of expected.entries()) {
              const own = waiting.filter(({ key }) => partitionOf(key) === partition)
              told.push(...tellOf(rows[partition] as Map<string, Sent>, own))
            }
            waiting = []
          }
          const send = ({ key, value, timestamp }: Sent): void => {
            waiting.push({ key, value, timestamp })
            all.push({ key, value, timestamp })
            driver.input(input).send(key, value, { timestamp })
            driver.input(third).send(key, value, { timestamp })
            if (value !== null) driver.input(second).send(key, value, { timestamp })
          }
          play(driver, steps, send, committed)

          for (const topicOf of [told, toldKept]) {
            const out = driver.output(topicOf).readAll()
            for (const [partition, texts] of expected.entries()) {
              const own = out.filter(({ key }) => partitionOf(key) === partition)
              expect(own.map(({ key, value, timestamp }) => `${key}=${value}/${timestamp}`)).toEqual(texts)
            }
          }
          const low = (key: string): boolean => key < 'c'
          const rowsNow = new Map(
            rows.flatMap((own) => [...own].map(([key, { value }]) => [key, value ?? 0])),
          )
          const others = new Map(
            all.filter(({ value }) => value !== null).map((one) => [one.key, one.value ?? 0]),
          )
          for (const [name, isLow] of [
            ['low', true],
            ['high', false],
          ] as const) {
            const keys = (of: ReadonlyMap<string, number>): string[] =>
              [...of.keys()].filter((key) => low(key) === isLow)
            const sumOf = keys(rowsNow).reduce((total, key) => total + (rowsNow.get(key) ?? 0), 0)
            expect(driver.store(sums).get(name) ?? 0).toBe(sumOf)
            const either = new Set([...keys(rowsNow), ...keys(others)])
            let joined = 0
            for (const key of either) joined += (rowsNow.get(key) ?? 0) * (others.get(key) ?? 1)
            for (const kept of [joinedSums, keptSums])
              expect((driver.store(kept).get(name) ?? 0) + 0, kept.name).toBe(joined + 0)
          }
          const last = new Map<string, number>()
          for (const { key, value } of driver.output<Windowed<string>, number>(counted as never).readAll()) {
            const id = `${key.key}@${key.start}`
            // A count that is told only grows.
            expect(value).toBeGreaterThan(last.get(id) ?? 0)
            last.set(id, value)
          }
        },
      ),
      { numRuns: 120 },
    )
  })
})
