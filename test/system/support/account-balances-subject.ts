// account-balances under test. Every transfer has an amount of its own, so that each change of a balance names the
// transfer behind it: the model follows each one from the input to both accounts, or to its rejection.
import path from 'node:path'
import type { JudgedRecord } from '../../support/judge.ts'
import { below, type Random } from '../../support/random.ts'
import { differences, type Finding, fold, numberOf, textOf } from './evidence.ts'
import type { Judgement, Subject } from './subject.ts'
import { renamed } from './topologies.ts'

const bank = 'bank'
const accounts = Array.from({ length: 40 }, (_, index) => `account-${index}`)
/** A transfer is known by the rest of its amount: amounts are random above, numbers below. */
const numbers = 1_000_000

interface Transfer {
  readonly id: string
  readonly from: string
  readonly to: string
  readonly amount: number
}

const transferRecord = (transfer: Transfer) => ({ key: transfer.id, value: JSON.stringify(transfer) })

const make = (random: Random, number: number, aborted: boolean) => {
  const from = below(random, accounts.length)
  const to = (from + 1 + below(random, accounts.length - 1)) % accounts.length
  return transferRecord({
    id: `${aborted ? 'ABORTED' : 'transfer'}-${number}`,
    from: accounts[from] as string,
    to: accounts[to] as string,
    amount: below(random, 400) * numbers + number,
  })
}

const parse = <T>(record: JudgedRecord): T => JSON.parse(textOf(record.value)) as T

/** How often each id occurs. */
const tally = (ids: readonly string[]): Map<string, number> => {
  const counts = new Map<string, number>()
  for (const id of ids) counts.set(id, (counts.get(id) ?? 0) + 1)
  return counts
}

/** Follows the balance of each account through its outputs: each step is one transfer, in the order of its queue. */
class Ledger {
  readonly findings: Finding[] = []
  readonly debited: string[] = []
  readonly credited: string[] = []
  readonly balances = new Map<string, number>()
  readonly #seen = new Map<string, Set<number>>()

  follow(outputs: readonly JudgedRecord[], byAmount: ReadonlyMap<number, Transfer>): void {
    for (const { key, value, partition, offset } of outputs) {
      const account = textOf(key)
      const balance = numberOf(value)
      const change = balance - (this.balances.get(account) ?? 0)
      const place = `balance of ${account} at ${partition}@${offset}`
      const transfer = byAmount.get(Math.abs(change))
      if (transfer === undefined || (change < 0 ? transfer.from : transfer.to) !== account) {
        this.findings.push({
          key: place,
          expected: 'a change that is a transfer of this account',
          found: change,
        })
      } else (change < 0 ? this.debited : this.credited).push(transfer.id)
      if (balance < 0 && account !== bank)
        this.findings.push({ key: place, expected: 'no overdraft', found: balance })
      this.balances.set(account, balance)
      this.#balancesOf(account).add(balance)
    }
  }

  hadBalance(account: string, balance: number): boolean {
    return this.#balancesOf(account).has(balance)
  }

  #balancesOf(account: string): Set<number> {
    let seen = this.#seen.get(account)
    if (seen === undefined) {
      seen = new Set([0])
      this.#seen.set(account, seen)
    }
    return seen
  }
}

/** The ids of each account in this order. */
const orderOf = (ids: readonly string[], accountOf: (id: string) => string): Map<string, string> => {
  const orders = new Map<string, string>()
  for (const id of ids) orders.set(accountOf(id), `${orders.get(accountOf(id)) ?? ''} ${id}`)
  return orders
}

const rejectionFindings = (rejections: readonly JudgedRecord[], ledger: Ledger): Finding[] =>
  rejections.flatMap((record) => {
    const { id, from, amount, balance } = parse<Transfer & { balance: number }>(record)
    if (from !== bank && amount > balance && ledger.hadBalance(from, balance)) return []
    return [{ key: `rejection of ${id}`, expected: `a balance of ${from} below ${amount}`, found: balance }]
  })

