// Read-only stores against a naive model: a map that goes back with each abort, since its rows are part of the tasks'
// transactions. Restarts with and without the disk must not show.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { int64, nullable, output, readOnlyStore, store, string, topic, topology } from '../../../src/index.ts'
import { testDriver } from '../../../src/testing/index.ts'
import { restarts, turns } from './model-steps.ts'

const orders = topic('orders', { key: string, value: string })
const rates = topic('rates', { key: string, value: nullable(int64) })
const seen = topic('seen', { key: string, value: string })
const sumsIn = topic('sums-in', { key: string, value: int64 })
const rows = readOnlyStore('rates', { key: string, value: int64 })
const sums = readOnlyStore('sums', { key: string, value: int64, engine: 'memory' })
/** A store with a changelog in the same tasks. */
const counts = store('counts', { key: string, value: int64 })

const app = topology('read-only', (t) => {
  t.readOnlyStore(rates, { store: rows })
  t.readOnlyStore(sumsIn, {
    store: sums,
    process: ({ key, value }, filled) => filled.put(key, (filled.get(key) ?? 0) + value),
  })
  t.stream(orders)
    .process({
      stores: { rows, sums, counts },
      outputs: output<string, string>(),
      process(record, { stores, forward }) {
        const { key } = record
        const count = (stores.counts.get(key) ?? 0) + 1
        stores.counts.put(key, count)
        forward(record.withValue(`${count} ${stores.rows.get(key) ?? '-'} ${stores.sums.get(key) ?? '-'}`))
      },
    })
    .to(seen)
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
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('sum' as const), key, value: fc.integer({ max: 99 }) }),
  },
  turns,
  // What is older than a second goes to the disk with the next commit.
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('wait' as const) }) },
  restarts,
)

type Sent =
  | { readonly kind: 'order'; readonly key: string }
  | { readonly kind: 'rate'; readonly key: string; readonly value: number | null }
  | { readonly kind: 'sum'; readonly key: string; readonly value: number }

interface State {
  readonly rates: Map<string, number>
  readonly sums: Map<string, number>
  readonly counts: Map<string, number>
  readonly seen: string[]
}

/** What is committed, and what was sent since. */
class Model {
  #committed: State = { rates: new Map(), sums: new Map(), counts: new Map(), seen: [] }
  #open: State = this.#committed
  #processed: Sent[] = []
  #waiting: Sent[] = []
  begun = false

  get state(): State {
    return this.#open
  }

  send(sent: Sent): void {
    this.#waiting.push(sent)
    this.process()
  }

  process(): void {
    const next = structuredClone(this.#open)
    for (const one of this.#waiting) apply(next, one)
    this.#open = next
    this.#processed.push(...this.#waiting)
    this.#waiting = []
    if (!this.begun) this.commit()
  }

  commit(): void {
    this.begun = false
    this.#committed = this.#open
    this.#processed = []
  }

  abort(): void {
    this.begun = false
    this.#open = this.#committed
    this.#waiting.unshift(...this.#processed)
    this.#processed = []
  }
}

const apply = (state: State, sent: Sent): void => {
  if (sent.kind === 'order') {
    const count = (state.counts.get(sent.key) ?? 0) + 1
    state.counts.set(sent.key, count)
    state.seen.push(
      `${sent.key}: ${count} ${state.rates.get(sent.key) ?? '-'} ${state.sums.get(sent.key) ?? '-'}`,
    )
  } else if (sent.kind === 'sum') state.sums.set(sent.key, (state.sums.get(sent.key) ?? 0) + sent.value)
  else if (sent.value === null) state.rates.delete(sent.key)
  else state.rates.set(sent.key, sent.value)
}

const entriesOf = (all: Iterable<{ readonly key: string; readonly value: number }>): Map<string, number> =>
  new Map([...all].map((row) => [row.key, row.value]))

describe('read-only stores under aborts and restarts', () => {
  it('are what a naive model has', () => {
    fc.assert(
      fc.property(
        fc.array(step, { minLength: 20, maxLength: 60 }),
        fc.integer({ min: 1, max: 3 }),
        (steps, partitions) => {
          using driver = testDriver(app, { partitions })
          const model = new Model()
          // One record has one time, so that those of all inputs have one order.
          let timestamp = Date.UTC(2026, 0)
          for (const one of steps) {
            const at = { timestamp: timestamp++ }
            if (one.kind === 'order') {
              model.send(one)
              driver.input(orders).send(one.key, 'order', at)
            } else if (one.kind === 'rate') {
              model.send(one)
              driver.input(rates).send(one.key, one.value, at)
            } else if (one.kind === 'sum') {
              model.send(one)
              driver.input(sumsIn).send(one.key, one.value, at)
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
            expect(entriesOf(driver.store(rows).all())).toEqual(model.state.rates)
            expect(entriesOf(driver.store(sums).all())).toEqual(model.state.sums)
          }
          if (model.begun) {
            model.commit()
            driver.commit()
          }
          model.process()
          driver.run()
          const found = driver.output(seen).readKeyValues()
          expect(found.map((row) => `${row.key}: ${row.value}`).sort()).toEqual(model.state.seen.toSorted())
        },
      ),
      { numRuns: 200 },
    )
  })
})
