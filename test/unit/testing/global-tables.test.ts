// Global tables in the test driver: what joins and processors see of them, and when.
import { describe, expect, it } from 'vitest'
import {
  globalStore,
  int64,
  json,
  nullable,
  output,
  string,
  topic,
  topology,
  type TopologyScope,
} from '../../../src/index.ts'
import { testDriver, type TestDriver } from '../../../src/testing/index.ts'

const orders = topic('orders', { key: nullable(string), value: nullable(string) })
const prices = topic('prices', { key: nullable(string), value: nullable(int64) })
const out = topic('out', { key: nullable(string), value: string })
const priceRows = globalStore('prices', { key: string, value: int64 })

/** Joins the value of an order, as a key, with the prices. */
const joins =
  (operator: 'joinGlobal' | 'leftJoinGlobal') =>
  (t: TopologyScope): void => {
    const table = t.globalTable(topic('prices', { key: string, value: nullable(int64) }), {
      store: priceRows,
    })
    t.stream(orders)
      [operator](
        table,
        ({ value }) => (value === 'none' ? null : value),
        (value, price: number | undefined, { key }) => `${key} ${value} ${price ?? '-'}`,
      )
      .to(out)
  }

type Sent = readonly [topic: 'orders' | 'prices', key: string | null, value: string | number | null]

const send = (driver: TestDriver, sent: readonly Sent[]): void => {
  for (const [name, key, value] of sent)
    if (name === 'orders') driver.input(orders).send(key, value as string | null)
    else driver.input(prices).send(key, value as number | null)
}

const outOf = (describe: (t: TopologyScope) => void, sent: readonly Sent[], partitions = 3): string[] => {
  using driver = testDriver(topology('shop', describe), { partitions })
  send(driver, sent)
  return driver
    .output(out)
    .readAll()
    .map(({ value }) => value)
}

describe('a stream that joins a global table', () => {
  const cases: Readonly<Record<string, readonly [sent: readonly Sent[], inner: string[], left: string[]]>> = {
    'finds rows by the key that the function answers, in any partition': [
      [
        ['prices', 'tea', 3],
        ['prices', 'milk', 1],
        ['prices', 'salt', 2],
        ['orders', 'ann', 'tea'],
        ['orders', 'bob', 'milk'],
        ['orders', 'cid', 'salt'],
        ['orders', 'dan', 'tea'],
      ],
      ['ann tea 3', 'bob milk 1', 'cid salt 2', 'dan tea 3'],
      ['ann tea 3', 'bob milk 1', 'cid salt 2', 'dan tea 3'],
    ],
    'sees the table as it is when the record is processed, and no later change': [
      [
        ['orders', 'ann', 'tea'],
        ['prices', 'tea', 3],
        ['orders', 'ann', 'tea'],
        ['prices', 'tea', 4],
        ['orders', 'ann', 'tea'],
        ['prices', 'tea', null],
        ['orders', 'ann', 'tea'],
      ],
      ['ann tea 3', 'ann tea 4'],
      ['ann tea -', 'ann tea 3', 'ann tea 4', 'ann tea -'],
    ],
    'leaves out records without a value; one that names no key has no row': [
      [
        ['prices', 'tea', 3],
        ['orders', 'ann', null],
        ['orders', 'ann', 'none'],
        ['orders', null, 'tea'],
        ['orders', null, 'none'],
      ],
      ['null tea 3'],
      ['ann none -', 'null tea 3', 'null none -'],
    ],
    'does not see rows without a key': [
      [
        ['prices', null, 3],
        ['orders', 'ann', 'null'],
      ],
      [],
      ['ann null -'],
    ],
  }

  it.each(Object.entries(cases))('%s', (_, [sent, inner, left]) => {
    // One partition each for the orders, so that the outputs keep the order.
    expect(outOf(joins('joinGlobal'), sent, 1)).toEqual(inner)
    expect(outOf(joins('leftJoinGlobal'), sent, 1)).toEqual(left)
    expect(outOf(joins('joinGlobal'), sent, 3).sort()).toEqual([...inner].sort())
    expect(outOf(joins('leftJoinGlobal'), sent, 3).sort()).toEqual([...left].sort())
  })

  it('keeps key, timestamp and headers of the record, and needs no repartition after it', () => {
    using driver = testDriver(topology('shop', joins('joinGlobal')))
    driver.input(prices).send('tea', 3, { timestamp: 500 })
    const headers = [{ key: 'h', value: Buffer.from('1') }]
    driver.input(orders).send('ann', 'tea', { timestamp: 100, headers })
    expect(driver.output(out).readAll()).toEqual([
      { key: 'ann', value: 'ann tea 3', timestamp: 100, headers, partition: 0 },
    ])
    expect(driver.topics.toSorted()).toEqual(['orders', 'out', 'prices'])
  })

  it('finds keys whose bytes were written another way', () => {
    const place = json<{ readonly a: number; readonly b: number }>()
    const raw = topic('places', { key: string, value: string })
    const places = topic('places', { key: place, value: string })
    const app = topology('places', (t) => {
      const table = t.globalTable(places, { store: globalStore('places', { key: place, value: string }) })
      t.stream(orders)
        .joinGlobal(
          table,
          () => ({ a: 1, b: 2 }),
          (_, name) => name,
        )
        .to(out)
    })
    using driver = testDriver(app)
    driver.input(raw).send('{ "a": 1, "b": 2 }', 'here')
    driver.input(orders).send('ann', 'x')
    expect(driver.output(out).readKeyValues()).toEqual([{ key: 'ann', value: 'here' }])
  })
})

