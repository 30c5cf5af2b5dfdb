import { describe, expect, it } from 'vitest'
import accountBalances from '../../../processors/account-balances/index.ts'
import wordCount from '../../../processors/word-count/index.ts'
import {
  float64,
  globalStore,
  readOnlyStore,
  store,
  string,
  topic,
  topology,
  versionedStore,
} from '../../../src/index.ts'
import { describeAsData } from '../../../src/topology/description.ts'
import { describeTopology } from '../../../src/topology/describe.ts'

const shop = topology('shop', (t) => {
  const key = string
  const rates = t.globalTable(topic('rates', { key, value: float64 }), {
    store: globalStore('rates', { key, value: float64 }),
  })
  t.globalStore(topic('places', { key, value: string }), {
    store: globalStore('places', { key, value: string, engine: 'memory' }),
    process: () => undefined,
  })
  const joined = t.stream(topic('orders', { key, value: string })).joinGlobal(
    rates,
    ({ value }) => value,
    (_, rate) => rate,
  )
  joined.to(topic('priced', { key, value: float64 }))
})

describe('a description', () => {
  it('has what every worker holds whole', () => {
    expect(describeTopology(shop.graph, { applicationId: 'shop', format: 'text' })).toBe(
      `topology shop, application id shop

sub-topology 0
  source orders-source: topic orders (string, string)
    -> join-global-1
  joinGlobal join-global-1: global store rates
    -> priced-sink
  sink priced-sink: topic priced

in every worker
  global store rates: lmdb (string, float64) with timestamps, topic rates
  global store places: memory (string, string) with timestamps, topic places through a function
`,
    )
    const data = describeAsData(shop.graph, 'shop')
    expect(data.globals).toEqual([
      { name: 'rates', engine: 'lmdb', key: 'string', value: 'float64', topic: 'rates' },
      {
        name: 'places',
        engine: 'memory',
        key: 'string',
        value: 'string',
        topic: 'places',
        processed: true,
      },
    ])
    expect(data.subtopologies[0]?.nodes.find(({ name }) => name === 'join-global-1')?.globals).toEqual([
      'rates',
    ])
    const mermaid = describeTopology(shop.graph, { applicationId: 'shop', format: 'mermaid' })
    expect(mermaid).toContain('[("rates, in every worker")]')
  })

  it('as text', () => {
    expect(
      describeTopology(wordCount.graph, { applicationId: 'words', format: 'text' }),
    ).toBe(`topology word-count, application id words

sub-topology 0
  source lines-source: topic lines (string, string)
    -> flat-map-values-1
  flatMapValues flat-map-values-1
    -> group-by-1
  groupBy group-by-1
    -> by-word-repartition-sink
  sink by-word-repartition-sink: topic words-by-word-repartition

sub-topology 1
  source by-word-repartition-source: topic words-by-word-repartition (string, string)
    -> count-counts
  count count-counts: store counts
    -> to-stream-1
  toStream to-stream-1
    -> counts-sink
  sink counts-sink: topic counts
  store counts: lmdb (string, int64) with timestamps, changelog words-counts-changelog

internal topics
  words-by-word-repartition: sub-topology 1, cleanup.policy=delete retention.ms=-1 segment.bytes=52428800
  words-counts-changelog: sub-topology 1, cleanup.policy=compact
`)
  })

  it('says which topics fill read-only stores', () => {
    const { graph } = topology('filled', (t) => {
      const pair = { key: string, value: string }
      const rates = readOnlyStore('rates', { key: string, value: string, engine: 'memory' })
      t.readOnlyStore(topic('rates', pair), { store: rates })
      t.readOnlyStore(topic('names', pair), {
        store: readOnlyStore('names', pair),
        process: () => undefined,
      })
      t.stream(topic('orders', pair)).process({ stores: { rates }, process: () => undefined })
    })
    expect(describeTopology(graph, { applicationId: 'app', format: 'text' })).toBe(
      `topology filled, application id app

sub-topology 0
  source rates-source: topic rates (string, string)
    -> read-only-store-1
  readOnlyStore read-only-store-1: store rates
  source orders-source: topic orders (string, string)
    -> process-1
  process process-1: store rates
  store rates: memory (string, string), read-only, topic rates

sub-topology 1
  source names-source: topic names (string, string)
    -> read-only-store-2
  readOnlyStore read-only-store-2: store names
  store names: lmdb (string, string), read-only, topic names through a function
`,
    )
    const data = describeAsData(graph, 'app')
    expect(data.internalTopics).toEqual([])
    expect(data.subtopologies.map(({ stores }) => stores)).toEqual([
      [
        {
          name: 'rates',
          engine: 'memory',
          key: 'string',
          value: 'string',
          readOnly: true,
          changelog: 'rates',
        },
      ],
      [
        {
          name: 'names',
          engine: 'lmdb',
          key: 'string',
          value: 'string',
          readOnly: true,
          processed: true,
          changelog: 'names',
        },
      ],
    ])
  })

  it('says how the entries of a store are kept', () => {
    const topics = {
      in: topic('in', { key: string, value: string }),
      out: topic('out', { key: string, value: string }),
    }
    const { graph } = topology('kept', (t) => {
      const stream = t.stream(topics.in)
      const table = stream.toTable(versionedStore('history', { key: string, value: string, historyMs: 9 }))
      stream
        .join(table, (value) => value, { graceMs: 5, store: store('waits', { key: string, value: string }) })
        .to(topics.out)
      const lately = store('lately', { key: string, value: string, ttlMs: 7, version: 2 })
      const whole = store('whole', { key: string, value: string, headers: true })
      stream.process({ stores: [lately, whole], process: () => undefined })
    })
    const text = describeTopology(graph, { applicationId: 'app', format: 'text' })
    expect(text).toContain(
      'store history: lmdb (string, string) with timestamps in versions of 9 ms, changelog',
    )
    expect(text).toContain(
      'store waits: lmdb (string, string) with timestamps of records that wait, changelog',
    )
    expect(text).toContain(
      'store lately: lmdb (string, string) with timestamps for 7 ms, version 2, changelog',
    )
    expect(text).toContain(
      'store whole: lmdb (string, string) with timestamps and headers, changelog app-whole-changelog',
    )
    const { subtopologies } = JSON.parse(
      describeTopology(graph, { applicationId: 'app', format: 'json' }),
    ) as {
      subtopologies: { stores: { name: string }[] }[]
    }
    expect(subtopologies[0]?.stores.find(({ name }) => name === 'history')).toMatchObject({
      versions: { historyMs: 9 },
    })
    expect(subtopologies[0]?.stores.find(({ name }) => name === 'lately')).toMatchObject({
      version: 2,
      ttlMs: 7,
    })
    expect(subtopologies[0]?.stores.find(({ name }) => name === 'whole')).toMatchObject({
      timestamps: true,
      headers: true,
    })
    expect(subtopologies[0]?.stores.find(({ name }) => name === 'waits')).toMatchObject({ waiting: true })
  })

  it('as JSON', () => {
    const text = describeTopology(accountBalances.graph, { applicationId: 'bank', format: 'json' })
    const data = JSON.parse(text) as {
      subtopologies: {
        id: number
        nodes: { name: string; stores?: string[]; outputs?: object; topics?: string[] }[]
        stores: object[]
      }[]
      internalTopics: { topic: string }[]
    }
    expect(data.subtopologies.map(({ id }) => id)).toEqual([0, 1])
    expect(data.subtopologies[1]?.nodes.find((node) => node.name === 'debit')).toMatchObject({
      operator: 'process',
      stores: ['accounts'],
      outputs: { balance: 'merge-1', credit: 'credits-repartition-sink', rejected: 'rejections-sink' },
    })
    expect(data.subtopologies[1]?.stores).toEqual([
      {
        name: 'accounts',
        engine: 'lmdb',
        key: 'string',
        value: 'int64',
        changelog: 'bank-accounts-changelog',
      },
    ])
    expect(data.internalTopics.map(({ topic }) => topic)).toEqual([
      'bank-by-payer-repartition',
      'bank-credits-repartition',
      'bank-accounts-changelog',
    ])
  })

  it('as a Mermaid flowchart, in which every arrow ends at something that is drawn', () => {
    const text = describeTopology(accountBalances.graph, { applicationId: 'bank', format: 'mermaid' })
    expect(text).toMatch(/^flowchart TB\n/)
    expect(text).toContain('[["bank-credits-repartition"]]')
    expect(text).toMatch(/-->\|"rejected"\| node\d+/)
    const drawn = new Set([...text.matchAll(/^\s*((?:node|topic|store)\d+)[[(]/gm)].map(([, id]) => id))
    const used = [...text.matchAll(/(?:node|topic|store)\d+/g)].map(([id]) => id)
    expect(used.filter((id) => !drawn.has(id))).toEqual([])
    expect(text.match(/subgraph/g)).toHaveLength(2)
    expect(text.match(/^ {2}end$/gm)).toHaveLength(2)
  })
})
