import { describe, expect, it } from 'vitest'
import {
  int64,
  nullable,
  sessions,
  store,
  string,
  topic,
  topology,
  tumbling,
  type TopologyScope,
  windowStore,
} from '../../../src/index.ts'
import { testDriver, type TestDriverOptions } from '../../../src/testing/index.ts'

const input = topic('in', { key: string, value: nullable(int64) })
const other = topic('other', { key: string, value: nullable(int64) })
const out = topic('out', { key: string, value: nullable(int64) })
const number = { key: string, value: int64 }
const rows = store('rows', number)
const others = store('others', number)
const totals = store('totals', number)
const perWindow = windowStore('per-window', { ...number, retentionMs: 10 })
const perCommit = { emit: 'per-commit' } as const

const runOf = (build: (t: TopologyScope) => void, options?: TestDriverOptions) =>
  testDriver(topology('per-commit', build), options)

type Driver = ReturnType<typeof runOf>
type In = readonly [key: string, value: number | null, timestamp?: number]

const send = (driver: Driver, records: readonly In[], to = input): void => {
  for (const [key, value, timestamp = 0] of records) driver.input(to).send(key, value, { timestamp })
}

/** In one transaction. */
const together = (driver: Driver, records: readonly In[], to = input): void => {
  driver.begin()
  send(driver, records, to)
  driver.commit()
}

const read = (driver: Driver): string[] =>
  driver
    .output(out)
    .readAll()
    .map(({ key, value, timestamp }) => `${key}=${value}/${timestamp}`)

const summed = (t: TopologyScope) =>
  t
    .stream(input)
    .groupByKey()
    .aggregate(totals, { initial: () => 0, add: ({ value }, sum) => sum + (value ?? 0) }, perCommit)
    .toStream()
    .to(out)

