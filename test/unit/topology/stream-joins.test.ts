import { describe, expect, it } from 'vitest'
import {
  int64,
  joinStore,
  type JoinWindows,
  string,
  topic,
  topology,
  type TopologyScope,
  windowStore,
  within,
} from '../../../src/index.ts'
import { compareDescriptions } from '../../../src/topology/compare.ts'
import { describeTopology } from '../../../src/topology/describe.ts'
import { describeAsData } from '../../../src/topology/description.ts'
import { planPartitions } from '../../../src/topology/internal-topics.ts'

const lefts = topic('lefts', { key: string, value: string })
const rights = topic('rights', { key: string, value: int64 })
const out = topic('out', { key: string, value: string })
const kept = joinStore('kept', { key: string, left: string, right: int64 })
const tens = within({ beforeMs: 10, afterMs: 10, graceMs: 5 })
const joiner = (left: string, right: number | undefined): string => `${left}${right}`

const joined =
  (windows: JoinWindows = tens, store = kept, operator: 'join' | 'leftJoin' = 'join') =>
  (t: TopologyScope): void => {
    const [left, right] = [t.stream(lefts), t.stream(rights)]
    if (operator === 'join') left.join(right, joiner, windows, store).to(out)
    else left.leftJoin(right, joiner, windows, store).to(out)
  }

const messageOf = (describeIt: (t: TopologyScope) => void): string => {
  try {
    topology('joins', describeIt)
  } catch (error) {
    return (error as Error).message
  }
  return 'none'
}

describe('a mistake with a join of streams', () => {
  it.each([
    [within({ beforeMs: 1, afterMs: 1, graceMs: -1 }), /the join into store kept: graceMs is -1, but takes/],
    [within({ beforeMs: 1.5, afterMs: 1, graceMs: 0 }), /beforeMs is 1.5, but takes a whole number/],
    [within({ beforeMs: 1, afterMs: Number.NaN, graceMs: 0 }), /afterMs is NaN, but takes a whole number/],
    [within({ beforeMs: 1, afterMs: -2, graceMs: 0 }), /beforeMs and afterMs come to -1: no time lies/],
  ])('in its times is named', (windows, expected) => {
    expect(messageOf(joined(windows))).toMatch(expected)
  })

  it('no windows and no store, or another store', () => {
    expect(messageOf(joined(undefined, undefined as never))).toBe('none')
    expect(
      messageOf((t) => {
        const [left, right] = [t.stream(lefts), t.stream(rights)]
        left.join(right, joiner, tens, undefined as never).to(out)
      }),
    ).toMatch(/the join of streams after lefts-source needs within\({ … }\) and a joinStore/)
    const windows = windowStore('kept', { key: string, value: string })
    expect(messageOf(joined(tens, windows as never))).toMatch(
      /store kept is to keep a join: declare it with joinStore/,
    )
    expect(
      messageOf((t) => {
        t.stream(lefts)
          .groupByKey()
          .count(kept as never)
      }),
    ).toMatch(/store kept is declared with joinStore, but no join of streams keeps it/)
  })

  it('one store for two joins, an asynchronous joiner, a changed key', () => {
    expect(
      messageOf((t) => {
        const [left, right] = [t.stream(lefts), t.stream(rights)]
        left.join(right, joiner, tens, kept).to(out)
        left.leftJoin(right, joiner, tens, kept).to(out)
      }),
    ).toMatch(/store kept holds the results of two operators, streamJoin-kept and streamLeftJoin-kept/)
    const message = messageOf((t) => {
      const moved = t.stream(rights).selectKey(({ value }) => String(value))
      t.stream(lefts)
        .join(moved, async (left) => left, tens, kept)
        .foreach(() => {})
    })
    expect(message).toMatch(/the join of streams after select-key-1: its key may have changed/)
    expect(message).toMatch(/join after lefts-source is an async function/)
  })

  it('topics with different numbers of partitions', () => {
    const { graph } = topology('joins', joined())
    const plan = (ofRight: number): unknown =>
      planPartitions(graph, 'joins', (name) => (name === 'rights' ? ofRight : 2))
    expect(() => plan(3)).toThrow(
      /store kept is fed from topics with different numbers of partitions: lefts has 2, rights has 3/,
    )
    expect(plan(2)).toMatchObject({ subtopologies: [2] })
  })
})

describe('the description of a join of streams', () => {
  const dataOf = (...given: Parameters<typeof joined>) =>
    describeAsData(topology('joins', joined(...given)).graph, 'joins')

  it('names both sides, their store and how far they may be apart', () => {
    const text = describeTopology(topology('joins', joined()).graph, {
      applicationId: 'joins',
      format: 'text',
    })
    expect(text).toContain('streamJoin streamJoin-kept-left: store kept\n    -> streamJoin-kept\n')
    expect(text).toContain('streamJoin streamJoin-kept-right: store kept\n    -> streamJoin-kept\n')
    expect(text).toContain(
      'store kept: lmdb (string, joined(string, int64)) of a join within 10 ms before and 10 ms after, changelog joins-kept-changelog',
    )
    expect(dataOf().subtopologies[0]?.stores[0]?.windows).toMatchObject({ kind: 'join', graceMs: 5 })
  })

  it('tells another grace from other windows', () => {
    const longer = dataOf(within({ ...tens, graceMs: 50 }))
    expect(compareDescriptions([dataOf()], [longer])).toEqual([])
    const wider = dataOf(within({ ...tens, afterMs: 11 }))
    expect(compareDescriptions([dataOf()], [wider])).toMatchObject([{ effect: 'broken' }])
    const outer = dataOf(tens, kept, 'leftJoin')
    expect(compareDescriptions([dataOf()], [outer])).toMatchObject([{ effect: 'broken' }])
  })
})
