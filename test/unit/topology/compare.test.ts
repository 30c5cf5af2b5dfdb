import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import {
  int32,
  int64,
  json,
  type RepartitionSettings,
  type Serde,
  store,
  string,
  topic,
  topology,
  type TopologyScope,
} from '../../../src/index.ts'
import { compareDescriptions, readDescriptions } from '../../../src/topology/compare.ts'
import { describeTopology } from '../../../src/topology/describe.ts'
import { describeAsData, type TopologyDescription } from '../../../src/topology/description.ts'

const lines = topic('lines', { key: string, value: string })
const others = topic('others', { key: string, value: string })
const out = topic('out', { key: string, value: string })

interface Change {
  readonly input?: typeof lines
  readonly before?: (t: TopologyScope) => void
  readonly store?: string
  readonly value?: typeof int64 | typeof int32
  readonly engine?: 'lmdb' | 'memory'
  readonly version?: number
  readonly ttlMs?: number
  readonly headers?: boolean
  readonly plain?: boolean
  readonly repartition?: Partial<RepartitionSettings> & { readonly value?: Serde<string> }
  readonly name?: string
  readonly applicationId?: string
}

/** A count over a repartition topic, or a processor with the same store, with what a case changes. */
const described = (change: Change = {}): TopologyDescription => {
  const made = topology(change.name ?? 'app', (t) => {
    change.before?.(t)
    const totals = store(change.store ?? 'totals', {
      key: string,
      value: change.value ?? int64,
      engine: change.engine ?? 'lmdb',
      ...(change.version === undefined ? {} : { version: change.version, migrate: () => 1 }),
      ...(change.ttlMs === undefined ? {} : { ttlMs: change.ttlMs }),
      ...(change.headers === undefined ? {} : { headers: change.headers }),
    })
    const stream = t
      .stream(change.input ?? lines)
      .repartition({ name: 'by-word', key: string, value: string, ...change.repartition })
    if (change.plain) stream.process({ stores: [totals], process: () => undefined })
    else stream.groupByKey().count(totals)
  })
  return describeAsData(made.graph, change.applicationId ?? 'app')
}

const shown = (before: TopologyDescription, after: TopologyDescription): string[] =>
  compareDescriptions([before], [after]).map(({ effect, what }) => `${effect}: ${what}`)

const second = (t: TopologyScope): void =>
  t
    .stream(others)
    .process({ stores: [store('second', { key: string, value: int64 })], process: () => undefined })

