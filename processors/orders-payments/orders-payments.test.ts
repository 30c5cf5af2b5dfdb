import { simulate, testDriver } from 'millstream/testing'
import { expect, it } from 'vitest'
import ordersPayments, { customers, orders, payments, settledOrders, strayPayments } from './index.ts'

const minute = 60_000

const opened = () => {
  const driver = testDriver(ordersPayments)
  driver.input(customers).send('c1', { name: 'Ann' }, { timestamp: 0 })
  const order = (id: string, amount: number, atMinute: number, customer = 'c1'): unknown =>
    driver.input(orders).send(id, { customer, product: 'tea', amount }, { timestamp: atMinute * minute })
  const pay = (order: string, id: string, amount: number, atMinute: number): unknown =>
    driver.input(payments).send(order, { id, amount }, { timestamp: atMinute * minute })
  const settled = () => driver.output(settledOrders).readKeyValues()
  const stray = () => driver.output(strayPayments).readKeyValues()
  return { driver, order, pay, settled, stray }
}

it('tells an order with its payment and its customer', () => {
  const { driver, order, pay, settled, stray } = opened()
  using _ = driver
  order('o1', 500, 10)
  expect(settled()).toEqual([])
  pay('o1', 'p1', 500, 40)
  const value = { customer: 'c1', product: 'tea', amount: 500, paid: 500, payments: ['p1'] }
  expect(settled()).toEqual([{ key: 'o1', value: { ...value, status: 'paid', customerName: 'Ann' } }])
  expect(stray()).toEqual([])
})

it('adds up what is paid in parts, and more than was due', () => {
  const { driver, order, pay, settled } = opened()
  using _ = driver
  order('o1', 500, 10)
  pay('o1', 'p1', 200, 11)
  pay('o1', 'p2', 300, 12)
  pay('o1', 'p3', 1, 13)
  expect(settled()).toMatchObject([
    { value: { status: 'underpaid', paid: 200, payments: ['p1'] } },
    { value: { status: 'paid', paid: 500, payments: ['p1', 'p2'] } },
    { value: { status: 'overpaid', paid: 501, payments: ['p1', 'p2', 'p3'] } },
  ])
})

it('takes a payment that is a little before its order, or comes before it', () => {
  const { driver, order, pay, settled } = opened()
  using _ = driver
  pay('o1', 'before', 500, 9)
  pay('o2', 'came before', 500, 20)
  order('o1', 500, 10)
  order('o2', 500, 15)
  expect(settled()).toMatchObject([
    { key: 'o1', value: { payments: ['before'] } },
    { key: 'o2', value: { payments: ['came before'] } },
  ])
})

it('tells an order for which no payment came, when none can come any more', () => {
  const { driver, order, pay, settled } = opened()
  using _ = driver
  order('o1', 500, 10)
  order('o2', 500, 12)
  order('later', 500, 50)
  expect(settled()).toEqual([])
  pay('o2', 'late, within the grace', 500, 42)
  order('even later', 500, 51)
  expect(settled()).toMatchObject([
    { key: 'o2', value: { status: 'paid' } },
    { key: 'o1', value: { status: 'unpaid', paid: 0, payments: [], customerName: 'Ann' } },
  ])
})

it('keeps payments without an order and those that were too late for theirs', () => {
  const { driver, order, pay, settled, stray } = opened()
  using _ = driver
  order('o1', 500, 10)
  pay('nothing', 'p1', 700, 11)
  order('o2', 500, 70)
  expect(settled()).toMatchObject([{ key: 'o1', value: { status: 'unpaid' } }])
  pay('o1', 'came too late', 300, 20)
  pay('o1', 'was too late', 200, 60)
  order('o3', 500, 120)
  expect(stray()).toEqual([
    { key: 'nothing', value: { id: 'p1', amount: 700, reason: 'no order' } },
    { key: 'o1', value: { id: 'came too late', amount: 300, reason: 'too late' } },
    { key: 'o1', value: { id: 'was too late', amount: 200, reason: 'too late' } },
  ])
  expect(settled()).toMatchObject([{ key: 'o2', value: { status: 'unpaid' } }])
})

