// Asynchronous processors in the test driver: what is called when, and whose turn it is.
import {
  int64,
  output,
  store,
  string,
  topic,
  topology,
  type NamedAsyncOptions,
  type StreamRecord,
  type Topology,
} from 'millstream'
import { type TestDriver, type TestDriverSettings, testDriver } from 'millstream/testing'
import { describe, expect, it } from 'vitest'

const input = topic('in', { key: string, value: string })
const other = topic('other', { key: string, value: string })
const out = topic('out', { key: string, value: string })
const counted = store('counted', { key: string, value: int64 })

interface OpenCall {
  readonly value: string
  readonly signal: AbortSignal
  answer(value: string): void
  fail(error: Error): void
}

/** What was called and is not answered yet; the answers come when the test gives them. */
class Desk {
  readonly open = new Map<string, OpenCall>()
  /** Every call in its order. */
  readonly called: string[] = []

  readonly call = (value: string, _record: unknown, signal: AbortSignal): Promise<string> =>
    new Promise((resolve, reject) => {
      this.called.push(value)
      const end = (act: () => void) => (): void => {
        this.open.delete(value)
        act()
      }
      this.open.set(value, {
        value,
        signal,
        answer: (answer) => end(() => resolve(answer))(),
        fail: (error) => end(() => reject(error))(),
      })
    })

  answer(value: string, answer: string = value.toUpperCase()): void {
    this.#opened(value).answer(answer)
  }

  fail(value: string): void {
    this.#opened(value).fail(new Error(`no answer for ${value}`))
  }

  get waiting(): string[] {
    return [...this.open.keys()]
  }

  #opened(value: string): OpenCall {
    const call = this.open.get(value)
    if (call === undefined) throw new Error(`${value} is not called`)
    return call
  }
}

/** Lets answers come in, and processes. */
const turn = async (driver: TestDriver): Promise<void> => {
  await new Promise((resolve) => void setImmediate(resolve))
  driver.run()
}

const upper = (desk: Desk, options?: NamedAsyncOptions): Topology =>
  topology('upper', (t) => {
    t.stream(input).mapValuesAsync(desk.call, options).to(out)
  })

const started = (
  desk: Desk,
  { settings, ...options }: NamedAsyncOptions & { settings?: TestDriverSettings } = {},
): TestDriver => testDriver(upper(desk, options), settings && { settings })

/** Sends records without waiting: a key for each value, or one for all. */
const send = (driver: TestDriver, values: string, key?: string): void => {
  for (const value of values) driver.input(input).send(key ?? value, value)
}

const outputs = (driver: TestDriver): string =>
  driver
    .output(out)
    .readAll()
    .map(({ value }) => value)
    .join('')

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
    for (let number = 0; number < 100; number++) driver.input(input).send(`${number}`, `${number}`)
    expect(called).toHaveLength(48)
    slow.resolve('0')
    await driver.settled()
    expect(called).toHaveLength(100)
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

describe('results', () => {
  it('come in the order of the records, whatever is answered first', async () => {
    const desk = new Desk()
    using driver = started(desk)
    send(driver, 'abc')
    desk.answer('c')
    desk.answer('b')
    await turn(driver)
    expect(outputs(driver)).toBe('')
    desk.answer('a')
    await turn(driver)
    expect(outputs(driver)).toBe('ABC')
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
    desk.answer('c')
    desk.answer('b')
    await turn(driver)
    expect(outputs(driver)).toBe('')
    desk.answer('a')
    await turn(driver)
    expect(outputs(driver)).toBe('ABC')
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
