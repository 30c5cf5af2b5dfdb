// What each operator of the comparison is in millstream. Operators.java says the same in Kafka Streams, under the same
// names.
import {
  type GlobalTable,
  globalStore,
  type GroupedStream,
  hopping,
  int64,
  joinStore,
  nullable,
  type RecordStream,
  type Serde,
  sessions,
  sliding,
  store,
  string,
  type TableStream,
  type Topology,
  topic,
  topology,
  tumbling,
  unlimited,
  untilTimeLimit,
  untilWindowCloses,
  versionedStore,
  type Windowed,
  windowed,
  windowStore,
  within,
} from '../../src/index.ts'

import { firstMs, type Layout, within as partners } from './input.ts'
import type { Compared } from './results.ts'

export interface Operator {
  /** Whether its result hangs on the grace. */
  readonly grace?: true
  readonly input: Layout
  /** A topic beside the input that a global table holds: written before, so that every record meets the same rows. */
  readonly rows?: Layout
  readonly compared: Compared
  build(scope: Scope): void
}

/** The input of an operator in its parts, and its output in its serdes. */
interface Scope {
  readonly graceMs: number
  grouped(): GroupedStream<string, string | null>
  left(): RecordStream<string | null, string | null>
  right(): RecordStream<string | null, string | null>
  leftTable(): TableStream<string, string, null>
  rightTable(kept?: typeof versions): TableStream<string, string, null>
  globalTable(): GlobalTable<string, string>
  /** A reduced value of each key, there for some of its values and gone for others. */
  someSums(): TableStream<string, string | null, null>
  texts<K extends string | null, V extends string | null>(results: RecordStream<K, V>): void
  counts<V extends number | null>(results: RecordStream<string, V>): void
  windowed<V>(results: RecordStream<Windowed<string>, V>, windows: WindowLength, value: Serde<V>): void
}

type WindowLength = Parameters<typeof windowed>[1]

const tailCharacters = 40
const foreignKeys = 50

/** Both, one after the other, of which the end is kept: says which values came, and in which order. */
const tail = (one: string | null, other: string | null): string => `${one}${other}`.slice(-tailCharacters)

const both = (left: string | null | undefined, right: string | null | undefined): string =>
  `${left ?? null}+${right ?? null}`

const seedOf = (key: string): string => key.slice(0, key.indexOf('-') + 1)
const groupOf = (key: string, value: string): string => `${seedOf(key)}g${Number(value) % 10}`
const foreignKeyOf = (value: string, key: string): string | null =>
  Number(value) % 11 === 0 ? null : `${seedOf(key)}k${Number(value) % foreignKeys}`

const rowOf = ({
  key,
  value,
}: {
  readonly key: string | null
  readonly value: string | null
}): string | null => (key === null || value === null ? null : foreignKeyOf(value, key))

const texts = { key: string, value: string }
const counts = { key: string, value: int64 }
const keptTexts = store('kept', texts)
const keptNullable = store('kept', { key: string, value: nullable(string) })
const keptCounts = store('kept', counts)
/** As long as on the other side, where the least retention hides windows that are needed yet (docs/dsl.md). */
const retentionMs = 600_000
const textsForLong = windowStore('kept', { ...texts, retentionMs })
const countsForLong = windowStore('kept', { ...counts, retentionMs })
const textsOfWindows = windowStore('kept', texts)
const nullableOfWindows = windowStore('kept', { key: string, value: nullable(string) })
const countsOfWindows = windowStore('kept', counts)
const nullableText = nullable(string)
const nullableCount = nullable(int64)

/** Of values that end in a digit, those of 0 to 6. */
const isKept = (sum: string | null): boolean => !/[789]$/.test(`${sum}`)

const foldTexts = {
  initial: () => '',
  add: ({ value }: { readonly value: string | null }, sum: string) => tail(sum, value),
}

/** A record of the one input of a cogroup is put behind what was there, one of the other before it. */
const addLeft = ({ value }: { readonly value: string | null }, sum: string): string => tail(sum, value)
const addRight = ({ value }: { readonly value: string | null }, sum: string): string => tail(value, sum)

const versions = versionedStore('right', { ...texts, historyMs: 300 })
const met = joinStore('kept', { key: string, left: string, right: string })

