// Asynchronous processors in the test driver: what is called when, and whose turn it is.
import { output, topology, type StreamRecord, type Topology } from 'millstream'
import { type TestDriver, testDriver } from 'millstream/testing'
import { describe, expect, it } from 'vitest'
import {
  counted,
  Desk,
  input,
  type OpenCall,
  other,
  out,
  outputs,
  send,
  started,
  turn,
  upper,
} from './async-desk.ts'

describe('calls', () => {
  it('of different keys are open at once', () => {
    const desk = new Desk()
    using driver = started(desk)
    send(driver, 'abc')
    expect(desk.waiting).toEqual(['a', 'b', 'c'])
  })

  it('of one key come one after the other', async () => {
    const desk = new Desk()
    using driver = started(desk)
    send(driver, 'abc', 'key')
    expect(desk.called).toEqual(['a'])
    desk.answer('a')
    await turn(driver)
    expect(desk.called).toEqual(['a', 'b'])
    desk.answer('b')
    await turn(driver)
    expect(desk.waiting).toEqual(['c'])
  })

  it('without a key do not wait for each other', () => {
    const desk = new Desk()
    const app = topology('keyless', (t) => {
      t.stream(input)
        .map(({ value }) => ({ key: null, value }))
        .mapValuesAsync(desk.call)
        .foreach(() => undefined)
    })
    using driver = testDriver(app)
    send(driver, 'abc')
    expect(desk.waiting).toEqual(['a', 'b', 'c'])
  })

  it('are as many as the processor allows', async () => {
    const desk = new Desk()
    using driver = started(desk, { inFlightMax: 2 })
    send(driver, 'abcd')
    expect(desk.waiting).toEqual(['a', 'b'])
    desk.answer('b')
    await turn(driver)
    expect(desk.waiting).toEqual(['a', 'c'])
  })

  it('are as many as the worker allows, over all tasks', async () => {
    const desk = new Desk()
    using driver = testDriver(upper(desk), { partitions: 2, settings: { asyncInFlightMax: 3 } })
    for (const [index, value] of [...'abcdef'].entries())
      driver.input(input).send(value, value, { partition: index % 2 })
    expect(desk.waiting).toHaveLength(3)
    for (let step = 0; step < 6; step++) {
      desk.answer(desk.waiting[0] as string)
      await turn(driver)
      expect(desk.waiting.length).toBe(Math.min(3, 5 - step))
    }
    expect([...outputs(driver)].sort().join('')).toBe('ABCDEF')
  })

  it('are held up by a slow one only when many wait behind it', async () => {
    const called: string[] = []
    const slow = Promise.withResolvers<string>()
    const app = topology('slow', (t) => {
      t.stream(input)
        .mapValuesAsync(
          (value) => {
            called.push(value)
            return value === '0' ? slow.promise : value
          },
          { inFlightMax: 2 },
        )
        .to(out)
    })
    using driver = testDriver(app)
    for (let number = 0; number < 300; number++) driver.input(input).send(`${number}`, `${number}`)
    expect(called).toHaveLength(192)
    slow.resolve('0')
    await driver.settled()
    expect(called).toHaveLength(300)
    expect(outputs(driver)).toBe(called.join(''))
  })

  it('may be synchronous, and are answered at once then', () => {
    const app = topology('sync', (t) => {
      t.stream(input)
        .mapValuesAsync((value) => value.toUpperCase())
        .to(out)
    })
    using driver = testDriver(app)
    send(driver, 'abc')
    expect(outputs(driver)).toBe('ABC')
  })
})

/** Nothing comes out before the answer to the first record. */
const answerBackwards = async (driver: TestDriver, desk: Desk): Promise<void> => {
  desk.answer('c')
  desk.answer('b')
  await turn(driver)
  expect(outputs(driver)).toBe('')
  desk.answer('a')
  await turn(driver)
  expect(outputs(driver)).toBe('ABC')
}

