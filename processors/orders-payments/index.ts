// Orders and what was paid for them: each order is told once its payments are there, or once it is too late for them.
//
// Orders and payments come through topics of their own, in any order and some of them late. An order waits for payments
// for half an hour, and then a while longer for those that are late. What comes after that is not forgotten: money that
// belongs to no order, or came too late for it, goes to a topic where somebody looks at it. So each payment is in one
// place, an order or that topic, whatever dies meanwhile.
import { joinStore, nullable, store, string, topic, topology, within } from 'millstream'
import { z } from 'zod'

const minuteMs = 60_000

const amount = z.int().positive()
const orderSchema = z.object({ customer: z.string(), product: z.string(), amount })
const paymentSchema = z.object({ id: z.string().min(1), amount })
const customerSchema = z.object({ name: z.string() })

const settlementSchema = orderSchema.extend({ paid: z.int(), payments: z.array(z.string()) })
const settledSchema = settlementSchema.extend({
  status: z.enum(['unpaid', 'underpaid', 'paid', 'overpaid']),
  /** Null as long as nothing is known of the customer. */
  customerName: z.nullable(z.string()),
})
const strayPaymentSchema = paymentSchema.extend({ reason: z.enum(['no order', 'too late']) })

export type Settlement = z.infer<typeof settlementSchema>
export type SettledOrder = z.infer<typeof settledSchema>
export type StrayPayment = z.infer<typeof strayPaymentSchema>

/** By order. Amounts in cents. The timestamp of a record is the time of the order. */
export const orders = topic('orders', { key: string, value: orderSchema })
/** By order, so that a payment and its order meet in one partition; an order may be paid in parts. */
export const payments = topic('payments', { key: string, value: paymentSchema })
/** By customer; the latest record counts, and null takes one out. */
export const customers = topic('customers', { key: string, value: nullable(customerSchema) })
/** By order: told with its first payment, or when none came, and again with each change. */
export const settledOrders = topic('settled-orders', { key: string, value: nullable(settledSchema) })
/** By order, as the payment names it. */
export const strayPayments = topic('stray-payments', { key: string, value: strayPaymentSchema })

const waiting = joinStore('waiting', { key: string, left: orderSchema, right: paymentSchema })
const settlements = store('settlements', { key: string, value: settlementSchema })
const customerRows = store('customers', { key: string, value: customerSchema })
const settledRows = store('settled-orders', { key: string, value: settledSchema })

/** An order as two of its payments leave it. */
const add = (one: Settlement, other: Settlement): Settlement => ({
  ...one,
  paid: one.paid + other.paid,
  payments: [...one.payments, ...other.payments],
})

const statusOf = ({ paid, amount: due }: Settlement): SettledOrder['status'] => {
  if (paid === 0) return 'unpaid'
  if (paid === due) return 'paid'
  return paid < due ? 'underpaid' : 'overpaid'
}

export default topology('orders-payments', (t) => {
  // An order and a payment that met, or one of them alone when nothing can come any more that it would meet. What was
  // told alone is never joined after that: no order is both unpaid and paid. A payment may be a minute before its order,
  // since the clocks of two systems are never the same.
  const met = t
    .stream(orders)
    .outerJoin(
      t.stream(payments),
      (order, payment) => ({ order, payment }),
      within({ beforeMs: minuteMs, afterMs: 30 * minuteMs, graceMs: 10 * minuteMs }),
      waiting,
    )
  const settled = met
    .flatMapValues(({ order, payment }): Settlement[] => {
      if (order === undefined) return []
      return [{ ...order, paid: payment?.amount ?? 0, payments: payment === undefined ? [] : [payment.id] }]
    })
    .groupByKey()
    .reduce(settlements, add)

  // The name is that of the customer as it is now: where it changes, the orders of that customer are told again. The
  // customers may have any number of partitions: rows are sent to where their customer is, and answered from there.
  settled
    .foreignKeyLeftJoin(
      t.table(customers, customerRows),
      ({ customer }) => customer,
      (order, customer): SettledOrder => ({
        ...order,
        status: statusOf(order),
        customerName: customer?.name ?? null,
      }),
      { name: 'by-customer', foreignKey: string, value: customerSchema, store: settledRows },
    )
    .toStream()
    .to(settledOrders)

  // An order closes before a payment that it did not meet, so that a payment that finds it here came too late.
  met
    .flatMapValues(({ order, payment }) => (order === undefined && payment !== undefined ? [payment] : []))
    .leftJoin(
      settled,
      (payment, order): StrayPayment => ({
        ...payment,
        reason: order === undefined ? 'no order' : 'too late',
      }),
    )
    .to(strayPayments)
})
