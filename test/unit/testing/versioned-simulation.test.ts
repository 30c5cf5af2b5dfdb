// Versioned tables, joins as of a time and stores with a time to live while workers die, stall and move: what comes out is
// what the test driver gives for the same records.
import {
  int64,
  nullable,
  output,
  type StoreOf,
  store,
  string,
  topic,
  topology,
  versionedStore,
} from 'millstream'
import { type SimulatedWorld, simulate } from 'millstream/testing'
import { describe, expect, it } from 'vitest'
import { expectAsDriven, start } from './simulated.ts'

// One topic for both sides, so that their order is the same whenever they are processed.
const input = topic('in', { key: string, value: string })
const history = versionedStore('history', { key: string, value: int64, historyMs: 60 })
const waiting = store('waiting', { key: string, value: string })
const lately = store('lately', { key: string, value: int64, ttlMs: 40 })
const results = [
  topic('changes', { key: string, value: nullable(int64) }),
  topic('now', { key: string, value: string }),
  topic('later', { key: string, value: string }),
  topic('seen', { key: string, value: string }),
] as const

type Counting = StoreOf<typeof lately>
const seen = (lastly: Counting, key: string): number => {
  const count = (lastly.get(key) ?? 0) + 1
  lastly.put(key, count)
  return count
}

const joined = topology('joined', (t) => {
  const stream = t.stream(input)
  const { order, rate } = stream.branch({ order: ({ value }) => value.startsWith('order'), rate: () => true })
  const table = rate.mapValues((text) => (text === 'rate' ? null : Number(text.slice(4)))).toTable(history)
  table.toStream().to(results[0])
  const show = (text: string, value: number | undefined): string => `${text}:${value ?? '-'}`
  order.leftJoin(table, show).to(results[1])
  order.join(table, show, { graceMs: 30, store: waiting }).to(results[2])
  stream
    .process({
      stores: { lately },
      outputs: output<string, string>(),
      process(record, { stores, forward }) {
        forward(record.withValue(`${record.value} ${seen(stores.lately, record.key)}`))
      },
    })
    .to(results[3])
})

const invariants = (world: SimulatedWorld): void => expectAsDriven(world, joined, input, results)

describe('versioned tables under simulate', () => {
  it('answer the same, whatever dies', async () => {
    const summary = await simulate({
      topology: joined,
      seeds: 8,
      input: ({ send, random }) => {
        const below = (limit: number): number => Math.floor(random() * limit)
        let timestamp = start
        for (let step = 0; step < 150; step++) {
          timestamp += below(8)
          const back = random() < 0.3 ? below(80) : 0
          const kind = random() < 0.6 ? 'rate' : 'order'
          const text = kind === 'rate' && random() < 0.2 ? kind : `${kind}${step}`
          send(input, `k${below(5)}`, text, { timestamp: timestamp - back })
        }
      },
      invariants,
    })
    expect(summary.failovers).toBeGreaterThan(0)
  }, 60_000)
})
