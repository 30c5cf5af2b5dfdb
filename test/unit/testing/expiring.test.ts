// Stores whose entries live for a time: what is over is absent at once, and deleted soon after, in stream time.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { int64, nullable, output, store, string, topic, topology } from '../../../src/index.ts'
import { testDriver } from '../../../src/testing/index.ts'
import { play, restarts, turns } from './model-steps.ts'

const input = topic('in', { key: string, value: string })
const told = topic('told', { key: string, value: string })
const ttlMs = 20
const seen = store('seen', { key: string, value: string, ttlMs })
const counts = store('counts', { key: string, value: int64, ttlMs })

/** `get`: nothing is written; `delete`; else the value is put. */
const lookups = topology('lookups', (t) => {
  t.stream(input)
    .process({
      stores: { seen },
      outputs: output<string, string>(),
      process(record, { stores, forward }) {
        const { key, value } = record
        const { has, all } = { has: stores.seen.has(key), all: [...stores.seen.all()] }
        forward(
          record.withValue(`${stores.seen.get(key) ?? '-'} ${has} ${all.map((one) => one.key).join('')}`),
        )
        if (value === 'delete') stores.seen.delete(key)
        else if (value !== 'get') stores.seen.put(key, value)
      },
    })
    .to(told)
})

const latin1 = {
  name: 'latin1',
  encode: (text: string) => Buffer.from(text, 'latin1'),
  decode: (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1'),
}

/** What the changelog comes to: keys that are alive, as bytes. */
const alive = (driver: ReturnType<typeof testDriver>): string[] => {
  const changelog = topic('lookups-seen-changelog', { key: latin1, value: nullable(latin1) })
  const keys = new Map<string, boolean>()
  for (const { key, value } of driver.output(changelog).readAll()) keys.set(key, value !== null)
  return [...keys].flatMap(([key, is]) => (is ? [key] : []))
}

type Sent = readonly [key: string, value: string, timestamp: number]

const answers = (sent: readonly Sent[]): string[] => {
  using driver = testDriver(lookups)
  for (const [key, value, timestamp] of sent) driver.input(input).send(key, value, { timestamp })
  return driver
    .output(told)
    .readAll()
    .map(({ value }) => value)
}

describe('a store whose entries live for a time', () => {
  it('has an entry up to its time, and not at it', () => {
    expect(
      answers([
        ['a', 'one', 10],
        ['a', 'get', 29],
        ['a', 'get', 30],
      ]),
    ).toEqual(['- false ', 'one true a', '- false '])
  })

  it('goes by stream time, and lets an entry live on that is written again', () => {
    expect(
      answers([
        ['a', 'one', 10],
        ['a', 'two', 20],
        ['b', 'one', 35],
        ['a', 'get', 12],
        ['b', 'get', 40],
        ['a', 'get', 41],
      ]),
    ).toEqual(['- false ', 'one true a', '- false a', 'two true ab', 'one true b', '- false b'])
  })

  it('does not keep what is over when it comes', () => {
    expect(
      answers([
        ['b', 'one', 50],
        ['a', 'late', 30],
        ['a', 'get', 50],
      ]),
    ).toEqual(['- false ', '- false b', '- false b'])
  })

  it('deletes what is over, a few entries with each write', () => {
    using driver = testDriver(lookups)
    for (let key = 0; key < 200; key++) driver.input(input).send(`k${key}`, 'one', { timestamp: 10 })
    driver.input(input).send('late', 'one', { timestamp: 1000 })
    const before = alive(driver)
    expect(before.length).toBeGreaterThan(350)
    for (let step = 0; step < 20; step++) driver.input(input).send('late', 'one', { timestamp: 1001 })
    const after = new Set(before)
    const changelog = topic('lookups-seen-changelog', { key: latin1, value: nullable(latin1) })
    for (const { key, value } of driver.output(changelog).readAll())
      if (value === null) after.delete(key)
      else after.add(key)
    // The entry, its place, and how far the sweep came.
    expect(after.size).toBe(3)
  })

  it('can hold an aggregation, which begins anew', () => {
    using driver = testDriver(
      topology('counted', (t) => {
        t.stream(input).groupByKey().count(counts).toStream().mapValues(String).to(told)
      }),
    )
    for (const timestamp of [10, 20, 39, 59, 60]) driver.input(input).send('a', 'one', { timestamp })
    const values = driver.output(told).readAll()
    expect(values.map(({ value }) => value)).toEqual(['1', '2', '3', '1', '2'])
    expect(driver.store(counts).get('a')).toBe(2)
    driver.store(counts).put('b', 7)
    expect([...driver.store(counts).all()]).toEqual([
      { key: 'a', value: 2 },
      { key: 'b', value: 7 },
    ])
    const scan = (prefix: string): unknown[] =>
      [...driver.store(counts).prefixScan(prefix, string)].map(({ key }) => key)
    expect([scan('a'), scan('b'), scan('c'), scan('')]).toEqual([['a'], ['b'], [], ['a', 'b']])
    driver.store(counts).delete('b')
    expect(driver.store(counts).has('b')).toBe(false)
    expect(() => driver.changelog(counts)).toThrow(/lays out itself/)
  })
})

const step = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constant('send' as const),
      key: fc.constantFrom('a', 'b', 'c', 'd'),
      value: fc.constantFrom('get', 'delete', 'one', 'two', 'three'),
      forwardMs: fc.oneof(
        { weight: 6, arbitrary: fc.integer({ min: -5, max: 8 }) },
        { weight: 1, arbitrary: fc.integer({ min: -30, max: 60 }) },
      ),
    }),
  },
  turns,
  restarts,
)

describe('such stores under aborts and restarts', () => {
  it('are those of a naive model', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 90, size: 'max' }), (steps) => {
        using driver = testDriver(lookups)
        const model = new Map<string, { value: string; timestamp: number }>()
        const expected: string[] = []
        let timestamp = 0
        let time = -1
        play(driver, steps, (one) => {
          const { key, value } = one
          timestamp = Math.max(0, timestamp + one.forwardMs)
          time = Math.max(time, timestamp)
          driver.input(input).send(key, value, { timestamp })
          for (const [id, entry] of model) if (entry.timestamp + ttlMs <= time) model.delete(id)
          const found = model.get(key)
          const all = [...model.keys()].sort().join('')
          expected.push(`${found?.value ?? '-'} ${found !== undefined} ${all}`)
          if (value === 'delete' || timestamp + ttlMs <= time) {
            if (value !== 'get') model.delete(key)
          } else if (value !== 'get') model.set(key, { value, timestamp })
        })
        const values = driver.output(told).readAll()
        expect(values.map(({ value }) => value)).toEqual(expected)
        // Places and entries that are over are few: those of the last step, and what no write came for.
        const left = alive(driver)
        const entries = left.filter((id) => id.startsWith('\u0081')).map((id) => id.slice(1))
        for (const id of entries)
          expect(left.some((other) => other.slice(8) === id && other < '\u0080')).toBe(true)
      }),
      { numRuns: 150 },
    )
  })
})
