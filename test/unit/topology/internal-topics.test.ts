import { describe, expect, it } from 'vitest'
import { int64 } from '../../../src/serde/numbers.ts'
import { string } from '../../../src/serde/text.ts'
import { store, topic } from '../../../src/topology/handles.ts'
import { internalTopics, planPartitions } from '../../../src/topology/internal-topics.ts'
import { topology } from '../../../src/topology/topology.ts'

const of = (name: string) => topic(name, { key: string, value: string })
const counts = store('counts', { key: string, value: int64, changelog: { 'segment.bytes': '1048576' } })

const counting = topology('test', (t) => {
  t.stream(of('a'))
    .merge(t.stream(of('b')))
    .groupBy((record) => record.value, {
      name: 'by',
      key: string,
      value: string,
      settings: { 'segment.bytes': '1' },
    })
    .count(counts)
})

describe('internal topics', () => {
  it('have names, and settings that the user may override', () => {
    expect(internalTopics(counting.graph, 'app')).toEqual([
      {
        topic: 'app-by-repartition',
        kind: 'repartition',
        name: 'by',
        subtopology: 1,
        settings: { 'cleanup.policy': 'delete', 'retention.ms': '-1', 'segment.bytes': '1' },
      },
      {
        topic: 'app-counts-changelog',
        kind: 'changelog',
        name: 'counts',
        subtopology: 1,
        settings: { 'cleanup.policy': 'compact', 'segment.bytes': '1048576' },
      },
    ])
  })

  it('refuse an application id or a topic of the user that does not go with them', () => {
    expect(() => internalTopics(counting.graph, 'a.b')).toThrow(/TOPOLOGY_INVALID.*application id "a.b"/)
    expect(() => internalTopics(counting.graph, 'x'.repeat(240))).toThrow(/longer than 249/)
    const clash = topology('test', (t) => {
      t.stream(of('in')).groupByKey().count(counts)
      t.stream(of('app-counts-changelog')).to(of('out'))
    })
    expect(() => internalTopics(clash.graph, 'app')).toThrow(
      /topic app-counts-changelog of the user has the name of the changelog topic of counts/,
    )
    expect(() => internalTopics(clash.graph, 'other')).not.toThrow()
  })
})

describe('the partitions', () => {
  const plan = (sizes: Record<string, number>, built = counting) =>
    planPartitions(built.graph, 'app', (name) => sizes[name] ?? 0)

  it('are as many as the largest input, also behind a repartition topic', () => {
    const { subtopologies, internalTopics: internal } = plan({ a: 3, b: 5 })
    expect(subtopologies).toEqual([5, 5])
    expect([...internal]).toEqual([
      ['app-by-repartition', 5],
      ['app-counts-changelog', 5],
    ])
  })

  it('are as many as the user says', () => {
    const built = topology('test', (t) => {
      t.stream(of('a'))
        .repartition({ name: 'one', key: string, value: string, partitions: 2 })
        .groupByKey()
        .count(counts)
    })
    expect(plan({ a: 7 }, built)).toEqual({
      subtopologies: [7, 2],
      internalTopics: new Map([
        ['app-one-repartition', 2],
        ['app-counts-changelog', 2],
      ]),
    })
  })

  it('are found for a sub-topology that reads what it writes', () => {
    const shared = (partitions?: number) =>
      topology('test', (t) => {
        const first = t.stream(of('a')).repartition({ name: 'one', key: string, value: string })
        first.process({ stores: [counts], process: () => undefined })
        first
          .selectKey((record) => record.value)
          .repartition({
            name: 'two',
            key: string,
            value: string,
            ...(partitions === undefined ? {} : { partitions }),
          })
          .process({ stores: [counts], process: () => undefined })
      })
    expect(plan({ a: 4 }, shared()).subtopologies).toEqual([4, 4])
    expect(() => plan({ a: 4 }, shared(3))).toThrow(
      /store counts is fed from topics with different numbers of partitions: one has 4, two has 3/,
    )
  })

  it('are found for a sub-topology that is fed by a later one', () => {
    const built = topology('test', (t) => {
      const a = t.stream(of('a'))
      const b = t.stream(of('b')).repartition({ name: 'from-b', key: string, value: string })
      a.merge(b).to(of('out'))
    })
    expect(plan({ a: 2, b: 5 }, built).subtopologies).toEqual([5, 5])
  })

  it('of the topics of a join by a foreign key are those of who reads them', () => {
    const rows = (name: string) => store(name, { key: string, value: string })
    const { graph } = topology('test', (t) => {
      const right = t.table(of('b'), rows('b-rows'))
      const options = { name: 'ab', foreignKey: string, value: string, store: rows('joined') }
      t.table(of('a'), rows('a-rows')).foreignKeyJoin(right, (value) => value, String, options)
    })
    const plan = planPartitions(graph, 'app', (name) => (name === 'a' ? 3 : 7))
    expect(Object.fromEntries(plan.internalTopics)).toEqual({
      'app-ab-subscription-repartition': 7,
      'app-ab-response-repartition': 3,
      'app-a-rows-changelog': 3,
      'app-joined-changelog': 3,
      'app-b-rows-changelog': 7,
      'app-ab-subscriptions-changelog': 7,
    })
  })

  it('of inputs that meet in a store must be equal', () => {
    const meeting = topology('test', (t) => {
      t.stream(of('a'))
        .merge(t.stream(of('b')))
        .groupByKey()
        .count(counts)
    })
    expect(plan({ a: 4, b: 4 }, meeting).subtopologies).toEqual([4])
    expect(() => plan({ a: 4, b: 3 }, meeting)).toThrow(/TOPOLOGY_INVALID: store counts .*a has 4, b has 3/)
  })
})
