// Several partitions in the test driver: the partitioner and the plan of production, and stores over all of them.
import { int64, nullable, store, string, topic, topology, tumbling, windowed, windowStore } from 'millstream'
import { testDriver } from 'millstream/testing'
import { describe, expect, it } from 'vitest'
import wordCount, { counts, lines, totals } from '../../../processors/word-count/index.ts'
import { partitionsOf } from './model-steps.ts'

const partitionOf = (key: string, partitions: number): number => partitionsOf(partitions)(key)

const words = 'the quick brown fox jumps over the lazy dog and then some more of the same'

describe('partitions', () => {
  it('are those of the keys, in inputs, repartition topics and outputs', () => {
    using driver = testDriver(wordCount, { partitions: { lines: 3, counts: 5 } })
    for (const key of ['a', 'b', 'c', 'd', 'e'])
      expect(driver.input(lines).send(key, words).partition).toBe(partitionOf(key, 3))
    const repartition = topic('word-count-by-word-repartition', { key: string, value: string })
    const between = driver.output(repartition).readAll()
    expect(new Set(between.map(({ partition }) => partition))).toEqual(new Set([0, 1, 2]))
    for (const { key, partition } of between) expect(partition).toBe(partitionOf(key, 3))
    const counted = driver.output(counts).readAll()
    for (const { key, partition } of counted) expect(partition).toBe(partitionOf(key, 5))
    expect(driver.store(totals).get('the')).toBe(15)
    expect(driver.store(totals, { partition: partitionOf('fox', 3) }).get('fox')).toBe(5)
    expect(driver.store(totals, { partition: (partitionOf('fox', 3) + 1) % 3 }).get('fox')).toBeUndefined()
    expect([...driver.store(totals).all()]).toHaveLength(new Set(words.split(' ')).size)
    driver.restart()
    expect(driver.store(totals).get('the')).toBe(15)
  })

  it('are those of the key of a window, for all windows of it', () => {
    const lengths = tumbling({ sizeMs: 10, graceMs: 0 })
    const inWindows = topic('in-windows', { key: windowed(string, lengths), value: int64 })
    const app = topology('windows', (t) =>
      t
        .stream(lines)
        .groupByKey()
        .windowedBy(lengths)
        .count(windowStore('per-window', { key: string, value: int64 }))
        .toStream()
        .to(inWindows),
    )
    using driver = testDriver(app, { partitions: { lines: 2, 'in-windows': 5 } })
    for (const timestamp of [5, 15, 25, 35])
      for (const key of ['a', 'b', 'c']) driver.input(lines).send(key, 'x', { timestamp })
    const results = driver.output(inWindows).readAll()
    expect(results).toHaveLength(12)
    for (const { key, partition } of results) expect(partition).toBe(partitionOf(key.key, 5))
  })

  it('are those of the key of a window in stores as well, where windows are regrouped', () => {
    const lengths = tumbling({ sizeMs: 10, graceMs: 0 })
    const key = windowed(string, lengths)
    const regrouped = store('regrouped', { key, value: int64 })
    const app = topology('regrouping', (t) =>
      t
        .stream(lines)
        .groupByKey()
        .windowedBy(lengths)
        .count(windowStore('per-window', { key: string, value: int64 }))
        .groupBy((value, window) => ({ key: window, value }), { name: 'again', key, value: int64 })
        .count(regrouped),
    )
    using driver = testDriver(app, { partitions: { lines: 4 } })
    for (const name of ['a', 'b', 'c', 'd', 'e']) {
      driver.input(lines).send(name, 'x', { timestamp: 25 })
      const window = { key: name, start: 20, end: 30 }
      const at = partitionOf(name, 4)
      expect(driver.store(regrouped, { partition: at }).get(window)).toBe(1)
      driver.store(regrouped).delete(window)
      driver.store(regrouped).put(window, 7)
      expect(driver.store(regrouped, { partition: at }).get(window)).toBe(7)
    }
  })

  it('can be chosen, and are taken in turn without a key', () => {
    const keyless = topic('keyless', { key: nullable(string), value: string })
    const copied = topic('copied', { key: nullable(string), value: string })
    using driver = testDriver(
      topology('keyless', (t) => t.stream(keyless).to(copied)),
      { partitions: 3 },
    )
    const input = driver.input(keyless)
    expect([1, 2, 3, 4].map(() => input.send(null, 'x').partition)).toEqual([0, 1, 2, 0])
    expect(input.send('k', 'x', { partition: 2 })).toEqual({ topic: 'keyless', partition: 2, offset: 1 })
    expect(input.send({ key: null, value: 'x', partition: 0 }).partition).toBe(0)
  })

  it('keep their own stream time', () => {
    using driver = testDriver(wordCount, { partitions: 2 })
    expect(driver.streamTime()).toBe(-1)
    driver.input(lines).send('a', 'x', { partition: 0, timestamp: 10 })
    driver.input(lines).send('a', 'x', { partition: 1, timestamp: 5 })
    expect(driver.streamTime(lines)).toBe(10)
    expect(driver.streamTime(lines, 1)).toBe(5)
    expect(driver.streamTime()).toBe(10)
  })

  it('have stores of their own, whatever the keys in them are', () => {
    const seen = store('seen', { key: string, value: int64 })
    const app = topology('counting', (t) => {
      t.stream(lines).process({
        stores: { seen },
        process: (_, { stores }) => stores.seen.put('all', (stores.seen.get('all') ?? 0) + 1),
      })
    })
    using driver = testDriver(app, { partitions: 2 })
    driver.input(lines).send('a', 'x', { partition: 1 })
    expect(driver.store(seen).get('all')).toBe(1)
    driver.input(lines).send('a', 'x', { partition: 0 })
    expect(() => driver.store(seen).get('all')).toThrow(/DRIVER_MISUSED.*partitions 0 and 1/)
    expect(driver.store(seen, { partition: 1 }).get('all')).toBe(1)
    driver.store(seen, { partition: 1 }).put('all', 7)
    expect([...driver.store(seen).all()].map(({ value }) => value)).toEqual([1, 7])
  })

  it('are those of the key for what is put into a store', () => {
    using driver = testDriver(wordCount, { partitions: 4 })
    for (const word of words.split(' ')) driver.store(totals).put(word, 10)
    driver.input(lines).send('k', 'fox dog same')
    expect(driver.output(counts).toMap()).toEqual(
      new Map([
        ['fox', 11],
        ['dog', 11],
        ['same', 11],
      ]),
    )
  })

  it('have to be equal where inputs share a store', () => {
    const left = topic('left', { key: string, value: string })
    const right = topic('right', { key: string, value: string })
    const both = store('both', { key: string, value: int64 })
    const app = topology('both', (t) => {
      t.stream(left).merge(t.stream(right)).groupByKey().count(both)
    })
    expect(() => testDriver(app, { partitions: { left: 2, right: 3 } })).toThrow('TOPOLOGY_INVALID')
    using driver = testDriver(app, { partitions: 2 })
    driver.input(left).send('k', 'x')
    driver.input(right).send('k', 'x')
    expect(driver.store(both).get('k')).toBe(2)
  })
})
