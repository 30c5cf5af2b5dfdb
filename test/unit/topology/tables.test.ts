import { describe, expect, it } from 'vitest'
import { int64, nullable, store, string, topic, topology } from '../../../src/index.ts'
import type { TopologyScope } from '../../../src/index.ts'
import type { Timestamped } from '../../../src/state/timestamped.ts'
import { GraphRunner } from './graph-runner.ts'

const left = topic('left', { key: string, value: nullable(string) })
const right = topic('right', { key: string, value: nullable(string) })
const results = topic('results', { key: string, value: nullable(string) })
const numbers = topic('numbers', { key: string, value: nullable(int64) })
const rows = store('rows', { key: string, value: string })
const others = store('others', { key: string, value: string })

/** Key, value and timestamp of what came out. */
type Out = readonly [key: string, value: unknown, timestamp: number]

const run = (
  describeIt: (t: TopologyScope) => void,
  input: readonly (readonly [topic: string, key: string | null, value: unknown, timestamp: number])[],
): { readonly out: Out[]; readonly runner: GraphRunner } => {
  const runner = new GraphRunner(topology('tables', describeIt))
  for (const [name, key, value, timestamp] of input) runner.send(name, key, value, timestamp)
  return { out: runner.written.map(({ key, value, timestamp }) => [key as string, value, timestamp]), runner }
}

describe('a table', () => {
  const plain = (t: TopologyScope): void => t.table(left, rows).toStream().to(results)

  it('is the last value of each key, and null takes it out', () => {
    const { out, runner } = run(plain, [
      ['left', 'a', 'one', 1],
      ['left', 'b', 'two', 2],
      ['left', 'a', 'three', 3],
      ['left', 'b', null, 4],
    ])
    expect(out).toEqual([
      ['a', 'one', 1],
      ['b', 'two', 2],
      ['a', 'three', 3],
      ['b', null, 4],
    ])
    expect([...runner.plain('rows').all()]).toEqual([{ key: 'a', value: 'three' }])
  })

  it('leaves out records without a key, and removals of what is not there', () => {
    const { out } = run(plain, [
      ['left', null, 'one', 1],
      ['left', 'a', null, 2],
    ])
    expect(out).toEqual([])
  })

  it('takes what is there already for no change, unless it is earlier', () => {
    const { out } = run(plain, [
      ['left', 'a', 'one', 5],
      ['left', 'a', 'one', 5],
      ['left', 'a', 'one', 9],
      ['left', 'a', 'one', 4],
      ['left', 'a', 'two', 3],
    ])
    expect(out).toEqual([
      ['a', 'one', 5],
      ['a', 'one', 4],
      ['a', 'two', 3],
    ])
  })

  it('filter takes a row out that no longer passes, and says nothing of one that never did', () => {
    const { out } = run(
      (t) =>
        t
          .table(left, rows)
          .filter((value) => value.startsWith('y'))
          .toStream()
          .to(results),
      [
        ['left', 'a', 'no', 1],
        ['left', 'a', 'yes', 2],
        ['left', 'a', 'no', 3],
        ['left', 'a', 'nope', 4],
        ['left', 'b', 'yes', 5],
        ['left', 'b', null, 6],
      ],
    )
    expect(out).toEqual([
      ['a', 'yes', 2],
      ['a', null, 3],
      ['b', 'yes', 5],
      ['b', null, 6],
    ])
  })

  it('filterNot, mapValues with the key, and stores of their own', () => {
    const { out, runner } = run(
      (t) =>
        t
          .table(left, rows)
          .filterNot((value, key) => value === key)
          .mapValues((value, key) => `${key}:${value}`, others)
          .toStream()
          .to(results),
      [
        ['left', 'a', 'a', 1],
        ['left', 'a', 'b', 2],
        ['left', 'c', 'd', 3],
        ['left', 'a', 'a', 4],
      ],
    )
    expect(out).toEqual([
      ['a', 'a:b', 2],
      ['c', 'c:d', 3],
      ['a', null, 4],
    ])
    expect(runner.stores.get('others')?.get('c')).toEqual({
      value: 'c:d',
      timestamp: 3,
    } satisfies Timestamped<string>)
  })

  it('a processor that declares the store of a table sees its plain values', () => {
    const seen: unknown[] = []
    run(
      (t) => {
        t.table(left, rows)
          .toStream()
          .process({
            stores: { rows },
            process: (record, { stores }) =>
              void seen.push(stores.rows.get(record.key), stores.rows.has('z')),
          })
      },
      [['left', 'a', 'one', 1]],
    )
    expect(seen).toEqual(['one', false])
  })
})

