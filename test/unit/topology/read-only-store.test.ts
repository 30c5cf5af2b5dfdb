// Read-only stores when a topology is built: the mistakes that are named, and what becomes of them when it is changed.
import { describe, expect, it } from 'vitest'
import {
  int64,
  readOnlyStore,
  store,
  string,
  topic,
  topology,
  type TopologyScope,
  windowStore,
} from '../../../src/index.ts'
import { compareDescriptions } from '../../../src/topology/compare.ts'
import { describeAsData, type TopologyDescription } from '../../../src/topology/description.ts'
import { planPartitions } from '../../../src/topology/internal-topics.ts'

const input = topic('in', { key: string, value: string })
const out = topic('out', { key: string, value: string })

const messageOf = (build: () => unknown): string => {
  try {
    build()
  } catch (error) {
    return (error as Error).message
  }
  return 'no error'
}

describe('a mistake with a read-only store', () => {
  const rows = readOnlyStore('rows', { key: string, value: string })
  const filler = topic('filler', { key: string, value: string })
  const other = topic('other', { key: string, value: string })
  const cases: Readonly<Record<string, readonly [(t: TopologyScope) => void, RegExp]>> = {
    'of a topic that is read otherwise': [
      (t) => t.readOnlyStore(input, { store: rows }),
      /topic in is read twice/,
    ],
    'that two topics fill': [
      (t) => {
        t.readOnlyStore(filler, { store: rows })
        t.readOnlyStore(other, { store: rows })
      },
      /store rows is filled by two topics/,
    ],
    'and a store that processors write': [
      (t) => t.readOnlyStore(filler, { store: store('rows', { key: string, value: string }) as never }),
      /store rows is to be filled by topic filler: declare it with readOnlyStore/,
    ],
    'and a store of windows': [
      (t) => t.readOnlyStore(filler, { store: windowStore('rows', { key: string, value: string }) as never }),
      /store rows is to be filled by topic filler: declare it with readOnlyStore/,
    ],
    'that an operator is to keep': [
      (t) => {
        t.readOnlyStore(filler, { store: rows })
        t.table(other, rows as never)
      },
      /store rows is a read-only store, which toTable-rows cannot keep: use store/,
    ],
    'that nothing fills': [
      (t) => t.stream(filler).process({ stores: { rows }, process: () => undefined }),
      /store rows is a read-only store, but no t\.readOnlyStore fills it/,
    ],
    'and another one of its name': [
      (t) => {
        t.readOnlyStore(filler, { store: rows })
        const twin = readOnlyStore('rows', { key: string, value: string })
        t.stream(other).process({ stores: { twin }, process: () => undefined })
      },
      /two stores are named rows/,
    ],
    'with serdes of a registry': [
      (t) => {
        const remote = { ...string, remote: {} } as never
        t.readOnlyStore(topic('filler', { key: string, value: remote }), { store: rows as never })
      },
      /read-only store rows: serdes of a schema registry are not taken here/,
    ],
    'with an asynchronous function': [
      (t) => t.readOnlyStore(filler, { store: rows, process: (async () => {}) as never }),
      /process of read-only store rows is an async function/,
    ],
  }

  it.each(Object.entries(cases))('%s is named', (_, [build, expected]) => {
    const whole = (t: TopologyScope): void => {
      t.stream(input).to(out)
      build(t)
    }
    expect(messageOf(() => topology('test', whole))).toMatch(expected)
  })

  it('is one of partitions, where its readers have others', () => {
    const { graph } = topology('test', (t) => {
      t.readOnlyStore(filler, { store: rows })
      t.stream(other).process({ stores: { rows }, process: () => undefined })
    })
    const partitionsOf = (name: string): number => (name === 'filler' ? 2 : 3)
    expect(messageOf(() => planPartitions(graph, 'app', partitionsOf))).toMatch(
      /store rows is fed from topics with different numbers of partitions: filler has 2, other has 3/,
    )
  })
})

describe('a change of a read-only store', () => {
  interface Kept {
    readonly kind?: 'read-only' | 'store'
    readonly topic?: string
    readonly value?: typeof string | typeof int64
    readonly engine?: 'lmdb' | 'memory'
    readonly processed?: boolean
    readonly gone?: boolean
  }
  const described = (kept: Kept): TopologyDescription => {
    const { kind = 'read-only', value = string, engine = 'lmdb', processed = false, gone = false } = kept
    const made = topology('app', (t) => {
      t.stream(input).to(out)
      if (gone) return
      const filler = topic(kept.topic ?? 'filler', { key: string, value })
      const options = { key: string, value: value as typeof string, engine }
      if (kind === 'store')
        return t.stream(filler).process({ stores: [store('rows', options)], process: () => undefined })
      const rows = readOnlyStore('rows', options)
      if (processed) t.readOnlyStore(filler, { store: rows, process: () => undefined })
      else t.readOnlyStore(filler as typeof input, { store: rows })
    })
    return describeAsData(made.graph, 'app')
  }
  const cases: Readonly<Record<string, readonly [before: Kept, after: Kept, found: readonly RegExp[]]>> = {
    'that is none': [{}, {}, []],
    'of its serdes': [
      {},
      { value: int64 },
      [
        /^kept: store rows was \(string, string\) in lmdb of topic filler and is \(string, int64\) in lmdb .* filled anew/,
      ],
    ],
    'of its engine': [
      {},
      { engine: 'memory' },
      [/^kept: .* is \(string, string\) in memory of topic filler/],
    ],
    'of its topic': [
      {},
      { topic: 'another' },
      [/^lost: input filler is gone/, /^kept: .* of topic filler and is .* of topic another/],
    ],
    'to a function': [{}, { processed: true }, [/^kept: .* of topic filler through a function/]],
    'that takes it out': [{}, { gone: true }, [/^lost: input filler is gone/]],
    'to a store with a changelog': [
      {},
      { kind: 'store' },
      [/^broken: store rows was filled by topic filler and has a changelog of its own, which begins empty/],
    ],
    'from a store with a changelog': [
      { kind: 'store' },
      {},
      [
        /^lost: store rows had a changelog of its own and is filled by topic filler: its changelog app-rows-changelog/,
      ],
    ],
  }

  it.each(Object.entries(cases))('%s', (_, [before, after, wanted]) => {
    const found = compareDescriptions([described(before)], [described(after)])
    expect(found).toHaveLength(wanted.length)
    for (const [index, { effect, what }] of found.entries())
      expect(`${effect}: ${what}`).toMatch(wanted[index] as RegExp)
  })
})
