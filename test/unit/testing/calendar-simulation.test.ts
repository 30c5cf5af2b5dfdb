// Windows of the calendar while workers die, stall and move: what comes out is what the test driver gives for the same records.
import { calendar, int64, string, topic, topology, windowed, windowStore } from 'millstream'
import { type SimulatedWorld, simulate } from 'millstream/testing'
import { describe, expect, it } from 'vitest'
import { expectAsDriven, start } from './simulated.ts'

const hourMs = 3_600_000
const input = topic('in', { key: string, value: string })
const days = calendar({ every: 'day', timeZone: 'Europe/Berlin', graceMs: 3 * hourMs })
const result = topic('days', { key: windowed(string, days), value: int64 })
const late = topic('late', { key: string, value: string })

const counting = topology('calendar', (t) => {
  const counted = t
    .stream(input)
    .groupByKey()
    .windowedBy(days)
    .count(windowStore('days', { key: string, value: int64 }), { emit: 'on-close' })
  counted.toStream().to(result)
  counted.late().to(late)
})

const invariants = (world: SimulatedWorld): void => expectAsDriven(world, counting, input, [result, late])

describe('windows of the calendar under simulate', () => {
  it('come out once each, whatever dies', async () => {
    const summary = await simulate({
      topology: counting,
      seeds: 8,
      input: ({ send, random }) => {
        const below = (limit: number): number => Math.floor(random() * limit)
        let timestamp = start - 4 * 24 * hourMs
        for (let step = 0; step < 80; step++) {
          timestamp = Math.min(start, timestamp + below(2 * hourMs))
          const back = random() < 0.2 ? below(40 * hourMs) : 0
          send(input, `k${below(5)}`, `v${step}`, { timestamp: timestamp - back })
        }
      },
      invariants,
    })
    expect(summary.failovers).toBeGreaterThan(0)
  }, 60_000)
})
