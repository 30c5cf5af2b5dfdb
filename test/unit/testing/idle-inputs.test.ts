// A task that waits for an input with nothing more (`maxTaskIdleMs`): in the test driver, and while workers die.
import { nullable, store, string, topic, topology } from 'millstream'
import { type SimulatedWorld, simulate, testDriver } from 'millstream/testing'
import { describe, expect, it } from 'vitest'

const orders = topic('orders', { key: string, value: string })
const prices = topic('prices', { key: string, value: nullable(string) })
const priced = topic('priced', { key: string, value: string })
const start = Date.UTC(2026, 0, 1)

const join = topology('join', (t) => {
  const table = t.table(prices, store('prices', { key: string, value: string }))
  t.stream(orders)
    .leftJoin(table, (order, price) => `${order} for ${price ?? 'nothing'}`)
    .to(priced)
})

describe('a task with an empty input', () => {
  it('waits for older records as long as was asked for', () => {
    using driver = testDriver(join, { settings: { maxTaskIdleMs: 100 } })
    const read = (): string[] =>
      driver
        .output(priced)
        .readAll()
        .map(({ value }) => value)
    driver.input(orders).send('a', 'tea', { timestamp: 20 })
    driver.advanceWallClock(99)
    expect(read()).toEqual([])
    driver.input(prices).send('a', '2', { timestamp: 10 })
    driver.advanceWallClock(99)
    expect(read()).toEqual([])
    driver.advanceWallClock(1)
    expect(read()).toEqual(['tea for 2'])
    driver.input(orders).send('a', 'rice', { timestamp: 30 })
    expect(read()).toEqual(['rice for 2'])
  })

  it('does not wait by default', () => {
    using driver = testDriver(join)
    driver.input(orders).send('a', 'tea', { timestamp: 20 })
    driver.input(prices).send('a', '2', { timestamp: 10 })
    expect(driver.output(priced).readKeyValues()).toEqual([{ key: 'a', value: 'tea for nothing' }])
  })
})

/** Both inputs of each partition merged by timestamp: what a join is that sees them in order. */
const expectedOf = (world: SimulatedWorld): string[] => {
  const all = [
    ...world.records(prices).map((record) => ({ ...record, order: false })),
    ...world.records(orders).map((record) => ({ ...record, order: true })),
  ].sort((one, other) => one.timestamp - other.timestamp)
  const known = new Map<string, string | null>()
  return all.flatMap(({ key, value, order }) => {
    if (!order) known.set(key, value)
    return order ? [`${key}: ${value} for ${known.get(key) ?? 'nothing'}`] : []
  })
}

describe('a join under simulate', () => {
  it('sees its inputs in the order of time, whatever dies', async () => {
    const summary = await simulate({
      topology: join,
      seeds: 5,
      settings: { maxTaskIdleMs: 15_000 },
      input: ({ send, random }) => {
        let timestamp = start
        for (let index = 0; index < 120; index++) {
          timestamp += 1 + Math.floor(random() * 5)
          const key = `k${Math.floor(random() * 4)}`
          if (random() < 0.5) send(orders, key, `o${index}`, { timestamp })
          else send(prices, key, random() < 0.1 ? null : `p${index}`, { timestamp })
        }
      },
      invariants: (world) => {
        const told = world.records(priced).map(({ key, value }) => `${key}: ${value}`)
        expect(told.toSorted()).toEqual(expectedOf(world).toSorted())
      },
    })
    expect(summary.failovers).toBeGreaterThan(0)
  }, 60_000)
})
