// Stores that keep headers: what processors and tables find there, and what others read in the changelog.
import { describe, expect, it } from 'vitest'
import {
  int64,
  nullable,
  output,
  type RecordHeader,
  store,
  StreamRecord,
  string,
  topic,
  topology,
} from '../../../src/index.ts'
import { testDriver } from '../../../src/testing/index.ts'

const input = topic('in', { key: string, value: string })
const rows = topic('rows', { key: string, value: nullable(string) })
const out = topic('out', { key: string, value: nullable(string) })
const sums = topic('sums', { key: string, value: int64 })
const texts = { key: string, value: string }
const seen = store('seen', { ...texts, headers: true })
const table = store('table', { ...texts, headers: true })

const header = (key: string, value: string | null): RecordHeader => ({
  key,
  value: value === null ? null : Buffer.from(value),
})
const shown = (headers: readonly RecordHeader[] | undefined): string =>
  headers?.map(({ key, value }) => `${key}=${value === null ? '-' : Buffer.from(value)}`).join(' ') ?? 'none'

describe('a store of a processor', () => {
  const remembering = topology('remembering', (t) => {
    t.stream(input)
      .process({
        stores: { seen },
        outputs: output<string, string>(),
        process(record, { stores, forward }) {
          const before = stores.seen.getEntry(record.key)
          forward(record.withValue(`${before?.value} ${before?.timestamp} ${shown(before?.headers)}`))
          stores.seen.put(record.key, record.value)
        },
      })
      .to(out)
  })

  it('has the timestamp and the headers of the record that wrote it', () => {
    using driver = testDriver(remembering)
    const headers = [header('trace', '1'), header('trace', '2'), header('flag', null)]
    driver.input(input).send('a', 'one', { timestamp: 5, headers })
    driver.input(input).send('a', 'two', { timestamp: 4 })
    driver.input(input).send('a', 'three', { timestamp: 6 })
    expect(
      driver
        .output(out)
        .readAll()
        .map(({ value }) => value),
    ).toEqual(['undefined undefined none', 'one 5 trace=1 trace=2 flag=-', 'two 4 '])
    expect(driver.store(seen).get('a')).toBe('three')
    expect(driver.store(seen).getEntry('b')).toBeUndefined()
  })

  it('shows them to whoever reads the changelog, and takes them back from it', () => {
    using driver = testDriver(remembering)
    driver.input(input).send('a', 'one', { timestamp: 5, headers: [header('trace', '1')] })
    driver.input(input).send('ab', 'two', { timestamp: 6 })
    const told = driver.changelog(seen).readAll()
    expect(told.map(({ key, value, headers }) => [key, value, shown(headers)])).toEqual([
      ['a', 'one', 'trace=1'],
      ['ab', 'two', ''],
    ])
    for (const keepState of [true, false]) {
      driver.restart({ keepState })
      expect([...driver.store(seen).all()]).toEqual([
        { key: 'a', value: 'one', timestamp: 5, headers: [header('trace', '1')] },
        { key: 'ab', value: 'two', timestamp: 6, headers: [] },
      ])
    }
    const backwards = [...driver.store(seen).range('a', 'b', { reverse: true })]
    expect(backwards.map(({ key, headers }) => key + shown(headers))).toEqual(['ab', 'atrace=1'])
    const scanned = [...driver.store(seen).prefixScan('ab', string)]
    expect(scanned).toEqual([{ key: 'ab', value: 'two', timestamp: 6, headers: [] }])
    driver.store(seen).delete('a')
    expect(
      driver
        .changelog(seen)
        .readAll()
        .map(({ key, value }) => [key, value]),
    ).toEqual([['a', null]])
  })

  it('takes a timestamp and headers that a processor gives, and keeps them when their bytes change later', () => {
    const value = Buffer.from('mine')
    using driver = testDriver(
      topology('own', (t) => {
        t.stream(input).process({
          stores: { seen },
          init({ schedule, stores }) {
            schedule(100, 'stream-time', () => stores.seen.put('tick', 'now'))
          },
          process({ key, value: given }, { stores }) {
            stores.seen.putEntry(key, { value: given, timestamp: 77, headers: [{ key: 'own', value }] })
            stores.seen.putEntry(`${key}2`, { value: given })
            value.fill(0)
          },
        })
      }),
    )
    driver.input(input).send('a', 'one', { timestamp: 5, headers: [header('trace', '1')] })
    expect(driver.store(seen).getEntry('a')).toEqual({
      value: 'one',
      timestamp: 77,
      headers: [header('own', 'mine')],
    })
    expect(driver.store(seen).getEntry('a2')).toEqual({
      value: 'one',
      timestamp: 5,
      headers: [header('trace', '1')],
    })
    driver.input(input).send('b', 'one', { timestamp: 250 })
    // A tick is of no record.
    expect(driver.store(seen).getEntry('tick')).toEqual({ value: 'now', timestamp: 250, headers: [] })
    driver.store(seen).putEntry('seeded', { value: 'x', timestamp: 3, headers: [header('h', 'v')] })
    expect(driver.store(seen).getEntry('seeded')?.headers).toEqual([header('h', 'v')])
    for (const timestamp of [-1, 0.5, Number.NaN])
      expect(() => driver.store(seen).putEntry('a', { value: 'x', timestamp })).toThrow(
        /SERIALIZATION_FAILED: an entry is to have the timestamp .*store seen/,
      )
    const none = [{ key: 5, value: 'x' }] as never
    expect(() => driver.store(seen).putEntry('a', { value: 'x', headers: none })).toThrow(
      /SERIALIZATION_FAILED/,
    )
    expect(driver.store(seen).getEntry('a')?.value).toBe('one')
  })
})

