// Topologies whose serdes need a schema registry, in the test driver and in a simulation: nobody is asked.
import {
  globalStore,
  int64,
  joinStore,
  versionedStore,
  within,
  MillstreamError,
  nullable,
  output as outputType,
  type Serde,
  store,
  string,
  topic,
  topology,
  tumbling,
  windowed,
  windowStore,
} from 'millstream'
import { avro, jsonSchema, protobuf, schemaRegistry } from 'millstream/schema-registry'
import { simulate, testDriver } from 'millstream/testing'
import { describe, expect, it } from 'vitest'

interface Order {
  readonly customer: string
  readonly cents: number
}

// Nothing listens there.
const registry = schemaRegistry({ url: 'http://127.0.0.1:1' })

const orderSchema = {
  type: 'record',
  name: 'Order',
  fields: [
    { name: 'customer', type: 'string' },
    { name: 'cents', type: 'int' },
  ],
}
const order = avro<Order>(registry, { schema: orderSchema })
const word = avro<string>(registry, { schema: '"string"' })
const number = protobuf<{ n: number }>(registry, {
  schema: 'syntax = "proto3"; message Number { int32 n = 1; }',
})
const text = jsonSchema<string>(registry, { schema: { type: 'string' } })

const orders = topic('orders', { key: word, value: nullable(order) })
const minute = tumbling({ sizeMs: 60_000, graceMs: 0 })
const perMinute = topic('per-minute', { key: windowed(word, minute), value: int64 })
const customers = topic('customers', { key: word, value: nullable(text) })
const labels = topic('labels', { key: word, value: nullable(text) })
const sums = topic('sums', { key: word, value: nullable(number) })

const shop = topology('shop', (t) => {
  const all = t.stream(orders)
  const placed = all.toTable(store('orders', { key: word, value: order }))
  const known = t.table(customers, store('customers', { key: word, value: text }))
  placed
    .foreignKeyJoin(
      known,
      ({ customer }) => customer,
      ({ cents }, name) => `${name} ${cents}`,
      {
        name: 'named',
        foreignKey: word,
        value: text,
        store: store('named', { key: word, value: text }),
      },
    )
    .toStream()
    .to(labels)
  placed
    .groupBy(({ customer, cents }) => ({ key: customer, value: { n: cents } }), {
      name: 'by-customer',
      key: word,
      value: number,
    })
    .reduce(store('sums', { key: word, value: number }), {
      add: (sum, { n }) => ({ n: sum.n + n }),
      subtract: (sum, { n }) => ({ n: sum.n - n }),
    })
    .toStream()
    .to(sums)
  all
    .filter(({ value }) => value !== null)
    .groupBy(({ value }) => value?.customer ?? '', {
      name: 'orders-by-customer',
      key: word,
      value: nullable(order),
    })
    .windowedBy(minute)
    .count(windowStore('counts', { key: word, value: int64 }))
    .toStream()
    .to(perMinute)
})

