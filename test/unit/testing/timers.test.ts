// Timers per key, case by case.
import { describe, expect, it } from 'vitest'
import {
  int64,
  output,
  processor,
  store,
  StreamRecord,
  string,
  type Timer,
  timerStore,
  topic,
  topology,
} from '../../../src/index.ts'
import { compareDescriptions } from '../../../src/topology/compare.ts'
import { describeTopology } from '../../../src/topology/describe.ts'
import { describeAsData } from '../../../src/topology/description.ts'
import { testDriver, type TestDriverSettings } from '../../../src/testing/index.ts'

const input = topic('in', { key: string, value: string })
const others = topic('others', { key: string, value: string })
const out = topic('out', { key: string, value: string })
const reminders = timerStore('reminders', { key: string })
const fires = store('fires', { key: string, value: int64 })

const at = (text: string): number => Number(text)

/** `set name at`, `wall name at`, `cancel name`, `at name`; several apart by a comma. What fires is counted and told. */
const reminded = topology('reminded', (t) => {
  t.stream(others).foreach(() => undefined)
  t.stream(input)
    .merge(t.stream(topic('more', { key: string, value: string })))
    .process({
      name: 'remind',
      stores: [fires],
      timers: reminders,
      outputs: output<string, string>(),
      process({ key, value, timestamp }, { timers, forward }) {
        const say = (text: string): void => forward(StreamRecord.of({ key, value: text, timestamp }))
        for (const part of value.split(',')) {
          const [verb, name = '', time = ''] = part.split(' ')
          if (verb === 'set') timers.set(key, at(time), name)
          if (verb === 'wall') timers.set(key, at(time), name, 'wall-clock')
          if (verb === 'cancel') say(`cancelled ${name} ${timers.cancel(key, name)}`)
          if (verb === 'at') say(`${name} at ${timers.at(key, name)}`)
          if (verb === 'throw') throw new Error('not now')
          if (verb === 'say') say('here')
        }
      },
      onTimer({ key, at: time, name, type }, { stores, forward, streamTime, metadata, timers }) {
        if (name === 'broken') throw new Error('not this one')
        stores.fires.put(key, (stores.fires.get(key) ?? 0) + 1)
        if (name === 'again') timers.set(key, time + 10, 'again')
        if (name === 'before') timers.set(key, time - 1, 'inserted')
        if (name === 'clears') timers.cancel(key, 'cleared')
        const place = metadata === undefined ? '' : ' with a record'
        const now = type === 'wall-clock' ? ' wall' : ` of ${streamTime}`
        forward(StreamRecord.of({ key, value: `${name} ${time}${now}${place}`, timestamp: time }))
      },
    })
    .to(out)
})

const wallClock = 1000
const driverOf = (settings: TestDriverSettings = {}) => {
  const driver = testDriver(reminded, { wallClock, settings })
  const send = (key: string, value: string, timestamp: number): void =>
    void driver.input(input).send(key, value, { timestamp })
  const read = (): string[] =>
    driver
      .output(out)
      .readAll()
      .map(({ key, value }) => `${key}: ${value}`)
  return { driver, send, read }
}