describe('a global table', () => {
  it('is loaded before anything is processed, with its disk and without it', () => {
    for (const keepState of [true, false]) {
      using driver = testDriver(topology('shop', joins('leftJoinGlobal')))
      send(driver, [['prices', 'tea', 3]])
      driver.begin()
      send(driver, [['orders', 'ann', 'tea']])
      driver.abort()
      driver.restart({ keepState })
      driver.run()
      expect(driver.output(out).readKeyValues()).toEqual([{ key: 'ann', value: 'ann tea 3' }])
      expect([...driver.store(priceRows).all()]).toEqual([{ key: 'tea', value: 3 }])
    }
  })

  it('is no part of the transactions of the tasks: an abort takes nothing of it back', () => {
    using driver = testDriver(topology('shop', joins('leftJoinGlobal')))
    driver.begin()
    send(driver, [
      ['orders', 'ann', 'tea'],
      ['prices', 'tea', 3],
    ])
    driver.abort()
    expect(driver.store(priceRows).get('tea')).toBe(3)
    driver.run()
    // The order is processed again, and meets the newer row.
    expect(driver.output(out).readKeyValues()).toEqual([{ key: 'ann', value: 'ann tea 3' }])
  })

  it('that the topology feeds itself has what is committed', () => {
    const fed = topic('fed', { key: string, value: string })
    const rows = globalStore('fed', { key: string, value: string })
    const app = topology('feeds', (t) => {
      t.stream(topic('orders', { key: string, value: string })).to(fed)
      t.globalTable(fed, { store: rows })
    })
    using driver = testDriver(app)
    driver.begin()
    send(driver, [['orders', 'a', 'one']])
    expect(driver.store(rows).has('a')).toBe(false)
    driver.abort()
    expect(driver.store(rows).has('a')).toBe(false)
    driver.run()
    expect(driver.store(rows).get('a')).toBe('one')
  })

  it('is read by processors that declare its store, and written by none', () => {
    let seen: unknown
    const app = topology('reads', (t) => {
      t.globalTable(topic('prices', { key: string, value: nullable(int64) }), { store: priceRows })
      t.stream(orders)
        .process({
          stores: { priceRows },
          outputs: output<string | null, string>(),
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
      ['prices', 'tea', 3],
      ['prices', 'milk', 1],
      ['orders', 'ann', 'x'],
    ])
    expect(driver.output(out).readKeyValues()).toEqual([{ key: 'ann', value: 'tea=3 milk=1' }])
    expect(seen).not.toHaveProperty('put')
    expect(driver.store(priceRows)).not.toHaveProperty('put')
  })

  it('that was not declared by a processor is refused to it', () => {
    const app = topology('refuses', (t) => {
      t.globalTable(topic('prices', { key: string, value: nullable(int64) }), { store: priceRows })
      t.stream(orders).process({
        process(_, { stores }) {
          return (stores as Record<string, unknown>)['prices'] as undefined
        },
      })
    })
    using driver = testDriver(app)
    expect(() => send(driver, [['orders', 'a', 'b']])).toThrow(/STORE_NOT_DECLARED.*prices/)
  })
})

describe('a global store with a function', () => {
  /** The lowest price of each first letter. */
  const lowest = globalStore('lowest', { key: string, value: int64 })
  const app = (fail?: (value: number | null) => boolean) =>
    topology('lowest', (t) => {
      const table = t.globalStore(topic('prices', { key: string, value: nullable(int64) }), {
        store: lowest,
        process({ key, value }, store) {
          const letter = key.charAt(0)
          if (value === null) store.delete(letter)
          else if (value < (store.get(letter) ?? Number.POSITIVE_INFINITY)) store.put(letter, value)
          if (fail?.(value)) throw new Error('no such price')
        },
      })
      t.stream(orders)
        .leftJoinGlobal(
          table,
          ({ value }) => value,
          (value, price) => `${value} ${price ?? '-'}`,
        )
        .to(out)
    })
  const sent: readonly Sent[] = [
    ['prices', 'tea', 3],
    ['prices', 'toast', 2],
    ['prices', 'tuna', 9],
    ['orders', 'ann', 't'],
    ['prices', 'tuna', null],
    ['orders', 'ann', 't'],
  ]

  it('holds what the function writes', () => {
    using driver = testDriver(app())
    send(driver, sent)
    expect(driver.output(out).readKeyValues()).toEqual([
      { key: 'ann', value: 't 2' },
      { key: 'ann', value: 't -' },
    ])
  })

  it('is loaded through the function, too', () => {
    for (const keepState of [true, false]) {
      using driver = testDriver(app())
      send(driver, sent.slice(0, 3))
      driver.restart({ keepState })
      expect([...driver.store(lowest).all()]).toEqual([{ key: 't', value: 2 }])
    }
  })

  it('takes back what a failed call wrote; the driver goes on behind the record', () => {
    using driver = testDriver(app((value) => value === 2))
    send(driver, [['prices', 'tea', 3]])
    expect(() => send(driver, [['prices', 'toast', 2]])).toThrow(
      /PROCESSING_FAILED: the function of a global store threw Error: no such price.*offset 1, store lowest/,
    )
    expect(driver.store(lowest).get('t')).toBe(3)
    send(driver, [
      ['prices', 'tart', 1],
      ['orders', 'ann', 't'],
    ])
    expect(driver.output(out).readKeyValues()).toEqual([{ key: 'ann', value: 't 1' }])
  })

  it('leaves a failed record out where the policy says so', () => {
    for (const settings of [
      { onFailure: 'skip' } as const,
      { onFailure: 'retry', afterRetries: 'skip' } as const,
    ]) {
      const lines: string[] = []
      const log = { debug() {}, info() {}, error() {}, warn: (text: string) => void lines.push(text) }
      using driver = testDriver(
        app((value) => value === 2),
        { settings, log },
      )
      send(driver, sent.slice(0, 4))
      expect(driver.output(out).readKeyValues()).toEqual([{ key: 'ann', value: 't 3' }])
      expect(lines).toEqual(['a record of a global table failed and is skipped'])
    }
  })
})