const withinOf = (graceMs: number) => within({ ...partners, graceMs })
const tumblingOf = (graceMs: number) => tumbling({ sizeMs: 200, graceMs })
const hoppingOf = (graceMs: number) => hopping({ sizeMs: 300, advanceMs: 100, graceMs })
const slidingOf = (graceMs: number) => sliding({ sizeMs: 150, graceMs })
const sessionsOf = (graceMs: number) => sessions({ gapMs: 60, graceMs })
/** Some records are before it; the Java side has the same. */
export const unlimitedFromMs: number = firstMs + 200
const endless = unlimited({ startMs: unlimitedFromMs })
const onClose = { emit: 'on-close' } as const
const heldMs = 100
/** Below what comes within that time. */
const heldMax = 15
const heldTexts = { name: 'held', key: string, value: nullableText }
const startEmpty = { initial: () => '' }

const sequences = { input: 'by-seed', compared: 'sequences' } as const
/**
 * Kafka Streams tells a null where nothing was, a result again when a side of a join goes from nothing to nothing, and a
 * sliding window twice that ends with a record and begins right after another.
 */
const changes = { input: 'by-seed', compared: 'changes' } as const
const windows = { ...sequences, grace: true } as const
/** Left and outer joins of streams are equal where no record is later than its partners may be (decision 0020). */
const alone = { input: 'nearly-in-order', compared: 'sets', grace: true } as const
/** Keys of a global table that was written before; nothing in them changes. */
const global = { ...sequences, rows: 'by-key' } as const
/** Rows that are written as they are: only Kafka Streams tells them again. */
const rows = { input: 'by-key', compared: 'values' } as const
/** Rows travel through topics of several partitions to their group or partner, and meet others there in any order. */
const final = { input: 'by-key', compared: 'final' } as const

const foreignKeyOptions = {
  name: 'foreign',
  foreignKey: string,
  value: string,
  store: keptTexts,
}