describe('tables of the same key joined', () => {
  const both = [
    ['left', 'a', 'L1', 1],
    ['right', 'a', 'R1', 2],
    ['left', 'a', 'L2', 1],
    ['right', 'b', 'R2', 3],
    ['right', 'a', null, 4],
    ['left', 'b', 'L3', 5],
    ['left', 'a', null, 6],
    ['left', 'b', null, 7],
    ['right', 'b', null, 8],
  ] as const
  const show = (one: string | undefined, other: string | undefined): string => `${one ?? '-'}${other ?? '-'}`

  it.each([
    [
      'join',
      [
        ['a', 'L1R1', 2],
        ['a', 'L2R1', 2],
        ['a', null, 4],
        ['b', 'L3R2', 5],
        ['b', null, 7],
      ],
    ],
    [
      'leftJoin',
      [
        ['a', 'L1-', 1],
        ['a', 'L1R1', 2],
        ['a', 'L2R1', 2],
        ['a', 'L2-', 4],
        ['b', 'L3R2', 5],
        ['a', null, 6],
        ['b', null, 7],
      ],
    ],
    [
      'outerJoin',
      [
        ['a', 'L1-', 1],
        ['a', 'L1R1', 2],
        ['a', 'L2R1', 2],
        ['b', '-R2', 3],
        ['a', 'L2-', 4],
        ['b', 'L3R2', 5],
        ['a', null, 6],
        ['b', '-R2', 7],
        ['b', null, 8],
      ],
    ],
  ] as const)('%s', (kind, expected) => {
    const { out } = run((t) => {
      const one = t.table(left, rows)
      const other = t.table(right, others)
      const joined =
        kind === 'join'
          ? one.join(other, show)
          : kind === 'leftJoin'
            ? one.leftJoin(other, show)
            : one.outerJoin(other, show)
      joined.toStream().to(results)
    }, both)
    expect(out).toEqual(expected)
  })

  it('of derived tables without stores of their own, and kept in a store', () => {
    const kept = store('kept', { key: string, value: string })
    const { out, runner } = run(
      (t) => {
        const one = t.table(left, rows).mapValues((value) => value.toLowerCase())
        const other = t.table(right, others).filter((value) => value !== 'R0')
        one
          .join(other, show, kept)
          .mapValues((value) => `${value}!`)
          .toStream()
          .to(results)
      },
      [
        ['left', 'a', 'L', 1],
        ['right', 'a', 'R0', 2],
        ['right', 'a', 'R', 3],
        ['right', 'a', 'R0', 4],
        ['right', 'a', 'R', 5],
      ],
    )
    expect(out).toEqual([
      ['a', 'lR!', 3],
      ['a', null, 4],
      ['a', 'lR!', 5],
    ])
    expect(runner.plain('kept').get('a')).toBe('lR')
  })

  it('three of them', () => {
    const third = topic('third', { key: string, value: nullable(string) })
    const thirds = store('thirds', { key: string, value: string })
    const { out } = run(
      (t) => {
        const two = t.table(left, rows).join(t.table(right, others), show)
        two.join(t.table(third, thirds), show).toStream().to(results)
      },
      [
        ['third', 'a', 'T', 9],
        ['left', 'a', 'L', 1],
        ['right', 'a', 'R', 2],
        ['left', 'a', 'M', 3],
      ],
    )
    expect(out).toEqual([
      ['a', 'LRT', 9],
      ['a', 'MRT', 9],
    ])
  })
})

describe('a stream joined with a table', () => {
  const input = [
    ['left', 'a', 'early', 1],
    ['right', 'a', 'R1', 2],
    ['left', 'a', 'L', 3],
    ['left', null, 'nobody', 4],
    ['left', 'a', null, 5],
    ['right', 'a', null, 6],
    ['left', 'a', 'late', 7],
  ] as const

  it('leaves out records without a row', () => {
    const { out } = run(
      (t) =>
        t
          .stream(left)
          .join(t.table(right, others), (value, row, record) => `${record.key}${value}${row}`)
          .to(results),
      input,
    )
    expect(out).toEqual([['a', 'aLR1', 3]])
  })

  it('or joins them with undefined', () => {
    const anyKey = topic('left', { key: nullable(string), value: nullable(string) })
    const { out } = run(
      (t) =>
        t
          .stream(anyKey)
          .leftJoin(t.table(right, others), (value, row) => `${value}${row ?? '-'}`)
          .map(({ key, value }) => ({ key: key ?? '?', value }))
          .to(results),
      input,
    )
    expect(out).toEqual([
      ['a', 'early-', 1],
      ['a', 'LR1', 3],
      ['?', 'nobody-', 4],
      ['a', 'late-', 7],
    ])
  })
})

