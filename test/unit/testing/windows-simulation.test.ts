// Windows while workers die, stall and move: what comes out is what the test driver gives for the same records.
import {
  hopping,
  int64,
  nullable,
  sessions,
  sliding,
  string,
  topic,
  topology,
  windowed,
  windowStore,
} from 'millstream'
import { type SimulatedWorld, simulate } from 'millstream/testing'
import { describe, expect, it } from 'vitest'
import { expectAsDriven, start } from './simulated.ts'

const input = topic('in', { key: string, value: string })
const hops = hopping({ sizeMs: 50, advanceMs: 20, graceMs: 15 })
const visits = sessions({ gapMs: 8, graceMs: 20 })
const slides = sliding({ sizeMs: 15, graceMs: 20 })
const count = { key: string, value: int64 }
// Closed windows are still there when a task moves: they are not to be told again.
const kept = { ...count, retentionMs: 1000 }
const late = topic('late', { key: string, value: string })
const results = [
  topic('hops', { key: windowed(string, hops), value: nullable(int64) }),
  topic('visits', { key: windowed(string, visits), value: nullable(int64) }),
  topic('slides', { key: windowed(string, slides), value: nullable(int64) }),
] as const

const windows = topology('windows', (t) => {
  const grouped = t.stream(input).groupByKey()
  const hopped = grouped.windowedBy(hops).count(windowStore('hops', kept), { emit: 'on-close' })
  hopped.toStream().to(results[0])
  hopped.late().to(late)
  grouped.windowedBy(visits).count(windowStore('visits', count)).toStream().to(results[1])
  grouped
    .windowedBy(slides)
    .count(windowStore('slides', kept), { emit: 'on-close' })
    .toStream()
    .to(results[2])
})

const invariants = (world: SimulatedWorld): void => expectAsDriven(world, windows, input, [...results, late])

describe('windows under simulate', () => {
  it('come out once each, whatever dies', async () => {
    const summary = await simulate({
      topology: windows,
      seeds: 8,
      input: ({ send, random }) => {
        const below = (limit: number): number => Math.floor(random() * limit)
        let timestamp = start
        for (let step = 0; step < 120; step++) {
          timestamp += below(8)
          const back = random() < 0.2 ? below(90) : 0
          send(input, `k${below(5)}`, `v${step}`, { timestamp: timestamp - back })
        }
      },
      invariants,
    })
    expect(summary.failovers).toBeGreaterThan(0)
  }, 60_000)
})
