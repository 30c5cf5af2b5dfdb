// Read-only stores in the test driver: a topic fills them in its turn, processors read them, and a restart makes them
// what they were when their task was committed last.
import { describe, expect, it } from 'vitest'
import {
  int64,
  json,
  nullable,
  output,
  readOnlyStore,
  string,
  topic,
  topology,
  type TopologyScope,
} from '../../../src/index.ts'
import { testDriver, type TestDriver } from '../../../src/testing/index.ts'

const orders = topic('orders', { key: string, value: string })
const prices = topic('prices', { key: nullable(string), value: nullable(int64) })
const rows = topic('prices', { key: string, value: nullable(int64) })
const out = topic('out', { key: string, value: string })
const priceRows = readOnlyStore('prices', { key: string, value: int64 })

/** Each order, with the price of its key. */
const looksUp = (t: TopologyScope): void => {
  t.stream(orders)
    .process({
      stores: { priceRows },
      outputs: output<string, string>(),
      process: (record, { stores, forward }) =>
        forward(record.withValue(`${record.value} ${stores.priceRows.get(record.key) ?? '-'}`)),
    })
    .to(out)
}

const shop = topology('shop', (t) => {
  t.readOnlyStore(rows, { store: priceRows })
  looksUp(t)
})

/** Orders have a text, prices a number or null; `at`: their timestamp. */
type Sent = readonly [key: string | null, value: string | number | null, at?: number]

const send = (driver: TestDriver, sent: readonly Sent[]): void => {
  for (const [key, value, timestamp] of sent) {
    const options = timestamp === undefined ? {} : { timestamp }
    if (typeof value === 'string') driver.input(orders).send(key as string, value, options)
    else driver.input(prices).send(key, value, options)
  }
}

const outOf = (driver: TestDriver): string[] =>
  driver
    .output(out)
    .readAll()
    .map(({ key, value }) => `${key} ${value}`)

describe('a read-only store', () => {
  const cases: Readonly<Record<string, readonly [sent: readonly Sent[], out: string[]]>> = {
    'has the last value of each key': [
      [
        ['tea', 'one'],
        ['tea', 3],
        ['tea', 'two'],
        ['tea', 4],
        ['milk', 1],
        ['tea', 'three'],
        ['milk', 'four'],
      ],
      ['tea one -', 'tea two 3', 'tea three 4', 'milk four 1'],
    ],
    'has no row where null came last': [
      [
        ['tea', 3],
        ['tea', null],
        ['tea', 'one'],
        ['milk', null],
        ['milk', 'two'],
      ],
      ['tea one -', 'milk two -'],
    ],
    'leaves records without a key out': [
      [
        [null, 3],
        ['null', 'one'],
      ],
      ['null one -'],
    ],
    'takes the later record of a partition, whatever its timestamp': [
      [
        ['tea', 3, 500],
        ['tea', 2, 100],
        ['tea', 'one', 600],
      ],
      ['tea one 2'],
    ],
  }

  it.each(Object.entries(cases))('%s', (_, [sent, wanted]) => {
    for (const partitions of [1, 3]) {
      using driver = testDriver(shop, { partitions })
      send(driver, sent)
      expect(outOf(driver).sort()).toEqual([...wanted].sort())
    }
  })

  it('is filled in the order of time: a row that comes later is not seen by older records', () => {
    using driver = testDriver(shop)
    driver.begin()
    driver.input(prices).send('tea', 3, { timestamp: 300 })
    driver.input(orders).send('tea', 'early', { timestamp: 200 })
    driver.input(orders).send('tea', 'late', { timestamp: 400 })
    // Now all three wait in the inputs.
    driver.abort()
    driver.run()
    expect(outOf(driver)).toEqual(['tea early -', 'tea late 3'])
  })

  it('has no topic of its own, and lies in the task of who reads it', () => {
    using driver = testDriver(shop, { partitions: 3 })
    expect(driver.topics.toSorted()).toEqual(['orders', 'out', 'prices'])
    send(driver, [
      ['tea', 3],
      ['milk', 1],
      ['salt', 2],
    ])
    const found = [0, 1, 2].flatMap((partition) => [...driver.store(priceRows, { partition }).all()])
    expect(found.map(({ key }) => key).sort()).toEqual(['milk', 'salt', 'tea'])
    expect(driver.store(priceRows).get('tea')).toBe(3)
    expect([...driver.store(priceRows).all()]).toEqual(found)
  })

  it('can be read and not be written, by processors and by a test', () => {
    let seen: unknown
    const app = topology('reads', (t) => {
      t.readOnlyStore(rows, { store: priceRows })
      t.stream(orders)
        .process({
          stores: { priceRows },
          outputs: output<string, string>(),
          process(record, { stores, forward }) {
            seen = stores.priceRows
            const all = [...stores.priceRows.range('a', 'z', { reverse: true })]
            forward(record.withValue(all.map(({ key, value }) => `${key}=${value}`).join(' ')))
          },
        })
        .to(out)
    })
    using driver = testDriver(app)
    send(driver, [
      ['tea', 3],
      ['milk', 1],
      ['x', 'all'],
    ])
    expect(outOf(driver)).toEqual(['x tea=3 milk=1'])
    for (const store of [seen, driver.store(priceRows)]) {
      expect(store).not.toHaveProperty('put')
      expect(store).not.toHaveProperty('delete')
      expect(store).not.toHaveProperty('putOf')
    }
  })

  it('finds keys whose bytes were written another way, restored or not', () => {
    const place = json<{ readonly a: number; readonly b: number }>()
    const names = readOnlyStore('names', { key: place, value: string })
    const app = topology('places', (t) => {
      t.readOnlyStore(topic('places', { key: place, value: string }), { store: names })
    })
    using driver = testDriver(app)
    driver.input(topic('places', { key: string, value: string })).send('{ "a": 1, "b": 2 }', 'here')
    for (const keepState of [true, false]) {
      expect(driver.store(names).get({ a: 1, b: 2 })).toBe('here')
      driver.restart({ keepState })
    }
    expect(driver.store(names).get({ a: 1, b: 2 })).toBe('here')
  })
})

