// Joins of streams, case by case.
import { describe, expect, it } from 'vitest'
import {
  joinStore,
  type JoinWindows,
  nullable,
  string,
  topic,
  topology,
  type TopologyScope,
  within,
} from '../../../src/index.ts'
import { testDriver } from '../../../src/testing/index.ts'

const text = { key: nullable(string), value: nullable(string) }
const lefts = topic('lefts', text)
const rights = topic('rights', text)
const out = topic('out', text)
const kept = joinStore('kept', { key: string, left: string, right: string })
const tens = within({ beforeMs: 10, afterMs: 10, graceMs: 5 })

type Operator = 'join' | 'leftJoin' | 'outerJoin'
type In = readonly [side: 'L' | 'R', timestamp: number, value: string | null, key?: string | null]

const joiner = (left: string | undefined, right: string | undefined, key: string | null): string =>
  `${key}:${left ?? '-'}${right ?? '-'}`

const joining =
  (operator: Operator, windows: JoinWindows) =>
  (t: TopologyScope): void => {
    const [left, right] = [t.stream(lefts), t.stream(rights)]
    if (operator === 'join') left.join(right, joiner, windows, kept).to(out)
    else if (operator === 'leftJoin') left.leftJoin(right, joiner, windows, kept).to(out)
    else left.outerJoin(right, joiner, windows, kept).to(out)
  }

/** What came out: value and timestamp. */
const run = (operator: Operator, records: readonly In[], windows: JoinWindows = tens) => {
  const driver = testDriver(topology('joins', joining(operator, windows)))
  const send = (...[side, timestamp, value, key = 'k']: In): void =>
    void driver.input(side === 'L' ? lefts : rights).send(key, value, { timestamp })
  const results = (): unknown[] =>
    driver
      .output(out)
      .readAll()
      .map(({ value, timestamp }) => [value, timestamp])
  for (const record of records) send(...record)
  return { driver, send, results }
}

const resultsOf = (...given: Parameters<typeof run>): unknown[] => run(...given).results()