export const operators: Readonly<Record<string, Operator>> = {
  count: {
    ...sequences,
    build: ({ grouped, counts: to }) => to(grouped().count(keptCounts).toStream()),
  },
  reduce: {
    ...sequences,
    build: ({ grouped, texts: to }) => to(grouped().reduce(keptNullable, tail).toStream()),
  },
  aggregate: {
    ...sequences,
    build: ({ grouped, texts: to }) => to(grouped().aggregate(keptTexts, foldTexts).toStream()),
  },
  cogroup: {
    ...sequences,
    build: ({ left, right, texts: to }) =>
      to(
        left()
          .groupByKey()
          .cogroup(addLeft)
          .cogroup(right().groupByKey(), addRight)
          .aggregate(store('kept', { key: nullableText, value: string }), startEmpty)
          .toStream(),
      ),
  },
  'tumbling-count': {
    ...windows,
    build({ graceMs, grouped, windowed: to }) {
      const lengths = tumblingOf(graceMs)
      to(grouped().windowedBy(lengths).count(countsOfWindows).toStream(), lengths, int64)
    },
  },
  'tumbling-reduce': {
    ...changes,
    grace: true,
    build({ graceMs, grouped, windowed: to }) {
      const lengths = tumblingOf(graceMs)
      to(grouped().windowedBy(lengths).reduce(nullableOfWindows, tail).toStream(), lengths, nullableText)
    },
  },
  'tumbling-on-close': {
    ...windows,
    build({ graceMs, grouped, windowed: to }) {
      const lengths = tumblingOf(graceMs)
      to(
        grouped().windowedBy(lengths).aggregate(textsForLong, foldTexts, onClose).toStream(),
        lengths,
        string,
      )
    },
  },
  'hopping-aggregate': {
    ...windows,
    build({ graceMs, grouped, windowed: to }) {
      const lengths = hoppingOf(graceMs)
      to(grouped().windowedBy(lengths).aggregate(textsOfWindows, foldTexts).toStream(), lengths, string)
    },
  },
  'hopping-on-close': {
    ...windows,
    build({ graceMs, grouped, windowed: to }) {
      const lengths = hoppingOf(graceMs)
      to(grouped().windowedBy(lengths).count(countsForLong, onClose).toStream(), lengths, int64)
    },
  },
  'tumbling-suppress': {
    ...windows,
    build({ graceMs, grouped, windowed: to }) {
      const lengths = tumblingOf(graceMs)
      const kept = { name: 'held', key: windowed(string, lengths), value: string }
      const table = grouped().windowedBy(lengths).aggregate(textsOfWindows, foldTexts)
      to(table.suppress(untilWindowCloses(), kept).toStream(), lengths, string)
    },
  },
  // Both inputs get every record: Kafka Streams has a stream time for each (decision 0021).
  'tumbling-cogroup': {
    ...windows,
    build({ graceMs, grouped, windowed: to }) {
      const lengths = tumblingOf(graceMs)
      const records = grouped()
      const inWindows = records.cogroup(addLeft).cogroup(records, addRight).windowedBy(lengths)
      to(inWindows.aggregate(textsOfWindows, startEmpty).toStream(), lengths, string)
    },
  },
  'sliding-aggregate': {
    ...changes,
    grace: true,
    build({ graceMs, grouped, windowed: to }) {
      const lengths = slidingOf(graceMs)
      to(grouped().windowedBy(lengths).aggregate(textsForLong, foldTexts).toStream(), lengths, string)
    },
  },
  'sliding-on-close': {
    ...windows,
    build({ graceMs, grouped, windowed: to }) {
      const lengths = slidingOf(graceMs)
      to(grouped().windowedBy(lengths).count(countsForLong, onClose).toStream(), lengths, int64)
    },
  },
  'session-count': {
    ...windows,
    build({ graceMs, grouped, windowed: to }) {
      const lengths = sessionsOf(graceMs)
      to(grouped().windowedBy(lengths).count(countsOfWindows).toStream(), lengths, nullableCount)
    },
  },
  'session-aggregate': {
    ...windows,
    build({ graceMs, grouped, windowed: to }) {
      const lengths = sessionsOf(graceMs)
      const fold = { ...foldTexts, merge: tail }
      to(grouped().windowedBy(lengths).aggregate(textsOfWindows, fold).toStream(), lengths, nullableText)
    },
  },
  'session-on-close': {
    ...windows,
    build({ graceMs, grouped, windowed: to }) {
      const lengths = sessionsOf(graceMs)
      to(grouped().windowedBy(lengths).count(countsForLong, onClose).toStream(), lengths, nullableCount)
    },
  },
  'unlimited-count': {
    ...sequences,
    build: ({ grouped, windowed: to }) =>
      to(grouped().windowedBy(endless).count(countsOfWindows).toStream(), endless, int64),
  },
  table: {
    ...rows,
    build: ({ leftTable, texts: to }) => to(leftTable().toStream()),
  },
  'table-filter': {
    ...rows,
    build: ({ leftTable, texts: to }) =>
      to(
        leftTable()
          .filter((value) => Number(value) % 3 !== 0)
          .toStream(),
      ),
  },
  'table-aggregate': {
    ...final,
    build: ({ leftTable, counts: to }) =>
      to(
        leftTable()
          .groupBy((value, key) => ({ key: groupOf(key, value), value }), { name: 'groups', ...texts })
          .aggregate(keptCounts, {
            initial: () => 0,
            add: ({ value }, sum) => sum + Number(value),
            subtract: ({ value }, sum) => sum - Number(value),
          })
          .toStream(),
      ),
  },
  'table-suppress': {
    ...sequences,
    build: ({ someSums, texts: to }) =>
      to(
        someSums()
          .suppress(untilTimeLimit({ waitMs: heldMs }), heldTexts)
          .toStream(),
      ),
  },
  'table-suppress-limit': {
    ...sequences,
    build: ({ someSums, texts: to }) =>
      to(
        someSums()
          .suppress(untilTimeLimit({ waitMs: heldMs, recordsMax: heldMax }), heldTexts)
          .toStream(),
      ),
  },
  'stream-table-join': {
    ...sequences,
    build: ({ left, rightTable, texts: to }) => to(left().join(rightTable(), both)),
  },
  'stream-table-left-join': {
    ...sequences,
    build: ({ left, rightTable, texts: to }) => to(left().leftJoin(rightTable(), both)),
  },
  'stream-versioned-join': {
    ...sequences,
    build: ({ left, rightTable, texts: to }) => to(left().join(rightTable(versions), both)),
  },
  'stream-versioned-join-grace': {
    ...windows,
    build: ({ graceMs, left, rightTable, texts: to }) =>
      to(left().join(rightTable(versions), both, { graceMs, store: store('waiting', texts) })),
  },
  'stream-global-join': {
    ...global,
    build: ({ left, globalTable, texts: to }) => to(left().joinGlobal(globalTable(), rowOf, both)),
  },
  'stream-global-left-join': {
    ...global,
    build: ({ left, globalTable, texts: to }) => to(left().leftJoinGlobal(globalTable(), rowOf, both)),
  },
  'stream-stream-join': {
    ...windows,
    build: ({ graceMs, left, right, texts: to }) => to(left().join(right(), both, withinOf(graceMs), met)),
  },
  'stream-stream-left-join': {
    ...alone,
    build: ({ graceMs, left, right, texts: to }) =>
      to(left().leftJoin(right(), both, withinOf(graceMs), met)),
  },
  'stream-stream-outer-join': {
    ...alone,
    build: ({ graceMs, left, right, texts: to }) =>
      to(left().outerJoin(right(), both, withinOf(graceMs), met)),
  },
  'table-table-join': {
    ...changes,
    build: ({ leftTable, rightTable, texts: to }) => to(leftTable().join(rightTable(), both).toStream()),
  },
  'table-table-left-join': {
    ...changes,
    build: ({ leftTable, rightTable, texts: to }) => to(leftTable().leftJoin(rightTable(), both).toStream()),
  },
  'table-table-outer-join': {
    ...changes,
    build: ({ leftTable, rightTable, texts: to }) => to(leftTable().outerJoin(rightTable(), both).toStream()),
  },
  'foreign-key-join': {
    ...final,
    build: ({ leftTable, rightTable, texts: to }) =>
      to(leftTable().foreignKeyJoin(rightTable(), foreignKeyOf, both, foreignKeyOptions).toStream()),
  },
  'foreign-key-left-join': {
    ...final,
    build: ({ leftTable, rightTable, texts: to }) =>
      to(leftTable().foreignKeyLeftJoin(rightTable(), foreignKeyOf, both, foreignKeyOptions).toStream()),
  },
}

