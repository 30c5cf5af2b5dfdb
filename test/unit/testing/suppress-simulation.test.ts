// Suppressed tables while workers die, stall and move: what comes out is what the test driver gives for the same records.
import {
  int64,
  nullable,
  sessions,
  store,
  string,
  topic,
  topology,
  tumbling,
  untilTimeLimit,
  untilWindowCloses,
  windowed,
  windowStore,
} from 'millstream'
import { type SimulatedWorld, simulate } from 'millstream/testing'
import { describe, expect, it } from 'vitest'
import { expectAsDriven, start } from './simulated.ts'

const input = topic('in', { key: string, value: nullable(int64) })
const minutes = tumbling({ sizeMs: 50, graceMs: 15 })
const visits = sessions({ gapMs: 8, graceMs: 20 })
const number = { key: string, value: int64 }
const results = [
  topic('limited', { key: string, value: nullable(int64) }),
  topic('minutes-told', { key: windowed(string, minutes), value: int64 }),
  topic('visits-told', { key: windowed(string, visits), value: int64 }),
] as const

const suppressed = topology('suppressed', (t) => {
  const rows = t.table(input, store('rows', number))
  rows
    .suppress(untilTimeLimit({ waitMs: 40, recordsMax: 3 }), { name: 'limited', ...number })
    .toStream()
    .to(results[0])
  const grouped = rows.toStream().groupByKey()
  grouped
    .windowedBy(minutes)
    .count(windowStore('minutes', number))
    .suppress(untilWindowCloses(), { name: 'minutes-held', key: windowed(string, minutes), value: int64 })
    .toStream()
    .to(results[1])
  grouped
    .windowedBy(visits)
    .count(windowStore('visits', number))
    .suppress(untilWindowCloses(), { name: 'visits-held', key: windowed(string, visits), value: int64 })
    .toStream()
    .to(results[2])
})

const invariants = (world: SimulatedWorld): void => expectAsDriven(world, suppressed, input, results)

describe('suppressed tables under simulate', () => {
  it('tell each change once, whatever dies', async () => {
    const summary = await simulate({
      topology: suppressed,
      seeds: 8,
      input: ({ send, random }) => {
        const below = (limit: number): number => Math.floor(random() * limit)
        let timestamp = start
        for (let step = 0; step < 120; step++) {
          timestamp += below(8)
          const back = random() < 0.2 ? below(60) : 0
          send(input, `k${below(5)}`, random() < 0.15 ? null : below(4), { timestamp: timestamp - back })
        }
      },
      invariants,
    })
    expect(summary.failovers).toBeGreaterThan(0)
  }, 60_000)
})
