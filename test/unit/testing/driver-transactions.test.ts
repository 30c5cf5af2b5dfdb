// Transactions, crashes and restarts in the test driver.
import { int64, output, processor, store, type StreamRecord, string, topic, topology } from 'millstream'
import { testDriver } from 'millstream/testing'
import { describe, expect, it, vi } from 'vitest'
import wordCount, { counts, lines, totals } from '../../../processors/word-count/index.ts'
import { MemoryEngine } from '../../../src/state/memory-engine.ts'

const amounts = topic('amounts', { key: string, value: int64 })
const sums = topic('sums', { key: string, value: int64 })
const held = store('held', { key: string, value: int64 })

/** Sums up by key in a task without a repartition topic; tells how often processors were made and closed. */
const summing = (lives: { made: number; closed: number } = { made: 0, closed: 0 }) => {
  const sum = processor({
    stores: { held },
    outputs: output<string, number>(),
    create: () => {
      lives.made++
      return {
        process(record: StreamRecord<string, number>, { stores, forward }) {
          const next = (stores.held.get(record.key) ?? 0) + record.value
          stores.held.put(record.key, next)
          forward(record.withValue(next))
        },
        close: () => {
          lives.closed++
        },
      }
    },
  })
  return topology('summing', (t) => t.stream(amounts).process(sum).to(sums))
}

describe('a transaction of several records', () => {
  it('is seen by nobody before it is committed', () => {
    using driver = testDriver(summing())
    const input = driver.input(amounts)
    driver.begin()
    input.send('a', 1)
    input.send('a', 2)
    expect(driver.store(held).get('a')).toBe(3)
    expect(driver.output(sums).isEmpty).toBe(true)
    expect(driver.changelog(held).isEmpty).toBe(true)
    driver.commit()
    expect(driver.output(sums).readKeyValues()).toEqual([
      { key: 'a', value: 1 },
      { key: 'a', value: 3 },
    ])
    expect(driver.changelog(held).readKeyValues()).toEqual([{ key: 'a', value: 3 }])
  })

  it('goes on in other tasks when it is committed', () => {
    using driver = testDriver(wordCount)
    driver.begin()
    driver.input(lines).send('k', 'a')
    driver.input(lines).send('k', 'a')
    expect(driver.store(totals).get('a')).toBeUndefined()
    driver.commit()
    expect(driver.store(totals).get('a')).toBe(2)
  })

  it('leaves nothing behind when it is aborted, and its records are processed again', () => {
    using driver = testDriver(summing())
    const input = driver.input(amounts)
    input.send('a', 1, { timestamp: 10 })
    driver.begin()
    input.send('a', 2, { timestamp: 20 })
    input.send('b', 5, { timestamp: 30 })
    driver.abort()
    expect(driver.store(held).get('a')).toBe(1)
    expect(driver.store(held).has('b')).toBe(false)
    expect(driver.output(sums).readKeyValues()).toEqual([{ key: 'a', value: 1 }])
    expect(driver.streamTime(amounts)).toBe(10)
    driver.run()
    expect(driver.store(held).get('a')).toBe(3)
    expect(driver.output(sums).readKeyValues()).toEqual([
      { key: 'a', value: 3 },
      { key: 'b', value: 5 },
    ])
    expect(driver.streamTime()).toBe(30)
  })

  it('is processed again before the next record, once', () => {
    using driver = testDriver(summing())
    driver.begin()
    driver.input(amounts).send('a', 1)
    driver.abort()
    driver.input(amounts).send('a', 10)
    expect(driver.output(sums).readKeyValues()).toEqual([
      { key: 'a', value: 1 },
      { key: 'a', value: 11 },
    ])
  })

  it('sends full batches before the commit, which an abort takes back', () => {
    using driver = testDriver(summing(), { settings: { batchBytes: 16_384 } })
    const input = driver.input(amounts)
    driver.begin()
    for (let index = 0; index < 2000; index++) input.send(`key-${index}`, 1)
    expect(driver.output(sums).isEmpty).toBe(true)
    driver.abort()
    expect(driver.output(sums).isEmpty).toBe(true)
    driver.run()
    expect(driver.output(sums).readAll()).toHaveLength(2000)
  })
})

