// The test driver against the real thing: the same topology with the same input, once in the driver and once in a worker
// on a broker. Outputs, changelogs, stores and stream time must be the same, byte by byte.
import {
  bytes,
  createProducer,
  int64,
  json,
  type KeyValueStore,
  nullable,
  output,
  type ProducerRecord,
  store,
  StreamRecord,
  string,
  topic,
  topology,
} from 'millstream'
import { testDriver, type TestDriver } from 'millstream/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { decodeWitness } from '../../src/runtime/witness.ts'
import { type Judge, startJudge } from '../support/judge.ts'
import { kafkaBrokers, uniqueTopic } from '../support/kafka.ts'
import { quickly } from '../support/numbered.ts'
import { startWorker, temporaryDirectory } from '../support/worker.ts'

let judge: Judge

beforeAll(async () => {
  judge = await startJudge(kafkaBrokers())
})

afterAll(async () => {
  await judge.stop()
})

interface Booking {
  readonly account: string
  readonly amount: number
}
type Input = ProducerRecord<string, Booking | null>

/** The partitions in which the accounts live. One upstream task writes them all, so their order is that of the input. */
const accountPartitions = 3
const tickMs = 1000

/**
 * A copy with headers and tombstones; and balances behind a repartition topic, with deletions, records that fail after
 * they wrote, and ticks of stream time that tell how many accounts there are.
 */
const bookkeeping = () => {
  const id = uniqueTopic('parity')
  const bookings = topic(`${id}-bookings`, { key: string, value: nullable(json<Booking>()) })
  const copies = topic(`${id}-copies`, { key: string, value: nullable(json<Booking>()) })
  const balances = topic(`${id}-balances`, { key: string, value: int64 })
  const ticks = topic(`${id}-ticks`, { key: string, value: int64 })
  const accounts = store('accounts', { key: string, value: int64 })
  /** The stores of the tasks that were made last, by partition. */
  const opened = new Map<number, KeyValueStore<string, number>>()
  const built = topology(id, (t) => {
    const source = t.stream(bookings)
    source.to(copies)
    const booked = source
      .filter(({ value }) => value !== null)
      .mapValues((value) => value as Booking)
      .selectKey(({ value }) => value.account)
      .repartition({
        name: 'by-account',
        key: string,
        value: json<Booking>(),
        partitions: accountPartitions,
      })
      .process({
        stores: { accounts },
        outputs: { balance: output<string, number>(), tick: output<string, number>() },
        init({ schedule, forward, stores, partition }) {
          opened.set(partition, stores.accounts)
          schedule(tickMs, 'stream-time', (timestamp) => {
            const value = [...stores.accounts.all()].length
            forward('tick', StreamRecord.of({ key: `task ${partition}`, value, timestamp }))
          })
        },
        process(record, { stores, forward }) {
          const balance = (stores.accounts.get(record.key) ?? 0) + record.value.amount
          if (balance === 0) stores.accounts.delete(record.key)
          else stores.accounts.put(record.key, balance)
          forward('balance', record.withValue(balance))
          if (balance < 0) throw new Error('overdrawn')
        },
      })
    booked.balance.to(balances)
    booked.tick.to(ticks)
  })
  return { id, bookings, copies, balances, ticks, accounts, opened, built }
}

type Bookkeeping = ReturnType<typeof bookkeeping>

/** Bookings of seven accounts, some of which cannot be paid, in an order of their own that is the same each time. */
const inputsOf = (from: number, to: number): Input[] =>
  Array.from({ length: to - from }, (_, index) => {
    const number = from + index
    const account = `account ${(number * 5) % 7}`
    // Mostly forwards, at times back.
    const timestamp = 1_700_000_000_000 + number * 70 - (number % 9 === 0 ? 3000 : 0)
    const headers = number % 4 === 0 ? [{ key: 'number', value: Buffer.from(String(number)) }] : []
    const value = number % 11 === 0 ? null : { account, amount: ((number * 13) % 9) - 4 }
    return { key: `key ${number % 5}`, value, timestamp, headers }
  })

type Row = readonly [key: string, value: string, timestamp: number, headers: string]

const textOf = (value: Uint8Array | null): string =>
  value === null ? 'null' : Buffer.from(value).toString('hex')

interface RawRecord {
  readonly partition: number
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly timestamp: number
  readonly headers: readonly (readonly [string, Uint8Array | null])[]
}

/** Rows by partition, stable by key: tasks that write into the same partition are not told apart by their order. */
const rowsOf = (records: readonly RawRecord[]): Record<string, Row[]> => {
  const rows: Record<string, Row[]> = {}
  for (const { partition, key, value, timestamp, headers } of records) {
    const told = headers.map(([header, content]) => `${header}=${textOf(content)}`).join()
    rows[partition] ??= []
    rows[partition].push([textOf(key), textOf(value), timestamp, told])
  }
  for (const list of Object.values(rows)) list.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
  return rows
}

const fromBroker = async (name: string): Promise<Record<string, Row[]>> =>
  rowsOf((await judge.dump(name)).records)

const fromDriver = (driver: TestDriver, name: string): Record<string, Row[]> => {
  const raw = topic(name, { key: nullable(bytes), value: nullable(bytes) })
  const records = driver.output(raw).readAll()
  return rowsOf(
    records.map((record) => ({
      ...record,
      headers: record.headers.map(({ key, value }) => [key, value] as const),
    })),
  )
}

