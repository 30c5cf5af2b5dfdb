import { describe, expect, it } from 'vitest'
import {
  describeTopology,
  int32,
  int64,
  type Serde,
  store,
  string,
  topic,
  topology,
  type TopologyScope,
  tumbling,
  untilTimeLimit,
  untilWindowCloses,
  versionedStore,
  windowed,
  windowStore,
} from '../../../src/index.ts'
import { compareDescriptions } from '../../../src/topology/compare.ts'
import { describeAsData } from '../../../src/topology/description.ts'

const input = topic('in', { key: string, value: int64 })
const rows = store('rows', { key: string, value: int64 })
const held = { name: 'held', key: string, value: int64 }
const ten = tumbling({ sizeMs: 10, graceMs: 0 })

const message = (describeIt: (t: TopologyScope) => void): string => {
  try {
    topology('suppressed', describeIt)
  } catch (error) {
    return (error as Error).message
  }
  return 'none'
}

const limited = (options: object): string =>
  message((t) => t.table(input, rows).suppress(untilTimeLimit(options as { waitMs: number }), held))

describe('a mistake of suppress', () => {
  it.each([
    [{ waitMs: -1 }, /suppress into store held: waitMs is -1, but takes a whole number from 0/],
    [{ waitMs: 1.5 }, /waitMs is 1.5, but/],
    [{}, /waitMs is undefined, but/],
    [{ waitMs: 1, recordsMax: 0 }, /recordsMax is 0, but takes a whole number from 1/],
    [{ waitMs: 1, bytesMax: Number.NaN }, /bytesMax is NaN, but takes a whole number from 1/],
    [{ waitMs: 1, whenFull: 'drop' }, /whenFull is drop, but takes emit or stop/],
  ])('in its limits is named: %j', (options, expected) => {
    expect(limited(options)).toMatch(expected)
  })

  it('is none with good limits', () => {
    expect(limited({ waitMs: 0, recordsMax: 1, bytesMax: 1, whenFull: 'stop' })).toBe('none')
  })

  it('until windows close, of a table that has none', () => {
    expect(message((t) => t.table(input, rows).suppress(untilWindowCloses() as never, held))).toMatch(
      /suppress into store held: the table has no windows: hold its changes with untilTimeLimit/,
    )
  })

  it('a versioned table', () => {
    const versions = versionedStore('versions', { key: string, value: int64, historyMs: 1000 })
    expect(message((t) => t.table(input, versions).suppress(untilTimeLimit({ waitMs: 1 }), held))).toMatch(
      /suppress into store held: the table is versioned/,
    )
    expect(message((t) => t.table(input, versions, { emit: 'per-commit' }))).toMatch(
      /store versions: emit is per-commit, but each version of a row is told/,
    )
  })

  it('a table told per commit that is kept nowhere', () => {
    const kept = store('kept', { key: string, value: int64 })
    const told = (emit: string) =>
      message((t) => {
        const table = t.table(input, rows)
        table.filter(() => true, undefined, { emit: emit as never })
        table.join(table, (one) => one, undefined, { emit: emit as never })
      })
    expect(told('per-commit')).toMatch(
      /filter at filter-1: emit is per-commit, but without a store .*; .*join at join-3: emit is per-commit, but without/,
    )
    expect(told('on-close')).toMatch(/emit is on-close, but without a store/)
    expect(told('on-update')).toBe('none')
    expect(
      message((t) => t.table(input, rows).filter(() => true, kept, { emit: 'on-close' as never })),
    ).toMatch(/store kept: emit is on-close, but takes on-update, per-commit/)
  })

  it('a store that somebody else has', () => {
    expect(
      message((t) => t.table(input, rows).suppress(untilTimeLimit({ waitMs: 1 }), { ...held, name: 'rows' })),
    ).toMatch(/two stores are named rows/)
    expect(
      message((t) => {
        const table = t.table(input, rows)
        table.suppress(untilTimeLimit({ waitMs: 1 }), held)
        table.suppress(untilTimeLimit({ waitMs: 2 }), held)
      }),
    ).toMatch(/two stores are named held/)
  })

  it('a serde that is none', () => {
    expect(
      message((t) =>
        t.table(input, rows).suppress(untilTimeLimit({ waitMs: 1 }), { ...held, value: 5 as never }),
      ),
    ).toMatch(/the value of store held/)
  })
})

describe('a suppressed table', () => {
  const made = (value: Serde<number> = int64) =>
    topology('app', (t) => {
      t.table(input, rows).suppress(untilTimeLimit({ waitMs: 1 }), { ...held, value })
      t.stream(topic('other', { key: string, value: string }))
        .groupByKey()
        .windowedBy(ten)
        .count(windowStore('counts', { key: string, value: int64 }), { emit: 'per-commit' })
        .suppress(untilWindowCloses(), { name: 'windows-held', key: windowed(string, ten), value: int64 })
    })

  it('is described', () => {
    const text = describeTopology(made().graph, { applicationId: 'app', format: 'text' })
    expect(text).toContain('suppress suppress-held: store held')
    expect(text).toContain(
      'store held: lmdb (string, int64) of changes held for a time, changelog app-held-changelog',
    )
    expect(text).toContain('perCommit per-commit-counts')
  })

  it('is another store until windows close than for a time', () => {
    const key = windowed(string, ten)
    const heldUntil = (close: boolean) =>
      describeAsData(
        topology('app', (t) => {
          const grouped = t.stream(topic('other', { key: string, value: string })).groupByKey()
          const counts = grouped.windowedBy(ten).count(windowStore('counts', { key: string, value: int64 }))
          const options = { name: 'held', key, value: int64 }
          if (close) counts.suppress(untilWindowCloses(), options)
          else counts.suppress(untilTimeLimit({ waitMs: 1 }), options)
        }).graph,
        'app',
      )
    const [closing, limited] = [heldUntil(true), heldUntil(false)]
    expect(compareDescriptions([closing], [limited])).toEqual([
      expect.objectContaining({
        effect: 'broken',
        what: expect.stringMatching(
          / of changes held until windows close and is .* of changes held for a time:/,
        ),
      }),
    ])
    // An earlier version did not say until when.
    const untold = JSON.parse(
      JSON.stringify(closing).replace('"holdsChanges":"window-closes"', '"holdsChanges":true'),
    )
    expect(untold).not.toEqual(closing)
    expect(compareDescriptions([untold], [limited])).toEqual([])
  })

  it('is compared with what it was', () => {
    const before = describeAsData(made().graph, 'app')
    expect(compareDescriptions([before], [describeAsData(made().graph, 'app')])).toEqual([])
    const other = describeAsData(made(int32).graph, 'app')
    expect(compareDescriptions([before], [other]).map(({ what }) => what)).toEqual([
      expect.stringMatching(
        /^store held was \(string, int64\) of changes held for a time and is \(string, int32\) of changes held for a time/,
      ),
    ])
    const plain = topology('app', (t) => {
      t.table(input, rows)
        .toStream()
        .process({ stores: [store('held', { key: string, value: int64 })], process: () => undefined })
    })
    expect(
      compareDescriptions([before], [describeAsData(plain.graph, 'app')]).map(({ what }) => what),
    ).toContainEqual(
      expect.stringMatching(/^store held was .* of changes held for a time and is \(string, int64\):/),
    )
  })
})