describe('timers of stream time', () => {
  it('fire once, right after the record that brings their time, in the order of time', () => {
    const { driver, send, read } = driverOf()
    send('a', 'set late 30,set early 20', 10)
    send('b', 'set between 25', 11)
    expect(read()).toEqual([])
    send('c', 'say', 19)
    expect(read()).toEqual(['c: here'])
    send('c', 'say', 40)
    expect(read()).toEqual(['c: here', 'a: early 20 of 40', 'b: between 25 of 40', 'a: late 30 of 40'])
    send('c', 'say', 50)
    driver.restart()
    driver.run()
    expect(read()).toEqual(['c: here'])
    expect(driver.timers(reminders)).toEqual([])
    expect(driver.store(fires).get('a')).toBe(2)
    driver.close()
  })

  it('fire at the time itself, and by whatever record of the task moves it', () => {
    const { driver, send, read } = driverOf()
    send('a', 'set x 20', 10)
    driver.input(topic('more', { key: string, value: string })).send('z', 'say', { timestamp: 19 })
    expect(read()).toEqual(['z: here'])
    driver.input(topic('more', { key: string, value: string })).send('z', 'say', { timestamp: 20 })
    expect(read()).toEqual(['z: here', 'a: x 20 of 20'])
    driver.close()
  })

  it('that are in the past fire after the record, and before the next one', () => {
    const { driver, send, read } = driverOf()
    driver.begin()
    send('a', 'set now 10,say', 10)
    send('b', 'set past 3,say', 11)
    driver.commit()
    expect(read()).toEqual(['a: here', 'a: now 10 of 10', 'b: here', 'b: past 3 of 11'])
    driver.close()
  })

  it('are replaced when set again, whatever they go by, and gone when cancelled', () => {
    const { driver, send, read } = driverOf()
    send('a', 'set x 20,set x 40,at x', 10)
    send('a', 'set y 20,cancel y,cancel y,at y', 11)
    send('b', 'set x 20,wall x 1500', 12)
    expect(read()).toEqual(['a: x at 40', 'a: cancelled y true', 'a: cancelled y false', 'a: y at undefined'])
    expect(driver.timers(reminders)).toEqual([
      { key: 'a', at: 40, name: 'x', type: 'stream-time' },
      { key: 'b', at: 1500, name: 'x', type: 'wall-clock' },
    ])
    send('c', 'say', 30)
    expect(read()).toEqual(['c: here'])
    send('c', 'say', 41)
    expect(read()).toEqual(['c: here', 'a: x 40 of 41'])
    driver.close()
  })

  it('may set, cancel and put in timers when they fire', () => {
    const { driver, send, read } = driverOf()
    send('a', 'set again 10,set before 22,set later 23,set clears 24,set cleared 25', 1)
    send('z', 'say', 30)
    expect(read()).toEqual([
      'z: here',
      'a: again 10 of 30',
      'a: again 20 of 30',
      'a: before 22 of 30',
      'a: inserted 21 of 30',
      'a: later 23 of 30',
      'a: clears 24 of 30',
      'a: again 30 of 30',
    ])
    expect(driver.timers(reminders)).toEqual([{ key: 'a', at: 40, name: 'again', type: 'stream-time' }])
    driver.close()
  })

  it('of a record that fails are not set', () => {
    const { driver, send, read } = driverOf({ onFailure: 'skip' })
    send('a', 'set x 20', 10)
    send('a', 'set x 30,set y 20,throw', 11)
    send('a', 'cancel x,throw', 12)
    expect(driver.timers(reminders)).toEqual([{ key: 'a', at: 20, name: 'x', type: 'stream-time' }])
    send('a', 'say', 25)
    expect(read()).toEqual(['a: here', 'a: x 20 of 25'])
    driver.close()
  })

  it('keep names and keys apart that begin alike', () => {
    const { driver, send, read } = driverOf()
    send('a', 'set bc 20', 1)
    send('ab', 'set c 20,set  21', 2)
    send('abc', 'set  20', 3)
    send('z', 'cancel bc', 4)
    send('z', 'say', 30)
    expect(read().toSorted()).toEqual([
      'a: bc 20 of 30',
      'ab:  21 of 30',
      'ab: c 20 of 30',
      'abc:  20 of 30',
      'z: cancelled bc false',
      'z: here',
    ])
    driver.close()
  })

  it('of an aborted transaction fire again with it, and those that it set are gone', () => {
    const { driver, send, read } = driverOf()
    send('a', 'set x 20', 10)
    driver.begin()
    send('b', 'set y 60', 30)
    expect(driver.timers(reminders).map(({ name }) => name)).toEqual(['y'])
    driver.abort()
    expect(driver.timers(reminders).map(({ name }) => name)).toEqual(['x'])
    expect(read()).toEqual([])
    driver.run()
    expect(read()).toEqual(['a: x 20 of 30'])
    send('b', 'say', 60)
    expect(read()).toEqual(['b: here', 'b: y 60 of 60'])
    driver.close()
  })

  it.each([true, false])('survive a restart (state kept: %s)', (keepState) => {
    const { driver, send, read } = driverOf()
    send('a', 'set x 20,set y 15', 10)
    driver.restart({ keepState })
    send('b', 'say', 15)
    driver.restart({ keepState })
    send('b', 'say', 20)
    expect(read()).toEqual(['b: here', 'a: y 15 of 15', 'b: here', 'a: x 20 of 20'])
    driver.close()
  })
})