describe('a join of streams', () => {
  it('joins what is within the window, both ends included, as late as the later one', () => {
    const records: readonly In[] = [
      ['L', 100, 'a'],
      ['R', 89, 'u'],
      ['R', 90, 'v'],
      ['R', 100, 'w'],
      ['R', 110, 'x'],
      ['R', 111, 'y'],
      ['L', 101, 'b'],
    ]
    expect(resultsOf('join', records)).toEqual([
      ['k:av', 100],
      ['k:aw', 100],
      ['k:ax', 110],
      ['k:bw', 101],
      ['k:bx', 110],
      ['k:by', 111],
    ])
  })

  it('knows before from after', () => {
    const windows = within({ beforeMs: 2, afterMs: 5, graceMs: 100 })
    const records: readonly In[] = [
      ['R', 7, 'u'],
      ['R', 8, 'v'],
      ['R', 15, 'w'],
      ['R', 16, 'x'],
      ['L', 10, 'a'],
      ['L', 100, 'b'],
      ['R', 97, 'u'],
      ['R', 98, 'v'],
      ['R', 105, 'w'],
      ['R', 106, 'x'],
    ]
    expect(resultsOf('join', records, windows)).toEqual([
      ['k:av', 10],
      ['k:aw', 15],
      ['k:bv', 100],
      ['k:bw', 105],
    ])
  })

  it('may ask for a later or an earlier partner only', () => {
    const later = within({ beforeMs: -2, afterMs: 4, graceMs: 10 })
    const records: readonly In[] = [
      ['L', 10, 'a'],
      ['R', 11, 'u'],
      ['R', 12, 'v'],
      ['R', 14, 'w'],
      ['R', 15, 'x'],
    ]
    expect(resultsOf('join', records, later)).toEqual([
      ['k:av', 12],
      ['k:aw', 14],
    ])
    const earlier = within({ beforeMs: 4, afterMs: -2, graceMs: 10 })
    expect(resultsOf('join', [...records.slice(1), ['L', 16, 'a']], earlier)).toEqual([
      ['k:av', 16],
      ['k:aw', 16],
    ])
  })

  it('takes two records of one key and one time for two', () => {
    const records: readonly In[] = [
      ['L', 10, 'a'],
      ['L', 10, 'a'],
      ['L', 10, 'b'],
      ['R', 10, 'x'],
      ['R', 10, 'y'],
    ]
    const pairs = ['k:ax', 'k:ax', 'k:bx', 'k:ay', 'k:ay', 'k:by']
    expect(resultsOf('join', records)).toEqual(pairs.map((value) => [value, 10]))
    expect(resultsOf('join', records, within({ beforeMs: 0, afterMs: 0, graceMs: 0 }))).toEqual(
      pairs.map((value) => [value, 10]),
    )
  })

  it('meets no other key, be it the beginning of it or what follows', () => {
    const { send, results } = run('join', [])
    const keys = ['', 'k', 'kk', 'k\u0000', 'k\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u000a']
    for (const key of keys) send('L', 10, 'a', key)
    for (const key of keys) send('R', 10, 'x', key)
    expect(results()).toEqual(keys.map((key) => [`${key}:ax`, 10]))
  })

  it('leaves out what has no key or no value, and lets it move time on', () => {
    const records: readonly In[] = [
      ['L', 10, 'a', null],
      ['L', 10, null],
      ['R', 10, 'x', null],
      ['R', 10, null],
      ['R', 10, 'y'],
    ]
    expect(resultsOf('join', records)).toEqual([])
    const { driver, send } = run('join', [['L', 100, null]])
    send('L', 85, 'a')
    expect(driver.counts.late).toBe(0)
    send('L', 84, 'a')
    expect(driver.counts.late).toBe(1)
  })

  it('forgets what is as old as the window and its grace, by the time of its side', () => {
    const records: readonly In[] = [
      ['L', 100, 'a'],
      ['L', 124, 'b'],
      ['R', 105, 'x'],
      ['L', 125, 'c'],
      ['R', 105, 'y'],
      ['R', 500, 'z'],
      ['R', 115, 'late'],
    ]
    expect(resultsOf('join', records)).toEqual([
      ['k:ax', 105],
      ['k:blate', 124],
      ['k:clate', 125],
    ])
  })

  it('sends what came late to a stream of its side, joined or not', () => {
    const lateLefts = topic('late-lefts', text)
    const lateRights = topic('late-rights', text)
    const driver = testDriver(
      topology('late', (t) => {
        const joined = t.stream(lefts).join(t.stream(rights), joiner, tens, kept)
        joined.to(out)
        joined.lateLeft().to(lateLefts)
        joined.lateRight().to(lateRights)
      }),
    )
    const headers = [{ key: 'h', value: Buffer.from('1') }]
    const valuesOf = (from: typeof out): unknown[] =>
      driver
        .output(from)
        .readAll()
        .map((record) => [record.value, record.timestamp, record.headers.length])
    driver.input(rights).send('k', 'x', { timestamp: 100 })
    driver.input(lefts).send('k', 'in time', { timestamp: 85, headers })
    driver.input(lefts).send('k', 'late', { timestamp: 84, headers })
    driver.input(lefts).send('k', null, { timestamp: 1 })
    driver.input(lefts).send('k', 'joined', { timestamp: 104 })
    driver.input(lefts).send('other', 'x', { timestamp: 125 })
    driver.input(rights).send('k', 'both', { timestamp: 109, headers })
    expect(valuesOf(lateLefts)).toEqual([['late', 84, 1]])
    expect(valuesOf(lateRights)).toEqual([['both', 109, 1]])
    expect(valuesOf(out).map((one) => (one as unknown[])[0])).toEqual(['k:joinedx', 'k:joinedboth'])
    expect(driver.counts.late).toBe(2)
  })

  it('joins a stream with itself', () => {
    const driver = testDriver(
      topology('self', (t) => {
        const stream = t.stream(lefts)
        stream.join(stream, joiner, tens, kept).to(out)
      }),
    )
    for (const [value, timestamp] of [
      ['a', 10],
      ['b', 15],
    ] as const)
      driver.input(lefts).send('k', value, { timestamp })
    expect(
      driver
        .output(out)
        .readKeyValues()
        .map(({ value }) => value),
    ).toEqual(['k:aa', 'k:ba', 'k:ab', 'k:bb'])
  })
})

