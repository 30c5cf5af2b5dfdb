// Payments over the limit of their card have to be confirmed by its owner. Where no confirmation comes in time, an alert is
// told.
//
// What counts is the limit at the time of the payment, however late the payment comes: a limit that was raised after it
// excuses nothing. And time is that of the records, not that of the clock on the wall: after an hour in which nothing ran,
// the confirmations that wait in their topic are read before anybody is told that they are missing. For that the alert
// waits for the first record of its partition that is as late as the deadline.
import {
  nullable,
  output,
  processor,
  store,
  StreamRecord,
  string,
  timerStore,
  topic,
  topology,
  versionedStore,
} from 'millstream'
import { z } from 'zod'

const minuteMs = 60_000
const hourMs = 60 * minuteMs

/** A confirmation has to be earlier than this after its payment. */
export const confirmWithinMs = 10 * minuteMs

const id = z.string().min(1)
const amount = z.int().positive()

const limitSchema = z.object({ limit: z.int().nonnegative() })
const paymentSchema = z.object({ id, amount })
const confirmationSchema = z.object({ payment: id })
const alertSchema = z.object({ payment: id, amount, limit: z.int(), paidAt: z.int() })

export type Alert = z.infer<typeof alertSchema>

/** By card; null takes the limit back. Amounts in cents. */
export const cardLimits = topic('card-limits', { key: string, value: nullable(limitSchema) })
/** By card; the timestamp of a record is the time of the payment. */
export const payments = topic('payments', { key: string, value: paymentSchema })
/** By card. */
export const confirmations = topic('confirmations', { key: string, value: confirmationSchema })
/** By card: payments that nobody confirmed, each once. */
export const alerts = topic('alerts', { key: string, value: alertSchema })

const limits = versionedStore('limits', { key: string, value: limitSchema, historyMs: 24 * hourMs })
// By card and payment: what the owner of one card confirms is nothing to the payments of another.
const cardAndPayment = z.tuple([z.string(), id])
/** What is told of a payment over the limit unless it is confirmed. */
export const unconfirmed = store('unconfirmed', { key: cardAndPayment, value: alertSchema })
/** When a confirmation was given that came before its payment, which may be up to an hour late. */
export const early = store('early', { key: cardAndPayment, value: z.int(), ttlMs: hourMs })
/** The key is the card, the name the payment, so that a card may have several. */
export const deadlines = timerStore('deadlines', { key: string })

type Event = { readonly overLimit: Alert } | { readonly confirmed: string }

const watch = processor({
  name: 'watch',
  stores: { unconfirmed, early },
  timers: deadlines,
  outputs: output<string, Alert>(),
  process({ key: card, value: event, timestamp }: StreamRecord<string, Event>, { stores, timers }) {
    if ('overLimit' in event) {
      const { payment } = event.overLimit
      const deadline = timestamp + confirmWithinMs
      const confirmedAt = stores.early.get([card, payment])
      if (confirmedAt !== undefined && confirmedAt < deadline) return
      stores.unconfirmed.put([card, payment], event.overLimit)
      timers.set(card, deadline, payment)
      return
    }
    const payment = event.confirmed
    const deadline = timers.at(card, payment)
    if (deadline === undefined) stores.early.put([card, payment], timestamp)
    // A timer fires after the record that brings its time. That may be the confirmation itself, which then is too late.
    else if (timestamp < deadline) {
      timers.cancel(card, payment)
      stores.unconfirmed.delete([card, payment])
    }
  },
  // The alert, the store and the timer are committed together: it is told once, whatever dies.
  onTimer({ key: card, name: payment, at }, { stores, forward }) {
    const alert = stores.unconfirmed.get([card, payment])
    if (alert === undefined) return
    stores.unconfirmed.delete([card, payment])
    forward(StreamRecord.of({ key: card, value: alert, timestamp: at }))
  },
})

export default topology('fraud-alerts', (t) => {
  // The table is kept in a versioned store: each payment is joined with the limit as it was at the time of the payment.
  const overLimit = t
    .stream(payments)
    .leftJoin(t.table(cardLimits, limits), ({ id: payment, amount: cents }, row, { timestamp }): Alert => {
      // A card without a limit pays nothing unconfirmed.
      return { payment, amount: cents, limit: row?.limit ?? 0, paidAt: timestamp }
    })
    .filter(({ value }) => value.amount > value.limit)
    .mapValues((alert): Event => ({ overLimit: alert }))
  const confirmed = t.stream(confirmations).mapValues(({ payment }): Event => ({ confirmed: payment }))
  overLimit.merge(confirmed).process(watch).to(alerts)
})
