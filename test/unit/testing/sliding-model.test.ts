// Sliding windows against two naive models. Where nothing is late, what they are by definition: one that ends with each
// record, and one right after each record that is followed by another. Where records are late, each record meets all
// windows of its key at once, as Kafka Streams has it with its stores on disk (it knows a second way, from the first
// window on, which comes to other windows for late records). Aborted transactions and restarts must not show.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  int64,
  sliding,
  string,
  topic,
  topology,
  type Windowed,
  windowed,
  windowStore,
} from '../../../src/index.ts'
import { testDriver } from '../../../src/testing/index.ts'
import { play, restarts, turns } from './model-steps.ts'

const sizeMs = 10
const input = topic('in', { key: string, value: int64 })
const patient = sliding({ sizeMs, graceMs: 10_000 })
const strict = sliding({ sizeMs, graceMs: 7 })
const key = windowed(string, strict)
const counts = windowStore('counts', { key: string, value: int64 })
const sums = windowStore('sums', { key: string, value: int64, retentionMs: 10_000 })
const closed = windowStore('closed', { key: string, value: int64 })
const counted = topic('counted', { key, value: int64 })
const summed = topic('summed', { key, value: int64 })
const closes = topic('closes', { key, value: int64 })
const lates = topic('lates', { key: string, value: int64 })

const described = topology('sliding', (t) => {
  const grouped = t.stream(input).groupByKey()
  grouped.windowedBy(patient).count(counts).toStream().to(counted)
  const sum = (one: number, other: number): number => one + other
  const strictly = grouped.windowedBy(strict)
  const table = strictly.reduce(sums, sum)
  table.toStream().to(summed)
  table.late().to(lates)
  strictly.reduce(closed, sum, { emit: 'on-close' }).toStream().to(closes)
})

interface Sent {
  readonly key: string
  readonly value: number
  readonly timestamp: number
}

interface Held {
  value: number
  timestamp: number
}

const text = (id: string, start: number, { value, timestamp }: Held): string =>
  `${id}@${start}=${value}/${timestamp}`

const byDefinition = (sent: readonly Sent[]): string[] => {
  const found: string[] = []
  for (const id of new Set(sent.map((one) => one.key))) {
    const times = sent.filter((one) => one.key === id).map(({ timestamp }) => timestamp)
    const within = (start: number): number[] => times.filter((one) => one >= start && one <= start + sizeMs)
    const starts = times.flatMap((one) => {
      const left = Math.max(0, one - sizeMs)
      return within(one + 1).length > 0 ? [left, one + 1] : [left]
    })
    for (const start of new Set(starts)) {
      const inside = within(start)
      found.push(text(id, start, { value: inside.length, timestamp: Math.max(...inside) }))
    }
  }
  return found.sort()
}

/** All windows of one key in their order; records go through them from the first on. */
const addInOrder = (windows: Map<number, Held>, { value, timestamp }: Sent, closeTime: number): boolean => {
  const before = [...windows]
    .sort(([one], [other]) => one - other)
    .map(([start, held]) => ({ start, ...held }))
  let missed = false
  const add = (start: number, base: number | undefined, latest: number): void => {
    if (start + sizeMs < closeTime) missed = true
    else windows.set(start, { value: base === undefined ? value : base + value, timestamp: latest })
  }
  const isEarly = timestamp < sizeMs
  const reached = before.filter(({ start }) => start >= timestamp - 2 * sizeMs && start <= timestamp + 1)
  const [behind, around] = [
    reached.filter(({ start }) => !isEarly && start + sizeMs < timestamp),
    reached.filter(({ start }) => (isEarly || start + sizeMs >= timestamp) && start <= timestamp),
  ]
  const left = behind.at(-1)
  const ending = around.find(({ start }) => (isEarly ? start === 0 : start + sizeMs === timestamp))
  // A window behind says it, also where it missed the record before this one, which was late for it.
  let previous = left?.timestamp ?? ending?.timestamp
  if (left === undefined && ending !== undefined && ending.timestamp >= timestamp) previous = undefined
  const inside = around.filter((one) => one !== ending)
  const right = inside.at(-1) ?? (isEarly && ending && ending.timestamp > timestamp ? ending : undefined)
  for (const one of around) add(one.start, one.value, Math.max(one.timestamp, timestamp))
  if (!isEarly && ending !== undefined && ending.timestamp >= timestamp) return missed
  if (previous !== undefined && !windows.has(previous + 1) && previous + 1 + sizeMs >= timestamp)
    add(previous + 1, undefined, timestamp)
  if (ending === undefined) {
    const filled = !isEarly && previous !== undefined && previous >= timestamp - sizeMs
    add(isEarly ? 0 : timestamp - sizeMs, filled ? left?.value : undefined, timestamp)
  }
  if (right !== undefined && right.timestamp > timestamp && !windows.has(timestamp + 1))
    windows.set(timestamp + 1, { value: right.value, timestamp: right.timestamp })
  return missed
}

