// Timers while workers die, stall and move: each fires once, and what comes out is what the test driver gives for the same
// records.
import { int64, output, store, StreamRecord, string, timerStore, topic, topology } from 'millstream'
import { type SimulatedWorld, simulate } from 'millstream/testing'
import { describe, expect, it } from 'vitest'
import { expectAsDriven, start } from './simulated.ts'

const input = topic('in', { key: string, value: string })
const out = topic('out', { key: string, value: string })
const walls = topic('walls', { key: string, value: string })
const reminders = timerStore('reminders', { key: string })
const fires = store('fires', { key: string, value: int64 })

/** A key that was silent for 40 ms is told; and each record sets a timer of the wall clock of its own. */
const timed = topology('timed', (t) => {
  const streams = t.stream(input).process({
    stores: [fires],
    timers: reminders,
    outputs: { out: output<string, string>(), walls: output<string, string>() },
    process({ key, value, timestamp }, { timers, wallClockTime }) {
      timers.set(key, timestamp + 40, 'silent')
      timers.set(key, wallClockTime + 20, value, 'wall-clock')
    },
    onTimer({ key, at, name, type }, { timers, stores, forward }) {
      if (type === 'wall-clock') {
        forward('walls', StreamRecord.of({ key, value: name, timestamp: start }))
        return
      }
      const count = (stores.fires.get(key) ?? 0) + 1
      stores.fires.put(key, count)
      if (name === 'silent') timers.set(key, at + 15, 'still')
      forward('out', StreamRecord.of({ key, value: `${name}#${count}`, timestamp: at }))
    },
  })
  streams.out.to(out)
  streams.walls.to(walls)
})

const invariants = (world: SimulatedWorld): void => {
  expectAsDriven(world, timed, input, [out])
  const sent = world.records(input)
  expect(
    world
      .records(walls)
      .map(({ value }) => value)
      .toSorted(),
  ).toEqual(sent.map(({ value }) => value).toSorted())
}

describe('timers under simulate', () => {
  it('fire once each, whatever dies', async () => {
    const summary = await simulate({
      topology: timed,
      seeds: 8,
      input: ({ send, random }) => {
        const below = (limit: number): number => Math.floor(random() * limit)
        let timestamp = start
        for (let index = 0; index < 120; index++) {
          timestamp += below(12)
          const back = random() < 0.2 ? below(60) : 0
          send(input, `k${below(5)}`, `v${index}`, { timestamp: timestamp - back })
        }
      },
      invariants,
    })
    expect(summary.failovers).toBeGreaterThan(0)
  }, 60_000)
})