/** What compaction leaves: how often a key changes in a changelog depends on where transactions end. */
const compacted = (rows: Record<string, Row[]>): Record<string, Record<string, string>> =>
  Object.fromEntries(
    Object.entries(rows).map(([partition, list]) => [
      partition,
      Object.fromEntries(list.map(([key, value]) => [key, value])),
    ]),
  )

const storesOf = (app: Bookkeeping): unknown[] =>
  [...app.opened].sort(([a], [b]) => a - b).map(([partition, one]) => [partition, ...one.all()])

const repartitionOf = (app: Bookkeeping): string => `${app.id}-by-account-repartition`

const offsetsOf = async (app: Bookkeeping) =>
  (await judge.groupOffsets(app.id)).filter(({ offset }) => offset >= 0)

const drained = async (app: Bookkeeping, records: number): Promise<void> => {
  await expect
    .poll(
      async () => {
        const read = (await offsetsOf(app)).find((one) => one.topic === app.bookings.name)?.offset ?? 0
        return read >= records
      },
      { timeout: 30_000, interval: 50 },
    )
    .toBe(true)
  // What the first sub-topology wrote is there by now, since it was committed with the offset.
  await expect
    .poll(
      async () => {
        const committed = await offsetsOf(app)
        const ends = await judge.offsets(repartitionOf(app))
        return ends.filter(
          ({ partition, highWatermark }) =>
            (committed.find((one) => one.topic === repartitionOf(app) && one.partition === partition)
              ?.offset ?? 0) < highWatermark,
        )
      },
      { timeout: 30_000, interval: 50 },
    )
    .toEqual([])
}

/** Runs a worker over this input, on an empty disk. */
const work = async (app: Bookkeeping, inputs: readonly Input[], before: number): Promise<void> => {
  using directory = temporaryDirectory()
  await using running = await startWorker(app.built, {
    ...quickly(kafkaBrokers(), directory.path),
    onFailure: 'skip',
  })
  const producer = createProducer({ brokers: kafkaBrokers() })
  await Promise.all(inputs.map((record) => producer.send(app.bookings, record)))
  await producer.close()
  await drained(app, before + inputs.length)
  expect(running.failure()).toBeUndefined()
}

describe('the test driver', () => {
  it('gives what a worker gives, over a restart that restores from the changelog', async () => {
    const app = bookkeeping()
    await judge.createTopics(
      { name: app.bookings.name, partitions: 1 },
      { name: app.copies.name, partitions: 2 },
      { name: app.balances.name, partitions: accountPartitions },
      { name: app.ticks.name, partitions: 1 },
    )
    const [first, second] = [inputsOf(0, 150), inputsOf(150, 300)]
    await work(app, first, 0)
    await work(app, second, first.length)
    const witnesses = (await offsetsOf(app)).map(({ topic: name, partition, metadata }) => ({
      place: { name, partition },
      streamTime: decodeWitness(metadata ?? '')?.streamTime,
    }))

    const partitions = { [app.copies.name]: 2, [app.balances.name]: accountPartitions }
    using driver = testDriver(app.built, { partitions, settings: { onFailure: 'skip' } })
    driver.input(app.bookings).sendAll(first)
    driver.restart()
    driver.input(app.bookings).sendAll(second)
    expect(driver.counts.skipped).toBeGreaterThan(10)

    for (const { name } of [app.copies, app.balances, app.ticks]) {
      const ours = fromDriver(driver, name)
      expect(Object.values(ours).flat().length, name).toBeGreaterThan(20)
      expect(ours, name).toEqual(await fromBroker(name))
    }
    expect(fromDriver(driver, repartitionOf(app))).toEqual(await fromBroker(repartitionOf(app)))
    const changelog = `${app.id}-accounts-changelog`
    expect(compacted(fromDriver(driver, changelog))).toEqual(compacted(await fromBroker(changelog)))
    expect(witnesses).toHaveLength(1 + accountPartitions)
    for (const { place, streamTime } of witnesses)
      expect(driver.streamTime(place, place.partition), place.name).toBe(streamTime)
  })
})

describe('the stores', () => {
  it('hold what those of a worker hold', async () => {
    const app = bookkeeping()
    await judge.createTopics(
      ...[app.bookings, app.copies, app.balances, app.ticks].map(({ name }) => ({ name, partitions: 1 })),
    )
    const inputs = inputsOf(0, 120)
    using directory = temporaryDirectory()
    await using running = await startWorker(app.built, {
      ...quickly(kafkaBrokers(), directory.path),
      onFailure: 'skip',
    })
    const producer = createProducer({ brokers: kafkaBrokers() })
    await Promise.all(inputs.map((record) => producer.send(app.bookings, record)))
    await producer.close()
    await drained(app, inputs.length)
    const { processed, skipped } = running.worker.counts
    const held = storesOf(app)
    expect(held).toHaveLength(accountPartitions)
    using driver = testDriver(app.built, { settings: { onFailure: 'skip' } })
    driver.input(app.bookings).sendAll(inputs)
    expect(storesOf(app)).toEqual(held)
    expect([...driver.store(app.accounts).all()].length).toBeGreaterThan(3)
    expect(driver.counts).toMatchObject({ processed, skipped })
  })
})
