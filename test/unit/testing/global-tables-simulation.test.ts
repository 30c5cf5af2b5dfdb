// Global tables while workers die, stall and move, fed by transactions that are aborted at times: nothing of these is ever
// seen, and a worker that starts has at once whatever anybody saw before.
import { globalStore, int64, output, store, string, topic, type Topology, topology } from 'millstream'
import { type SimulatedWorld, simulate } from 'millstream/testing'
import { describe, expect, it } from 'vitest'

const changes = topic('changes', { key: string, value: string })
const orders = topic('orders', { key: string, value: string })
const rates = topic('rates', { key: string, value: string })
const joined = topic('joined', { key: string, value: string })
const versions = store('versions', { key: string, value: int64 })
const rateRows = globalStore('rates', { key: string, value: string })

/** `<version>:<attempt>`: an attempt that was aborted has a number that no other one has. */
const versionOf = (rate: string | undefined): number => Number(rate?.split(':')[0] ?? 0)

/** The highest version of each rate that any processor met. */
const met = new Map<string, number>()
let attempts = 0

/** Made for each life of a worker. */
const shop = (): Topology => {
  const metBefore = new Map(met)
  let isFirst = true
  return topology('shop', (t) => {
    t.globalTable(rates, { store: rateRows })
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
    t.stream(orders)
      .process({
        name: 'join',
        stores: { rateRows },
        outputs: output<string, string>(),
        init({ stores }) {
          if (!isFirst) return
          isFirst = false
          for (const [key, version] of metBefore) {
            const found = versionOf(stores.rateRows.get(key))
            if (found < version) throw new Error(`it starts with version ${found} of ${key}, not ${version}`)
          }
        },
        process(record, { stores, forward }) {
          const rate = stores.rateRows.get(record.value)
          met.set(record.value, Math.max(met.get(record.value) ?? 0, versionOf(rate)))
          forward(record.withValue(`${record.value}=${rate ?? 'none'}`))
        },
      })
      .to(joined)
  })
}

let joins = 0

const invariants = (world: SimulatedWorld): void => {
  const known = new Set(world.records(rates).map(({ key, value }) => `${key}=${value}`))
  const results = world.records(joined)
  const strangers = results.filter(({ value }) => !value.endsWith('=none') && !known.has(value))
  expect(strangers.map(({ value }) => value)).toEqual([])
  // Each order once.
  const wanted = world.records(orders).map(({ key, value }) => `${key} ${value}`)
  const found = results.map(({ key, value }) => `${key} ${value.slice(0, value.indexOf('='))}`)
  expect(found.toSorted()).toEqual(wanted.toSorted())
  joins += results.length - results.filter(({ value }) => value.endsWith('=none')).length
}

describe('global tables under simulate', () => {
  it('hold what was committed, and a worker begins with all that was seen before', async () => {
    const summary = await simulate({
      topology: () => shop(),
      seeds: 8,
      input: ({ send, random }) => {
        met.clear()
        const below = (limit: number): number => Math.floor(random() * limit)
        for (let step = 0; step < 120; step++) {
          if (random() < 0.4) send(changes, `r${below(5)}`, 'again')
          else send(orders, `o${step}`, `r${below(5)}`)
        }
      },
      invariants,
    })
    expect(summary.failovers).toBeGreaterThan(0)
    expect(joins).toBeGreaterThan(160)
  }, 60_000)
})
