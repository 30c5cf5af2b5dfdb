// Global tables against a naive model: rows in a map, and orders that wait to be processed again after an abort, which then
// meet the rows as they are by then. Restarts with and without the disk must not show.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { globalStore, int64, nullable, string, topic, topology } from '../../../src/index.ts'
import { testDriver } from '../../../src/testing/index.ts'
import { restarts, turns } from './model-steps.ts'

const orders = topic('orders', { key: string, value: string })
const rates = topic('rates', { key: string, value: nullable(int64) })
const inner = topic('inner', { key: string, value: string })
const left = topic('left', { key: string, value: string })
const rows = globalStore('rates', { key: string, value: int64 })
const sums = topic('sums-in', { key: string, value: int64 })
const summed = globalStore('sums', { key: string, value: int64 })

const show = (key: string, row: number | undefined): string => `${key}=${row ?? '-'}`

const app = topology('globals', (t) => {
  const table = t.globalTable(rates, { store: rows })
  t.globalStore(sums, {
    store: summed,
    process: ({ key, value }, store) => store.put(key, (store.get(key) ?? 0) + value),
  })
  const stream = t.stream(orders)
  stream.joinGlobal(table, ({ value }) => value, show).to(inner)
  stream.leftJoinGlobal(table, ({ value }) => value, show).to(left)
})

const key = fc.constantFrom('a', 'b', 'c', 'd')
const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('order' as const), key }) },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('rate' as const),
      key,
      value: fc.option(fc.integer({ min: -9, max: 9 })),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('sum' as const), key, value: fc.integer() }) },
  { ...turns, weight: 3 },
  // What is older than a second goes to the disk with the next commit.
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('wait' as const) }) },
  restarts,
)

class Model {
  readonly rates = new Map<string, number>()
  readonly sums = new Map<string, number>()
  readonly committed: string[] = []
  /** Orders that were sent and not processed, and those of the open transaction with what they met. */
  waiting: string[] = []
  open: { readonly key: string; readonly met: string }[] = []
  begun = false

  process(): void {
    for (const one of this.waiting) this.open.push({ key: one, met: show(one, this.rates.get(one)) })
    this.waiting = []
    if (!this.begun) this.commit()
  }

  commit(): void {
    this.begun = false
    this.committed.push(...this.open.map(({ met }) => met))
    this.open = []
  }

  abort(): void {
    this.begun = false
    this.waiting.unshift(...this.open.map(({ key: one }) => one))
    this.open = []
  }
}

describe('global tables under aborts and restarts', () => {
  it('are what a naive model has', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.integer({ min: 1, max: 3 }), (steps, partitions) => {
        using driver = testDriver(app, { partitions })
        const model = new Model()
        for (const one of steps) {
          if (one.kind === 'order') {
            model.waiting.push(one.key)
            model.process()
            driver.input(orders).send('order', one.key)
          } else if (one.kind === 'rate') {
            if (one.value === null) model.rates.delete(one.key)
            else model.rates.set(one.key, one.value)
            model.process()
            driver.input(rates).send(one.key, one.value)
          } else if (one.kind === 'sum') {
            model.sums.set(one.key, (model.sums.get(one.key) ?? 0) + one.value)
            model.process()
            driver.input(sums).send(one.key, one.value)
          } else if (one.kind === 'wait') {
            model.process()
            driver.advanceWallClock(1000)
          } else if (one.kind === 'restart') {
            model.abort()
            driver.restart({ keepState: one.keepState })
          } else if (one.kind === 'begin' ? !model.begun : model.begun) {
            if (one.kind === 'begin') model.begun = true
            else model[one.kind]()
            driver[one.kind]()
            if (one.kind === 'commit') model.process()
          }
          expect(new Map([...driver.store(rows).all()].map((row) => [row.key, row.value]))).toEqual(
            model.rates,
          )
        }
        if (model.begun) {
          model.commit()
          driver.commit()
        }
        model.process()
        driver.run()
        const valuesOf = (of: typeof left): string[] =>
          driver
            .output(of)
            .readKeyValues()
            .map(({ value }) => value)
        expect(valuesOf(left)).toEqual(model.committed)
        expect(valuesOf(inner)).toEqual(model.committed.filter((met) => !met.endsWith('=-')))
        expect(new Map([...driver.store(summed).all()].map((row) => [row.key, row.value]))).toEqual(
          model.sums,
        )
      }),
      { numRuns: 200 },
    )
  })
})
