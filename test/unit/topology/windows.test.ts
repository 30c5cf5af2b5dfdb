import { describe, expect, it } from 'vitest'
import { describeTopology } from '../../../src/topology/describe.ts'
import {
  calendar,
  hopping,
  int64,
  nullable,
  store,
  string,
  type TimeWindows,
  topic,
  topology,
  type TopologyScope,
  tumbling,
  unlimited,
  windowStore,
} from '../../../src/index.ts'

const input = topic('in', { key: string, value: nullable(string) })
const counts = windowStore('counts', { key: string, value: int64 })
const ten = tumbling({ sizeMs: 10, graceMs: 0 })

it('windows of the calendar are described by their zone', () => {
  const days = calendar({ every: 'day', timeZone: 'Europe/Berlin', graceMs: 0 })
  const { graph } = topology('days', (t) => {
    t.stream(topic('in', { key: string, value: string }))
      .groupByKey()
      .windowedBy(days)
      .count(counts)
  })
  const options = { applicationId: 'days', format: 'text' } as const
  expect(describeTopology(graph, options)).toContain('in windows of a day in Europe/Berlin, changelog')
  expect(graph.subtopologies[0]?.stores[0]?.windowShape).toEqual({
    kind: 'calendar',
    every: 'day',
    timeZone: 'Europe/Berlin',
    retentionMs: 93_600_000,
  })
})

it('windows without an end are described by their start, and are never removed from their changelog', () => {
  const { graph } = topology('endless', (t) => {
    t.stream(topic('in', { key: string, value: string }))
      .groupByKey()
      .windowedBy(unlimited({ startMs: 7 }))
      .count(counts)
  })
  const text = describeTopology(graph, { applicationId: 'endless', format: 'text' })
  expect(text).toContain('in windows without an end from 7 ms, changelog')
  expect(text).toMatch(/endless-counts-changelog: sub-topology 0, cleanup.policy=compact$/m)
  expect(graph.subtopologies[0]?.stores[0]?.windowShape).toEqual({ kind: 'unlimited', startMs: 7 })
})

describe('a mistake with windows', () => {
  const message = (describeIt: (t: TopologyScope) => void): string => {
    try {
      topology('windows', describeIt)
    } catch (error) {
      return (error as Error).message
    }
    return 'none'
  }
  const count = (windows: TimeWindows, into = counts): string =>
    message((t) => {
      t.stream(input)
        .groupByKey()
        .windowedBy(windows)
        .count(into as never)
    })

  it.each([
    [tumbling({ sizeMs: 10, graceMs: -1 }), /in-source: graceMs is -1, but takes a whole number from 0/],
    [tumbling({ sizeMs: 0, graceMs: 0 }), /sizeMs is 0, but takes a whole number from 1/],
    [tumbling({ sizeMs: 1.5, graceMs: 0 }), /sizeMs is 1.5, but/],
    [hopping({ sizeMs: 10, advanceMs: 0, graceMs: 0 }), /advanceMs is 0, but takes a whole number from 1/],
    [hopping({ sizeMs: 10, advanceMs: -5, graceMs: 0 }), /advanceMs is -5, but/],
    [hopping({ sizeMs: 10, advanceMs: 11, graceMs: 0 }), /advanceMs is 11, more than the size of 10/],
  ])('in its windows is named', (windows, expected) => {
    expect(count(windows)).toMatch(expected)
  })

  it('a retention shorter than size and grace', () => {
    const short = windowStore('counts', { key: string, value: int64, retentionMs: 14 })
    expect(count(tumbling({ sizeMs: 10, graceMs: 5 }), short as never)).toMatch(
      /store counts: retentionMs is 14, but what comes within size and grace takes 15 ms/,
    )
    const enough = windowStore('counts', { key: string, value: int64, retentionMs: 15 })
    expect(count(tumbling({ sizeMs: 10, graceMs: 5 }), enough as never)).toBe('none')
  })

  it('a store that is none of windows, is used twice, or is kept by nobody', () => {
    expect(count(ten, store('plain', { key: string, value: int64 }) as never)).toMatch(
      /store plain is to keep windows: declare it with windowStore/,
    )
    expect(
      message((t) => {
        const grouped = t.stream(input).groupByKey()
        grouped.windowedBy(ten).count(counts)
        grouped.windowedBy(ten).reduce(counts as never, (left) => left)
      }),
    ).toMatch(
      /store counts holds the results of two operators, windowedCount-counts and windowedReduce-counts/,
    )
    expect(
      message((t) => {
        t.stream(input)
          .groupByKey()
          .count(counts as never)
      }),
    ).toMatch(/store counts is declared with windowStore, but no aggregation by windows keeps it/)
    expect(
      message((t) => {
        const late = t.stream(input).groupByKey().windowedBy(ten).count(counts)
        late.late()
      }),
    ).toMatch(/the output late of windowedCount-counts leads nowhere/)
  })
})