describe('a read-only store after a fault', () => {
  it('is what was committed after an abort, and its rows come again in their turn', () => {
    using driver = testDriver(shop)
    send(driver, [['tea', 3]])
    driver.begin()
    send(driver, [
      ['tea', 'before'],
      ['tea', 4],
      ['tea', 'after'],
    ])
    expect(driver.store(priceRows).get('tea')).toBe(4)
    driver.abort()
    expect(driver.store(priceRows).get('tea')).toBe(3)
    driver.run()
    expect(driver.store(priceRows).get('tea')).toBe(4)
  })

  it('is restored up to what its task has committed, with its disk and without it', () => {
    for (const keepState of [true, false]) {
      using driver = testDriver(shop)
      send(driver, [
        ['tea', 3],
        ['milk', 1],
        ['milk', null],
      ])
      driver.begin()
      send(driver, [['tea', 4, 9e12]])
      driver.restart({ keepState })
      // The row that was not committed has not had its turn yet.
      expect([...driver.store(priceRows).all()]).toEqual([{ key: 'tea', value: 3 }])
      send(driver, [['tea', 'one', 8e12]])
      expect(outOf(driver)).toEqual(['tea one 3'])
      expect(driver.store(priceRows).get('tea')).toBe(4)
    }
  })

  it('takes in what a kept disk lacks', () => {
    using driver = testDriver(shop)
    send(driver, [['tea', 3]])
    // A second later the next commit flushes.
    driver.advanceWallClock(2000)
    send(driver, [['milk', 1]])
    send(driver, [
      ['salt', 2],
      ['tea', null],
    ])
    driver.restart({ keepState: true })
    expect([...driver.store(priceRows).all()]).toEqual([
      { key: 'milk', value: 1 },
      { key: 'salt', value: 2 },
    ])
  })
})

describe('a read-only store with a function', () => {
  /** The lowest price of each first letter. */
  const lowest = readOnlyStore('lowest', { key: string, value: int64 })
  const app = (fails?: (value: number | null) => boolean) =>
    topology('lowest', (t) => {
      t.readOnlyStore(rows, {
        store: lowest,
        process({ key, value }, store) {
          const letter = key.charAt(0)
          if (value === null) store.delete(letter)
          else if (value < (store.get(letter) ?? Number.POSITIVE_INFINITY)) store.put(letter, value)
          if (fails?.(value)) throw new Error('no such price')
        },
      })
    })
  const sent: readonly Sent[] = [
    ['tea', 3],
    ['toast', 2],
    ['milk', 9],
    ['milk', null],
    ['tuna', 5],
  ]

  it('holds what the function writes, and is restored through it', () => {
    for (const keepState of [true, false]) {
      using driver = testDriver(app())
      send(driver, sent)
      expect([...driver.store(lowest).all()]).toEqual([{ key: 't', value: 2 }])
      driver.restart({ keepState })
      expect([...driver.store(lowest).all()]).toEqual([{ key: 't', value: 2 }])
    }
  })

  it('takes in once what its disk has already', () => {
    const sums = topology('sums', (t) => {
      t.readOnlyStore(topic('prices', { key: string, value: int64 }), {
        store: lowest,
        process: ({ key, value }, store) => store.put(key, (store.get(key) ?? 0) + value),
      })
    })
    using driver = testDriver(sums)
    send(driver, [['tea', 3]])
    // A second later the next commit flushes.
    driver.advanceWallClock(1000)
    send(driver, [
      ['tea', 4],
      ['tea', 5],
    ])
    driver.restart({ keepState: true })
    expect(driver.store(lowest).get('tea')).toBe(12)
  })

  it('takes back what a failed call wrote, also while it is restored', () => {
    const lines: string[] = []
    const log = { debug() {}, info() {}, error() {}, warn: (text: string) => void lines.push(text) }
    using driver = testDriver(
      app((value) => value === 2),
      { settings: { onFailure: 'skip' }, log },
    )
    send(driver, sent)
    expect(driver.store(lowest).get('t')).toBe(3)
    expect(driver.counts.skipped).toBe(1)
    driver.restart({ keepState: false })
    expect(driver.store(lowest).get('t')).toBe(3)
    expect(lines).toEqual([
      'a record failed and is skipped',
      'a record failed while a read-only store was restored, and is skipped',
    ])
  })

  it('refuses a promise', () => {
    const sly = topology('sly', (t) =>
      t.readOnlyStore(rows, { store: lowest, process: (() => Promise.resolve()) as never }),
    )
    using driver = testDriver(sly)
    expect(() => send(driver, [['tea', 3]])).toThrow(/a function of the topology returned a promise/)
  })
})