describe('timers of the wall clock', () => {
  it('fire when it has come to their time, each at its own, without a record', () => {
    const { driver, send, read } = driverOf()
    send('a', 'wall x 1100,wall y 1050', 1)
    driver.advanceWallClock(49)
    expect(read()).toEqual([])
    driver.advanceWallClock(1)
    expect(read()).toEqual(['a: y 1050 wall'])
    driver.advanceWallClock(1000)
    expect(read()).toEqual(['a: x 1100 wall'])
    driver.advanceWallClock(1000, { jump: true })
    expect(read()).toEqual([])
    driver.close()
  })

  it('fire at their time also while a record waits for its next try', () => {
    const { driver, send, read } = driverOf({ onFailure: 'retry', retryBackoffMs: 1000 })
    send('a', 'wall x 1100', 1)
    send('b', 'throw', 2)
    driver.advanceWallClock(99)
    expect(read()).toEqual([])
    driver.advanceWallClock(1)
    expect(read()).toEqual(['a: x 1100 wall'])
    expect(driver.counts.retried).toBe(1)
    driver.close()
  })

  it('that are due already, or fell due while nobody ran, fire at once', () => {
    const { driver, send, read } = driverOf()
    send('a', 'wall past 900,say,wall later 1100', 1)
    expect(read()).toEqual(['a: here', 'a: past 900 wall'])
    driver.begin()
    driver.advanceWallClock(200)
    driver.restart()
    driver.run()
    expect(read()).toEqual(['a: later 1100 wall'])
    driver.run()
    expect(read()).toEqual([])
    driver.close()
  })
})

describe('a timer that fails', () => {
  it('aborts its transaction and comes again', () => {
    const { driver, send, read } = driverOf()
    send('a', 'set broken 20,set fine 15', 10)
    expect(() => send('b', 'say', 30)).toThrow(
      /PUNCTUATOR_FAILED.*was told between records failed.*not this one/,
    )
    expect(read()).toEqual([])
    expect(driver.timers(reminders).map(({ name }) => name)).toEqual(['fine', 'broken'])
    expect(() => driver.run()).toThrow(/PUNCTUATOR_FAILED/)
    driver.close()
  })

  it('is alone left out where failures are skipped', () => {
    const { driver, send, read } = driverOf({ onFailure: 'skip' })
    send('a', 'set broken 20,set fine 15,set good 25', 10)
    send('b', 'say', 30)
    expect(read()).toEqual(['b: here', 'a: fine 15 of 30', 'a: good 25 of 30'])
    expect(driver.timers(reminders)).toEqual([])
    expect(driver.counts.skipped).toBe(1)
    driver.close()
  })
})

describe('many timers', () => {
  it('fire in portions, which may be committed one by one', () => {
    const many = topology('many', (t) => {
      t.stream(input)
        .process({
          timers: reminders,
          outputs: output<string, string>(),
          process: ({ key, value }, { timers }) => timers.set(key, at(value)),
          onTimer: ({ key, at: time }, { forward }) =>
            forward(StreamRecord.of({ key, value: String(time), timestamp: time })),
        })
        .to(out)
    })
    using driver = testDriver(many)
    driver.begin()
    for (let index = 0; index < 1000; index++)
      driver.input(input).send(`k${index}`, String(2000 - (index % 700)), { timestamp: 1 })
    driver.commit()
    driver.begin()
    driver.input(input).send('z', '9999', { timestamp: 1600 })
    driver.commit()
    const first = driver.output(out).readAll()
    driver.input(input).send('z', '9999', { timestamp: 5000 })
    const rest = driver.output(out).readAll()
    const times = [...first, ...rest].map(({ timestamp }) => timestamp)
    expect(times).toEqual(times.toSorted((one, other) => one - other))
    expect(first.every(({ timestamp }) => timestamp <= 1600)).toBe(true)
    expect(new Set([...first, ...rest].map(({ key }) => key)).size).toBe(1000)
    expect(times.length).toBe(1000)
  })
})

describe('a portion of timers', () => {
  it('is no more than 32 calls, also where both kinds are due', () => {
    let calls = 0
    const app = topology('app', (t) => {
      t.stream(input).process({
        timers: reminders,
        process({ timestamp }, { timers }) {
          for (let index = 0; index < 64; index++) timers.set(`k${index}`, timestamp)
          timers.set('z', 900, 'broken', 'wall-clock')
        },
        onTimer({ name }) {
          calls++
          if (name === 'broken') throw new Error('not this one')
        },
      })
    })
    using driver = testDriver(app, { wallClock, settings: { onFailure: 'skip' } })
    driver.input(input).send('a', '', { timestamp: 1 })
    // Of the portion that fails nothing else is done again, and once more alone it is left out.
    expect(calls).toBe(32 + 32 + 1 + 1)
    expect(driver.timers(reminders)).toEqual([])
  })
})

