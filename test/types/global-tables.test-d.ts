// What the types of global tables allow and refuse. Nothing here runs: `tsc -p .` checks it, and a line under
// `@ts-expect-error` that compiles is an error.
import {
  globalStore,
  type GlobalTable,
  int64,
  nullable,
  type ReadOnlyKeyValueStore,
  type RecordStream,
  store,
  type StoreOf,
  string,
  topic,
  topology,
} from 'millstream'
import { testDriver } from 'millstream/testing'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const same = <_T extends true>(): void => undefined

const orders = topic('orders', { key: string, value: string })
const prices = topic('prices', { key: string, value: nullable(int64) })
const rows = globalStore('prices', { key: string, value: int64 })
const texts = globalStore('texts', { key: string, value: string })
// @ts-expect-error it has no changelog of its own
globalStore('settings', { key: string, value: int64, changelog: {} })

export const shop = topology('shop', (t) => {
  const table = t.globalTable(prices, { store: rows })
  same<Equal<typeof table, GlobalTable<string, number>>>()
  const stream = t.stream(orders)
  const inner = stream.joinGlobal(
    table,
    ({ value }) => value,
    (_, price) => price,
  )
  same<Equal<typeof inner, RecordStream<string, number>>>()
  const left = stream.leftJoinGlobal(
    table,
    ({ key }) => (key === '' ? null : key),
    (_, price) => price,
  )
  same<Equal<typeof left, RecordStream<string, number | undefined>>>()
  // @ts-expect-error the keys of the table are texts
  stream.joinGlobal(table, () => 7, String)
  // @ts-expect-error the store holds texts
  t.globalTable(prices, { store: texts })
  // @ts-expect-error a store of tasks
  t.globalTable(prices, { store: store('plain', { key: string, value: int64 }) })
  // @ts-expect-error a store of every worker
  t.table(prices, rows)
  // @ts-expect-error a store of every worker
  stream.groupByKey().count(rows)
  stream.process({
    stores: { rows },
    process(_, { stores }) {
      same<Equal<typeof stores.rows, ReadOnlyKeyValueStore<string, number, string>>>()
      // @ts-expect-error it is read only
      stores.rows.put('a', 1)
    },
  })
  const sums = t.globalStore(topic('more', { key: string, value: string }), {
    store: globalStore('sums', { key: string, value: int64 }),
    process({ key, value }, sum) {
      sum.put(key, (sum.get(key) ?? 0) + value.length)
      // @ts-expect-error it holds numbers
      sum.put(key, value)
    },
  })
  same<Equal<typeof sums, GlobalTable<string, number>>>()
})

same<Equal<StoreOf<typeof rows>, ReadOnlyKeyValueStore<string, number, string>>>()

const driver = testDriver(shop)
driver.input(prices).send('a', null)
same<Equal<ReturnType<typeof readRows>, number | undefined>>()
const readRows = (): number | undefined => driver.store(rows).get('a')
// @ts-expect-error it is fed from its topic
driver.store(rows).put('a', 1)
