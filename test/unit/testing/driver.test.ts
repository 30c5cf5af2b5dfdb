// The test driver on the examples: inputs, outputs, stores, changelogs, bytes and headers.
import net from 'node:net'
import process from 'node:process'
import {
  bytes,
  int64,
  json,
  nullable,
  output,
  processor,
  type RecordHeader,
  store,
  type StreamRecord,
  string,
  topic,
  topology,
} from 'millstream'
import { testDriver } from 'millstream/testing'
import { describe, expect, it, vi } from 'vitest'
import accountBalances, {
  accounts,
  balances,
  bank,
  rejections,
  transfers,
} from '../../../processors/account-balances/index.ts'
import wordCount, { counts, lines, totals } from '../../../processors/word-count/index.ts'

const names = topic('names', { key: string, value: nullable(string) })
const copies = topic('copies', { key: string, value: nullable(string) })
const copy = topology('copy', (t) => {
  t.stream(names).to(copies)
})

describe('the word count', () => {
  it('is counted when the call returns', () => {
    using driver = testDriver(wordCount)
    driver.input(lines).send('k', 'a b a')
    expect(driver.store(totals).get('a')).toBe(2)
    expect(driver.store(totals).get('b')).toBe(1)
    expect(driver.store(totals).get('c')).toBeUndefined()
    expect(driver.store(totals).has('c')).toBe(false)
    expect([...driver.store(totals).all()]).toEqual([
      { key: 'a', value: 2 },
      { key: 'b', value: 1 },
    ])
    expect([...driver.store(totals).range('b', undefined)]).toEqual([{ key: 'b', value: 1 }])
    expect(driver.counts).toEqual({ processed: 4, skipped: 0, retried: 0, late: 0 })
  })

  it('shows every topic that it has in Kafka', () => {
    using driver = testDriver(wordCount)
    expect(driver.topics).toEqual([
      'lines',
      'counts',
      'word-count-by-word-repartition',
      'word-count-counts-changelog',
    ])
    driver.input(lines).send('k', 'a b a')
    const byWord = topic('word-count-by-word-repartition', { key: string, value: string })
    expect(driver.output(byWord).readKeyValues()).toEqual([
      { key: 'a', value: 'a' },
      { key: 'b', value: 'b' },
      { key: 'a', value: 'a' },
    ])
    // The changes of one transaction: the last value of each key.
    expect(driver.changelog(totals).readKeyValues()).toEqual([
      { key: 'a', value: 2 },
      { key: 'b', value: 1 },
    ])
    const raw = topic('counts', { key: bytes, value: bytes })
    expect(driver.output(raw).read()?.value).toEqual(Buffer.from([0, 0, 0, 0, 0, 0, 0, 1]))
  })

  it('takes another application id from the settings', () => {
    using driver = testDriver(wordCount, { settings: { applicationId: 'other' } })
    expect(driver.topics).toContain('other-by-word-repartition')
    driver.input(lines).send('k', 'a')
    expect(driver.changelog(totals).topic).toBe('other-counts-changelog')
    expect(driver.changelog(totals).toMap()).toEqual(new Map([['a', 1]]))
  })
})

describe('the driver', () => {
  it('touches neither timers nor clocks nor sockets, and nothing stays behind', () => {
    const watched = [
      vi.spyOn(globalThis, 'setTimeout'),
      vi.spyOn(globalThis, 'setInterval'),
      vi.spyOn(globalThis, 'setImmediate'),
      vi.spyOn(Date, 'now'),
      vi.spyOn(performance, 'now'),
      vi.spyOn(net.Socket.prototype, 'connect'),
      vi.spyOn(net.Server.prototype, 'listen'),
    ]
    const before = process.getActiveResourcesInfo()
    {
      using driver = testDriver(wordCount, { partitions: 2 })
      driver.input(lines).send('k', 'a b a')
      driver.advanceWallClock(60_000)
      driver.restart()
      driver.input(lines).send('k', 'a')
      expect(driver.store(totals).get('a')).toBe(3)
    }
    const calls = watched.map((spy) => spy.mock.calls.length)
    vi.restoreAllMocks()
    expect(calls).toEqual(watched.map(() => 0))
    expect(process.getActiveResourcesInfo()).toEqual(before)
  })
})