const findings = async ({ judge, applicationId, stores, skippedAt, fed }: Judgement): Promise<Finding[]> => {
  const dump = async (topic: string) => (await judge.dump(topic)).records
  const kept = (topic: string, records: readonly JudgedRecord[]): JudgedRecord[] =>
    records.filter(({ partition, offset }) => skippedAt(topic, partition, offset) === undefined)
  const [input, payers, payees] = [
    renamed(applicationId, 'transfers'),
    `${applicationId}-by-payer-repartition`,
    `${applicationId}-credits-repartition`,
  ]
  const all: Finding[] = []
  const read = await dump(input)
  if (read.length !== fed) all.push({ key: 'committed transfers', expected: fed, found: read.length })
  const transfers = new Map(
    kept(input, read).map((record) => [parse<Transfer>(record).id, parse<Transfer>(record)]),
  )
  const asked = await dump(payers)
  all.push(
    ...differences(
      'repartition by payer',
      tally([...transfers.keys()]),
      tally(asked.map((one) => parse<Transfer>(one).id)),
    ),
  )

  const credits = await dump(payees)
  const rejections = await dump(renamed(applicationId, 'rejections'))
  const accepted = credits.map((one) => parse<Transfer>(one).id)
  const rejected = rejections.map((one) => parse<Transfer>(one).id)
  const judged = kept(payers, asked).map((one) => parse<Transfer>(one).id)
  all.push(...differences('applied or rejected', tally(judged), tally([...accepted, ...rejected])))

  const ledger = new Ledger()
  ledger.follow(
    await dump(renamed(applicationId, 'balances')),
    new Map([...transfers.values()].map((one) => [one.amount, one])),
  )
  const paid = kept(payees, credits).map((one) => parse<Transfer>(one).id)
  all.push(...ledger.findings)
  all.push(...differences('debit', tally(accepted), tally(ledger.debited)))
  all.push(...differences('credit', tally(paid), tally(ledger.credited)))
  const isAccepted = new Set(accepted)
  const from = (id: string): string => transfers.get(id)?.from ?? '(unknown)'
  const to = (id: string): string => transfers.get(id)?.to ?? '(unknown)'
  all.push(
    ...differences(
      'order of debits',
      orderOf(
        judged.filter((id) => isAccepted.has(id)),
        from,
      ),
      orderOf(ledger.debited, from),
    ),
  )
  all.push(...differences('order of credits', orderOf(paid, to), orderOf(ledger.credited, to)))
  all.push(...rejectionFindings(rejections, ledger))
  if (rejected.length === 0) all.push({ key: 'rejections', expected: 'some', found: 0 })

  // A credit whose processor threw is skipped by policy: its money is in no balance.
  const paidIds = new Set(paid)
  const lost = accepted
    .filter((id) => !paidIds.has(id))
    .reduce((sum, id) => sum + (transfers.get(id)?.amount ?? 0), 0)
  const total = [...ledger.balances.values()].reduce((sum, balance) => sum + balance, 0)
  if (total + lost !== 0) all.push({ key: 'total over all accounts', expected: -lost, found: total })
  all.push(
    ...differences(
      'changelog',
      ledger.balances,
      fold(await dump(`${applicationId}-accounts-changelog`), numberOf),
    ),
  )
  all.push(
    ...differences('store on disk', ledger.balances, new Map(stores.flatMap(({ values }) => [...values]))),
  )
  return all
}

export const accountBalancesSubject: Subject = {
  name: 'account-balances',
  module: path.resolve(import.meta.dirname, '../../../processors/account-balances/index.ts'),
  input: 'transfers',
  outputs: ['balances', 'rejections'],
  repartitions: ['by-payer', 'credits'],
  store: 'accounts',
  recordsPerChunk: 60,
  // Numbers beyond those of the transfers that follow.
  first: () =>
    accounts.map((account, index) =>
      transferRecord({
        id: `deposit-${index}`,
        from: bank,
        to: account,
        amount: 300 * numbers + numbers - 1 - index,
      }),
    ),
  make,
  findings,
}
