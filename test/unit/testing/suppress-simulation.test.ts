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
  type Windowed,
  windowed,
  windowStore,
} from 'millstream'
import { type SimulatedWorld, simulate, testDriver } from 'millstream/testing'
import { describe, expect, it } from 'vitest'

const input = topic('in', { key: string, value: nullable(int64) })
const minutes = tumbling({ sizeMs: 50, graceMs: 15 })
const visits = sessions({ gapMs: 8, graceMs: 20 })
// About the time at which a simulation begins: what is much older the brokers delete.
const start = Date.UTC(2026, 0, 1)
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

interface Told {
  readonly key: Windowed<string> | string
  readonly value: number | null
  readonly timestamp: number
}

/** By key: tasks that write into the same partition are not told apart by their order. */
const ordered = (told: readonly Told[]): string[] =>
  told
    .map(({ key, value, timestamp }) => [JSON.stringify(key), `${value}/${timestamp}`] as const)
    .sort(([one], [other]) => (one < other ? -1 : one > other ? 1 : 0))
    .map(([key, text]) => `${key} ${text}`)

const invariants = (world: SimulatedWorld): void => {
  using driver = testDriver(suppressed, { partitions: 2 })
  for (const { key, value, timestamp } of world.records(input))
    driver.input(input).send(key, value, { timestamp })
  for (const result of results) {
    const expected = ordered(driver.output<Told['key'], Told['value']>(result as never).readAll())
    expect(expected.length, result.name).toBeGreaterThan(0)
    expect(ordered(world.records<Told['key'], Told['value']>(result as never)), result.name).toEqual(expected)
  }
}

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