describe('the rows of a table grouped anew', () => {
  const sizes = store('sizes', { key: string, value: int64 })
  const byValue = { name: 'by-value', key: string, value: string }

  it('count follows rows from group to group', () => {
    const { out } = run(
      (t) =>
        t
          .table(left, rows)
          .groupBy((value, key) => ({ key: value, value: key }), byValue)
          .count(sizes)
          .toStream()
          .to(numbers),
      [
        ['left', 'a', 'x', 1],
        ['left', 'b', 'x', 2],
        ['left', 'a', 'y', 3],
        ['left', 'b', null, 4],
      ],
    )
    expect(out).toEqual([
      ['x', 1, 1],
      ['x', 2, 2],
      ['x', 1, 3],
      ['y', 1, 3],
      ['x', 0, 4],
    ])
  })

  it('reduce and aggregate take a row out before they take it in, as one change within a group', () => {
    const amounts = store('amounts', { key: string, value: int64 })
    const { out } = run(
      (t) =>
        t
          .table(numbers, amounts)
          .groupBy((value, key) => ({ key: key.slice(0, 1), value }), {
            name: 'by-letter',
            key: string,
            value: int64,
          })
          .reduce(sizes, { add: (sum, value) => sum + value, subtract: (sum, value) => sum - value })
          .toStream()
          .mapValues((value) => String(value))
          .to(results),
      [
        ['numbers', 'a1', 5, 1],
        ['numbers', 'a2', 7, 2],
        ['numbers', 'a1', 6, 3],
        ['numbers', 'a2', null, 1],
      ],
    )
    expect(out).toEqual([
      ['a', '5', 1],
      ['a', '12', 2],
      ['a', '13', 3],
      ['a', '6', 3],
    ])
  })

  it('an aggregate that becomes null is taken out', () => {
    const lists = store('lists', { key: string, value: nullable(string) })
    const { out, runner } = run(
      (t) =>
        t
          .table(left, rows)
          .groupBy((value, key) => ({ key: value, value: key }), byValue)
          .aggregate(lists, {
            initial: () => '',
            add: ({ value }, list) => `${list}${value}`,
            subtract: ({ value }, list) => (list ?? '').replace(value, '') || null,
          })
          .toStream()
          .to(results),
      [
        ['left', 'a', 'x', 1],
        ['left', 'b', 'x', 2],
        ['left', 'a', null, 3],
        ['left', 'b', null, 4],
      ],
    )
    expect(out).toEqual([
      ['x', 'a', 1],
      ['x', 'ab', 2],
      ['x', 'b', 3],
      ['x', null, 4],
    ])
    expect([...runner.plain('lists').all()]).toEqual([])
  })

  it('a row whose new key is null belongs to no group', () => {
    const { out } = run(
      (t) =>
        t
          .table(left, rows)
          .groupBy((value, key) => ({ key: value === 'none' ? (null as never) : value, value: key }), byValue)
          .count(sizes)
          .toStream()
          .to(numbers),
      [
        ['left', 'a', 'none', 1],
        ['left', 'a', 'x', 2],
        ['left', 'a', 'none', 3],
      ],
    )
    expect(out).toEqual([
      ['x', 1, 2],
      ['x', 0, 3],
    ])
  })
})

describe('an aggregate of a stream as a table', () => {
  it('is as late as its latest record, and can be derived and joined', () => {
    const counts = store('counts', { key: string, value: int64 })
    const { out } = run(
      (t) => {
        const counted = t.stream(left).groupByKey().count(counts)
        counted.toStream().to(numbers)
        counted
          .filter((count) => count > 1)
          .join(t.table(right, others), (count, row) => `${row}${count}`)
          .toStream()
          .to(results)
      },
      [
        ['right', 'a', 'R', 1],
        ['left', 'a', 'x', 9],
        ['left', 'a', 'y', 4],
      ],
    )
    expect(out).toEqual([
      ['a', 1, 9],
      ['a', 2, 9],
      ['a', 'R2', 9],
    ])
  })
})

describe('mistakes with tables', () => {
  const mistake = (describeIt: (t: TopologyScope) => void): string => {
    try {
      topology('tables', describeIt)
    } catch (error) {
      return (error as Error).message
    }
    return 'none'
  }

  it('a key that may have changed needs repartition before a table or a join', () => {
    const message = mistake((t) => {
      const moved = t.stream(left).selectKey(({ value }) => value ?? '')
      moved.join(t.table(right, others), (value) => value).to(results)
      moved.toTable(rows)
    })
    expect(message).toMatch(/the join with a table after select-key-1: its key may have changed.*repartition/)
    expect(message).toMatch(/the table in store rows after select-key-1: its key may have changed/)
  })

  it('one store for two tables, an asynchronous joiner', () => {
    expect(
      mistake((t) => {
        t.table(left, rows)
        t.table(right, rows)
      }),
    ).toMatch(/store rows holds the results of two operators, toTable-rows and toTable-rows/)
    expect(
      mistake((t) => {
        const one = t.table(left, rows)
        one.join(t.table(right, others), async () => await Promise.resolve('')).toStream()
      }),
    ).toMatch(/join after toTable-rows is an async function/)
  })
})