describe('results', () => {
  it('come in the order of the records, whatever is answered first', async () => {
    const desk = new Desk()
    using driver = started(desk)
    send(driver, 'abc')
    await answerBackwards(driver, desk)
  })

  it('are committed up to the lowest unfinished record', async () => {
    const desk = new Desk()
    using driver = started(desk)
    send(driver, 'abc')
    desk.answer('a')
    desk.answer('c')
    await turn(driver)
    expect(outputs(driver)).toBe('A')
    driver.restart()
    driver.run()
    expect(desk.called).toEqual(['a', 'b', 'c', 'b', 'c'])
    desk.answer('b')
    desk.answer('c')
    await driver.settled()
    expect(outputs(driver)).toBe('BC')
  })

  it('are waited for by settled', async () => {
    const app = topology('later', (t) => {
      t.stream(input)
        .mapValuesAsync(async (value) => {
          await new Promise((resolve) => void setTimeout(resolve, 2))
          return value.toUpperCase()
        })
        .to(out)
    })
    using driver = testDriver(app)
    send(driver, 'abc')
    expect(outputs(driver)).toBe('')
    await driver.settled()
    expect(outputs(driver)).toBe('ABC')
  })

  it('meet what other branches did with the same records, in their order', async () => {
    const desk = new Desk()
    const app = topology('branches', (t) => {
      const stream = t.stream(input)
      stream.mapValues((value) => `${value}1`).to(out)
      stream
        .filter(({ value }) => value !== 'b')
        .mapValuesAsync(desk.call)
        .to(out)
      stream.groupByKey().count(counted)
    })
    using driver = testDriver(app)
    send(driver, 'abc', 'key')
    expect(outputs(driver)).toBe('')
    expect(driver.store(counted).get('key')).toBe(undefined)
    desk.answer('a')
    await turn(driver)
    expect(driver.store(counted).get('key')).toBe(2)
    desk.answer('c')
    await turn(driver)
    expect(outputs(driver)).toBe('a1Ab1c1C')
    expect(driver.store(counted).get('key')).toBe(3)
  })

  it('move the stream time in their turn', async () => {
    const desk = new Desk()
    using driver = started(desk)
    driver.input(input).send('a', 'a', { timestamp: 5 })
    expect(driver.streamTime()).toBe(-1)
    desk.answer('a')
    await turn(driver)
    expect(driver.streamTime()).toBe(5)
  })

  it('may be called on by the next asynchronous processor, in the order of the records', async () => {
    const first = new Desk()
    const second = new Desk()
    const app = topology('chain', (t) => {
      t.stream(input)
        .mapValuesAsync(first.call)
        .selectKey(() => 'one')
        .mapValuesAsync(second.call)
        .to(out)
    })
    using driver = testDriver(app)
    send(driver, 'abc')
    first.answer('b')
    await turn(driver)
    expect(second.called).toEqual([])
    first.answer('a')
    await turn(driver)
    expect(second.waiting).toEqual(['A'])
    first.answer('c')
    second.answer('A', '1')
    await turn(driver)
    expect(second.waiting).toEqual(['B'])
    second.answer('B', '2')
    await turn(driver)
    second.answer('C', '3')
    await turn(driver)
    expect(outputs(driver)).toBe('123')
  })

  it('of several calls of one record are one turn', async () => {
    const desk = new Desk()
    const app = topology('several', (t) => {
      t.stream(input)
        .flatMap(({ value }) => [...value].map((letter) => ({ key: letter, value: letter })))
        .mapValuesAsync(desk.call)
        .to(out)
    })
    using driver = testDriver(app)
    driver.input(input).send('k', 'ab')
    driver.input(input).send('k', 'c')
    await answerBackwards(driver, desk)
  })

  it('are lost with their transaction, and called for again', async () => {
    const desk = new Desk()
    using driver = started(desk)
    driver.begin()
    send(driver, 'ab')
    const { signal } = desk.open.get('b') as OpenCall
    desk.answer('a')
    await turn(driver)
    driver.abort()
    expect(signal.aborted).toBe(true)
    expect(outputs(driver)).toBe('')
    driver.run()
    expect(desk.called).toEqual(['a', 'b', 'a', 'b'])
    desk.answer('a')
    desk.answer('b')
    await driver.settled()
    expect(outputs(driver)).toBe('AB')
  })
})

