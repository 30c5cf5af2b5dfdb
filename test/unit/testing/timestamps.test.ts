// Timestamps of records: extractors, and what becomes of a record without one.
import { describe, expect, it } from 'vitest'
import { string, topic, topology, type TopicOptions } from '../../../src/index.ts'
import { testDriver } from '../../../src/testing/index.ts'

type Options = TopicOptions<typeof string, typeof string>

const out = topic('out', { key: string, value: string })
const others = topic('others', { key: string, value: string })

/** The value says the timestamp; the output shows what it became, and the partition time that the extractor got. */
const driverOf = (
  options: Partial<Options> = {},
  settings: { onFailure?: 'skip' | 'fail' } = {},
  partitionTimes: number[] = [],
) => {
  const input = topic('in', {
    key: string,
    value: string,
    timestamp: ({ value }, partitionTime) => {
      partitionTimes.push(partitionTime)
      if (value === 'throw') throw new Error('no time')
      return value === 'none' ? Number.NaN : Number(value)
    },
    ...options,
  })
  const app = topology('app', (t) => {
    t.stream(input)
      .merge(t.stream(others))
      .peek(({ value }) => {
        if (value === '66') throw new Error('not this one')
      })
      .to(out)
  })
  const driver = testDriver(app, { settings, wallClock: 5000 })
  const send = (value: string): void => void driver.input(input).send('a', value, { timestamp: 1 })
  const read = (): string[] =>
    driver
      .output(out)
      .readAll()
      .map(({ value, timestamp }) => `${value} at ${timestamp}`)
  return { driver, send, read, input }
}

describe('a timestamp extractor', () => {
  it('gets the highest timestamp before the record in its partition, also after aborts and restarts', () => {
    const times: number[] = []
    const { driver, send, read } = driverOf({}, {}, times)
    driver.input(others).send('b', 'x', { timestamp: 99 })
    for (const value of ['10', '7', '20']) send(value)
    expect(times).toEqual([-1, 10, 10])
    times.length = 0
    driver.begin()
    send('30')
    driver.abort()
    send('40')
    expect(times).toEqual([20, 20, 30])
    times.length = 0
    driver.restart()
    send('1')
    expect(times).toEqual([40])
    expect(driver.streamTime()).toBe(99)
    expect(read()).toEqual(['x at 99', '10 at 10', '7 at 7', '20 at 20', '30 at 30', '40 at 40', '1 at 1'])
    driver.close()
  })

  it('is given the time of a record that was left out, where that is known', () => {
    const times: number[] = []
    const app = driverOf({}, { onFailure: 'skip' }, times)
    const input = topic('in', { key: string, value: string })
    app.send('10')
    app.driver.input(input).send('a', 'throw')
    app.send('66')
    app.send('20')
    expect(times).toEqual([-1, 10, 10, 66])
    expect(app.driver.counts.skipped).toBe(2)
    app.driver.close()
  })

  it('is refused where it is asynchronous', () => {
    const input = topic('in', { key: string, value: string, timestamp: (async () => 1) as never })
    expect(() => topology('app', (t) => t.stream(input).to(out))).toThrow(
      /timestamp of topic in is an async function/,
    )
  })
})

describe.each(['none', '-1', '1.5'])('a timestamp that is %s', (value) => {
  it('fails as onFailure says', () => {
    const failing = driverOf()
    expect(() => failing.send(value)).toThrow('TIMESTAMP_INVALID')
    failing.driver.close()
    const skipping = driverOf({}, { onFailure: 'skip' })
    skipping.send(value)
    expect(skipping.driver.counts.skipped).toBe(1)
    skipping.driver.close()
  })

  it('fails where the topic says so, whatever onFailure says', () => {
    const { driver, send } = driverOf({ onInvalidTimestamp: 'fail' }, { onFailure: 'skip' })
    expect(() => send(value)).toThrow('TIMESTAMP_INVALID')
    driver.close()
  })

  it('leaves the record out where the topic says so, and counts it', () => {
    const { driver, send, read } = driverOf({ onInvalidTimestamp: 'skip' })
    send('10')
    send(value)
    send('20')
    expect(read()).toEqual(['10 at 10', '20 at 20'])
    expect(driver.counts).toMatchObject({ processed: 2, skipped: 1 })
    driver.close()
  })

  it('becomes the time of the partition', () => {
    const { driver, send, read } = driverOf({ onInvalidTimestamp: 'partition-time' }, { onFailure: 'skip' })
    driver.input(others).send('b', 'x', { timestamp: 99 })
    send('10')
    send('7')
    send(value)
    driver.restart()
    send(value)
    expect(read()).toEqual(['x at 99', '10 at 10', '7 at 7', `${value} at 10`, `${value} at 10`])
    driver.close()
  })

  it('fails where the partition has no time yet', () => {
    const { driver, send } = driverOf({ onInvalidTimestamp: 'partition-time' }, { onFailure: 'skip' })
    expect(() => send(value)).toThrow(/TIMESTAMP_INVALID.*no record of its partition before it has one/)
    driver.close()
  })

  it('becomes that of the wall clock', () => {
    const { driver, send, read } = driverOf({ onInvalidTimestamp: 'wall-clock' })
    send('10')
    driver.advanceWallClock(7)
    send(value)
    expect(read()).toEqual(['10 at 10', `${value} at 5007`])
    expect(driver.streamTime()).toBe(5007)
    driver.close()
  })
})

describe('the policy of a topic', () => {
  it('holds for the timestamps that producers set, too', () => {
    const input = topic('in', { key: string, value: string, onInvalidTimestamp: 'skip' })
    using driver = testDriver(topology('app', (t) => t.stream(input).to(out)))
    driver.input(input).send('a', 'x', { timestamp: -5 })
    driver.input(input).send('a', 'y', { timestamp: 5 })
    expect(driver.output(out).readKeyValues()).toEqual([{ key: 'a', value: 'y' }])
  })

  it('does not cover what an extractor throws', () => {
    const { driver, send } = driverOf({ onInvalidTimestamp: 'wall-clock' })
    expect(() => send('throw')).toThrow(/TIMESTAMP_INVALID.*extractor threw/)
    driver.close()
  })

  it('is refused where it is none', () => {
    const input = topic('in', { key: string, value: string, onInvalidTimestamp: 'ignore' as never })
    expect(() => topology('app', (t) => t.stream(input).to(out))).toThrow(
      /topic in: onInvalidTimestamp is ignore, but takes fail, skip, partition-time or wall-clock/,
    )
  })
})
