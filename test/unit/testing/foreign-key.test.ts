import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  bytes,
  int64,
  nullable,
  store,
  type StoreHandle,
  string,
  topic,
  topology,
} from '../../../src/index.ts'
import { type TestDriver, testDriver } from '../../../src/testing/index.ts'
import { play, restarts, turns } from './model-steps.ts'

// Orders name their customer, as `customer:item`.
const orders = topic('orders', { key: string, value: nullable(string) })
const customers = topic('customers', { key: int64, value: nullable(string) })
const inner = topic('inner', { key: string, value: nullable(string) })
const left = topic('left', { key: string, value: nullable(string) })
const orderRows = store('orders', { key: string, value: string })
const customerRows = store('customers', { key: int64, value: string })
const innerRows = store('inner', { key: string, value: string })
const leftRows = store('left', { key: string, value: string })

const customerOf = (order: string): number | null => {
  const [customer = ''] = order.split(':')
  return customer === '' ? null : Number(customer)
}
const show = (order: string, customer: string | undefined): string => `${order} ${customer ?? '-'}`

const joined = topology('joined', (t) => {
  const placed = t.table(orders, orderRows)
  const known = t.table(customers, customerRows)
  placed
    .foreignKeyJoin(known, customerOf, show, {
      name: 'placed',
      foreignKey: int64,
      value: string,
      store: innerRows,
    })
    .toStream()
    .to(inner)
  placed
    .foreignKeyLeftJoin(known, customerOf, show, {
      name: 'all',
      foreignKey: int64,
      value: string,
      store: leftRows,
    })
    .toStream()
    .to(left)
})

const rowsOf = (driver: TestDriver, rows: StoreHandle<string, string>): Record<string, string> =>
  Object.fromEntries([...driver.store(rows).all()].map(({ key, value }) => [key, value]))

describe('a join by a foreign key', () => {
  it('follows both sides', () => {
    using driver = testDriver(joined)
    const order = driver.input(orders)
    const customer = driver.input(customers)
    order.send('o1', '1:tea', { timestamp: 1 })
    expect(driver.output(inner).readAll()).toEqual([])
    expect(driver.output(left).readKeyValues()).toEqual([{ key: 'o1', value: '1:tea -' }])

    customer.send(1, 'Ann', { timestamp: 5 })
    order.send('o2', '1:milk', { timestamp: 2 })
    expect(driver.output(inner).readAll()).toMatchObject([
      { key: 'o1', value: '1:tea Ann', timestamp: 5 },
      { key: 'o2', value: '1:milk Ann', timestamp: 5 },
    ])
    customer.send(1, 'Anna', { timestamp: 6 })
    expect(driver.output(inner).readKeyValues()).toEqual([
      { key: 'o1', value: '1:tea Anna' },
      { key: 'o2', value: '1:milk Anna' },
    ])
    // To another customer: what the first one is called from now on is nothing to it.
    customer.send(2, 'Bob')
    order.send('o1', '2:tea')
    customer.send(1, 'Annabel')
    expect(rowsOf(driver, innerRows)).toEqual({ o1: '2:tea Bob', o2: '1:milk Annabel' })
    // Taken out: the customer, the order, the foreign key.
    customer.send(2, null)
    expect(rowsOf(driver, innerRows)).toEqual({ o2: '1:milk Annabel' })
    expect(rowsOf(driver, leftRows)).toEqual({ o1: '2:tea -', o2: '1:milk Annabel' })
    order.send('o2', null)
    order.send('o1', ':tea')
    expect(rowsOf(driver, innerRows)).toEqual({})
    expect(rowsOf(driver, leftRows)).toEqual({ o1: ':tea -' })
    driver.output(inner).readAll()
    customer.send(1, 'nobody asks')
    expect(driver.output(inner).readAll()).toEqual([])
  })

  it('a row that moved on is not answered by its old foreign key', () => {
    using driver = testDriver(joined, { partitions: { orders: 1, customers: 5 } })
    for (let customer = 1; customer <= 5; customer++) driver.input(customers).send(customer, `c${customer}`)
    // In one transaction, so that both questions are under way at once; the answers come in any order.
    driver.begin()
    for (let from = 1; from <= 5; from++)
      for (let to = 1; to <= 5; to++)
        for (const customer of [from, to]) driver.input(orders).send(`o${from}${to}`, `${customer}:x`)
    driver.commit()
    driver.run()
    const rows = rowsOf(driver, innerRows)
    expect(Object.keys(rows)).toHaveLength(25)
    for (const [key, row] of Object.entries(rows)) expect(row).toBe(`${key.at(-1)}:x c${key.at(-1)}`)
  })

  it('forgets the rows that left', () => {
    using driver = testDriver(joined)
    const responses = driver.output(
      topic('joined-placed-response-repartition', { key: string, value: bytes }),
    )
    driver.input(orders).send('o1', '1:tea')
    driver.input(orders).send('o2', '1:tea')
    driver.input(orders).send('o1', '2:tea')
    driver.input(orders).send('o2', null)
    responses.readAll()
    driver.input(customers).send(1, 'Ann')
    expect(responses.readAll()).toEqual([])
    driver.input(customers).send(2, 'Bob')
    expect(responses.readAll().map(({ key }) => key)).toEqual(['o1'])
  })

  it('keeps foreign keys apart whose bytes begin alike', () => {
    const people = topic('people', { key: string, value: string })
    const peopleRows = store('people', { key: string, value: string })
    const byText = topology('by-text', (t) => {
      t.table(orders, orderRows)
        .foreignKeyJoin(t.table(people, peopleRows), (value) => value, show, {
          name: 'placed',
          foreignKey: string,
          value: string,
          store: innerRows,
        })
        .toStream()
        .to(inner)
    })
    using driver = testDriver(byText)
    for (const [key, person] of [
      ['o1', 'a'],
      ['o2', 'ab'],
      ['o3', ''],
      ['o4', 'a\u0000'],
    ] as const)
      driver.input(orders).send(key, person)
    driver.input(people).send('a', 'A')
    expect(rowsOf(driver, innerRows)).toEqual({ o1: 'a A' })
    driver.input(people).send('', 'none')
    expect(rowsOf(driver, innerRows)).toEqual({ o1: 'a A', o3: ' none' })
  })

  it('takes topics with different numbers of partitions', () => {
    using driver = testDriver(joined, { partitions: { orders: 3, customers: 2 } })
    for (let customer = 0; customer < 7; customer++) driver.input(customers).send(customer, `c${customer}`)
    for (let order = 0; order < 30; order++) driver.input(orders).send(`o${order}`, `${order % 7}:x`)
    expect(Object.keys(rowsOf(driver, innerRows))).toHaveLength(30)
    driver.input(customers).send(3, 'three')
    expect(rowsOf(driver, innerRows)['o10']).toBe('3:x three')
  })
})