describe('a left join of streams', () => {
  it('tells alone who met none, when the window has closed', () => {
    const { send, results } = run('leftJoin', [
      ['L', 100, 'a'],
      ['R', 90, 'u'],
      ['L', 101, 'b'],
      ['R', 115, 'v', 'other'],
      ['R', 116, 'w', 'other'],
    ])
    expect(results()).toEqual([['k:au', 100]])
    send('R', 117, 'x', 'other')
    expect(results()).toEqual([['k:b-', 101]])
    send('L', 140, 'c')
    send('R', 150, 'y')
    send('R', 1000, 'z')
    expect(results()).toEqual([['k:cy', 150]])
  })

  it('waits for late partners within the grace, also where the window is over when the record comes', () => {
    const { send, results } = run('leftJoin', [
      ['R', 115, 'u', 'other'],
      ['L', 100, 'a'],
    ])
    expect(results()).toEqual([])
    send('R', 110, 'v')
    send('R', 200, 'w', 'other')
    expect(results()).toEqual([['k:av', 110]])
  })

  it('never joins what was told alone', () => {
    const { driver, send, results } = run('leftJoin', [
      ['L', 100, 'a'],
      ['R', 116, 'u', 'other'],
    ])
    expect(results()).toEqual([['k:a-', 100]])
    send('R', 100, 'v')
    expect(results()).toEqual([])
    expect(driver.counts.late).toBe(1)
    send('L', 100, 'b')
    send('R', 117, 'w', 'other')
    expect(results()).toEqual([['k:bv', 100]])
  })

  it('tells a record without a key alone at once, and one without a value never', () => {
    const records: readonly In[] = [
      ['L', 10, 'a', null],
      ['L', 10, null, null],
      ['L', 10, null],
      ['R', 10, 'x', null],
      ['R', 900, 'y'],
    ]
    expect(resultsOf('leftJoin', records)).toEqual([['null:a-', 10]])
  })

  it('goes by the last record that could be joined, as Kafka Streams does', () => {
    const { send, results } = run('leftJoin', [
      ['L', 100, 'a'],
      ['L', 300, null],
      ['R', 110, 'x'],
    ])
    expect(results()).toEqual([['k:ax', 110]])
    send('L', 89, 'b')
    send('R', 299, 'y')
    expect(results()).toEqual([])
    send('R', 300, 'z')
    expect(results()).toEqual([['k:b-', 89]])
  })
})

describe('an outer join of streams', () => {
  it('tells alone who met none of either side, in the order in which they close', () => {
    const { send, results } = run(
      'outerJoin',
      [
        ['L', 100, 'a'],
        ['R', 102, 'x'],
        ['L', 101, 'b', 'other'],
        ['R', 120, 'y', null],
      ],
      within({ beforeMs: 1, afterMs: 3, graceMs: 5 }),
    )
    expect(results()).toEqual([
      ['k:ax', 102],
      ['null:-y', 120],
    ])
    send('R', 104, 'z')
    send('L', 121, 'c', null)
    expect(results()).toEqual([['null:c-', 121]])
    send('L', 122, 'd', 'last')
    expect(results()).toEqual([
      ['other:b-', 101],
      ['k:-z', 104],
    ])
  })

  it('is the same after an abort and a restart without the disk', () => {
    const { driver, send, results } = run('outerJoin', [
      ['L', 100, 'a'],
      ['L', 100, 'b'],
      ['R', 130, 'x', 'other'],
    ])
    expect(results()).toEqual([
      ['k:a-', 100],
      ['k:b-', 100],
    ])
    driver.begin()
    send('L', 131, 'c')
    send('R', 131, 'y')
    driver.abort()
    driver.restart({ keepState: false })
    driver.run()
    send('R', 900, 'z', 'last')
    expect(results()).toEqual([
      ['k:cy', 131],
      ['other:-x', 130],
    ])
  })
})