describe('a change of a topology', () => {
  it.each<[string, Change, Change, (string | RegExp)[]]>([
    ['nothing', {}, {}, []],
    [
      'what is new: it moves the numbers of the others',
      {},
      { before: (t) => t.stream(others).to(out) },
      [/^kept: store totals moves from sub-topology 1 to 2: .* nothing is lost/],
    ],
    [
      'a store that is renamed',
      {},
      { store: 'sums' },
      [/^lost: store totals is gone \(renamed to sums.*app-totals-changelog/],
    ],
    [
      'a store that is gone',
      { before: second },
      { before: (t) => t.stream(others).to(out) },
      [/^lost: store second is gone: its changelog app-second-changelog/],
    ],
    [
      'another serde',
      {},
      { value: int32 },
      [
        /^broken: store totals was \(string, int64\) with timestamps and is \(string, int32\) with timestamps/,
      ],
    ],
    [
      'a store that keeps no timestamps any more',
      {},
      { plain: true },
      [/^broken: store totals was \(string, int64\) with timestamps and is \(string, int64\):/],
    ],
    [
      'a version that is raised, with another serde of the values',
      {},
      { version: 2, value: int32 },
      [/^kept: store totals was of version 1 and is of version 2: its migrate is called for each value/],
    ],
    [
      'a version that is lowered',
      { version: 3 },
      { version: 2 },
      [/^broken: store totals was of version 3 and is of version 2: the start is refused \(STORE_LAYOUT\)/],
    ],
    [
      'a time to live, which a migration cannot bring',
      {},
      { version: 2, ttlMs: 5 },
      [/^broken: store totals was .* with timestamps and is .* that live for a time:/],
    ],
    [
      'headers that are kept',
      { headers: false },
      { headers: true },
      [
        /^kept: store totals keeps headers from now on: it is restored .*, and what was written before has none/,
      ],
    ],
    [
      'headers that are kept no more, and a migration',
      { ttlMs: 5, headers: true },
      { ttlMs: 5, version: 2 },
      [/^kept: store totals was of version 1/, /^kept: store totals keeps no headers from now on: it is/],
    ],
    [
      'headers in a store that had no timestamps',
      { plain: true },
      { plain: true, headers: true },
      [/^broken: store totals was \(string, int64\) and is \(string, int64\) with timestamps and headers:/],
    ],
    ['another time to live', { ttlMs: 4 }, { ttlMs: 5 }, []],
    ['another engine', {}, { engine: 'memory' }, [/^kept: store totals moves from lmdb to memory/]],
    [
      'a repartition topic that is renamed, and all that feeds its store with it',
      {},
      { repartition: { name: 'by-w' } },
      [
        /^lost: repartition topic by-word is gone \(renamed to by-w\?\).*app-by-word-repartition/,
        /^broken: store totals is fed by app-by-w-repartition and no longer by app-by-word-repartition.*OFFSETS_MISSING/,
      ],
    ],
    [
      'another number of partitions',
      { repartition: { partitions: 4 } },
      { repartition: { partitions: 8 } },
      [/^broken: repartition topic by-word had its partitions set to 4 and has them set to 8/],
    ],
    [
      'a number of partitions that is set now',
      {},
      { repartition: { partitions: 8 } },
      [/^broken: repartition topic by-word had its partitions taken as its inputs and has them set to 8/],
    ],
    [
      'another serde of what waits',
      {},
      { repartition: { value: json<string>() } },
      [/^broken: repartition topic by-word carried \(string, string\) and carries \(string, json\)/],
    ],
    ['an input that is gone', {}, { input: others }, [/^lost: input lines is gone/]],
  ])('%s', (_, before, after, expected) => {
    expect(shown(described(before), described(after))).toEqual(
      expected.map((one) => expect.stringMatching(one)),
    )
  })

  it('takes JSON by any schema for JSON', () => {
    const at = (value: Serde<object> | z.ZodObject) =>
      describeAsData(
        topology('app', (t) =>
          t
            .stream(lines)
            .process({ stores: [store('docs', { key: string, value })], process: () => undefined }),
        ).graph,
        'app',
      )
    expect(shown(at(json<object>()), at(z.object({})))).toEqual([
      expect.stringMatching(
        /^kept: store docs was \(string, json\) and is \(string, json\(zod\)\): both are JSON/,
      ),
    ])
  })

  it('another application id, and a topology that is gone', () => {
    expect(shown(described(), described({ applicationId: 'app2' }))).toEqual([
      expect.stringMatching(/^lost: its application id was app and is app2: it would begin anew/),
    ])
    expect(shown(described(), described({ applicationId: 'app2', name: 'app2' }))).toEqual([
      expect.stringMatching(/^lost: the topology is gone/),
    ])
    // The name alone holds nothing.
    expect(shown(described(), described({ name: 'better' }))).toEqual([])
  })

  it('names the worst first', () => {
    const found = compareDescriptions(
      [described()],
      [described({ engine: 'memory', value: int32, input: others })],
    )
    expect(found.map(({ effect }) => effect)).toEqual(['lost', 'broken', 'kept'])
  })
})

describe('the description of an earlier version', () => {
  const refused = (text: string): string => {
    try {
      readDescriptions(text, 'previous.json')
    } catch (error) {
      return (error as Error).message
    }
    return 'taken'
  }

  it('is what describe printed, of one topology or of several', () => {
    const text = describeTopology(topology('app', (t) => t.stream(lines).to(out)).graph, {
      applicationId: 'app',
      format: 'json',
    })
    expect(readDescriptions(text, 'previous.json')).toHaveLength(1)
    expect(readDescriptions(`[${text},${text}]`, 'previous.json')).toHaveLength(2)
    expect(text).toContain('"format": 1,')
  })

  it.each([
    ['no JSON', 'topology app', /^DESCRIPTION_INVALID: it is no JSON \(file previous\.json\)/],
    ['something else', '{"name":"x"}', /it describes no topology/],
    ['an empty list', '[]', /it describes no topology/],
    ['null', 'null', /it describes no topology/],
    [
      'one without its format',
      '{"topology":"a","applicationId":"a","subtopologies":[],"internalTopics":[]}',
      /it describes no topology/,
    ],
    ['a later format', '{"format":2}', /it has the format 2, and this version reads 1/],
    [
      'half of one',
      '{"format":1,"topology":"a","applicationId":"a","subtopologies":[{"id":0,"nodes":[{}],"stores":[]}],"internalTopics":[]}',
      /it describes no topology/,
    ],
  ])('refuses %s', (_, text, expected) => {
    expect(refused(text)).toMatch(expected)
  })
})