const inOrder = (sent: readonly Sent[]) => {
  const windows = new Map<string, Map<number, Held>>()
  const late: Sent[] = []
  let time = -1
  for (const one of sent) {
    time = Math.max(time, one.timestamp)
    const closeTime = time - strict.graceMs
    const own = windows.get(one.key) ?? new Map<number, Held>()
    windows.set(one.key, own)
    if (one.timestamp + sizeMs < closeTime || addInOrder(own, one, closeTime)) late.push(one)
  }
  const all = [...windows].flatMap(([id, own]) => [...own].map(([start, held]) => ({ id, start, held })))
  const isClosed = ({ start }: { start: number }): boolean => start + sizeMs < time - strict.graceMs
  const show = (list: typeof all): string[] => list.map(({ id, start, held }) => text(id, start, held)).sort()
  return { all: show(all), closed: show(all.filter(isClosed)), late }
}

const step = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constant('send' as const),
      key: fc.constantFrom('a', 'b', 'ab'),
      value: fc.integer({ min: -9, max: 9 }),
      forwardMs: fc.oneof(
        { weight: 8, arbitrary: fc.integer({ min: -8, max: 9 }) },
        { weight: 1, arbitrary: fc.integer({ min: -40, max: 40 }) },
      ),
    }),
  },
  turns,
  restarts,
)

interface Told {
  readonly key: Windowed<string>
  readonly value: number
  readonly timestamp: number
}

const last = (all: readonly Told[]): string[] => {
  const windows = new Map<string, string>()
  for (const { key: of, value, timestamp } of all)
    windows.set(`${of.key}@${of.start}`, text(of.key, of.start, { value, timestamp }))
  return [...windows.values()].sort()
}

describe('sliding windows under aborts and restarts', () => {
  it('are those of the models', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
        using driver = testDriver(described)
        const sent: Sent[] = []
        let timestamp = 0
        play(driver, steps, (one) => {
          timestamp = Math.max(0, timestamp + one.forwardMs)
          driver.input(input).send(one.key, one.value, { timestamp })
          sent.push({ key: one.key, value: one.value, timestamp })
        })

        const defined = byDefinition(sent)
        const strictly = inOrder(sent)
        expect(last(driver.output(counted).readAll())).toEqual(defined)
        const kept = [...driver.store(counts).all()].map(
          ({ key: of, value }) => `${of.key}@${of.start}=${value}`,
        )
        expect(kept.sort()).toEqual(defined.map((one) => one.slice(0, one.indexOf('/'))))
        expect(last(driver.output(summed).readAll())).toEqual(strictly.all)
        const told = driver.output(closes).readAll()
        expect(told.map((one) => text(one.key.key, one.key.start, one)).sort()).toEqual(strictly.closed)
        expect(told.map((one) => one.key.start)).toEqual(
          told.map((one) => one.key.start).sort((one, other) => one - other),
        )
        expect(
          driver
            .output(lates)
            .readAll()
            .map(({ key: id, value, timestamp: at }) => ({ key: id, value, timestamp: at })),
        ).toEqual(strictly.late)
      }),
      { numRuns: 150 },
    )
  })
})
