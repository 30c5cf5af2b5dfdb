// Windows of the calendar while workers die, stall and move: what comes out is what the test driver gives for the same records.
import { calendar, int64, string, topic, topology, type Windowed, windowed, windowStore } from 'millstream'
import { type SimulatedWorld, simulate, testDriver } from 'millstream/testing'
import { describe, expect, it } from 'vitest'

const hourMs = 3_600_000
const input = topic('in', { key: string, value: string })
const days = calendar({ every: 'day', timeZone: 'Europe/Berlin', graceMs: 3 * hourMs })
const result = topic('days', { key: windowed(string, days), value: int64 })
const early = topic('early', { key: windowed(string, days), value: int64 })
const late = topic('late', { key: string, value: string })
// A simulation begins then: what is much older the brokers delete, and they take nothing that is later.
const end = Date.UTC(2026, 0, 1)

const counting = topology('calendar', (t) => {
  const counted = t
    .stream(input)
    .groupByKey()
    .windowedBy(days)
    .count(windowStore('days', { key: string, value: int64 }), { emit: 'on-close' })
  counted.toStream().to(result)
  counted.early({ everyMs: 5 * hourMs }).to(early)
  counted.late().to(late)
})

interface Told {
  readonly key: Windowed<string> | string
  readonly value: number | string
  readonly timestamp: number
}

const ordered = (told: readonly Told[]): string[] =>
  told.map(({ key, value, timestamp }) => `${JSON.stringify(key)} ${value}/${timestamp}`).toSorted()

const invariants = (world: SimulatedWorld): void => {
  using driver = testDriver(counting, { partitions: 2 })
  for (const { key, value, timestamp } of world.records(input))
    driver.input(input).send(key, value, { timestamp })
  for (const one of [result, early, late]) {
    const expected = ordered(driver.output<Told['key'], Told['value']>(one as never).readAll())
    expect(expected.length, one.name).toBeGreaterThan(0)
    expect(ordered(world.records<Told['key'], Told['value']>(one as never)), one.name).toEqual(expected)
  }
}

describe('windows of the calendar under simulate', () => {
  it('come out once each, whatever dies', async () => {
    const summary = await simulate({
      topology: counting,
      seeds: 10,
      input: ({ send, random }) => {
        const below = (limit: number): number => Math.floor(random() * limit)
        let timestamp = end - 4 * 24 * hourMs
        for (let step = 0; step < 80; step++) {
          timestamp = Math.min(end, timestamp + below(2 * hourMs))
          const back = random() < 0.2 ? below(40 * hourMs) : 0
          send(input, `k${below(5)}`, `v${step}`, { timestamp: timestamp - back })
        }
      },
      invariants,
    })
    expect(summary.failovers).toBeGreaterThan(0)
  }, 60_000)
})