describe('a table told per commit', () => {
  it('tells the last change of each key, in the order of these', () => {
    using driver = runOf((t) => t.table(input, rows, perCommit).toStream().to(out))
    driver.begin()
    send(driver, [
      ['a', 1, 1],
      ['b', 1, 2],
      ['a', 2, 3],
    ])
    driver.run()
    expect(driver.output(out).readAll()).toEqual([])
    driver.commit()
    expect(read(driver)).toEqual(['b=1/2', 'a=2/3'])
    together(driver, [
      ['a', null, 4],
      ['b', 2, 5],
    ])
    expect(read(driver)).toEqual(['a=null/4', 'b=2/5'])
  })

  it('tells nothing of a key that is what it was, or that came and went', () => {
    using driver = runOf((t) => t.table(input, rows, perCommit).toStream().to(out))
    together(driver, [['a', 1]])
    together(driver, [
      ['a', 2, 1],
      ['b', 1, 1],
      ['a', 1, 2],
      ['b', null, 2],
    ])
    expect(read(driver)).toEqual(['a=1/0'])
  })

  it('holds for count, reduce and aggregate, of streams and of tables', () => {
    using driver = runOf((t) => {
      const grouped = t
        .stream(input)
        .mapValues((value) => value ?? 0)
        .groupByKey()
      grouped.count(totals, perCommit).toStream().to(out)
      grouped
        .reduce(others, (sum, value) => sum + value, perCommit)
        .toStream()
        .to(out)
      t.table(other, rows)
        .groupBy((value, key) => ({ key, value }), { name: 'same', ...number })
        .reduce(
          store('same', number),
          { add: (sum, value) => sum + value, subtract: (sum, value) => sum - value },
          perCommit,
        )
        .toStream()
        .to(out)
    })
    together(driver, [
      ['a', 5],
      ['a', 6],
    ])
    expect(read(driver)).toEqual(['a=2/0', 'a=11/0'])
    together(
      driver,
      [
        ['b', 5],
        ['b', 6],
      ],
      other,
    )
    expect(read(driver)).toEqual(['b=6/0'])
  })

  it('forgets what is aborted', () => {
    using driver = runOf(summed)
    together(driver, [['a', 1]])
    driver.begin()
    send(driver, [
      ['a', 2],
      ['b', 2],
    ])
    driver.run()
    driver.abort()
    expect(read(driver)).toEqual(['a=1/0'])
    driver.begin()
    driver.run()
    send(driver, [['a', 4]])
    driver.commit()
    expect(read(driver)).toEqual(['b=2/0', 'a=7/0'])
  })

  it('keeps nothing of a record that fails', () => {
    using driver = runOf(
      (t) => {
        const table = t.table(input, rows, perCommit)
        table.toStream().to(out)
        t.stream(other)
          .toTable(others, perCommit)
          .mapValues((value) => {
            if (value === 13) throw new Error('not this one')
            return value
          })
          .toStream()
          .to(out)
      },
      { settings: { onFailure: 'skip' } },
    )
    // Fails when it is told: that key alone is left out.
    together(
      driver,
      [
        ['a', 1, 1],
        ['b', 13, 2],
        ['c', 3, 3],
      ],
      other,
    )
    expect(read(driver).toSorted()).toEqual(['a=1/1', 'c=3/3'])
    expect(driver.counts.skipped).toBe(1)
    // More than one portion.
    const many = Array.from({ length: 600 }, (_, index): In => [`k${index}`, index === 400 ? 13 : 1])
    together(driver, many, other)
    expect(read(driver)).toHaveLength(599)
    expect(driver.counts.skipped).toBe(2)
  })

  it('takes back the change of a record that fails behind it', () => {
    using driver = runOf(
      (t) => {
        const stream = t.stream(input)
        const grouped = stream.groupByKey()
        grouped
          .aggregate(totals, { initial: () => 0, add: ({ value }, sum) => sum + (value ?? 0) }, perCommit)
          .toStream()
          .to(out)
        stream.foreach(({ value }) => {
          if (value === 13) throw new Error('not this one')
        })
      },
      { settings: { onFailure: 'skip' } },
    )
    together(driver, [
      ['a', 1],
      ['b', 13],
      ['a', 13],
      ['c', 13],
      ['c', 2],
    ])
    expect(read(driver).toSorted()).toEqual(['a=1/0', 'c=2/0'])
  })

  it('stops the worker where telling fails', () => {
    using driver = runOf((t) =>
      t
        .table(input, rows, perCommit)
        .mapValues((value) => {
          if (value === 13) throw new Error('not this one')
          return value
        })
        .toStream()
        .to(out),
    )
    expect(() => send(driver, [['a', 13]])).toThrow(/PUNCTUATOR_FAILED.*not this one/)
    expect(read(driver)).toEqual([])
  })

  it('hands on the headers of the last change', () => {
    using driver = runOf((t) => t.table(input, rows, perCommit).toStream().to(out))
    const headers = [{ key: 'trace', value: Buffer.from('x') }]
    driver.input(input).send('a', 1, { timestamp: 1, headers })
    expect(driver.output(out).readAll()[0]?.headers).toEqual(headers)
  })

  it('tells windows that are gone by then', () => {
    using driver = runOf((t) => {
      const table = t
        .stream(input)
        .groupByKey()
        .windowedBy(tumbling({ sizeMs: 10, graceMs: 0 }))
        .count(perWindow, perCommit)
      table
        .toStream()
        .map(({ key, value }) => ({ key: `${key.key}@${key.start}`, value }))
        .to(out)
      table.late().foreach(() => undefined)
    })
    together(driver, [
      ['a', 1, 1],
      ['a', 1, 2],
      ['a', 1, 500],
    ])
    expect(read(driver)).toEqual(['a@0=2/2', 'a@500=1/500'])
  })

  it('tells of sessions what they became', () => {
    using driver = runOf((t) =>
      t
        .stream(input)
        .groupByKey()
        .windowedBy(sessions({ gapMs: 5, graceMs: 5 }))
        .count(perWindow, perCommit)
        .toStream()
        .map(({ key, value }) => ({ key: `${key.key}@${key.start}-${key.end}`, value }))
        .to(out),
    )
    together(driver, [['a', 1, 1]])
    together(driver, [
      ['a', 1, 4],
      ['a', 1, 6],
    ])
    expect(read(driver)).toEqual(['a@1-1=1/1', 'a@1-1=null/1', 'a@1-6=3/6'])
  })

  it('is refused where emit is something else', () => {
    expect(() => runOf((t) => t.table(input, rows, { emit: 'on-close' as never }))).toThrow(
      /store rows: emit is on-close, but takes on-update, per-commit/,
    )
  })
})