const payload = (value: string | null): string | null =>
  value === null || value.length === 1 ? null : value.slice(1)

/** The operator between its topics, with windows that wait `graceMs` for late records. */
export const topologyOf = (
  operator: Operator,
  name: string,
  topics: { readonly input: string; readonly output: string; readonly rows: string },
  graceMs: number,
): Topology =>
  topology(name, (t) => {
    let read: RecordStream<string | null, string | null> | undefined
    const sides = (): RecordStream<string | null, string | null> => {
      read ??= t.stream(topic(topics.input, { key: nullableText, value: nullableText }))
      return read
    }
    // Records without a value are of the left side.
    const left = (): RecordStream<string | null, string | null> =>
      sides()
        .filter(({ value }) => value === null || value.startsWith('l'))
        .mapValues((value) => payload(value))
    const right = (): RecordStream<string | null, string | null> =>
      sides()
        .filter(({ value }) => value?.startsWith('r') === true)
        .mapValues((value) => payload(value))
    const grouped = (): GroupedStream<string, string | null> =>
      t.stream(topic(topics.input, { key: string, value: nullableText })).groupByKey()
    operator.build({
      graceMs,
      grouped,
      globalTable: () =>
        t.globalTable(topic(topics.rows, { key: string, value: nullableText }), {
          store: globalStore('rows', texts),
        }),
      someSums: () => grouped().reduce(keptNullable, tail).filter(isKept),
      left,
      leftTable: () => left().toTable(store('left', texts)),
      right,
      rightTable: (kept) => right().toTable(kept ?? store('right', texts)),
      texts: (results) => results.to(topic(topics.output, { key: nullableText, value: nullableText })),
      counts: (results) => results.to(topic(topics.output, { key: string, value: nullableCount })),
      windowed: (results, lengths, value) =>
        results.to(topic(topics.output, { key: windowed(string, lengths), value })),
    })
  })
