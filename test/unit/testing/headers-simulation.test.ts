// Stores that keep headers while workers die, stall and move: an entry has the headers of the record that wrote it, in the
// store and in the changelog.
import { int64, nullable, output, store, string, topic, topology } from 'millstream'
import { type SimulatedWorld, simulate } from 'millstream/testing'
import { describe, expect, it } from 'vitest'

const rows = topic('rows', { key: string, value: nullable(int64) })
const lines = topic('lines', { key: string, value: int64 })
const changes = topic('changes', { key: string, value: nullable(int64) })
const told = topic('told', { key: string, value: string })
const table = store('table', { key: string, value: int64, headers: true })
const seen = store('seen', { key: string, value: int64, headers: true })

const text = (headers: readonly { readonly key: string; readonly value: Uint8Array | null }[]): string =>
  headers.map(({ key, value }) => `${key}=${Buffer.from(value ?? [])}`).join(' ')

const kept = topology('kept', (t) => {
  t.table(rows, table).toStream().to(changes)
  t.stream(lines)
    .process({
      stores: { seen },
      outputs: output<string, string>(),
      process(record, { stores, forward }) {
        const before = stores.seen.getEntry(record.key)
        forward(record.withValue(`${before?.value ?? '-'} ${text(before?.headers ?? [])}`))
        stores.seen.put(record.key, record.value)
      },
    })
    .to(told)
})

interface Read {
  readonly key: string
  readonly value: unknown
  readonly headers: Parameters<typeof text>[0]
}

/** The last record of each key, without those that were taken out. */
const last = (records: readonly Read[]): Map<string, string> => {
  const found = new Map<string, string>()
  for (const { key, value, headers } of records) {
    if (value === null) found.delete(key)
    else found.set(key, text(headers))
  }
  return found
}

const anyBytes = { name: 'any', encode: (bytes: Uint8Array) => bytes, decode: (bytes: Uint8Array) => bytes }

const invariants = (world: SimulatedWorld): void => {
  const changelog = (of: string) => topic(`kept-${of}-changelog`, { key: string, value: nullable(anyBytes) })
  expect(last(world.records(changelog('table')))).toEqual(last(world.records(rows)))
  expect(last(world.records(changes))).toEqual(last(world.records(rows)))
  expect(last(world.records(changelog('seen')))).toEqual(last(world.records(lines)))
  // Each record found what the one of its key before it left, whatever the store was restored from.
  const expected: string[] = []
  const before = new Map<string, string>()
  for (const { key, value, headers } of world.records(lines)) {
    expected.push(`${key} ${before.get(key) ?? '- '}`)
    before.set(key, `${value} ${text(headers)}`)
  }
  const found = world.records(told).map(({ key, value }) => `${key} ${value}`)
  expect(found.sort()).toEqual(expected.sort())
}

describe('stores with headers under simulate', () => {
  it('end as their inputs ask for, whatever dies', async () => {
    const summary = await simulate({
      topology: kept,
      seeds: 12,
      input: ({ send, random }) => {
        const below = (limit: number): number => Math.floor(random() * limit)
        for (let step = 0; step < 80; step++) {
          const headers = [{ key: 'step', value: Buffer.from(`${step}`) }].slice(below(5) === 0 ? 1 : 0)
          if (random() < 0.5) send(rows, `r${below(6)}`, random() < 0.2 ? null : below(3), { headers })
          else send(lines, `l${below(6)}`, step, { headers })
        }
      },
      invariants,
    })
    expect(summary.failovers).toBeGreaterThan(0)
  }, 60_000)
})
