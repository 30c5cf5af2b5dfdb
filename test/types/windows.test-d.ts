// What the types of windows allow and refuse. Nothing here runs: `tsc -p .` checks it, and a line under
// `@ts-expect-error` that compiles is an error.
import {
  hopping,
  int64,
  json,
  nullable,
  sessions,
  sliding,
  store,
  string,
  topic,
  topology,
  tumbling,
  unlimited,
  windowed,
  windowStore,
  type ReadOnlyWindowStore,
  type RecordStream,
  type StoreOf,
  type TableStream,
  type Windowed,
  type WindowedTable,
} from 'millstream'
import { testDriver } from 'millstream/testing'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const same = <_T extends true>(): void => undefined

const views = topic('views', { key: string, value: string })
const minute = tumbling({ sizeMs: 60_000, graceMs: 0 })
const counting = { key: string, value: int64 }
const counts = windowStore('counts', counting)
const texts = windowStore('texts', { key: string, value: string, retentionMs: 3_600_000 })
const perMinute = topic('per-minute', { key: windowed(string, minute), value: int64 })

// @ts-expect-error how long it waits is to be said
tumbling({ sizeMs: 1000 })
// @ts-expect-error hops have a length
hopping({ sizeMs: 1000, graceMs: 0 })

export const windows = topology('windows', (t) => {
  const grouped = t.stream(views).groupByKey().windowedBy(minute)
  const counted = grouped.count(counts, { emit: 'on-close' })
  const records = counted.toStream()
  same<Equal<typeof records, RecordStream<Windowed<string>, number>>>()
  records.to(perMinute)
  // @ts-expect-error the topic takes keys in windows
  records.to(topic('plain', { key: string, value: int64 }))
  // @ts-expect-error the topic takes texts
  records.to(topic('texts', { key: windowed(string, minute), value: string }))
  const late = counted.late()
  same<Equal<typeof late, RecordStream<string, string>>>()
  const early = counted.early({ everyMs: 1000 })
  same<Equal<typeof early, RecordStream<Windowed<string>, number>>>()
  // @ts-expect-error how often is to be said
  counted.early({})
  const long = counted.filter((count, { key, start }) => count > start && key !== '')
  same<Equal<typeof long, TableStream<Windowed<string>, number, null>>>()

  // @ts-expect-error no store of windows
  grouped.count(store('plain', { key: string, value: int64 }))
  // @ts-expect-error a store of windows
  t.stream(views).groupByKey().count(counts)
  // @ts-expect-error the store holds texts
  grouped.count(texts)
  // @ts-expect-error no such time
  grouped.count(counts, { emit: 'sometimes' })
  // @ts-expect-error the store holds other keys
  grouped.count(windowStore('by-number', { key: int64, value: int64 }))
  grouped.reduce(texts, (left, right) => left + right)
  grouped.aggregate(windowStore('lists', { key: string, value: json<string[]>() }), {
    initial: () => [],
    add: ({ value }, list) => [...list, value],
  })
  grouped.aggregate(windowStore('sums', { key: string, value: nullable(int64) }), {
    initial: () => 0,
    // @ts-expect-error the store holds numbers
    add: ({ value }) => value,
  })

  const slid = t
    .stream(views)
    .groupByKey()
    .windowedBy(sliding({ sizeMs: 1000, graceMs: 0 }))
  const perSlide = slid.count(windowStore('slides', { key: string, value: int64 }))
  same<Equal<typeof perSlide, WindowedTable<string, number, string>>>()
  // @ts-expect-error a window and a session are two things
  t.stream(views).groupByKey().windowedBy({ sizeMs: 1000, graceMs: 0 })

  const endless = unlimited({ startMs: 1000 })
  const inAll = t.stream(views).groupByKey().windowedBy(endless).count(windowStore('all', counting))
  same<Equal<typeof inAll, WindowedTable<string, number, string>>>()
  inAll.toStream().to(topic('in-all', { key: windowed(string, endless), value: int64 }))

  const visits = sessions({ gapMs: 1000, graceMs: 0 })
  const inSessions = t.stream(views).groupByKey().windowedBy(visits)
  const perVisit = inSessions.count(windowStore('visits', { key: string, value: int64 }))
  same<Equal<typeof perVisit, WindowedTable<string, number, string, null>>>()
  const visitsSoFar = perVisit.early({ everyMs: 1000 })
  same<Equal<typeof visitsSoFar, RecordStream<Windowed<string>, number | null>>>()
  // @ts-expect-error a session that is joined with another one is taken out: null
  perVisit.toStream().to(topic('per-visit', { key: windowed(string, visits), value: int64 }))
  // @ts-expect-error sessions that become one have to be put together
  inSessions.aggregate(windowStore('others', { key: string, value: int64 }), {
    initial: () => 0,
    add: () => 1,
  })

  t.stream(views).process({
    stores: { counts },
    process: (record, { stores }) => {
      same<Equal<typeof stores.counts, ReadOnlyWindowStore<string, number>>>()
      const count = stores.counts.get(record.key, 0)
      same<Equal<typeof count, number | undefined>>()
      // @ts-expect-error it is only read
      stores.counts.put(record.key, 1)
    },
  })
})

const _view: StoreOf<typeof counts> = testDriver(windows).store(counts)
// @ts-expect-error a number is no key
_view.get(1, 0)
