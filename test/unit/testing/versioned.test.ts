// Versioned stores and tables, and joins as of a time: what Kafka Streams does with the same records, case by case.
import { describe, expect, it } from 'vitest'
import {
  int64,
  nullable,
  output,
  store,
  string,
  topic,
  topology,
  versionedStore,
} from '../../../src/index.ts'
import { testDriver } from '../../../src/testing/index.ts'

const rates = topic('rates', { key: string, value: nullable(int64) })
const orders = topic('orders', { key: string, value: string })
const told = topic('told', { key: string, value: nullable(string) })
const changed = topic('changed', { key: string, value: nullable(int64) })
const history = versionedStore('history', { key: string, value: int64, historyMs: 10 })
const waiting = store('waiting', { key: string, value: string })

const latin1 = {
  name: 'latin1',
  encode: (text: string) => Buffer.from(text, 'latin1'),
  decode: (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1'),
}

type Step =
  | readonly ['rate', key: string, value: number | null, timestamp: number]
  | readonly ['order', key: string, value: string, timestamp: number]

const run = (driver: ReturnType<typeof testDriver>, steps: readonly Step[]): void => {
  for (const [kind, key, value, timestamp] of steps) {
    if (kind === 'rate') driver.input(rates).send(key, value as number | null, { timestamp })
    else driver.input(orders).send(key, value as string, { timestamp })
  }
}

const joined = (
  kind: 'join' | 'leftJoin',
  options?: { readonly graceMs: number; readonly store: typeof waiting },
) =>
  topology('joined', (t) => {
    const table = t.table(rates, history)
    const stream = t.stream(orders)
    const show = (text: string, rate: number | undefined): string => `${text}:${rate ?? '-'}`
    if (kind === 'join') stream.join(table, show, options).to(told)
    else stream.leftJoin(table, show, options).to(told)
  })

const results = (driver: ReturnType<typeof testDriver>): string[] =>
  driver
    .output(told)
    .readAll()
    .map(({ value, timestamp }) => `${value}@${timestamp}`)

describe('a versioned store', () => {
  const filled = (...steps: readonly (readonly [value: number | null, timestamp: number])[]) => {
    const driver = testDriver(
      topology('table', (t) => {
        t.table(rates, history)
      }),
    )
    run(
      driver,
      steps.map(([value, timestamp]) => ['rate', 'a', value, timestamp]),
    )
    return driver
  }
  const asOf = (driver: ReturnType<typeof testDriver>, ...times: readonly number[]): unknown[] =>
    times.map((time) => driver.store(history).asOf('a', time))

  it('answers what was valid at a time', () => {
    using driver = filled([1, 10], [2, 15])
    expect(asOf(driver, 9, 10, 14, 15, 99)).toEqual([undefined, 1, 1, 2, 2])
    expect(driver.store(history).get('a')).toBe(2)
  })

  it('takes versions out of order', () => {
    using driver = filled([1, 10], [3, 18], [2, 14])
    expect(asOf(driver, 10, 13, 14, 17, 18)).toEqual([1, 1, 2, 2, 3])
    expect(driver.store(history).get('a')).toBe(3)
    expect([...driver.store(history).versions('a')]).toEqual([
      { value: 3, from: 18, to: undefined },
      { value: 2, from: 14, to: 18 },
      { value: 1, from: 10, to: 14 },
    ])
  })

  it('replaces the version of the same time', () => {
    using driver = filled([1, 10], [2, 12], [3, 10], [4, 12])
    expect(asOf(driver, 10, 11, 12)).toEqual([3, 3, 4])
  })

  it('knows when a key had no value', () => {
    using driver = filled([1, 10], [null, 12], [2, 15])
    expect(asOf(driver, 11, 12, 14, 15)).toEqual([1, undefined, undefined, 2])
    expect([...driver.store(history).versions('a')]).toEqual([
      { value: 2, from: 15, to: undefined },
      { value: 1, from: 10, to: 12 },
    ])
  })

  it('has no latest value after a removal, also where an earlier version comes later', () => {
    using driver = filled([null, 12], [1, 10])
    expect(driver.store(history).get('a')).toBeUndefined()
    expect([...driver.store(history).all()]).toEqual([])
    expect(asOf(driver, 9, 10, 11, 12)).toEqual([undefined, 1, 1, undefined])
  })

  it('refuses what is before its history, and counts it', () => {
    using driver = filled([1, 20], [2, 10], [3, 9])
    expect(driver.counts.late).toBe(1)
    expect(asOf(driver, 10, 19, 20)).toEqual([2, 2, 1])
  })

  it('answers a time before its history only where the latest value was valid already', () => {
    using driver = filled([1, 10], [2, 15])
    run(driver, [['rate', 'b', 1, 30]])
    expect(asOf(driver, 14, 15, 19, 20)).toEqual([undefined, 2, 2, 2])
    using changedLater = filled([1, 10], [2, 25])
    run(changedLater, [['rate', 'b', 1, 30]])
    expect(asOf(changedLater, 19, 20, 24, 25)).toEqual([undefined, 1, 1, 2])
  })

  it('answers the versions of a range of times', () => {
    using driver = filled([1, 10], [2, 12], [3, 16])
    const versions = (from: number, to: number): unknown[] =>
      [...driver.store(history).versions('a', from, to)].map(({ value }) => value)
    expect(versions(0, 10)).toEqual([])
    expect(versions(0, 11)).toEqual([1])
    expect(versions(11, 12)).toEqual([1])
    expect(versions(11, 16)).toEqual([2, 1])
    expect(versions(12, 17)).toEqual([3, 2])
    expect(versions(16, 17)).toEqual([3])
    expect(versions(30, 40)).toEqual([3])
  })

  it('keeps nothing that nobody can read any more', () => {
    using driver = filled()
    // In this order an earlier version comes before one that had nothing before it.
    for (let key = 0; key < 40; key++)
      run(driver, [
        ['rate', `o${key}`, 1, 905],
        ['rate', `o${key}`, 2, 900],
      ])
    for (let step = 0; step < 300; step++)
      run(driver, [['rate', `k${step % 7}`, step % 5 === 0 ? null : step, 1000 + step * 3]])
    const alive = new Map<string, boolean>()
    const changelog = topic('table-history-changelog', { key: latin1, value: nullable(latin1) })
    for (const { key, value } of driver.output(changelog).readAll()) alive.set(key, value !== null)
    const entries = [...alive.values()].filter(Boolean).length
    // 47 keys, each with its latest version, and for each of the last few records a version before it and a boundary.
    expect(entries).toBeLessThan(65)
    expect([...driver.store(history).all()].length).toBeGreaterThan(43)
  })

  it('is written by processors', () => {
    using driver = testDriver(
      topology('written', (t) => {
        t.stream(orders)
          .process({
            stores: { history },
            outputs: output<string, string>(),
            process(record, { stores, forward }) {
              const { key, value, timestamp } = record
              const written =
                value === 'out'
                  ? stores.history.delete(key, timestamp)
                  : stores.history.put(key, 1, timestamp)
              forward(
                record.withValue(
                  `${written} ${stores.history.asOf(key, timestamp)} ${stores.history.get(key)}`,
                ),
              )
            },
          })
          .to(told)
      }),
    )
    run(driver, [
      ['order', 'a', 'in', 20],
      ['order', 'a', 'out', 12],
      ['order', 'a', 'in', 9],
    ])
    expect(results(driver)).toEqual(['true 1 1@20', 'true undefined 1@12', 'false undefined 1@9'])
    driver.store(history).put('b', 5, 25)
    expect(driver.store(history).asOf('b', 25)).toBe(5)
    expect(driver.store(history).delete('b', 26)).toBe(true)
    expect(driver.store(history).get('b')).toBeUndefined()
  })
})

describe('a table in a versioned store', () => {
  it('tells what came out of order to streams and derived tables, and to nobody else', () => {
    const sizes = store('sizes', { key: string, value: int64 })
    const doubled = topic('doubled', { key: string, value: nullable(int64) })
    const pairs = topic('pairs', { key: string, value: nullable(string) })
    using driver = testDriver(
      topology('told', (t) => {
        const table = t.table(rates, history)
        table.toStream().to(changed)
        table
          .mapValues((value) => value * 2)
          .toStream()
          .to(doubled)
        const names = t.table(orders, store('names', { key: string, value: string }))
        table
          .join(names, (rate, name) => `${name}${rate}`)
          .toStream()
          .to(pairs)
        table
          .groupBy((value) => ({ key: 'all', value }), { name: 'all', key: string, value: int64 })
          .reduce(sizes, { add: (sum, value) => sum + value, subtract: (sum, value) => sum - value })
      }),
    )
    run(driver, [
      ['order', 'a', 'n', 1],
      ['rate', 'a', 3, 20],
      ['rate', 'a', 2, 15],
      ['rate', 'a', 4, 22],
      ['rate', 'a', null, 21],
    ])
    const of = (handle: typeof changed): unknown[] =>
      driver
        .output(handle)
        .readAll()
        .map(({ value, timestamp }) => `${value}@${timestamp}`)
    expect(of(changed)).toEqual(['3@20', '2@15', '4@22', 'null@21'])
    expect(of(doubled)).toEqual(['6@20', '4@15', '8@22', 'null@21'])
    expect(of(pairs as never)).toEqual(['n3@20', 'n4@22'])
    expect(driver.store(sizes).get('all')).toBe(4)
  })

  it('joins by foreign key with its latest rows', () => {
    const links = topic('links', { key: string, value: nullable(string) })
    const result = store('result', { key: string, value: string })
    using driver = testDriver(
      topology('foreign', (t) => {
        const left = t.table(links, versionedStore('links', { key: string, value: string, historyMs: 10 }))
        left.foreignKeyJoin(
          t.table(rates, history),
          (value) => value,
          (link, rate) => `${link}${rate}`,
          {
            name: 'by-link',
            foreignKey: string,
            value: int64,
            store: result,
          },
        )
      }),
    )
    run(driver, [
      ['rate', 'x', 1, 20],
      ['rate', 'y', 5, 20],
    ])
    driver.input(links).send('a', 'x', { timestamp: 20 })
    driver.input(links).send('a', 'y', { timestamp: 15 })
    run(driver, [['rate', 'x', 9, 18]])
    expect([...driver.store(result).all()]).toEqual([{ key: 'a', value: 'x1' }])
    driver.input(links).send('a', 'y', { timestamp: 21 })
    expect([...driver.store(result).all()]).toEqual([{ key: 'a', value: 'y5' }])
  })
})

describe('a join as of a time', () => {
  const steps: readonly Step[] = [
    ['rate', 'a', 1, 10],
    ['rate', 'a', 2, 15],
    ['order', 'a', 'early', 9],
    ['order', 'a', 'then', 12],
    ['order', 'a', 'now', 20],
    ['order', 'b', 'none', 20],
  ]

  it('takes the row that was valid at the time of the record', () => {
    using driver = testDriver(joined('join'))
    run(driver, steps)
    expect(results(driver)).toEqual(['then:1@12', 'now:2@20'])
  })

  it('keeps records without such a row where it is a left one', () => {
    using driver = testDriver(joined('leftJoin'))
    run(driver, steps)
    expect(results(driver)).toEqual(['early:-@9', 'then:1@12', 'now:2@20', 'none:-@20'])
  })

  it('reads derived tables as of that time, too', () => {
    using driver = testDriver(
      topology('derived', (t) => {
        const even = t
          .table(rates, history)
          .mapValues((value) => value * 10)
          .filter((value) => value !== 10)
        t.stream(orders)
          .join(even, (text, rate) => `${text}:${rate}`)
          .to(told)
      }),
    )
    run(driver, steps)
    expect(results(driver)).toEqual(['now:20@20'])
  })

  it('waits for the grace, so that versions which come late are seen', () => {
    using driver = testDriver(joined('leftJoin', { graceMs: 5, store: waiting }))
    run(driver, [
      ['rate', 'a', 1, 10],
      ['order', 'a', 'one', 14],
      ['rate', 'a', 2, 12],
      ['order', 'b', 'two', 18],
    ])
    expect(results(driver)).toEqual([])
    run(driver, [['order', 'b', 'three', 19]])
    expect(results(driver)).toEqual(['one:2@14'])
    run(driver, [['order', 'c', 'four', 40]])
    expect(results(driver)).toEqual(['two:-@18', 'three:-@19'])
  })

  it('tells what waited in the order of time, and joins what is later than the grace at once', () => {
    using driver = testDriver(joined('leftJoin', { graceMs: 5, store: waiting }))
    run(driver, [
      ['order', 'b', 'second', 12],
      ['order', 'a', 'third', 12],
      ['order', 'b', 'first', 11],
      ['order', 'b', 'again', 12],
      ['order', 'b', 'edge', 7],
      ['order', 'b', 'late', 6],
      ['order', 'z', 'last', 30],
    ])
    expect(results(driver)).toEqual([
      'edge:-@7',
      'late:-@6',
      'first:-@11',
      'third:-@12',
      'second:-@12',
      'again:-@12',
    ])
  })

  it('keeps the headers of what waits, and goes on after a restart', () => {
    using driver = testDriver(joined('leftJoin', { graceMs: 5, store: waiting }))
    const headers = [
      { key: 'trace', value: Buffer.from('abc') },
      { key: 'none', value: null },
    ]
    driver.input(orders).send('a', 'one', { timestamp: 10, headers })
    driver.restart()
    run(driver, [['order', 'b', 'two', 15]])
    const [first] = driver.output(told).readAll()
    expect(first?.value).toBe('one:-')
    expect(first?.headers.map(({ key, value }) => [key, value && Buffer.from(value).toString()])).toEqual([
      ['trace', 'abc'],
      ['none', null],
    ])
  })

  it('does not let its records be read', () => {
    using driver = testDriver(joined('join', { graceMs: 5, store: waiting }))
    expect(() => driver.store(waiting)).toThrow(/holds records that wait in a join/)
  })
})