describe('outputs', () => {
  it('are read once, from one place per topic', () => {
    using driver = testDriver(wordCount)
    const output = driver.output(counts)
    expect(output.isEmpty).toBe(true)
    expect(output.read()).toBeUndefined()
    driver.input(lines).send('k', 'a b')
    expect(output.isEmpty).toBe(false)
    expect(output.read()).toMatchObject({ key: 'a', value: 1 })
    expect(driver.output(counts).readKeyValues()).toEqual([{ key: 'b', value: 1 }])
    expect(output.isEmpty).toBe(true)
    driver.input(lines).send('k', 'a')
    expect(output.readAll()).toEqual([
      { key: 'a', value: 2, timestamp: driver.wallClock, headers: [], partition: 0 },
    ])
  })

  it('keep the last value of each key in a map, also of keys that are objects', () => {
    const points = topic('points', { key: json<{ x: number }>(), value: string })
    const moved = topic('moved', { key: json<{ x: number }>(), value: string })
    using driver = testDriver(topology('points', (t) => t.stream(points).to(moved)))
    for (const [x, value] of [
      [1, 'a'],
      [2, 'b'],
      [1, 'c'],
    ] as const)
      driver.input(points).send({ x }, value)
    expect([...driver.output(moved).toMap()]).toEqual([
      [{ x: 1 }, 'c'],
      [{ x: 2 }, 'b'],
    ])
  })

  it('say where a record stands that the serdes of the handle refuse, and pass it', () => {
    using driver = testDriver(copy)
    driver.input(names).send('a', 'text')
    driver.input(names).send('b', '\0\0\0\0\0\0\0\u0007')
    const wrong = driver.output(topic('copies', { key: string, value: int64 }))
    expect(() => wrong.read()).toThrow(/DESERIALIZATION_FAILED.*topic copies, partition 0, offset 0/s)
    expect(wrong.read()).toMatchObject({ key: 'b', value: 7 })
  })
})

describe('records', () => {
  const header: RecordHeader = { key: 'trace', value: Buffer.from('7') }

  it('carry headers, timestamps and nulls through', () => {
    using driver = testDriver(copy)
    const input = driver.input(names)
    input.send('a', 'x', { timestamp: 5, headers: [header, { key: 'none', value: null }] })
    input.send({ key: 'a', value: null, timestamp: 7 })
    const [first, second] = driver.output(copies).readAll()
    expect(first).toEqual({
      key: 'a',
      value: 'x',
      timestamp: 5,
      headers: [header, { key: 'none', value: null }],
      partition: 0,
    })
    expect(second).toMatchObject({ key: 'a', value: null, timestamp: 7, headers: [] })
  })

  it('have null keys where the serde takes them', () => {
    const keyless = topic('keyless', { key: nullable(string), value: string })
    const copied = topic('copied', { key: nullable(string), value: string })
    using driver = testDriver(topology('keyless', (t) => t.stream(keyless).to(copied)))
    driver.input(keyless).send(null, 'x')
    expect(driver.output(copied).readKeyValues()).toEqual([{ key: null, value: 'x' }])
  })

  it('have the time of the wall clock, and what the input was advanced by', () => {
    using driver = testDriver(copy, { wallClock: 1000 })
    const input = driver.input(names)
    input.send('a', '1')
    input.advanceTime(10)
    driver.input(names).send('a', '2')
    driver.advanceWallClock(500)
    input.sendAll(
      [
        { key: 'a', value: '3' },
        { key: 'a', value: '4', timestamp: 42 },
        { key: 'a', value: '5' },
      ],
      { advanceMs: 100 },
    )
    const times = driver.output(copies).readAll()
    expect(times.map(({ timestamp }) => timestamp)).toEqual([1000, 1010, 1510, 42, 1710])
    expect(driver.wallClock).toBe(1500)
  })

  it('say where they were appended', () => {
    using driver = testDriver(copy)
    expect(driver.input(names).send('a', 'x')).toEqual({ topic: 'names', partition: 0, offset: 0 })
    expect(driver.input(names).send('a', 'x')).toEqual({ topic: 'names', partition: 0, offset: 1 })
  })

  it('are refused by their serdes before they are there', () => {
    using driver = testDriver(copy)
    expect(() => driver.input(names).send(7 as never, 'x')).toThrow('SERIALIZATION_FAILED')
    expect(driver.input(names).send('a', 'x').offset).toBe(0)
  })

  it('are tombstones in a store, and in its changelog', () => {
    const changes = topic('changes', { key: string, value: nullable(string) })
    const kept = store('kept', { key: string, value: string })
    const sizes = topic('sizes', { key: string, value: int64 })
    const keep = processor({
      stores: { kept },
      outputs: output<string, number>(),
      process(record: StreamRecord<string, string | null>, { stores, forward }) {
        if (record.value === null) stores.kept.delete(record.key)
        else stores.kept.put(record.key, record.value)
        forward(record.withValue([...stores.kept.all()].length))
      },
    })
    const app = topology('keeping', (t) => t.stream(changes).process(keep).to(sizes))
    using driver = testDriver(app)
    driver.input(changes).send('a', 'x')
    driver.input(changes).send('b', 'y')
    driver.input(changes).send('a', null)
    expect([...driver.store(kept).all()]).toEqual([{ key: 'b', value: 'y' }])
    expect(
      driver
        .output(sizes)
        .readAll()
        .map(({ value }) => value),
    ).toEqual([1, 2, 1])
    expect(driver.changelog(kept).readKeyValues()).toEqual([
      { key: 'a', value: 'x' },
      { key: 'b', value: 'y' },
      { key: 'a', value: null },
    ])
    driver.restart()
    expect([...driver.store(kept).all()]).toEqual([{ key: 'b', value: 'y' }])
  })
})

