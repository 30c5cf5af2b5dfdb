// What the types of the test driver allow and refuse. Nothing here runs: `tsc -p .` checks it.
import { int64, type KeyValue, nullable, store, string, topic, topology } from 'millstream'
import {
  type OutputRecord,
  testDriver,
  type TestInput,
  type TestOutput,
  type TestStore,
} from 'millstream/testing'
import { z } from 'zod'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const same = <_T extends true>(): void => undefined

const lines = topic('lines', { key: string, value: string })
const counts = topic('counts', { key: string, value: int64 })
const totals = store('totals', { key: string, value: int64 })
const optional = topic('optional', { key: nullable(string), value: nullable(string) })
/** Read as a date, written as a text. */
const order = z.object({ at: z.string().transform((text) => new Date(text)) })
const orders = topic('orders', { key: string, value: order })
const kept = store('kept', { key: string, value: order })

const app = topology('app', (t) => t.stream(lines).to(lines))

export const inputs = (): void => {
  using driver = testDriver(app)
  const input = driver.input(lines)
  same<Equal<typeof input, TestInput<string, string>>>()
  input.send('k', 'v')
  input.send('k', 'v', { timestamp: 1, headers: [{ key: 'h', value: null }], partition: 0 })
  input.send({ key: 'k', value: 'v', timestamp: 1, partition: 0 })
  input.sendAll([{ key: 'k', value: 'v' }], { advanceMs: 1 })
  // @ts-expect-error a value is a string
  input.send('k', 1)
  // @ts-expect-error a key is a string
  input.send({ key: 1, value: 'v' })
  // @ts-expect-error a record has a value
  input.send('k')
  // @ts-expect-error null is not meant
  input.send(null, 'v')
  driver.input(optional).send(null, null)
  driver.input(orders).send('k', { at: '2026-01-01' })
  // @ts-expect-error what is written is a text
  driver.input(orders).send('k', { at: new Date(0) })
}

export const outputs = (): void => {
  using driver = testDriver(app)
  const output = driver.output(counts)
  same<Equal<typeof output, TestOutput<string, number>>>()
  same<Equal<ReturnType<typeof output.read>, OutputRecord<string, number> | undefined>>()
  same<Equal<ReturnType<typeof output.readKeyValues>, KeyValue<string, number>[]>>()
  same<Equal<ReturnType<typeof output.toMap>, Map<string, number>>>()
  const read = driver.output(orders)
  same<Equal<typeof read, TestOutput<string, { at: Date }>>>()
  const changes = driver.changelog(totals)
  same<Equal<typeof changes, TestOutput<string, number | null>>>()
}

export const stores = (): void => {
  using driver = testDriver(app, { partitions: { lines: 2 }, settings: { onFailure: 'skip' } })
  const view = driver.store(totals, { partition: 1 })
  same<Equal<typeof view, TestStore<string, number>>>()
  same<Equal<ReturnType<typeof view.get>, number | undefined>>()
  view.put('k', 1)
  // @ts-expect-error a value is a number
  view.put('k', 'v')
  driver.store(kept).put('k', { at: '2026-01-01' })
  same<Equal<ReturnType<TestStore<string, { at: Date }>['get']>, { at: Date } | undefined>>()
  // @ts-expect-error a topic is no store
  driver.store(counts)
  // @ts-expect-error a setting that means nothing without a broker
  testDriver(app, { settings: { brokers: ['localhost:9092'] } })
  // @ts-expect-error no policy
  testDriver(app, { settings: { onFailure: 'panic' } })
}