describe('batches that are sent before the commit', () => {
  const passing = topology('passing', (t) =>
    t.stream(amounts).repartition({ name: 'again', key: string, value: int64 }).to(sums),
  )
  const settings = { batchBytes: 16_384 }
  const several = Array.from({ length: 2000 }, (_, value) => ({ key: 'a', value }))

  it('are read by other tasks when they are committed', () => {
    using driver = testDriver(passing, { settings })
    driver.begin()
    driver.input(amounts).sendAll(several)
    expect(driver.counts.processed).toBe(2000)
    driver.commit()
    expect(driver.counts.processed).toBe(4000)
    expect(driver.output(sums).readKeyValues()).toEqual(several)
  })

  it('are never read when they are aborted', () => {
    using driver = testDriver(passing, { settings })
    driver.begin()
    driver.input(amounts).sendAll(several)
    driver.abort()
    driver.run()
    expect(driver.output(sums).readKeyValues()).toEqual(several)
  })
})

describe('a restart', () => {
  it.each([{ keepState: false }, { keepState: true }])('restores what was committed %o', (options) => {
    const lives = { made: 0, closed: 0 }
    using driver = testDriver(summing(lives))
    const input = driver.input(amounts)
    input.send('a', 1, { timestamp: 10 })
    input.send('b', 2, { timestamp: 20 })
    driver.restart(options)
    expect(lives).toEqual({ made: 2, closed: 1 })
    expect(driver.streamTime(amounts)).toBe(20)
    expect([...driver.store(held).all()]).toEqual([
      { key: 'a', value: 1 },
      { key: 'b', value: 2 },
    ])
    input.send('a', 10, { timestamp: 15 })
    expect(driver.streamTime(amounts)).toBe(20)
    expect(driver.output(sums).toMap()).toEqual(
      new Map([
        ['a', 11],
        ['b', 2],
      ]),
    )
    expect(driver.counts.processed).toBe(3)
  })

  it.each([{ keepState: false }, { keepState: true }])('loses the open transaction %o', (options) => {
    using driver = testDriver(summing())
    const input = driver.input(amounts)
    input.send('a', 1)
    // What is on the disk by now is behind what is committed later.
    driver.advanceWallClock(5000)
    input.send('a', 1)
    input.send('a', 1)
    driver.begin()
    input.send('a', 100)
    driver.restart(options)
    expect(driver.store(held).get('a')).toBe(3)
    driver.run()
    expect(driver.store(held).get('a')).toBe(103)
    expect(
      driver
        .output(sums)
        .readAll()
        .map(({ value }) => value),
    ).toEqual([1, 2, 3, 103])
  })

  it('begins with empty stores, unless they are to be kept', () => {
    using driver = testDriver(summing(), { partitions: 2 })
    using emptied = vi.spyOn(MemoryEngine.prototype, 'reset')
    driver.restart({ keepState: true })
    expect(emptied).toHaveBeenCalledTimes(0)
    driver.restart()
    expect(emptied).toHaveBeenCalledTimes(2)
  })

  it('keeps handles, the wall clock and what was read', () => {
    using driver = testDriver(wordCount)
    const [input, counted, stored] = [driver.input(lines), driver.output(counts), driver.store(totals)]
    input.send('k', 'a')
    expect(counted.readAll()).toHaveLength(1)
    driver.advanceWallClock(1234)
    const before = driver.wallClock
    driver.restart()
    input.send('k', 'a')
    expect(counted.readKeyValues()).toEqual([{ key: 'a', value: 2 }])
    expect(stored.get('a')).toBe(2)
    expect(driver.wallClock).toBe(before)
  })
})

describe('a driver that is closed', () => {
  it('has closed the processors, once', () => {
    const lives = { made: 0, closed: 0 }
    {
      using driver = testDriver(summing(lives), { partitions: 2 })
      driver.close()
    }
    expect(lives).toEqual({ made: 2, closed: 2 })
  })
})
