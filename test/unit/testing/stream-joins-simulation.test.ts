// Joins of streams while workers die, stall and move: what comes out is what the test driver gives for the same records.
import { joinStore, string, topic, topology, within } from 'millstream'
import { type SimulatedWorld, simulate } from 'millstream/testing'
import { describe, expect, it } from 'vitest'
import { expectAsDriven, start } from './simulated.ts'

// Both sides in one topic: which of two topics goes first is up to what is buffered.
const input = topic('in', { key: string, value: string })
const results = ['inner', 'left', 'outer', 'late'].map((name) => topic(name, { key: string, value: string }))
type Result = (typeof results)[0]
const [inner, left, outer, late] = results as [Result, Result, Result, Result]
const texts = { key: string, left: string, right: string }

const shown = (one: string | undefined, other: string | undefined): string => `${one}+${other}`

const joins = topology('joins', (t) => {
  const sides = t.stream(input).branch({ left: ({ value }) => value.startsWith('L'), right: () => true })
  const windows = within({ beforeMs: 20, afterMs: 30, graceMs: 15 })
  sides.left.join(sides.right, shown, windows, joinStore('inner-join', texts)).to(inner)
  sides.left.leftJoin(sides.right, shown, windows, joinStore('left-join', texts)).to(left)
  const narrow = within({ beforeMs: 4, afterMs: 4, graceMs: 10 })
  const memory = joinStore('outer-join', { ...texts, engine: 'memory' })
  const joined = sides.left.outerJoin(sides.right, shown, narrow, memory)
  joined.to(outer)
  joined.lateLeft().to(late)
  joined.lateRight().to(late)
})

const invariants = (world: SimulatedWorld): void => expectAsDriven(world, joins, input, results)

describe('joins of streams under simulate', () => {
  it('come out once each, whatever dies', async () => {
    const summary = await simulate({
      topology: joins,
      seeds: 8,
      input: ({ send, random }) => {
        const below = (limit: number): number => Math.floor(random() * limit)
        let timestamp = start
        for (let step = 0; step < 120; step++) {
          timestamp += below(8)
          const back = random() < 0.2 ? below(90) : 0
          const side = random() < 0.5 ? 'L' : 'R'
          send(input, `k${below(5)}`, `${side}${step}`, { timestamp: timestamp - back })
        }
      },
      invariants,
    })
    expect(summary.failovers).toBeGreaterThan(0)
  }, 60_000)
})
