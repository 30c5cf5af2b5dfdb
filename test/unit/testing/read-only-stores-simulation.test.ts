// Read-only stores while workers die, stall and move. The topic that fills one is written by the application itself, so
// that it holds aborted records, too: each committed one fills the store once, in its order, whoever has the task.
import { int64, output, readOnlyStore, store, string, topic, topology } from 'millstream'
import { type SimulatedWorld, type SimulateOptions, simulate } from 'millstream/testing'
import { describe, expect, it } from 'vitest'

const changes = topic('changes', { key: string, value: string })
const orders = topic('orders', { key: string, value: string })
const rates = topic('rates', { key: string, value: string })
const seen = topic('seen', { key: string, value: string })
const versions = store('versions', { key: string, value: int64 })
const rateRows = readOnlyStore('rates', { key: string, value: string })

/** An attempt that was aborted has a number that no other one has. */
let attempts = 0

// A rate is `<version>:<attempt>`; its row says how many records of its key came before, too.
const shop = topology('shop', (t) => {
  t.stream(changes)
    .process({
      stores: { versions },
      outputs: output<string, string>(),
      process(record, { stores, forward }) {
        const version = (stores.versions.get(record.key) ?? 0) + 1
        stores.versions.put(record.key, version)
        forward(record.withValue(`${version}:${attempts++}`))
      },
    })
    .to(rates)
  t.readOnlyStore(rates, {
    store: rateRows,
    process({ key, value }, filled) {
      const before = Number(filled.get(key)?.split(' ')[0] ?? 0)
      filled.put(key, `${before + 1} ${value}`)
    },
  })
  t.stream(orders)
    .process({
      stores: { rateRows },
      outputs: output<string, string>(),
      process: (record, { stores, forward }) =>
        forward(record.withValue(`${record.value} ${stores.rateRows.get(record.key) ?? '0 0:none'}`)),
    })
    .to(seen)
})

let found = 0

const invariants = (world: SimulatedWorld): void => {
  const known = new Set(world.records(rates).map(({ key, value }) => `${key} ${value}`))
  const last = new Map<string, number>()
  const processed: string[] = []
  for (const { key, value } of world.records(seen)) {
    const [order, count, rate = ''] = value.split(' ')
    processed.push(`${key} ${order}`)
    const version = Number(rate.split(':')[0])
    // As many as its version says: none twice, none left out, none that was aborted.
    expect(`${value}: ${count}`).toBe(`${value}: ${version}`)
    if (version > 0) expect(known).toContain(`${key} ${rate}`)
    // A later order never sees an earlier row.
    expect(version).toBeGreaterThanOrEqual(last.get(key) ?? 0)
    last.set(key, version)
    if (version > 0) found++
  }
  const wanted = world.records(orders).map(({ key, value }) => `${key} ${value}`)
  expect(processed.toSorted()).toEqual(wanted.toSorted())
}

const input: SimulateOptions['input'] = ({ send, random }) => {
  const below = (limit: number): number => Math.floor(random() * limit)
  for (let step = 0; step < 120; step++) {
    if (random() < 0.4) send(changes, `r${below(5)}`, 'again')
    else send(orders, `r${below(5)}`, `o${step}`)
  }
}

describe('read-only stores under simulate', () => {
  it('are filled once by each committed record, whatever dies', async () => {
    const summary = await simulate({ topology: shop, seeds: 15, input, invariants })
    expect(summary.failovers).toBeGreaterThan(0)
    expect(found).toBeGreaterThan(300)
  }, 60_000)

  it('are so with standbys, which follow what is committed', async () => {
    const settings = { standbyReplicas: 1 }
    const summary = await simulate({ topology: shop, seeds: 10, workers: 3, settings, input, invariants })
    expect(summary.failovers).toBeGreaterThan(0)
  }, 60_000)
})
