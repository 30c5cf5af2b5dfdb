import { describe, expect, it } from 'vitest'
import { Pulse, StandstillWatch } from '../../../src/base/pulse.ts'

const options = { lookEveryMs: 500, blockedAfterMs: 5000 }

const watched = (): { pulse: Pulse; watch: StandstillWatch } => {
  const pulse = new Pulse()
  pulse.know(['0_0', '0_1', '1_0'])
  return { pulse, watch: new StandstillWatch(pulse.memory, options, 0) }
}

/** Looks as often as it should, up to this time. @returns what was seen, with the time */
const lookUntil = (watch: StandstillWatch, fromMs: number, toMs: number): [number, unknown][] => {
  const seen: [number, unknown][] = []
  for (let now = fromMs + options.lookEveryMs; now <= toMs; now += options.lookEveryMs) {
    const found = watch.look(now)
    if (found !== undefined) seen.push([now, found])
  }
  return seen
}

describe('a standstill', () => {
  it('within a slice names the task that was entered last', () => {
    const { pulse, watch } = watched()
    pulse.begin()
    pulse.enter('0_0')
    pulse.enter('1_0')
    // The beginning of the slice is what moved last.
    expect(lookUntil(watch, 0, 9000)).toEqual([[5500, { began: { ms: 5000, task: 2 } }]])
    expect(watch.standsMs).toBe(8500)
    expect(pulse.blocked).toEqual({ times: 1, ms: 8500 })
    pulse.end()
    expect(watch.look(9500)).toEqual({ ended: { ms: 8500, task: 2 } })
    expect(watch.standsMs).toBe(0)
    expect(pulse.blocked).toEqual({ times: 1, ms: 8500 })
  })

  it('outside of a slice names none, also after one', () => {
    const { pulse, watch } = watched()
    pulse.begin()
    pulse.enter('0_1')
    pulse.end()
    expect(lookUntil(watch, 0, 6000)).toEqual([[5500, { began: { ms: 5000, task: undefined } }]])
  })

  it('of an unknown task is one all the same', () => {
    const { pulse, watch } = watched()
    pulse.begin()
    pulse.enter('7_7')
    expect(lookUntil(watch, 0, 6000)).toEqual([[5500, { began: { ms: 5000, task: undefined } }]])
  })

  it('is none while slices begin and end, or while questions are answered', () => {
    const { pulse, watch } = watched()
    for (let now = 500; now < 60_000; now += 500) {
      if (now < 30_000) pulse.answer()
      else if (now % 1000 === 0) pulse.begin()
      else pulse.end()
      expect(watch.look(now)).toBe(undefined)
    }
    expect(watch.answers).toBe(59)
    expect(pulse.blocked).toEqual({ times: 0, ms: 0 })
  })

  it('is counted each time, and added up', () => {
    const { pulse, watch } = watched()
    lookUntil(watch, 0, 7000)
    pulse.answer()
    expect(watch.look(7500)).toEqual({ ended: { ms: 7000, task: undefined } })
    expect(lookUntil(watch, 7500, 13_500)).toEqual([[12_500, { began: { ms: 5000, task: undefined } }]])
    expect(pulse.blocked).toEqual({ times: 2, ms: 13_000 })
  })

  it('does not include the time in which the watcher itself did not run', () => {
    const { watch } = watched()
    lookUntil(watch, 0, 2000)
    // The process was stopped for a minute.
    expect(watch.look(62_000)).toBe(undefined)
    expect(watch.standsMs).toBeLessThan(4000)
    expect(lookUntil(watch, 62_000, 70_000)).toHaveLength(1)
  })
})

it('a slice that never ended counts as begun anew by the next', () => {
  const { pulse, watch } = watched()
  pulse.begin()
  watch.look(500)
  pulse.begin()
  pulse.enter('0_1')
  expect(lookUntil(watch, 500, 7000)).toEqual([[6000, { began: { ms: 5000, task: 1 } }]])
})
