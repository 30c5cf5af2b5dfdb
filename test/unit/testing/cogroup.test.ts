import { describe, expect, it } from 'vitest'
import {
  hopping,
  int64,
  nullable,
  sessions,
  sliding,
  store,
  string,
  topic,
  topology,
  tumbling,
  type TopologyScope,
  windowStore,
} from '../../../src/index.ts'
import { testDriver } from '../../../src/testing/index.ts'

const orders = topic('orders', { key: nullable(string), value: nullable(string) })
const payments = topic('payments', { key: nullable(string), value: nullable(int64) })
const out = topic('out', { key: nullable(string), value: nullable(string) })
const seen = store('seen', { key: nullable(string), value: string })
const seenInWindows = windowStore('seen', { key: nullable(string), value: string })

const both = (t: TopologyScope) =>
  t
    .stream(orders)
    .groupByKey()
    .cogroup((order, text: string) => `${text}${order.value ?? '-'}`)
    .cogroup(t.stream(payments).groupByKey(), (payment, text) => `${text}${payment.value ?? '-'}`)

const runOf = (build: (t: TopologyScope) => void) => testDriver(topology('cogrouped', build))

const send = (
  driver: ReturnType<typeof runOf>,
  records: readonly (readonly [string | null, string | number | null, timestamp: number])[],
): void => {
  for (const [key, value, timestamp] of records) {
    if (typeof value === 'number') driver.input(payments).send(key, value, { timestamp })
    else driver.input(orders).send(key, value, { timestamp })
  }
}

const read = (driver: ReturnType<typeof runOf>) =>
  driver
    .output(out)
    .readAll()
    .map(({ key, value }) => `${key}=${value}`)

const initial = (): string => ''

describe('a cogroup', () => {
  it('adds the records of each input in its own way, in the order in which they come', () => {
    using driver = runOf((t) =>
      both(t)
        .aggregate(seen, { initial: () => '>' })
        .toStream()
        .to(out),
    )
    send(driver, [
      ['a', 'x', 1],
      ['a', 7, 2],
      ['b', 8, 3],
      ['a', 'y', 1],
    ])
    expect(read(driver)).toEqual(['a=>x', 'a=>x7', 'b=>8', 'a=>x7y'])
    expect(driver.store(seen).get('a')).toBe('>x7y')
  })

  it('leaves out what has no key or no value', () => {
    using driver = runOf((t) => both(t).aggregate(seen, { initial }).toStream().to(out))
    send(driver, [
      [null, 'x', 1],
      [null, 5, 1],
      ['a', null, 1],
      ['a', 'x', 1],
    ])
    driver.input(payments).send('a', null, { timestamp: 1 })
    expect(read(driver)).toEqual(['a=x'])
  })

  it('takes one stream twice', () => {
    using driver = runOf((t) => {
      const grouped = t.stream(orders).groupByKey()
      grouped
        .cogroup((order, text: string) => text + order.value)
        .cogroup(grouped, (_order, text) => `${text}!`)
        .aggregate(seen, { initial })
        .toStream()
        .to(out)
    })
    send(driver, [['a', 'x', 1]])
    expect(read(driver)).toEqual(['a=x', 'a=x!'])
  })

  it('is refused where its inputs have different numbers of partitions', () => {
    const app = topology('cogrouped', (t) => both(t).aggregate(seen, { initial }).toStream().to(out))
    expect(() => testDriver(app, { partitions: { orders: 2, payments: 3 } })).toThrow(/partitions/)
  })

  it('names its mistakes', () => {
    expect(() =>
      runOf((t) =>
        t
          .stream(orders)
          .groupByKey()
          .cogroup(undefined as never),
      ),
    ).toThrow(/cogroup after orders-source is not a function/)
    const build = () =>
      topology('other', (other) => {
        const foreign = other.stream(payments)
        foreign.foreach(() => undefined)
        expect(() =>
          runOf((t) =>
            t
              .stream(orders)
              .groupByKey()
              .cogroup((_order, text: string) => text)
              .cogroup(foreign.groupByKey(), (_payment, text) => text)
              .aggregate(seen, { initial }),
          ),
        ).toThrow(/a stream of another topology is in a cogroup/)
        throw new Error('the rest is of no matter')
      })
    expect(build).toThrow(/of no matter/)
  })
})

describe('a cogroup in windows', () => {
  const ten = tumbling({ sizeMs: 10, graceMs: 0 })

  it('adds all inputs to the same windows, whose time they share', () => {
    using driver = runOf((t) => {
      const table = both(t).windowedBy(ten).aggregate(seenInWindows, { initial })
      table
        .toStream()
        .map(({ key, value }) => ({ key: `${key.key}@${key.start}`, value }))
        .to(out)
      table
        .late()
        .map(({ key, value }) => ({ key: `late ${key}`, value: String(value) }))
        .to(out)
    })
    send(driver, [
      ['a', 'x', 1],
      ['a', 7, 2],
      ['a', 8, 10],
      ['a', 'y', 3],
    ])
    expect(read(driver)).toEqual(['a@0=x', 'a@0=x7', 'a@10=8', 'late a=y'])
  })

  it('overlaps, slides, and is told on close', () => {
    using hops = runOf((t) =>
      both(t)
        .windowedBy(hopping({ sizeMs: 10, advanceMs: 5, graceMs: 0 }))
        .aggregate(seenInWindows, { initial }, { emit: 'on-close' })
        .toStream()
        .map(({ key, value }) => ({ key: `${key.key}@${key.start}`, value }))
        .to(out),
    )
    send(hops, [
      ['a', 'x', 6],
      ['a', 7, 8],
      ['a', 8, 10],
      ['a', 'y', 99],
    ])
    expect(read(hops)).toEqual(['a@0=x7', 'a@5=x78', 'a@10=8'])
    using slides = runOf((t) =>
      both(t)
        .windowedBy(sliding({ sizeMs: 5, graceMs: 0 }))
        .aggregate(seenInWindows, { initial }, { emit: 'on-close' })
        .toStream()
        .map(({ key, value }) => ({ key: `${key.key}@${key.start}`, value }))
        .to(out),
    )
    send(slides, [
      ['a', 'x', 10],
      ['a', 7, 12],
      ['a', 'y', 99],
    ])
    expect(read(slides)).toEqual(['a@5=x', 'a@7=x7', 'a@11=7'])
  })

  it('joins sessions by its merger', () => {
    const visits = sessions({ gapMs: 5, graceMs: 10 })
    using driver = runOf((t) =>
      both(t)
        .windowedBy(visits)
        .aggregate(seenInWindows, {
          initial,
          merge: (one, other) => (one === '' ? other : `${one}+${other}`),
        })
        .toStream()
        .map(({ key, value }) => ({ key: `${key.key}@${key.start}-${key.end}`, value }))
        .to(out),
    )
    send(driver, [
      ['a', 'x', 1],
      ['a', 7, 9],
      ['a', 'y', 5],
    ])
    expect(read(driver)).toEqual(['a@1-1=x', 'a@9-9=7', 'a@1-1=null', 'a@9-9=null', 'a@1-9=x+7y'])
  })
})
