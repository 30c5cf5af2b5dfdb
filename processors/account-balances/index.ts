// Transfers between accounts, exactly once: nobody is overdrawn, and no money appears or is lost.
//
// A transfer touches two accounts, which live in two partitions, so it is done in two steps: the debit is processed in
// the partition of the payer; if the funds suffice, a credit goes through a topic to the partition of the payee. Both
// steps use the same store, so they are one sub-topology. Money is either in a balance or in a credit on its way: the
// sum of both is zero at any commit, since money enters as the debt of the bank, the one account that may be negative.
import { int64, output, processor, store, string, topic, topology, type StreamRecord } from 'millstream'
import { z } from 'zod'

/** The account that opening deposits come from; it may be overdrawn. */
export const bank = 'bank'

const account = z.string().min(1)
const amount = z.int().positive()

const transferSchema = z.object({ id: z.string().min(1), from: account, to: account, amount })
const creditSchema = z.object({ id: z.string().min(1), from: account, amount })
const rejectionSchema = z.object({ id: z.string(), from: account, to: account, amount, balance: z.int() })

export type Transfer = z.infer<typeof transferSchema>
export type Credit = z.infer<typeof creditSchema>
export type Rejection = z.infer<typeof rejectionSchema>

/** What is asked for, in any order and under any key (one per transfer keeps them spread). Amounts in cents. */
export const transfers = topic('transfers', { key: string, value: transferSchema })
/** The balance of an account, in cents, after each change. */
export const balances = topic('balances', { key: string, value: int64 })
/** Transfers that the payer's balance did not allow, by payer. */
export const rejections = topic('rejections', { key: string, value: rejectionSchema })

export const accounts = store('accounts', { key: string, value: int64 })

const debit = processor({
  name: 'debit',
  stores: { accounts },
  outputs: {
    balance: output<string, number>(),
    credit: output<string, Credit>(),
    rejected: output<string, Rejection>(),
  },
  process(record: StreamRecord<string, Transfer>, { stores, forward }) {
    const transfer = record.value
    const { id, from, to, amount: cents } = transfer
    const balance = stores.accounts.get(from) ?? 0
    if (from !== bank && balance < cents) {
      forward('rejected', record.withValue({ ...transfer, balance }))
      return
    }
    stores.accounts.put(from, balance - cents)
    forward('balance', record.withValue(balance - cents))
    forward('credit', record.withKey(to).withValue({ id, from, amount: cents }))
  },
})

const credit = processor({
  name: 'credit',
  stores: { accounts },
  outputs: output<string, number>(),
  process(record: StreamRecord<string, Credit>, { stores, forward }) {
    const balance = (stores.accounts.get(record.key) ?? 0) + record.value.amount
    stores.accounts.put(record.key, balance)
    forward(record.withValue(balance))
  },
})

export default topology('account-balances', (t) => {
  const debited = t
    .stream(transfers)
    .selectKey((record) => record.value.from)
    .repartition({ name: 'by-payer', key: string, value: transferSchema })
    .process(debit)
  const credited = debited.credit
    .repartition({ name: 'credits', key: string, value: creditSchema })
    .process(credit)
  debited.rejected.to(rejections)
  debited.balance.merge(credited).to(balances)
})
