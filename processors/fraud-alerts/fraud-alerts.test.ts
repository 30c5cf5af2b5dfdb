import { simulate, testDriver } from 'millstream/testing'
import { expect, it } from 'vitest'
import fraudAlerts, {
  type Alert,
  alerts,
  cardLimits,
  confirmations,
  confirmWithinMs,
  deadlines,
  early,
  payments,
  unconfirmed,
} from './index.ts'

const minute = 60_000

const opened = () => {
  const driver = testDriver(fraudAlerts)
  const limit = (card: string, cents: number | null, atMinute: number): unknown =>
    driver
      .input(cardLimits)
      .send(card, cents === null ? null : { limit: cents }, { timestamp: atMinute * minute })
  const pay = (card: string, id: string, amount: number, atMinute: number): unknown =>
    driver.input(payments).send(card, { id, amount }, { timestamp: atMinute * minute })
  const confirm = (card: string, payment: string, atMinute: number): unknown =>
    driver.input(confirmations).send(card, { payment }, { timestamp: atMinute * minute })
  const told = (): unknown => driver.output(alerts).readAll()
  return { driver, limit, pay, confirm, told }
}

it('tells a payment over the limit that nobody confirmed, once its time is over', () => {
  const { driver, limit, pay, told } = opened()
  using _ = driver
  limit('ann', 100, 0)
  pay('ann', 'within', 100, 1)
  pay('ann', 'over', 101, 2)
  pay('bob', 'without a limit', 1, 3)
  pay('ann', 'later', 5, 11)
  expect(told()).toEqual([])
  pay('ann', 'brings the time', 5, 12)
  expect(told()).toMatchObject([
    {
      key: 'ann',
      value: { payment: 'over', amount: 101, limit: 100, paidAt: 2 * minute },
      timestamp: 12 * minute,
    },
  ])
  pay('ann', 'much later', 5, 50)
  expect(told()).toMatchObject([{ key: 'bob', value: { payment: 'without a limit', limit: 0 } }])
  expect([...driver.store(unconfirmed).all()]).toEqual([])
})

it('tells nothing of what is confirmed in time', () => {
  const { driver, limit, pay, confirm, told } = opened()
  using _ = driver
  limit('ann', 100, 0)
  pay('ann', 'confirmed', 200, 1)
  pay('ann', 'not this one', 300, 1)
  confirm('ann', 'confirmed', 10)
  confirm('bob', 'any', 11)
  expect(told()).toMatchObject([{ value: { payment: 'not this one' } }])
  expect(driver.timers(deadlines)).toEqual([])
  pay('ann', 'later', 5, 60)
  expect(told()).toEqual([])
})

it('takes no confirmation that is too late, or of another card', () => {
  const { driver, pay, confirm, told } = opened()
  using _ = driver
  pay('ann', 'a', 200, 0)
  confirm('bob', 'a', 1)
  confirm('ann', 'a', 10)
  expect(told()).toMatchObject([{ key: 'ann', value: { payment: 'a' } }])
})

it('looks up the limit as it was when the payment was made', () => {
  const { driver, limit, pay, told } = opened()
  using _ = driver
  limit('ann', 100, 0)
  limit('ann', 1000, 30)
  limit('ann', null, 60)
  pay('ann', 'before it was raised', 500, 29)
  pay('ann', 'while it was high', 500, 59)
  pay('ann', 'when it was taken back', 50, 60)
  pay('bob', 'much later', 5, 90)
  expect(told()).toMatchObject([
    { value: { payment: 'before it was raised', limit: 100 } },
    { value: { payment: 'when it was taken back', limit: 0 } },
  ])
})

it('knows confirmations that came before a late payment', () => {
  const { driver, pay, confirm, told } = opened()
  using _ = driver
  confirm('ann', 'confirmed', 5)
  confirm('ann', 'confirmed too late', 15)
  confirm('bob', 'of another card', 5)
  pay('ann', 'confirmed', 200, 4)
  pay('ann', 'confirmed too late', 200, 5)
  pay('ann', 'of another card', 200, 5)
  expect(told()).toMatchObject([
    { value: { payment: 'confirmed too late' } },
    { value: { payment: 'of another card' } },
  ])
  pay('ann', 'much later', 1, 80)
  expect(driver.store(early).get(['ann', 'confirmed'])).toBeUndefined()
})

it('keeps its deadlines over a crash', () => {
  const { driver, pay, confirm, told } = opened()
  using _ = driver
  pay('ann', 'a', 200, 0)
  pay('ann', 'b', 200, 0)
  driver.begin()
  confirm('ann', 'b', 1)
  driver.restart() // before the commit
  expect(driver.timers(deadlines)).toHaveLength(2)
  driver.run()
  pay('ann', 'later', 1, 20)
  expect(told()).toMatchObject([{ key: 'ann', value: { payment: 'a' } }])
})

it('tells each payment that was not confirmed once, whatever dies', async () => {
  const partitions = 2
  const end = 1000 * minute
  await simulate({
    topology: fraudAlerts,
    seeds: 5,
    partitions,
    // What is expected holds where the three topics are read in the order of time. So a task waits for the one that has
    // nothing, and no transaction of somebody else holds one of them up for longer than that.
    settings: { maxTaskIdleMs: 8000 },
    faults: ['request', 'cut', 'kill', 'pause', 'put out', 'restart', 'stop node'],
    input({ send, random }) {
      const upTo = (most: number): number => Math.floor(random() * most)
      for (let at = 0; at < 120; at++) {
        const card = `card-${upTo(6)}`
        const timestamp = at * minute
        send(payments, card, { id: `${card}/${at}`, amount: 1 + upTo(300) }, { timestamp })
        // Of a payment a while ago, so that some of them are too late.
        const paidAt = at - upTo(16)
        for (let other = 0; other < 6; other++)
          if (random() < 0.5)
            send(confirmations, `card-${other}`, { payment: `card-${other}/${paidAt}` }, { timestamp })
        // Half a minute later: which of two records of one time comes first is open.
        const limit = random() < 0.1 ? null : { limit: upTo(300) }
        send(cardLimits, `card-${upTo(6)}`, limit, { timestamp: timestamp + minute / 2 })
      }
      for (let partition = 0; partition < partitions; partition++) {
        const last = { timestamp: end, partition }
        send(cardLimits, 'end', { limit: 100 }, last)
        send(payments, 'end', { id: 'end', amount: 100 }, last)
        send(confirmations, 'end', { payment: 'end' }, last)
      }
    },
    invariants(world) {
      const limits = world.records(cardLimits)
      const confirmed = world.records(confirmations)
      const expected: Alert[] = []
      for (const { key: card, value, timestamp } of world.records(payments)) {
        const limit =
          limits.findLast((one) => one.key === card && one.timestamp <= timestamp)?.value?.limit ?? 0
        const inTime = confirmed.some(
          (one) =>
            one.key === card && one.value.payment === value.id && one.timestamp < timestamp + confirmWithinMs,
        )
        if (value.amount > limit && !inTime && timestamp < end)
          expected.push({ payment: value.id, amount: value.amount, limit, paidAt: timestamp })
      }
      const byPayment = (one: Alert, other: Alert): number => (one.payment < other.payment ? -1 : 1)
      const told = world.records(alerts).map(({ value }) => value)
      expect(told.sort(byPayment)).toEqual(expected.sort(byPayment))
      expect(told.length).toBeGreaterThan(20)
      expect(world.store(unconfirmed)).toEqual(new Map())
    },
  })
})