describe('the account balances', () => {
  it('move money over two partitions and refuse what is not there', () => {
    using driver = testDriver(accountBalances, { partitions: 3 })
    const input = driver.input(transfers)
    input.send('1', { id: '1', from: bank, to: 'ann', amount: 100 })
    input.send('2', { id: '2', from: 'ann', to: 'bob', amount: 30 })
    input.send('3', { id: '3', from: 'bob', to: 'ann', amount: 31 })
    expect(Object.fromEntries(driver.output(balances).toMap())).toEqual({ [bank]: -100, ann: 70, bob: 30 })
    expect(driver.output(rejections).readKeyValues()).toEqual([
      { key: 'bob', value: { id: '3', from: 'bob', to: 'ann', amount: 31, balance: 30 } },
    ])
    const all = [...driver.store(accounts).all()]
    expect(all.reduce((sum, { value }) => sum + value, 0)).toBe(0)
  })

  it('refuse an amount that the schema does not allow', () => {
    using driver = testDriver(accountBalances)
    expect(() => driver.input(transfers).send('1', { id: '1', from: 'a', to: 'b', amount: 0.5 })).toThrow(
      'SERIALIZATION_FAILED',
    )
    const text = topic('transfers', { key: string, value: string })
    expect(() => driver.input(text).send('1', '{"id":1}')).toThrow('DESERIALIZATION_FAILED')
  })
})

describe('a store that is seeded', () => {
  it('holds what was put, over a restart, and a processor goes on from it', () => {
    using driver = testDriver(wordCount)
    driver.store(totals).put('a', 40)
    driver.store(totals).put('b', 1)
    driver.store(totals).delete('b')
    driver.store(totals).delete('absent')
    driver.restart()
    driver.input(lines).send('k', 'a b')
    expect(driver.output(counts).toMap()).toEqual(
      new Map([
        ['a', 41],
        ['b', 1],
      ]),
    )
    expect(driver.changelog(totals).readKeyValues().slice(0, 3)).toEqual([
      { key: 'a', value: 40 },
      { key: 'b', value: 1 },
      { key: 'b', value: null },
    ])
  })

  it('is as before when the value is refused, or the transaction aborted', () => {
    using driver = testDriver(wordCount)
    driver.store(totals).put('a', 1)
    expect(() => driver.store(totals).put('a', 1.5)).toThrow('SERIALIZATION_FAILED')
    driver.begin()
    driver.store(totals).put('a', 2)
    expect(driver.store(totals).get('a')).toBe(2)
    driver.abort()
    expect(driver.store(totals).get('a')).toBe(1)
    driver.restart()
    expect(driver.store(totals).get('a')).toBe(1)
  })
})
