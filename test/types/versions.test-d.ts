// What the types of versioned stores and of versions of stores allow and refuse. Nothing here runs: `tsc -p .` checks it,
// and a line under `@ts-expect-error` that compiles is an error.
import {
  int64,
  nullable,
  type RecordStream,
  store,
  type StoreOf,
  string,
  type TableStream,
  topic,
  topology,
  type VersionedStore,
  versionedStore,
  windowStore,
} from 'millstream'
import { testDriver } from 'millstream/testing'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const same = <_T extends true>(): void => undefined

const rates = topic('rates', { key: string, value: nullable(int64) })
const orders = topic('orders', { key: string, value: string })
const history = versionedStore('history', { key: string, value: int64, historyMs: 60_000 })
const waiting = store('waiting', { key: string, value: string })

const joined = topology('joined', (t) => {
  const table = t.table(rates, history)
  same<Equal<typeof table, TableStream<string, number, null>>>()
  const stream = t.stream(orders)
  const found = stream.leftJoin(table, (text, rate) => [text, rate] as const, { graceMs: 5, store: waiting })
  same<Equal<typeof found, RecordStream<string, readonly [string, number | undefined]>>>()
  // @ts-expect-error texts wait, and the store takes numbers
  stream.join(table, (text) => text, { graceMs: 5, store: store('other', { key: string, value: int64 }) })
  // @ts-expect-error where they wait is missing
  stream.join(table, (text) => text, { graceMs: 5 })
  // @ts-expect-error the table has numbers
  t.table(rates, versionedStore('texts', { key: string, value: string, historyMs: 5 }))
  // @ts-expect-error an aggregate is kept in a store without versions
  stream.groupByKey().count(history)
  stream.process({
    stores: { history },
    process(record, { stores }) {
      same<Equal<typeof stores.history, VersionedStore<string, number>>>()
      const rate = stores.history.asOf(record.key, record.timestamp)
      same<Equal<typeof rate, number | undefined>>()
      stores.history.put(record.key, 1, record.timestamp)
      // @ts-expect-error a version has a time
      stores.history.put(record.key, 1)
    },
  })
})

const _view: StoreOf<typeof history> = testDriver(joined).store(history)
// @ts-expect-error a number is no key
_view.get(1)

store('migrated', {
  key: string,
  value: string,
  version: 2,
  previous: int64,
  migrate(old, fromVersion) {
    same<Equal<typeof old, number>>()
    same<Equal<typeof fromVersion, number>>()
    return String(old)
  },
})
store('bytes', {
  key: string,
  value: int64,
  version: 2,
  migrate(old) {
    same<Equal<typeof old, Uint8Array>>()
    return old.length === 0 ? null : old.length
  },
})
// @ts-expect-error the values are numbers
store('texts', { key: string, value: int64, version: 2, migrate: () => 'text' })
// @ts-expect-error windows have a retention
windowStore('windows', { key: string, value: int64, ttlMs: 5 })