describe('in the test driver', () => {
  it('keys, values, stores, windows and topics of ours work as with any serde', () => {
    using driver = testDriver(shop)
    const named = driver.output(labels)
    driver.input(customers).send('c', 'Carla', { timestamp: 1 })
    driver.input(orders).send('o1', { customer: 'c', cents: 5 }, { timestamp: 2 })
    driver.input(orders).send('o2', { customer: 'c', cents: 7 }, { timestamp: 3 })
    driver.input(orders).send('o1', null, { timestamp: 4 })
    expect(named.readAll().map(({ key, value }) => [key, value])).toEqual([
      ['o1', 'Carla 5'],
      ['o2', 'Carla 7'],
      ['o1', null],
    ])
    expect(driver.output(sums).readAll().at(-1)).toMatchObject({ key: 'c', value: { n: 7 } })
    expect(
      driver
        .output(perMinute)
        .readAll()
        .map(({ key, value }) => [key, value]),
    ).toEqual([
      [{ key: 'c', start: 0, end: 60_000 }, 1],
      [{ key: 'c', start: 0, end: 60_000 }, 2],
    ])
    driver.restart()
    driver.input(customers).send('c', 'Carl', { timestamp: 5 })
    expect(named.readAll().map(({ value }) => value)).toEqual(['Carl 7'])
  })

  it('stores of joins and of versions write with the schemas of their own changelogs', () => {
    const paid = topic('paid', { key: word, value: number })
    const both = topology('both', (t) => {
      t.stream(orders)
        .filter(({ value }) => value !== null)
        .join(
          t.stream(paid),
          (placed, payment) => `${placed.cents} ${payment.n}`,
          within({ beforeMs: 1000, afterMs: 1000, graceMs: 0 }),
          joinStore('payments', { key: word, left: order, right: number }),
        )
        .to(labels)
      t.table(customers, versionedStore('history', { key: word, value: text, historyMs: 1000 }))
    })
    using driver = testDriver(both)
    driver.input(orders).send('o', { customer: 'c', cents: 5 }, { timestamp: 1 })
    driver.input(paid).send('o', { n: 6 }, { timestamp: 2 })
    driver.input(customers).send('c', 'Carla', { timestamp: 3 })
    expect(
      driver
        .output(labels)
        .readAll()
        .map(({ value }) => value),
    ).toEqual(['5 6'])
  })

  it('global tables are looked up by keys that have schemas, too', () => {
    const all = topology('all', (t) => {
      const known = t.globalTable(customers, { store: globalStore('known', { key: word, value: text }) })
      t.stream(orders)
        .filter(({ value }) => value !== null)
        .joinGlobal(
          known,
          ({ value }) => value?.customer ?? null,
          (_, name) => name,
        )
        .to(labels)
    })
    using driver = testDriver(all)
    driver.input(customers).send('c', 'Carla')
    driver.input(orders).send('o', { customer: 'c', cents: 5 })
    driver.restart({ keepState: false })
    driver.input(orders).send('o', { customer: 'c', cents: 6 })
    expect(driver.output(labels).readKeyValues()).toEqual([
      { key: 'o', value: 'Carla' },
      { key: 'o', value: 'Carla' },
    ])
  })

  it('refuses a value that the schema refuses, by the policy', () => {
    using driver = testDriver(
      topology('wrong', (t) => {
        t.stream(topic('in', { key: string, value: string }))
          .mapValues((value) => ({ customer: value }) as Order)
          .to(topic('out', { key: string, value: order }))
      }),
    )
    const input = driver.input(topic('in', { key: string, value: string }))
    expect(() => input.send('k', 'v')).toThrow(/SERIALIZATION_FAILED.*at cents/)
  })
})

describe('a schema that is met elsewhere than in a batch', () => {
  it('makes the record wait, which is no failure of it', () => {
    let here = false
    const late: Serde<string> = {
      ...string,
      primitive: false,
      decode(bytes) {
        if (!here) throw new MillstreamError('SCHEMA_PENDING', { what: 'schema 7 is being fetched' })
        return string.decode(bytes)
      },
      decodeFrom: (source, start, end) => late.decode(source.subarray(start, end)),
    }
    const input = topic('in', { key: string, value: string })
    const output = topic('out', { key: string, value: string })
    const last = store('last', { key: string, value: late })
    let calls = 0
    const built = topology('elsewhere', (t) => {
      t.stream(input)
        .process({
          stores: [last],
          outputs: outputType<string, string>(),
          process(record, { stores, forward }) {
            calls++
            forward(record)
            forward(record.withValue(stores.last.get(record.key) ?? 'none'))
            stores.last.put(record.key, record.value)
          },
        })
        .to(output)
    })
    using driver = testDriver(built, { settings: { onFailure: 'skip' } })
    const values = () =>
      driver
        .output(output)
        .readAll()
        .map(({ value }) => value)
    driver.input(input).send('k', 'a')
    expect(values()).toEqual(['a', 'none'])
    driver.input(input).send('k', 'b')
    driver.advanceWallClock(1000)
    expect(values()).toEqual([])
    expect(calls).toBeGreaterThan(10)
    expect(driver.counts).toMatchObject({ skipped: 0, retried: 0, processed: 1 })
    here = true
    driver.advanceWallClock(10)
    expect(values()).toEqual(['b', 'a'])
    expect(driver.counts).toMatchObject({ skipped: 0, retried: 0, processed: 2 })
  })
})

describe('in a simulation', () => {
  it('all workers agree on the ids', async () => {
    const words = topic('words', { key: string, value: text })
    const totals = store('totals', { key: word, value: number })
    const counted = topology('counted', (t) => {
      t.stream(words)
        .groupBy(({ value }) => value, { name: 'by-word', key: word, value: text })
        .aggregate(totals, { initial: () => ({ n: 0 }), add: (_record, { n }) => ({ n: n + 1 }) })
        .toStream()
        .to(sums)
    })
    const list = ['a', 'b', 'c']
    const summary = await simulate({
      topology: counted,
      seeds: 2,
      input: ({ send, random }) => {
        for (let at = 0; at < 40; at++) send(words, `k${at % 5}`, list[Math.floor(random() * 3)] as string)
      },
      invariants: (world) => {
        const expected = new Map<string, { n: number }>()
        for (const { value } of world.records(words))
          expected.set(value, { n: (expected.get(value)?.n ?? 0) + 1 })
        expect(world.store(totals)).toEqual(expected)
      },
    })
    expect(summary).toMatchObject({ seeds: 2, records: 80 })
  })
})