describe('a store of timers', () => {
  it('is described as such, and is not to become another store', () => {
    const text = describeTopology(reminded.graph, { applicationId: 'app', format: 'text' })
    expect(text).toContain(
      'store reminders: lmdb (string, int64) of timers, changelog app-reminders-changelog',
    )
    expect(text).toContain('process remind: store fires, reminders')
    const described = (timers: boolean) => {
      const app = topology('app', (t) => {
        const handle = { name: 'kept', key: string }
        if (timers) {
          const kept = timerStore(handle.name, handle)
          t.stream(input).process({ timers: kept, process() {}, onTimer() {} })
        } else
          t.stream(input).process({ stores: [store('kept', { key: string, value: int64 })], process() {} })
      })
      return describeAsData(app.graph, 'app')
    }
    expect(compareDescriptions([described(true)], [described(true)])).toEqual([])
    expect(compareDescriptions([described(true)], [described(false)]).map(({ what }) => what)).toEqual([
      expect.stringMatching(
        /store kept was \(string, int64\) of timers and is \(string, int64\): .*read as something else/,
      ),
    ])
  })
})

describe('what a processor with timers declares', () => {
  it('may be an object per task', () => {
    class Reminder {
      process({ key, timestamp }: StreamRecord<string, string>, { timers }: Setter): void {
        timers.set(key, timestamp + 5)
      }
      onTimer({ key, at: time }: Timer<string>, { forward }: Setter): void {
        forward(StreamRecord.of({ key, value: 'due', timestamp: time }))
      }
    }
    interface Setter {
      readonly timers: { set(key: string, at: number): void }
      readonly forward: (record: StreamRecord<string, string>) => void
    }
    const app = topology('app', (t) => {
      t.stream(input)
        .process(
          processor({
            timers: reminders,
            outputs: output<string, string>(),
            create: () => new Reminder(),
          }),
        )
        .to(out)
    })
    using driver = testDriver(app)
    driver.input(input).send('a', '', { timestamp: 1 })
    driver.input(input).send('b', '', { timestamp: 8 })
    expect(driver.output(out).readKeyValues()).toEqual([{ key: 'a', value: 'due' }])
  })

  const wrong: Readonly<Record<string, readonly [object, RegExp]>> = {
    'timers without onTimer': [{ timers: reminders, process() {} }, /onTimer of process.*is not a function/],
    'onTimer without timers': [{ onTimer() {}, process() {} }, /has onTimer, but no timers/],
    'timers that are a store': [{ timers: fires, onTimer() {}, process() {} }, /is no timerStore/],
    'a store that is of timers': [
      { stores: [reminders], process() {} },
      /store reminders is declared with timerStore: give it to timers/,
    ],
    'an async onTimer': [
      { timers: reminders, async onTimer() {}, process() {} },
      /onTimer of process.*is an async function/,
    ],
  }
  it.each(Object.entries(wrong))('is refused: %s', (_name, [spec, message]) => {
    expect(() => topology('wrong', (t) => t.stream(input).process(spec as never))).toThrow(message)
  })

  it('belongs to one processor, and gives keys', () => {
    const spec = { timers: reminders, process() {}, onTimer() {} }
    expect(() =>
      topology('wrong', (t) => {
        t.stream(input).process(spec)
        t.stream(others).process(spec)
      }),
    ).toThrow(/timers reminders belong to two processors, process-1 and process-2/)
    expect(() => topology('wrong', (t) => t.stream(input).processValues(spec as never))).toThrow(
      /has timers, which only process takes/,
    )
  })

  it('refuses a time that is none, and a type', () => {
    const set = (time: number, type: string) => () => {
      const app = topology('app', (t) => {
        t.stream(input).process({
          timers: reminders,
          process: ({ key }, { timers }) => timers.set(key, time, '', type as never),
          onTimer: () => undefined,
        })
      })
      using driver = testDriver(app)
      driver.input(input).send('a', '')
    }
    expect(set(1.5, 'stream-time')).toThrow(/a timer is set to 1.5/)
    expect(set(-1, 'stream-time')).toThrow(/a timer is set to -1/)
    expect(set(Number.NaN, 'stream-time')).toThrow(/a timer is set to NaN/)
    expect(set(1, 'moon')).toThrow(/goes by stream-time or wall-clock, not by moon/)
  })
})
