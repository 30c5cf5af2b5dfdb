// What the types of stores that keep headers allow and refuse. Nothing here runs: `tsc -p .` checks it, and a line under
// `@ts-expect-error` that compiles is an error.
import {
  type HeadersStoreHandle,
  int64,
  type KeyValueStore,
  type KeyValueStoreWithHeaders,
  nullable,
  type RecordHeader,
  store,
  type StoreHandle,
  string,
  topic,
  topology,
  versionedStore,
  windowStore,
} from 'millstream'
import { testDriver } from 'millstream/testing'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const same = <_T extends true>(): void => undefined

const rates = topic('rates', { key: string, value: nullable(int64) })
const headed = store('headed', { key: string, value: int64, headers: true })
const plain = store('plain', { key: string, value: int64, headers: false })
same<Equal<typeof headed, HeadersStoreHandle<string, number, string, number, 'headed'>>>()
same<Equal<typeof plain, StoreHandle<string, number, string, number, 'plain'>>>()

const kept = topology('kept', (t) => {
  t.table(rates, headed)
  t.stream(rates).process({
    stores: { headed, plain },
    process(record, { stores }) {
      same<Equal<typeof stores.headed, KeyValueStoreWithHeaders<string, number>>>()
      same<Equal<typeof stores.plain, KeyValueStore<string, number>>>()
      stores.headed.put(record.key, 1)
      stores.headed.putEntry(record.key, { value: 1, headers: record.headers })
      for (const { timestamp, headers } of stores.headed.all())
        same<Equal<typeof headers, readonly RecordHeader[]> & Equal<typeof timestamp, number>>()
      // @ts-expect-error the values are numbers
      stores.headed.putEntry(record.key, { value: 'one' })
      // @ts-expect-error it keeps no headers
      stores.plain.getEntry(record.key)
    },
  })
})

testDriver(kept).store(headed).getEntry('a')?.headers.at(0)?.key.length
// @ts-expect-error windows keep none
windowStore('windows', { key: string, value: int64, headers: true })
// @ts-expect-error versions keep none
versionedStore('versions', { key: string, value: int64, historyMs: 5, headers: true })