const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('order' as const),
      key: fc.constantFrom('a', 'b', 'c', 'd'),
      value: fc.option(fc.tuple(fc.constantFrom('', '1', '2', '3'), fc.constantFrom('x', 'y'))),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('customer' as const),
      key: fc.integer({ min: 1, max: 3 }),
      value: fc.option(fc.constantFrom('A', 'B')),
    }),
  },
  turns,
  restarts,
)

describe('a join by a foreign key under aborts and restarts', () => {
  it('ends as a naive model does', () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 50 }),
        fc.integer({ min: 1, max: 3 }),
        fc.integer({ min: 1, max: 3 }),
        (steps, ofOrders, ofCustomers) => {
          using driver = testDriver(joined, { partitions: { orders: ofOrders, customers: ofCustomers } })
          const placed = new Map<string, string>()
          const known = new Map<number, string>()
          play(driver, steps, (one) => {
            if (one.kind === 'order') {
              const value = one.value === null ? null : one.value.join(':')
              driver.input(orders).send(one.key, value)
              if (value === null) placed.delete(one.key)
              else placed.set(one.key, value)
            } else if (one.kind === 'customer') {
              driver.input(customers).send(one.key, one.value)
              if (one.value === null) known.delete(one.key)
              else known.set(one.key, one.value)
            }
          })
          const model = (outer: boolean): Record<string, string> => {
            const entries = [...placed].flatMap(([key, order]): [string, string][] => {
              const customer = known.get(customerOf(order) ?? -1)
              return customer === undefined && !outer ? [] : [[key, show(order, customer)]]
            })
            return Object.fromEntries(entries)
          }
          expect(rowsOf(driver, innerRows)).toEqual(model(false))
          expect(rowsOf(driver, leftRows)).toEqual(model(true))
        },
      ),
      { numRuns: 150 },
    )
  })
})
