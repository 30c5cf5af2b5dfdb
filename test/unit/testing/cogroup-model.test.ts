// Cogroups against a naive model: the records of all inputs in order, aggregates in maps. Aborted transactions, restarts
// with and without the disk, and several partitions must not show.
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
  windowed,
  windowStore,
} from '../../../src/index.ts'
import { testDriver } from '../../../src/testing/index.ts'
import { play, restarts, turns } from './model-steps.ts'

const orders = topic('orders', { key: string, value: nullable(string) })
const payments = topic('payments', { key: string, value: nullable(int64) })
const eights = tumbling({ sizeMs: 8, graceMs: 4 })
const visits = sessions({ gapMs: 3, graceMs: 4 })
const perEight = topic('per-eight', { key: windowed(string, eights), value: string })
const perVisit = topic('per-visit', { key: windowed(string, visits), value: nullable(string) })
const text = { key: string, value: string }
const totals = store('totals', text)
const onClose = { emit: 'on-close' } as const

const addOrder = (order: string | null, seen: string): string => `${seen}${order ?? '-'}`
const addPayment = (payment: number | null, seen: string): string => `${seen}${payment ?? '.'}`

const cogroups = topology('cogroups', (t) => {
  const both = t
    .stream(orders)
    .groupByKey()
    .cogroup((order, seen: string) => addOrder(order.value, seen))
    .cogroup(t.stream(payments).groupByKey(), (payment, seen) => addPayment(payment.value, seen))
  const initial = (): string => '>'
  both.aggregate(totals, { initial })
  both.windowedBy(eights).aggregate(windowStore('eights', text), { initial }, onClose).toStream().to(perEight)
  both
    .windowedBy(visits)
    .aggregate(windowStore('visits', text), { initial, merge: (one, other) => one + other.slice(1) }, onClose)
    .toStream()
    .to(perVisit)
})

interface Sent {
  readonly key: string
  readonly value: string | number | null
  readonly isOrder: boolean
  readonly timestamp: number
}

const add = ({ value, isOrder }: Sent, seen: string): string =>
  isOrder ? addOrder(value as string | null, seen) : addPayment(value as number | null, seen)

const modelOf = (sent: readonly Sent[]) => {
  const rows = new Map<string, string>()
  const windows = new Map<string, string>()
  const runs = new Map<string, { start: number; end: number; text: string }[]>()
  const time = Math.max(-1, ...sent.map(({ timestamp }) => timestamp))
  for (const record of sent) {
    const { key, value, timestamp } = record
    if (value !== null) rows.set(key, add(record, rows.get(key) ?? '>'))
    const id = `${key}@${Math.floor(timestamp / 8) * 8}`
    windows.set(id, add(record, windows.get(id) ?? '>'))
    const own = runs.get(key) ?? []
    runs.set(key, own)
    const last = own.at(-1)
    if (last === undefined || timestamp - last.end > 3)
      own.push({ start: timestamp, end: timestamp, text: add(record, '>') })
    else Object.assign(last, { end: timestamp, text: add(record, last.text) })
  }
  const closed = [...windows].filter(([id]) => Number(id.slice(id.indexOf('@') + 1)) + 12 <= time)
  const over = [...runs].flatMap(([key, own]) =>
    own
      .filter(({ end }) => end + 7 < time)
      .map(({ start, end, text: told }) => [`${key}@${start}-${end}`, told] as const),
  )
  return { rows, closed: new Map(closed), over: new Map(over) }
}

const step = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constant('send' as const),
      key: fc.constantFrom('a', 'b', 'c'),
      order: fc.boolean(),
      isNull: fc.boolean(),
      // Forwards only: the two inputs are taken up in the order of their times, after an abort as well.
      forwardMs: fc.integer({ min: 1, max: 5 }),
    }),
  },
  turns,
  restarts,
)

describe('cogroups under aborts and restarts', () => {
  it('are those of a naive model', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
        using driver = testDriver(cogroups)
        const sent: Sent[] = []
        let timestamp = 0
        play(driver, steps, (one) => {
          timestamp += one.forwardMs
          const letter = String.fromCharCode(65 + (sent.length % 26))
          const value = one.isNull ? null : one.order ? letter : sent.length
          sent.push({ key: one.key, value, isOrder: one.order, timestamp })
          if (one.order) driver.input(orders).send(one.key, value as string | null, { timestamp })
          else driver.input(payments).send(one.key, value as number | null, { timestamp })
        })

        const { rows, closed, over } = modelOf(sent)
        expect(new Map([...driver.store(totals).all()].map(({ key, value }) => [key, value]))).toEqual(rows)
        const told = driver.output(perEight).readAll()
        expect(told).toHaveLength(closed.size)
        expect(new Map(told.map(({ key, value }) => [`${key.key}@${key.start}`, value]))).toEqual(closed)
        const visited = driver.output(perVisit).readAll()
        expect(visited).toHaveLength(over.size)
        expect(
          new Map(visited.map(({ key, value }) => [`${key.key}@${key.start}-${key.end}`, value])),
        ).toEqual(over)
      }),
      { numRuns: 120 },
    )
  })
})