describe('a table that keeps headers', () => {
  it('has those of the record of each row, where other headers are a change', () => {
    using driver = testDriver(
      topology('rows', (t) => {
        t.table(rows, table).toStream().to(out)
      }),
    )
    const send = (value: string | null, ...headers: RecordHeader[]): void =>
      void driver.input(rows).send('a', value, { timestamp: 5, headers })
    send('one', header('v', '1'))
    send('one', header('v', '1'))
    send('one', header('v', '2'))
    expect(driver.store(table).getEntry('a')?.headers).toEqual([header('v', '2')])
    send(null, header('v', '3'))
    expect(driver.store(table).has('a')).toBe(false)
    const told = driver.output(out).readAll()
    expect(told.map(({ value, headers }) => `${value} ${shown(headers)}`)).toEqual([
      'one v=1',
      'one v=2',
      'null v=3',
    ])
  })

  it('of an aggregation, a filter, a join: has those of the record that changed it last', () => {
    const counts = store('counts', { key: string, value: int64, headers: true })
    const long = store('long', { ...texts, headers: true })
    const both = store('both', { ...texts, headers: true })
    using driver = testDriver(
      topology('derived', (t) => {
        const counted = t.stream(input).groupByKey().count(counts)
        counted.toStream().to(sums)
        const row = t.table(rows, table)
        row.filter((value) => value.length > 3, long)
        row.join(counted, (value, count) => `${value} ${count}`, both)
        t.stream(topic('others', texts))
          .process({
            stores: { counts, long, both },
            outputs: output<string, string>(),
            process(record, { stores, forward }) {
              const headers = Object.values(stores).map((one) => shown(one.getEntry(record.key)?.headers))
              forward(StreamRecord.of({ key: 'a', value: headers.join(', '), timestamp: 1 }))
            },
          })
          .to(out)
      }),
    )
    driver.input(input).send('a', 'x', { timestamp: 9, headers: [header('n', '1')] })
    driver.input(rows).send('a', 'long', { timestamp: 2, headers: [header('row', '2')] })
    driver.input(input).send('a', 'y', { timestamp: 3, headers: [header('n', '3')] })
    driver.input(topic('others', texts)).send('a', '')
    expect(driver.output(out).read()?.value).toBe('n=3, row=2, n=3')
    expect(driver.store(counts).getEntry('a')).toEqual({
      value: 2,
      timestamp: 9,
      headers: [header('n', '3')],
    })
    expect(
      driver
        .output(sums)
        .readAll()
        .map(({ headers }) => shown(headers)),
    ).toEqual(['n=1', 'n=3'])
  })
})