it('tells orders again when the name of their customer changes', () => {
  const { driver, order, pay, settled } = opened()
  using _ = driver
  order('o1', 500, 10)
  pay('o1', 'p1', 500, 11)
  order('o2', 500, 12, 'c2')
  pay('o2', 'p2', 500, 13)
  expect(settled()).toMatchObject([{ value: { customerName: 'Ann' } }, { value: { customerName: null } }])
  driver.input(customers).send('c2', { name: 'Bob' })
  driver.input(customers).send('c1', null)
  expect(settled()).toMatchObject([
    { key: 'o2', value: { customerName: 'Bob', paid: 500 } },
    { key: 'o1', value: { customerName: null, paid: 500 } },
  ])
})

it('has each payment in one place and each order told, whatever dies', async () => {
  const partitions = 2
  await simulate({
    topology: ordersPayments,
    seeds: 5,
    partitions,
    input({ send, random }) {
      const upTo = (most: number): number => Math.floor(random() * most)
      for (let at = 0; at < 100; at++) {
        const timestamp = at * 3 * minute
        if (at % 8 === 0) send(customers, `c${upTo(4)}`, { name: `name ${at}` }, { timestamp })
        send(
          orders,
          `o${at}`,
          { customer: `c${upTo(5)}`, product: 'tea', amount: 1 + upTo(3) },
          { timestamp },
        )
        // For this order or an earlier one, sometimes so much that it is too late, sometimes for none.
        for (let parts = upTo(3); parts > 0; parts--)
          send(
            payments,
            random() < 0.1 ? `none${at}` : `o${Math.max(0, at - upTo(16))}`,
            { id: `p${at}-${parts}`, amount: 1 + upTo(3) },
            { timestamp: timestamp + minute },
          )
      }
      // Closes what is open.
      for (let partition = 0; partition < partitions; partition++)
        send(payments, 'end', { id: 'end', amount: 1 }, { timestamp: 10_000 * minute, partition })
    },
    invariants(world) {
      const sent = new Map(
        world
          .records(payments)
          .filter(({ key }) => key !== 'end')
          .map((record) => [record.value.id, record]),
      )
      const ordered = new Map(world.records(orders).map((record) => [record.key, record]))
      const names = new Map(world.records(customers).map(({ key, value }) => [key, value?.name]))
      // What was told last of each order.
      const settled = new Map(world.records(settledOrders).map(({ key, value }) => [key, value]))
      const stray = world.records(strayPayments)

      expect([...settled.keys()].sort()).toEqual([...ordered.keys()].sort())
      for (const [id, order] of settled) {
        const its = (order?.payments ?? []).map((payment) => sent.get(payment))
        expect(order).toMatchObject({
          ...ordered.get(id)?.value,
          paid: its.reduce((sum, payment) => sum + (payment?.value.amount ?? 0), 0),
          customerName: names.get(order?.customer ?? '') ?? null,
        })
        for (const payment of its) {
          expect(payment?.key).toBe(id)
          const after = (payment?.timestamp ?? 0) - (ordered.get(id)?.timestamp ?? 0)
          expect(after).toBeGreaterThanOrEqual(-minute)
          expect(after).toBeLessThanOrEqual(30 * minute)
        }
      }
      for (const { key, value } of stray) {
        expect(sent.get(value.id)).toMatchObject({ key, value: { amount: value.amount } })
        if (value.reason === 'too late') expect(ordered.has(key)).toBe(true)
      }
      const placed = [...settled.values()].flatMap((order) => order?.payments ?? [])
      expect([...placed, ...stray.map(({ value }) => value.id)].sort()).toEqual([...sent.keys()].sort())
      expect(placed.length).toBeGreaterThan(20)
      expect(stray.length).toBeGreaterThan(20)
    },
  })
})