describe('a table that is made of another one, told per commit', () => {
  const all = store('all', number)
  const made: readonly (readonly [
    string,
    (t: TopologyScope) => { toStream(): { to(topic: typeof out): void } },
  ])[] = [
    ['filter', (t) => t.table(input, rows).filter((value) => value > 1, all, perCommit)],
    ['filterNot', (t) => t.table(input, rows).filterNot((value) => value < 2, all, perCommit)],
    ['mapValues', (t) => t.table(input, rows).mapValues((value) => value, all, perCommit)],
    ['join', (t) => t.table(input, rows).join(t.table(other, others), (one) => one, all, perCommit)],
    ['leftJoin', (t) => t.table(input, rows).leftJoin(t.table(other, others), (one) => one, all, perCommit)],
    [
      'outerJoin',
      (t) => t.table(input, rows).outerJoin(t.table(other, others), (one) => one ?? 0, all, perCommit),
    ],
  ]

  it.each(made)('tells its last change: %s', (_, build) => {
    using driver = runOf((t) => build(t).toStream().to(out))
    if (driver.topics.includes('other')) {
      const partners: readonly In[] = [
        ['a', 1],
        ['b', 1],
      ]
      send(driver, partners, other)
      read(driver)
    }
    together(driver, [
      ['a', 5, 1],
      ['b', 5, 1],
      ['a', 6, 2],
      ['b', 7, 3],
      ['a', 4, 4],
    ])
    expect(read(driver)).toEqual(['b=7/3', 'a=4/4'])
    together(driver, [
      ['a', 9, 5],
      ['a', 4, 6],
    ])
    expect(read(driver)).toEqual([])
    expect(driver.store(all).get('a')).toBe(4)
  })

  it('tells of both sides of a join one change, and no result that was there in between', () => {
    using driver = runOf((t) =>
      t
        .table(input, rows)
        .join(t.table(other, others), (one, another) => one * 100 + another, all, perCommit)
        .toStream()
        .to(out),
    )
    together(driver, [['a', 1, 1]])
    together(driver, [['a', 1, 2]], other)
    expect(read(driver)).toEqual(['a=101/2'])
    driver.begin()
    send(driver, [['a', 2, 3]])
    send(driver, [['a', 2, 4]], other)
    driver.commit()
    expect(read(driver)).toEqual(['a=202/4'])
    driver.begin()
    send(driver, [['a', null, 5]])
    driver.run()
    send(driver, [['a', 3, 6]])
    driver.abort()
    driver.begin()
    driver.commit()
    expect(read(driver)).toEqual(['a=302/6'])
  })

  it('tells a join by a foreign key: of each row one change, however many came back', () => {
    const joined = (options: { readonly emit?: 'per-commit' }) =>
      runOf((t) =>
        t
          .table(input, rows)
          .foreignKeyJoin(
            t.table(other, others),
            () => 'f',
            (one, another) => one * 100 + another,
            {
              name: 'by-f',
              foreignKey: string,
              value: int64,
              store: all,
              ...options,
            },
          )
          .toStream()
          .to(out),
      )
    const come = (driver: Driver): string[] => {
      send(driver, [['a', 1, 1]])
      send(driver, [['f', 1, 2]], other)
      driver.run()
      read(driver)
      driver.begin()
      send(
        driver,
        [
          ['f', 2, 3],
          ['f', 3, 4],
        ],
        other,
      )
      send(driver, [['a', 5, 5]])
      driver.commit()
      driver.run()
      return read(driver)
    }
    using each = joined({})
    using last = joined(perCommit)
    const told = come(each)
    expect(told.length).toBeGreaterThan(1)
    expect(told.at(-1)).toBe('a=503/5')
    expect(come(last)).toEqual(['a=503/5'])
  })

  it('is seen as it was told by what is behind it', () => {
    using driver = runOf((t) => {
      const kept = t.table(input, rows).mapValues((value) => value, all, perCommit)
      kept
        .join(t.table(other, others), (left, right) => left * right)
        .groupBy((value) => ({ key: 'all', value }), { name: 'all', ...number })
        .reduce(totals, { add: (sum, value) => sum + value, subtract: (sum, value) => sum - value })
        .toStream()
        .to(out)
    })
    together(driver, [['a', 1]])
    together(driver, [['a', 2]], other)
    driver.begin()
    send(driver, [['a', 3]])
    send(driver, [['a', 4]], other)
    driver.commit()
    expect(read(driver).at(-1)).toBe('all=12/0')
  })
})

describe('what is behind a table told per commit', () => {
  it('is told in the same commit, and sees what was told', () => {
    using driver = runOf((t) => {
      const one = t.table(input, rows, perCommit)
      const joined = one.join(t.table(other, others), (left, right) => left * right)
      joined
        .groupBy((value) => ({ key: 'all', value }), { name: 'all', ...number })
        .reduce(totals, { add: (sum, value) => sum + value, subtract: (sum, value) => sum - value })
        .toStream()
        .to(out)
    })
    together(driver, [['a', 1]])
    together(driver, [['a', 2]], other)
    expect(read(driver)).toEqual(['all=2/0'])
    driver.begin()
    send(driver, [['a', 3]])
    // Joined with what was told of the other side: else the aggregate would lose what it never got.
    send(driver, [['a', 4]], other)
    driver.commit()
    expect(read(driver).at(-1)).toBe('all=12/0')
  })

  it('is held until the same commit once more', () => {
    using driver = runOf((t) => {
      const one = t.table(input, rows, perCommit)
      one.toStream().groupByKey().count(totals, perCommit).toStream().to(out)
    })
    together(driver, [
      ['a', 1],
      ['a', 2],
      ['a', 3],
    ])
    expect(read(driver)).toEqual(['a=1/0'])
  })

  it('looks its latest rows up where a stream is joined', () => {
    using driver = runOf((t) => {
      const table = t.table(input, rows, perCommit)
      t.stream(other)
        .join(table, (value, row) => (value ?? 0) * 100 + row)
        .to(out)
    })
    driver.begin()
    send(driver, [['a', 1]])
    send(driver, [['a', 2]], other)
    driver.commit()
    expect(read(driver)).toEqual(['a=201/0'])
  })
})
