// Punctuators and retries in the test driver: time moves when the test says so.
import {
  output,
  type PunctuationType,
  type ScheduleOptions,
  StreamRecord,
  string,
  topic,
  topology,
} from 'millstream'
import { testDriver } from 'millstream/testing'
import { describe, expect, it } from 'vitest'

const pings = topic('pings', { key: string, value: string })
const ticks = topic('ticks', { key: string, value: string })

/** Forwards a record at each tick. */
const ticking = (
  type: PunctuationType,
  intervalMs: number,
  before: () => void = () => {},
  options: ScheduleOptions = {},
) =>
  topology('ticking', (t) =>
    t
      .stream(pings)
      .process({
        outputs: output<string, string>(),
        init({ schedule, forward }) {
          schedule(
            intervalMs,
            type,
            (timestamp) => {
              forward(StreamRecord.of({ key: 'tick', value: String(timestamp), timestamp }))
              before()
            },
            options,
          )
        },
        process: () => undefined,
      })
      .to(ticks),
  )

const values = (driver: ReturnType<typeof testDriver>): string[] =>
  driver
    .output(ticks)
    .readAll()
    .map(({ value }) => value)

describe('punctuators by wall clock', () => {
  it('fire each at its own time', () => {
    using driver = testDriver(ticking('wall-clock', 100), { wallClock: 1050 })
    driver.input(pings).send('a', 'x')
    expect(values(driver)).toEqual([])
    driver.advanceWallClock(49)
    expect(values(driver)).toEqual([])
    driver.advanceWallClock(1)
    expect(values(driver)).toEqual(['1100'])
    driver.advanceWallClock(350)
    expect(values(driver)).toEqual(['1200', '1300', '1400'])
    expect(driver.wallClock).toBe(1450)
  })

  it('collapse into one where the clock jumps', () => {
    using driver = testDriver(ticking('wall-clock', 100), { wallClock: 1000 })
    driver.advanceWallClock(1000, { jump: true })
    expect(values(driver)).toEqual(['2000'])
    driver.advanceWallClock(100)
    expect(values(driver)).toEqual(['2100'])
  })

  it('fire again when their transaction is aborted', () => {
    using driver = testDriver(ticking('wall-clock', 100), { wallClock: 1000 })
    driver.begin()
    driver.advanceWallClock(100)
    driver.abort()
    expect(values(driver)).toEqual([])
    driver.run()
    expect(values(driver)).toEqual(['1100'])
  })

  it('follow the clock from an anchor, also over a restart', () => {
    const hour = 3_600_000
    const atTen = ticking('wall-clock', hour, undefined, { anchorMs: 600_000 })
    using driver = testDriver(atTen, { wallClock: 5 * hour })
    driver.advanceWallClock(hour)
    driver.restart()
    driver.advanceWallClock(hour)
    expect(values(driver)).toEqual([5 * hour + 600_000, 6 * hour + 600_000].map(String))
  })

  it('are refused when there are too many', () => {
    using driver = testDriver(ticking('wall-clock', 1), { recordsMax: 1000 })
    expect(() => driver.advanceWallClock(5000)).toThrow('TOPOLOGY_ENDLESS')
  })
})

describe('punctuators by stream time', () => {
  it('fire when records bring the time, whatever the wall clock says', () => {
    using driver = testDriver(ticking('stream-time', 100))
    const input = driver.input(pings)
    input.send('a', 'x', { timestamp: 1050 })
    expect(values(driver)).toEqual(['1050'])
    driver.advanceWallClock(10_000)
    input.send('a', 'x', { timestamp: 1099 })
    expect(values(driver)).toEqual([])
    input.send('a', 'x', { timestamp: 1350 })
    input.send('a', 'x', { timestamp: 1399 })
    expect(values(driver)).toEqual(['1350'])
  })

  it('go on from the committed stream time after a restart', () => {
    using driver = testDriver(ticking('stream-time', 100))
    driver.input(pings).send('a', 'x', { timestamp: 1050 })
    expect(values(driver)).toEqual(['1050'])
    driver.restart()
    driver.input(pings).send('a', 'x', { timestamp: 1060 })
    expect(values(driver)).toEqual([])
    driver.input(pings).send('a', 'x', { timestamp: 1100 })
    expect(values(driver)).toEqual(['1100'])
  })
})

describe('a punctuator that fails', () => {
  const broken = { tick: true }
  const failing = (type: PunctuationType) =>
    ticking(type, 100, () => {
      if (broken.tick) throw new Error('no tick')
    })

  it('is undone with its transaction, and comes again', () => {
    broken.tick = true
    using driver = testDriver(failing('wall-clock'), { wallClock: 1000 })
    expect(() => driver.advanceWallClock(150)).toThrow('PUNCTUATOR_FAILED')
    expect(values(driver)).toEqual([])
    broken.tick = false
    driver.run()
    expect(values(driver)).toEqual(['1100'])
  })

  it('is skipped where that is the policy', () => {
    broken.tick = true
    using driver = testDriver(failing('stream-time'), { settings: { onFailure: 'skip' } })
    driver.input(pings).send('a', 'x')
    expect(values(driver)).toEqual([])
    expect(driver.counts).toMatchObject({ processed: 1, skipped: 1 })
  })
})
