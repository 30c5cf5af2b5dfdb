// What the types of cogroup, suppress and emission allow and refuse. Nothing here runs: `tsc -p .` checks it, and a line
// under `@ts-expect-error` that compiles is an error.
import {
  int64,
  nullable,
  sessions,
  store,
  string,
  topic,
  topology,
  tumbling,
  untilTimeLimit,
  untilWindowCloses,
  windowed,
  windowStore,
  type TableStream,
  type Windowed,
  type WindowedTable,
} from 'millstream'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const same = <_T extends true>(): void => undefined

const views = topic('views', { key: string, value: string })
const prices = topic('prices', { key: string, value: nullable(int64) })
const rows = store('rows', { key: string, value: int64 })
const minute = tumbling({ sizeMs: 60_000, graceMs: 0 })
const visits = sessions({ gapMs: 1000, graceMs: 0 })
const counts = windowStore('counts', { key: string, value: int64 })
const held = { name: 'held', key: string, value: int64 }
const windowsHeld = { name: 'windows-held', key: windowed(string, minute), value: int64 }

export const suppressed = topology('suppressed', (t) => {
  const table = t.table(prices, rows, { emit: 'per-commit' })
  const limited = table.suppress(untilTimeLimit({ waitMs: 1 }), held)
  same<Equal<typeof limited, TableStream<string, number, null>>>()
  // @ts-expect-error it has no windows
  table.suppress(untilWindowCloses(), held)
  // @ts-expect-error its values are numbers
  table.suppress(untilTimeLimit({ waitMs: 1 }), { ...held, value: string })
  // @ts-expect-error its keys are texts
  table.suppress(untilTimeLimit({ waitMs: 1 }), { ...held, key: int64 })
  // @ts-expect-error how long it waits is to be said
  untilTimeLimit({})
  // @ts-expect-error it would tell what is not the last
  untilWindowCloses({ whenFull: 'emit' })

  const grouped = t.stream(views).groupByKey()
  const perVisit = grouped.windowedBy(visits).count(counts, { emit: 'per-commit' })
  const closed = perVisit.suppress(untilWindowCloses(), windowsHeld)
  // A session that is gone is not told, so that there is no null.
  same<Equal<typeof closed, TableStream<Windowed<string>, number>>>()
  // @ts-expect-error tables have no windows to close
  grouped.count(rows, { emit: 'on-close' })

  const both = grouped
    .cogroup((view, total: number) => total + view.value.length)
    .cogroup(t.stream(prices).groupByKey(), (price, total) => total + (price.value ?? 0))
  const totals = both.aggregate(rows, { initial: () => 0 })
  same<Equal<typeof totals, TableStream<string, number>>>()
  const perMinute = both.windowedBy(minute).aggregate(counts, { initial: () => 0 })
  same<Equal<typeof perMinute, WindowedTable<string, number, string | (number | null)>>>()
  // @ts-expect-error sessions that become one need a merge
  both.windowedBy(visits).aggregate(counts, { initial: () => 0 })
  // @ts-expect-error the store holds numbers
  both.aggregate(rows, { initial: () => '' })
  // @ts-expect-error the store holds texts
  both.aggregate(store('texts', { key: string, value: string }), { initial: () => 0 })
  // @ts-expect-error the aggregate is a number
  both.cogroup(grouped, (view, total) => `${total}${view.value}`)
})
