// Cogroups, and tables told per commit, while workers die, stall and move: what they come to is what the inputs ask for.
import { int64, store, string, topic, topology, tumbling, windowed, windowStore } from 'millstream'
import { type SimulatedWorld, simulate } from 'millstream/testing'
import { describe, expect, it } from 'vitest'
import { start } from './simulated.ts'

const orders = topic('orders', { key: string, value: int64 })
const payments = topic('payments', { key: string, value: int64 })
const changes = topic('changes', { key: string, value: int64 })
const windows = tumbling({ sizeMs: 50, graceMs: 10_000 })
const windowTotals = topic('window-totals', { key: windowed(string, windows), value: int64 })
const number = { key: string, value: int64 }
const open = store('open', number)
const perWindow = windowStore('per-window', number)
const sums = store('sums', number)

const cogroups = topology('cogroups', (t) => {
  const both = t
    .stream(orders)
    .groupByKey()
    .cogroup((order, total: number) => total + order.value)
    .cogroup(t.stream(payments).groupByKey(), (payment, total) => total - payment.value)
  const initial = (): number => 0
  const told = both.aggregate(open, { initial }, { emit: 'per-commit' })
  told.toStream().to(changes)
  told
    .groupBy((value) => ({ key: 'all', value }), { name: 'all', ...number })
    .reduce(
      sums,
      { add: (sum, value) => sum + value, subtract: (sum, value) => sum - value },
      { emit: 'per-commit' },
    )
  both
    .windowedBy(windows)
    .aggregate(perWindow, { initial }, { emit: 'per-commit' })
    .toStream()
    .to(windowTotals)
})

const add = (totals: Map<string, number>, key: string, value: number): void =>
  void totals.set(key, (totals.get(key) ?? 0) + value)

const invariants = (world: SimulatedWorld): void => {
  const totals = new Map<string, number>()
  const inWindows = new Map<string, number>()
  for (const [from, sign] of [
    [orders, 1],
    [payments, -1],
  ] as const) {
    for (const { key, value, timestamp } of world.records(from)) {
      add(totals, key, sign * value)
      add(inWindows, `${key}@${Math.floor(timestamp / 50) * 50}`, sign * value)
    }
  }
  expect(world.store(open)).toEqual(totals)
  const told = new Map<string, number>()
  for (const { key, value } of world.records(changes)) {
    // What is told changes something, each time.
    expect(value).not.toBe(told.get(key))
    told.set(key, value)
  }
  expect(told).toEqual(totals)
  const toldOfWindows = world
    .records(windowTotals)
    .map(({ key, value }) => [`${key.key}@${key.start}`, value] as const)
  expect(new Map(toldOfWindows)).toEqual(inWindows)
  expect(world.store(sums).get('all')).toBe([...totals.values()].reduce((sum, value) => sum + value, 0))
}

describe('cogroups and tables told per commit under simulate', () => {
  it('come to what their inputs ask for, whatever dies', async () => {
    const summary = await simulate({
      topology: cogroups,
      seeds: 8,
      input: ({ send, random }) => {
        const below = (limit: number): number => Math.floor(random() * limit)
        let timestamp = start
        for (let step = 0; step < 120; step++) {
          timestamp += below(8)
          const to = random() < 0.5 ? orders : payments
          send(to, `k${below(5)}`, 1 + below(9), { timestamp: timestamp - below(30) })
        }
      },
      invariants,
    })
    expect(summary.failovers).toBeGreaterThan(0)
  }, 60_000)
})