describe('processAsync', () => {
  const app = (desk: Desk): Topology =>
    topology('asked', (t) => {
      t.stream(input)
        .processAsync({
          name: 'ask',
          stores: { counted },
          outputs: output<string, string>(),
          call: (record: StreamRecord<string, string>, signal) => desk.call(record.value, record, signal),
          process(answer, record, { stores, forward }) {
            const count = (stores.counted.get(record.key) ?? 0) + 1
            stores.counted.put(record.key, count)
            forward(record.withValue(`${answer}${count}`))
          },
        })
        .to(out)
    })

  it('has its stores and outputs when the answer is there', async () => {
    const desk = new Desk()
    using driver = testDriver(app(desk))
    send(driver, 'ab', 'key')
    desk.answer('a')
    await turn(driver)
    desk.answer('b')
    await turn(driver)
    expect(outputs(driver)).toBe('A1B2')
    expect(driver.store(counted).get('key')).toBe(2)
  })

  it('undoes what it did when it fails, and keeps the answer for the next try', async () => {
    const desk = new Desk()
    let tries = 0
    const failing = topology('failing', (t) => {
      t.stream(input)
        .processAsync({
          outputs: output<string, string>(),
          call: (record: StreamRecord<string, string>, signal) => desk.call(record.value, record, signal),
          process(answer, record, { forward }) {
            forward(record.withValue(answer))
            if (tries++ === 0) throw new Error('once')
          },
        })
        .to(out)
    })
    using driver = testDriver(failing, { settings: { onFailure: 'retry', retryBackoffMs: 10 } })
    send(driver, 'a')
    desk.answer('a')
    await turn(driver)
    expect(outputs(driver)).toBe('')
    driver.advanceWallClock(10)
    expect(outputs(driver)).toBe('A')
    expect(desk.called).toEqual(['a'])
  })
})

describe('an asynchronous processor', () => {
  it('is told when nobody waits any more', () => {
    const desk = new Desk()
    const driver = started(desk)
    send(driver, 'a')
    const { signal } = desk.open.get('a') as OpenCall
    driver.close()
    expect(signal.aborted).toBe(true)
    expect(signal.reason).toMatchObject({ code: 'CLOSED' })
  })

  it('takes no records of a punctuator', () => {
    const app = topology('ticks', (t) => {
      t.stream(input)
        .process({
          outputs: output<string, string>(),
          init({ schedule, forward }) {
            const record = { key: 'k', value: 'tick', timestamp: 1 }
            schedule(100, 'wall-clock', () => forward(record as unknown as StreamRecord<string, string>))
          },
          process: () => undefined,
        })
        .mapValuesAsync((value) => value)
        .to(out)
    })
    using driver = testDriver(app)
    expect(() => driver.advanceWallClock(100)).toThrow(/a punctuator forwarded to an asynchronous processor/)
  })

  it('reads two topics in the order of their timestamps', async () => {
    const desk = new Desk()
    const app = topology('two', (t) => {
      t.stream(input).mapValuesAsync(desk.call).merge(t.stream(other)).to(out)
    })
    using driver = testDriver(app)
    driver.begin()
    driver.input(input).send('k', 'a', { timestamp: 1 })
    driver.input(other).send('k', 'b', { timestamp: 2 })
    driver.input(input).send('k', 'c', { timestamp: 3 })
    desk.answer('a')
    await turn(driver)
    desk.answer('c')
    await turn(driver)
    driver.commit()
    expect(outputs(driver)).toBe('AbC')
  })
})
