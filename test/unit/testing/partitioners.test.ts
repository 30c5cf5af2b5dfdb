// Partitions of outputs that the user chooses: one, several, none, and wrong ones.
import { nullable, type RecordStream, store, string, topic, topology, int64 } from 'millstream'
import { testDriver } from 'millstream/testing'
import { describe, expect, it } from 'vitest'

const words = topic('words', { key: nullable(string), value: string })
const out = topic('out', { key: nullable(string), value: string })
const long = topic('long', { key: nullable(string), value: string })
const third = topic('third', { key: nullable(string), value: string })

type Partition = (
  record: { key: string | null; value: string },
  partitions: number,
) => number | readonly number[]

const to = (partition: Partition) => topology('app', (t) => t.stream(words).to(out, { partition }))

const places = (driver: ReturnType<typeof testDriver>, from = out) =>
  driver
    .output(from)
    .readAll()
    .map(({ key, value, partition }) => [partition, key, value])

describe('a partitioner', () => {
  it('chooses the partition out of those of the output', () => {
    const seen: number[] = []
    using driver = testDriver(
      to(({ value }, partitions) => {
        seen.push(partitions)
        return value.length % partitions
      }),
      { partitions: { words: 2, out: 3 } },
    )
    const input = driver.input(words)
    for (const value of ['', 'a', 'bb', 'ccc']) input.send('k', value)
    input.send(null, 'dd')
    expect(places(driver)).toEqual([
      [0, 'k', ''],
      [1, 'k', 'a'],
      [2, 'k', 'bb'],
      [0, 'k', 'ccc'],
      [2, null, 'dd'],
    ])
    expect(seen).toEqual([3, 3, 3, 3, 3])
  })

  it('sends to several, once to each, and leaves out what it gives none', () => {
    using driver = testDriver(
      to(({ value }, partitions) =>
        value === 'all'
          ? Array.from({ length: partitions }, (_, index) => index)
          : value === 'two'
            ? [2, 0, 2]
            : [],
      ),
      { partitions: { out: 3 } },
    )
    const headers = [{ key: 'h', value: Buffer.from('x') }]
    driver.input(words).send('k', 'none')
    driver.input(words).send('k', 'all', { timestamp: 7, headers })
    driver.input(words).send('k', 'two')
    const written = driver.output(out).readAll()
    expect(written.map(({ partition, value }) => [partition, value])).toEqual([
      [0, 'all'],
      [1, 'all'],
      [2, 'all'],
      [0, 'two'],
      [2, 'two'],
    ])
    expect(written.map(({ timestamp }) => timestamp).slice(0, 3)).toEqual([7, 7, 7])
    expect(written.map((record) => record.headers.length)).toEqual([1, 1, 1, 0, 0])
    expect(driver.counts).toMatchObject({ processed: 3, skipped: 0 })
  })

  it.each([
    ['mapValues', (t: RecordStream<string | null, string>) => t.mapValues((value) => value.repeat(2))],
    [
      'flatMapValues',
      (t: RecordStream<string | null, string>) => t.flatMapValues((value) => [value, value + value]),
    ],
  ])('and a chooser see what %s made', (name, change) => {
    const doubled = name === 'mapValues'
    using driver = testDriver(
      topology('app', (t) => {
        const changed = change(t.stream(words))
        changed.to(({ value }) => (value.length > 3 ? long : out), { topics: [out, long] })
        changed.to(third, { partition: ({ value }, partitions) => value.length % partitions })
      }),
      { partitions: { third: 3 } },
    )
    const headers = [{ key: 'h', value: Buffer.from('x') }]
    driver.input(words).send('k', 'ab', { timestamp: 7, headers })
    expect(places(driver)).toEqual(doubled ? [] : [[0, 'k', 'ab']])
    expect(driver.output(long).readAll()).toMatchObject([{ key: 'k', value: 'abab', timestamp: 7, headers }])
    expect(places(driver, third)).toEqual(
      doubled
        ? [[1, 'k', 'abab']]
        : [
            [1, 'k', 'abab'],
            [2, 'k', 'ab'],
          ],
    )
  })

  it('goes with a chooser, which decides first', () => {
    using driver = testDriver(
      topology('app', (t) =>
        t.stream(words).to(({ value }) => (value.length > 3 ? long : out), {
          topics: [out, long],
          partition: (_, partitions) => partitions - 1,
        }),
      ),
      { partitions: { out: 2, long: 4 } },
    )
    driver.input(words).send('k', 'to')
    driver.input(words).send('k', 'long')
    expect(places(driver)).toEqual([[1, 'k', 'to']])
    expect(places(driver, long)).toEqual([[3, 'k', 'long']])
  })

  it.each<[unknown, string]>([
    [3, '3'],
    [-1, '-1'],
    [0.5, '0.5'],
    [Number.NaN, 'NaN'],
    [[0, 3], '3'],
    [['0'], '"0"'],
    [undefined, 'undefined'],
  ])('may not answer %s: the record is undone', (answer, text) => {
    const kept = store('kept', { key: string, value: int64 })
    const app = topology('app', (t) => {
      const stream = t.stream(words)
      stream.process({ stores: { kept }, process: ({ value }, { stores }) => stores.kept.put(value, 1) })
      stream.to(out, { partition: ({ value }) => (value === 'bad' ? (answer as number) : 0) })
    })
    using driver = testDriver(app, { partitions: { out: 3 } })
    driver.input(words).send('k', 'good')
    expect(() => driver.input(words).send('k', 'bad')).toThrow(
      `PARTITION_INVALID: a partitioner chose ${text}, but the topic has the partitions 0 to 2 (topic words, partition 0, offset 1, task 0_0, sink out-sink, output out)`,
    )
    driver.input(words).send('k', 'better')
    expect(places(driver).map(([, , value]) => value)).toEqual(['good', 'better'])
    expect([...driver.store(kept).all()].map(({ key }) => key)).toEqual(['better', 'good'])
  })

  it('may not answer a promise', () => {
    using driver = testDriver(to(() => Promise.reject(new Error('later')) as unknown as number))
    expect(() => driver.input(words).send('k', 'x')).toThrow('PROCESSING_FAILED: a function of the topology')
  })

  it('is left out with its record where the policy is to skip', () => {
    using driver = testDriver(
      to(({ value }) => (value === 'bad' ? [0, 9] : 0)),
      { settings: { onFailure: 'skip' }, partitions: { out: 2 } },
    )
    driver.input(words).send('k', 'bad')
    driver.input(words).send('k', 'good')
    expect(places(driver)).toEqual([[0, 'k', 'good']])
    expect(driver.counts.skipped).toBe(1)
  })

  it('is a function, and no async one', () => {
    expect(() => to((async () => 0) as unknown as Partition)).toThrow(
      'the partitioner of to after words-source is an async function',
    )
    expect(() => to(3 as unknown as Partition)).toThrow(
      'the partitioner of to after words-source is not a function',
    )
  })
})
