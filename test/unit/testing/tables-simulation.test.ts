// Tables while workers die, stall and move: what the stores and the topics come to is what the inputs ask for.
import { int64, nullable, store, string, topic, topology } from 'millstream'
import { type SimulatedWorld, simulate } from 'millstream/testing'
import { describe, expect, it } from 'vitest'

const accounts = topic('accounts', { key: string, value: nullable(int64) })
const owners = topic('owners', { key: int64, value: nullable(string) })
const named = topic('named', { key: string, value: nullable(string) })
const pairs = topic('pairs', { key: string, value: nullable(string) })
const accountRows = store('accounts', { key: string, value: int64 })
const ownerRows = store('owners', { key: int64, value: string })
const namedRows = store('named', { key: string, value: string })
const pairRows = store('pairs', { key: string, value: string })
const sizes = store('sizes', { key: int64, value: int64 })

const show = (one: number | string | undefined, other: number | string | undefined): string =>
  `${one ?? '-'}|${other ?? '-'}`

// An account holds the number of its owner.
const tables = topology('tables', (t) => {
  const account = t.table(accounts, accountRows)
  const even = account.filter((owner) => owner % 2 === 0)
  account.outerJoin(even, show, pairRows).toStream().to(pairs)
  account
    .groupBy((owner) => ({ key: owner, value: owner }), { name: 'by-owner', key: int64, value: int64 })
    .count(sizes)
  account
    .foreignKeyLeftJoin(t.table(owners, ownerRows), (owner) => owner, show, {
      name: 'owned',
      foreignKey: int64,
      value: string,
      store: namedRows,
    })
    .toStream()
    .to(named)
})

/** The last value of each key, without those that were taken out. */
const rowsOf = <K, V>(records: readonly { readonly key: K; readonly value: V | null }[]): Map<K, V> => {
  const rows = new Map<K, V>()
  for (const { key, value } of records) {
    if (value === null) rows.delete(key)
    else rows.set(key, value)
  }
  return rows
}

const invariants = (world: SimulatedWorld): void => {
  const account = rowsOf(world.records(accounts))
  const owner = rowsOf(world.records(owners))
  expect(world.store(accountRows)).toEqual(account)
  const paired = new Map([...account].map(([key, id]) => [key, show(id, id % 2 === 0 ? id : undefined)]))
  expect(world.store(pairRows)).toEqual(paired)
  expect(rowsOf(world.records(pairs))).toEqual(paired)
  const joined = new Map([...account].map(([key, id]) => [key, show(id, owner.get(id))]))
  expect(world.store(namedRows)).toEqual(joined)
  expect(rowsOf(world.records(named))).toEqual(joined)
  const counted = new Map<number, number>()
  for (const id of account.values()) counted.set(id, (counted.get(id) ?? 0) + 1)
  const found = [...world.store(sizes)].filter(([, size]) => size !== 0)
  expect(new Map(found)).toEqual(counted)
}

describe('tables under simulate', () => {
  it('end as their inputs ask for, whatever dies', async () => {
    const summary = await simulate({
      topology: tables,
      seeds: 8,
      input: ({ send, random }) => {
        const below = (limit: number): number => Math.floor(random() * limit)
        for (let step = 0; step < 80; step++) {
          const removed = random() < 0.2
          if (random() < 0.7) send(accounts, `a${below(8)}`, removed ? null : below(5))
          else send(owners, below(5), removed ? null : `o${step}`)
        }
      },
      invariants,
    })
    expect(summary.failovers).toBeGreaterThan(0)
  }, 60_000)
})
