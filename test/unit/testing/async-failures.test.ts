// Calls that fail, in the test driver: what becomes of their records and of those around them.
import { string, topic, topology } from 'millstream'
import { testDriver } from 'millstream/testing'
import { describe, expect, it } from 'vitest'
import { Desk, input, type OpenCall, out, outputs, send, started, turn } from './async-desk.ts'

describe('a call that fails', () => {
  it('ends the work at its record: what came before is committed', async () => {
    const desk = new Desk()
    using driver = started(desk)
    send(driver, 'abc')
    const { signal } = desk.open.get('c') as OpenCall
    desk.fail('b')
    await turn(driver)
    expect(signal.aborted).toBe(true)
    desk.answer('a')
    await expect(driver.settled()).rejects.toThrow(/PROCESSING_FAILED.*no answer for b.*offset 1/s)
    expect(outputs(driver)).toBe('A')
    // The driver goes on behind it.
    driver.run()
    expect(desk.called).toEqual(['a', 'b', 'c', 'c'])
  })

  it('is left out with skip, and the others of its key follow', async () => {
    const desk = new Desk()
    using driver = started(desk, { settings: { onFailure: 'skip' } })
    send(driver, 'abc', 'key')
    desk.fail('a')
    await turn(driver)
    expect(desk.waiting).toEqual(['b'])
    desk.answer('b')
    await turn(driver)
    desk.answer('c')
    await turn(driver)
    expect(outputs(driver)).toBe('BC')
    expect(driver.counts.skipped).toBe(1)
  })

  it('leaves records behind it the timestamps that they have of it, also after a restart', async () => {
    const desk = new Desk()
    const undated = topic('in', { key: string, value: string, onInvalidTimestamp: 'partition-time' })
    const app = topology('undated', (t) => {
      t.stream(undated).mapValuesAsync(desk.call).to(out)
    })
    using driver = testDriver(app, { settings: { onFailure: 'skip' } })
    driver.input(undated).send('a', 'a', { timestamp: 10 })
    driver.input(undated).send('b', 'b', { timestamp: 1000 })
    driver.input(undated).send('c', 'c', { timestamp: -1 })
    desk.answer('a')
    desk.fail('b')
    await turn(driver)
    driver.restart()
    driver.run()
    desk.answer('c')
    await turn(driver)
    const told = driver.output(out).readAll()
    expect(told.map(({ value, timestamp }) => `${value} at ${timestamp}`)).toEqual(['A at 10', 'C at 1000'])
  })

  it('is made again with retry, while others of its key wait', async () => {
    const desk = new Desk()
    using driver = started(desk, { settings: { onFailure: 'retry', retryBackoffMs: 50, retryAttempts: 1 } })
    send(driver, 'ab', 'key')
    send(driver, 'c')
    desk.fail('a')
    desk.answer('c')
    await turn(driver)
    expect(desk.waiting).toEqual([])
    driver.advanceWallClock(49)
    expect(desk.waiting).toEqual([])
    driver.advanceWallClock(1)
    expect(desk.waiting).toEqual(['a'])
    desk.answer('a')
    await turn(driver)
    desk.answer('b')
    await turn(driver)
    expect(outputs(driver)).toBe('ABC')
    expect(desk.called).toEqual(['a', 'c', 'a', 'b'])
    expect(driver.counts.retried).toBe(1)
  })

  it('ends the work only after the records before it, although they are made again', async () => {
    const desk = new Desk()
    using driver = started(desk, { settings: { onFailure: 'retry', retryBackoffMs: 50, retryAttempts: 1 } })
    send(driver, 'ab')
    desk.fail('b')
    await turn(driver)
    driver.advanceWallClock(50)
    desk.fail('b')
    desk.fail('a')
    await turn(driver)
    driver.advanceWallClock(50)
    desk.answer('a')
    await expect(driver.settled()).rejects.toThrow(/no answer for b/)
    expect(outputs(driver)).toBe('A')
  })

  it('fails after its time limit, and is aborted', async () => {
    const desk = new Desk()
    using driver = started(desk, { timeoutMs: 100, settings: { onFailure: 'skip' } })
    send(driver, 'ab')
    const { signal } = desk.open.get('a') as OpenCall
    desk.answer('b')
    await turn(driver)
    driver.advanceWallClock(99)
    expect(signal.aborted).toBe(false)
    expect(outputs(driver)).toBe('')
    driver.advanceWallClock(1)
    expect(signal.aborted).toBe(true)
    expect(signal.reason).toMatchObject({ code: 'CALL_TIMED_OUT' })
    // An answer that is late all the same is nobody's.
    desk.answer('a')
    await turn(driver)
    expect(outputs(driver)).toBe('B')
    expect(driver.counts.skipped).toBe(1)
  })

  it('may fail before its promise, too', () => {
    const app = topology('thrown', (t) => {
      t.stream(input)
        .mapValuesAsync((value): Promise<string> => {
          throw new Error(`no ${value}`)
        })
        .to(out)
    })
    using driver = testDriver(app)
    expect(() => send(driver, 'a')).toThrow(/PROCESSING_FAILED.*no a/s)
  })

  it('is not made where a processor before it fails, and other records of its key wait', async () => {
    const desk = new Desk()
    let fails = true
    const app = topology('before', (t) => {
      t.stream(input)
        .mapValues((value) => {
          if (value === 'a' && fails) throw new Error('not yet')
          return value
        })
        .mapValuesAsync(desk.call)
        .to(out)
    })
    using driver = testDriver(app, { settings: { onFailure: 'retry', retryBackoffMs: 10 } })
    send(driver, 'ab', 'key')
    expect(desk.called).toEqual([])
    fails = false
    driver.advanceWallClock(10)
    expect(desk.called).toEqual(['a'])
    desk.answer('a')
    await turn(driver)
    desk.answer('b')
    await turn(driver)
    expect(outputs(driver)).toBe('AB')
  })
})
