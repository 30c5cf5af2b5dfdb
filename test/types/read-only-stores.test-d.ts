// What the types of read-only stores allow and refuse. Nothing here runs: `tsc -p .` checks it, and a line under
// `@ts-expect-error` that compiles is an error.
import {
  int64,
  nullable,
  type ReadOnlyKeyValueStore,
  readOnlyStore,
  store,
  type StoreOf,
  string,
  topic,
  topology,
} from 'millstream'
import { testDriver } from 'millstream/testing'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const same = <_T extends true>(): void => undefined

const prices = topic('prices', { key: string, value: nullable(int64) })
const rows = readOnlyStore('prices', { key: string, value: int64 })
const texts = readOnlyStore('texts', { key: string, value: string })
// @ts-expect-error it has no changelog of its own
readOnlyStore('settings', { key: string, value: int64, changelog: {} })
// @ts-expect-error nor versions of it
readOnlyStore('versions', { key: string, value: int64, version: 2 })

export const shop = topology('shop', (t) => {
  t.readOnlyStore(prices, { store: rows })
  // @ts-expect-error the store holds texts
  t.readOnlyStore(prices, { store: texts })
  // @ts-expect-error a store that processors write
  t.readOnlyStore(prices, { store: store('plain', { key: string, value: int64 }) })
  // @ts-expect-error it is filled by its topic alone
  t.table(prices, rows)
  const stream = t.stream(topic('orders', { key: string, value: string }))
  // @ts-expect-error it is filled by its topic alone
  stream.groupByKey().count(rows)
  stream.process({
    stores: { rows },
    process(_, { stores }) {
      same<Equal<typeof stores.rows, ReadOnlyKeyValueStore<string, number, string>>>()
      // @ts-expect-error it is read only
      stores.rows.put('a', 1)
    },
  })
  t.readOnlyStore(topic('more', { key: string, value: string }), {
    store: readOnlyStore('sums', { key: string, value: int64 }),
    process({ key, value }, sum) {
      sum.put(key, (sum.get(key) ?? 0) + value.length)
      // @ts-expect-error it holds numbers
      sum.put(key, value)
    },
  })
})

same<Equal<StoreOf<typeof rows>, ReadOnlyKeyValueStore<string, number, string>>>()

const driver = testDriver(shop)
driver.input(prices).send('a', null)
same<Equal<ReturnType<typeof readRows>, number | undefined>>()
const readRows = (): number | undefined => driver.store(rows).get('a')
// @ts-expect-error it is filled from its topic
driver.store(rows).put('a', 1)
// @ts-expect-error it has no changelog
driver.changelog(rows)
