// Versioned tables and joins as of a time against a naive model that keeps every version. Out of order, late, taken out;
// aborted transactions and restarts with and without the disk must not show.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { int64, nullable, store, string, topic, topology, versionedStore } from '../../../src/index.ts'
import { testDriver } from '../../../src/testing/index.ts'
import { orderIn, partitionsOf, play, restarts, turns } from './model-steps.ts'

const historyMs = 12
const graceMs = 6
// One topic for both sides, so that their order is the same whenever they are processed.
const input = topic('in', { key: string, value: string })
const now = topic('now', { key: string, value: string })
const later = topic('later', { key: string, value: string })
const changes = topic('changes', { key: string, value: nullable(int64) })
const history = versionedStore('history', { key: string, value: int64, historyMs })
const waiting = store('waiting', { key: string, value: int64 })

const show = (order: number, rate: number | undefined): string => `${order}:${rate ?? '-'}`

const joined = topology('joined', (t) => {
  const { order, rate } = t.stream(input).branch({
    order: ({ value }) => value.startsWith('order'),
    rate: () => true,
  })
  const table = rate.mapValues((text) => (text === 'rate' ? null : Number(text.slice(4)))).toTable(history)
  table.toStream().to(changes)
  const stream = order.mapValues((text) => Number(text.slice(5)))
  stream.leftJoin(table, show).to(now)
  stream.join(table, show, { graceMs, store: waiting }).to(later)
})

interface Sent {
  readonly kind: 'rate' | 'order'
  readonly key: string
  readonly value: number | null
  readonly timestamp: number
}

/** What one partition comes to: every version for ever, looked at through the history. */
class Model {
  readonly now: string[] = []
  readonly later: string[] = []
  readonly changes: string[] = []
  readonly #versions = new Map<string, Map<number, number | null>>()
  #time = -1
  #orderTime = -1
  #waiting: (Sent & { readonly order: number })[] = []

  take(sent: Sent, order: number): void {
    if (sent.kind === 'rate') this.#rate(sent)
    else this.#order(sent, order)
  }

  #of(key: string): [number, number | null][] {
    return [...(this.#versions.get(key) ?? [])].sort(([one], [other]) => one - other)
  }

  latest(key: string): number | undefined {
    return this.#of(key).at(-1)?.[1] ?? undefined
  }

  asOf(key: string, timestamp: number): number | undefined {
    const all = this.#of(key)
    const last = all.at(-1)
    if (last === undefined) return undefined
    if (last[0] <= timestamp) return last[1] ?? undefined
    if (timestamp < this.#time - historyMs) return undefined
    return all.findLast(([from]) => from <= timestamp)?.[1] ?? undefined
  }

  versions(key: string, from: number, to: number): unknown[] {
    const all = this.#of(key)
    const least = Math.max(from, this.#time - historyMs)
    return all
      .map(([start, value], index) => ({ value, from: start, to: all[index + 1]?.[0] }))
      .filter((one) => one.value !== null && one.from < to)
      .filter((one) => one.to === undefined || one.to > least)
      .reverse()
  }

  #rate({ key, value, timestamp }: Sent): void {
    if (timestamp < this.#time - historyMs) return
    const before = this.latest(key)
    this.#time = Math.max(this.#time, timestamp)
    const all = this.#versions.get(key) ?? new Map<number, number | null>()
    this.#versions.set(key, all.set(timestamp, value))
    if (before !== undefined || value !== null) this.changes.push(`${key}=${value}/${timestamp}`)
  }

  #order(sent: Sent, order: number): void {
    const { key, value, timestamp } = sent
    this.now.push(`${key}=${show(value as number, this.asOf(key, timestamp))}/${timestamp}`)
    if (timestamp < this.#orderTime - graceMs) return this.#join(sent)
    this.#orderTime = Math.max(this.#orderTime, timestamp)
    this.#waiting.push({ ...sent, order })
    const due = this.#waiting.filter((one) => one.timestamp <= this.#orderTime - graceMs)
    this.#waiting = this.#waiting.filter((one) => one.timestamp > this.#orderTime - graceMs)
    due.sort(
      (one, other) =>
        one.timestamp - other.timestamp ||
        (one.key < other.key ? -1 : one.key > other.key ? 1 : one.order - other.order),
    )
    for (const one of due) this.#join(one)
  }

  #join({ key, value, timestamp }: Sent): void {
    const rate = this.asOf(key, timestamp)
    if (rate !== undefined) this.later.push(`${key}=${show(value as number, rate)}/${timestamp}`)
  }
}

const keys = ['a', 'b', 'c', 'd'] as const

const step = fc.oneof(
  {
    weight: 14,
    arbitrary: fc.record({
      kind: fc.constantFrom('rate' as const, 'rate' as const, 'order' as const),
      key: fc.constantFrom(...keys),
      value: fc.integer({ min: 0, max: 99 }),
      isNull: fc.boolean(),
      forwardMs: fc.oneof(
        { weight: 8, arbitrary: fc.integer({ min: -5, max: 6 }) },
        { weight: 1, arbitrary: fc.integer({ min: -30, max: 30 }) },
      ),
    }),
  },
  turns,
  restarts,
)

describe('versioned tables under aborts and restarts', () => {
  it('are those of a naive model', () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 90, size: 'max' }),
        fc.integer({ min: 1, max: 2 }),
        (steps, partitions) => {
          using driver = testDriver(joined, { partitions })
          const models = Array.from({ length: partitions }, () => new Model())
          const sent: Sent[] = []
          let timestamp = 0
          play(driver, steps, (one) => {
            timestamp = Math.max(0, timestamp + one.forwardMs)
            const value = one.kind === 'rate' && one.isNull && one.value < 40 ? null : one.value
            driver.input(input).send(one.key, `${one.kind}${value ?? ''}`, { timestamp })
            sent.push({ kind: one.kind, key: one.key, value, timestamp })
          })
          const outputs = [changes, now, later].map((handle) =>
            driver
              .output(handle as typeof now)
              .readAll()
              .map(({ key, value, timestamp: at }) => ({ key, text: `${key}=${value}/${at}` })),
          )
          const partitionOf = partitionsOf(partitions)
          for (const [order, one] of sent.entries()) models[partitionOf(one.key)]?.take(one, order)
          for (const [partition, model] of models.entries()) {
            const told = outputs.map((all) =>
              all.filter(({ key }) => partitionOf(key) === partition).map(({ text }) => text),
            )
            const byKey = orderIn(partitions)
            expect(told.map(byKey)).toEqual([model.changes, model.now, model.later].map(byKey))
            const view = driver.store(history, { partition })
            for (const key of keys) {
              if (partitionOf(key) !== partition) continue
              expect(view.get(key)).toBe(model.latest(key))
              const times = Array.from({ length: 30 }, (_, index) => Math.max(0, timestamp - 20 + index))
              expect(times.map((time) => view.asOf(key, time))).toEqual(
                times.map((time) => model.asOf(key, time)),
              )
              for (const [from, to] of [
                [0, 1000],
                [timestamp - 6, timestamp + 1],
                [timestamp, timestamp + 4],
              ] as const)
                expect([...view.versions(key, from, to)]).toEqual(model.versions(key, from, to))
            }
          }
        },
      ),
      { numRuns: 100 },
    )
  })
})
