// What the types of a topology allow and refuse. Nothing here runs: `tsc -p .` checks it, and a line under
// `@ts-expect-error` that compiles is an error.
import {
  bigint64,
  int64,
  json,
  nullable,
  output,
  processor,
  store,
  string,
  topic,
  topology,
  valueOutput,
  valueProcessor,
  type KeyValueStore,
  type Processor,
  type ProcessContext,
  type RecordStream,
  type Serde,
  type StreamRecord,
  type TableStream,
  type ValueProcessor,
} from 'millstream'
import { z } from 'zod'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const same = <_T extends true>(): void => undefined

const lines = topic('lines', { key: string, value: string })
const counts = topic('counts', { key: string, value: int64 })
const totals = store('counts', { key: string, value: int64 })
const byNumber = topic('by-number', { key: int64, value: string })

const order = z.object({ id: z.string(), at: z.string().transform((text) => new Date(text)) })
const orders = topic('orders', { key: string, value: order })

export const handles = (): void => {
  same<
    Equal<Parameters<NonNullable<typeof orders.accepts>>, [key: string, value: { id: string; at: string }]>
  >()
  same<Equal<typeof orders.value, Serde<{ id: string; at: Date }, { id: string; at: string }>>>()
  same<Equal<(typeof totals)['name'], 'counts'>>()
  const optional = nullable(string)
  same<Equal<typeof optional, Serde<string | null>>>()
  const claimed = json<{ a: number }>()
  same<Equal<typeof claimed, Serde<{ a: number }>>>()
  topic('with-time', { key: string, value: order, timestamp: (record) => record.value.at.getTime() })
  // @ts-expect-error a timestamp is a number
  topic('with-time', { key: string, value: order, timestamp: (record) => record.value.at })
  // @ts-expect-error neither a serde nor a schema
  topic('no-serde', { key: string, value: 'string' })
}

// The example of the design as it stands there.
export const wordCount = topology('word-count', (t) => {
  t.stream(lines)
    .flatMapValues((line) => line.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [])
    .groupBy((record) => record.value, { name: 'by-word', key: string, value: string })
    .count(totals)
    .toStream()
    .to(counts)
})

export const operators = topology('operators', (t) => {
  const stream = t.stream(lines)
  same<Equal<typeof stream, RecordStream<string, string>>>()
  const lengths = stream.mapValues((value, record) => value.length + record.timestamp)
  same<Equal<typeof lengths, RecordStream<string, number>>>()
  const mapped = stream.map((record) => ({ key: record.value.length, value: record.key }))
  same<Equal<typeof mapped, RecordStream<number, string>>>()
  const asRecord = stream.map((record) => record.withKey(1).withValue(true))
  same<Equal<typeof asRecord, RecordStream<number, boolean>>>()
  const flat = stream.flatMap((record) => [{ key: 1, value: record.value, timestamp: 0 }])
  same<Equal<typeof flat, RecordStream<number, string>>>()
  const selected = stream.selectKey((record) => record.value.length)
  same<Equal<typeof selected, RecordStream<number, string>>>()
  const { short, rest } = stream.branch({ short: (record) => record.value.length < 3, rest: () => true })
  same<Equal<typeof short, RecordStream<string, string>>>()
  const merged = rest.merge(lengths)
  same<Equal<typeof merged, RecordStream<string, string | number>>>()
  const read = t.stream(orders)
  same<Equal<typeof read, RecordStream<string, { id: string; at: Date }>>>()

  selected.to(byNumber)
  // @ts-expect-error the sink takes numbers as values
  stream.to(counts)
  // @ts-expect-error the sink takes numbers as keys
  stream.to(byNumber)
  // @ts-expect-error the stream may hold numbers, which this sink does not take
  merged.to(lines)
  // @ts-expect-error what was read (a Date) is not what may be written (text)
  read.to(orders)
  read.mapValues((value) => ({ ...value, at: value.at.toISOString() })).to(orders)
  // @ts-expect-error null is not meant in this topic
  stream.mapValues((value) => (value === '' ? null : value)).to(lines)
  stream
    .mapValues((value) => (value === '' ? null : value))
    .to(topic('maybe', { key: string, value: nullable(string) }))
  // @ts-expect-error a predicate answers a boolean
  stream.filter(async () => true)
  // @ts-expect-error the unknown branch
  stream.branch({ a: () => true }).b
  stream.to((record) => (record.value === '' ? lines : otherLines), { topics: [lines, otherLines] })
  // @ts-expect-error a chooser has topics
  stream.to(() => lines)
  // @ts-expect-error the chooser may pick a topic that takes other values
  stream.to((record) => (record.value === '' ? lines : counts), { topics: [lines, counts] })
})

const otherLines = topic('other-lines', { key: string, value: string })

export const groups = topology('groups', (t) => {
  const stream = t.stream(lines)
  const grouped = stream.groupBy((record) => record.value.length, {
    name: 'by-length',
    key: int64,
    value: string,
  })
  // @ts-expect-error the serde of the key is not that of what the function answers
  stream.groupBy((record) => record.value, { name: 'wrong-key', key: int64, value: string })
  // @ts-expect-error the serde of the value cannot write the values of the stream
  stream.groupBy((record) => record.value, { name: 'wrong-value', key: string, value: int64 })
  // @ts-expect-error the serde of the key cannot write the keys of the stream
  stream.repartition({ name: 'wrong-key', key: int64, value: string })
  // @ts-expect-error the store has keys of another type
  grouped.count(totals)
  // @ts-expect-error a count is a number, not a bigint
  stream.groupByKey().count(store('big', { key: string, value: bigint64 }))
  const counted = stream.groupByKey().count(totals).toStream()
  same<Equal<typeof counted, RecordStream<string, number>>>()
  stream
    .groupByKey()
    .reduce(store('longest', { key: string, value: string }), (longest, value) =>
      value.length > longest.length ? value : longest,
    )
  // @ts-expect-error reduce keeps values of the stream
  stream.groupByKey().reduce(totals, (left) => left)
  const sums = store('sums', { key: string, value: z.object({ sum: z.number() }) })
  const aggregated = stream.groupByKey().aggregate(sums, {
    initial: () => ({ sum: 0 }),
    add: (record, aggregate) => ({ sum: aggregate.sum + record.value.length }),
  })
  const changes = aggregated.toStream()
  same<Equal<typeof changes, RecordStream<string, { sum: number }>>>()
  // @ts-expect-error the aggregate is an object with a sum
  stream.groupByKey().aggregate(sums, { initial: () => 0, add: (record) => record.value.length })
  const repartitioned = stream.selectKey(() => 1).groupByKey({ name: 'by-one', key: int64, value: string })
  repartitioned.count(store('ones', { key: int64, value: int64 }))
})

const prices = topic('prices', { key: string, value: nullable(int64) })
const kept = store('prices', { key: string, value: int64 })

export const tables = topology('tables', (t) => {
  const stream = t.stream(lines)
  const table = t.table(prices, kept)
  same<Equal<typeof table, TableStream<string, number, null>>>()
  // A table whose keys may be taken out again says so; an aggregate of a stream never takes one out.
  const changes = table.toStream()
  same<Equal<typeof changes, RecordStream<string, number | null>>>()
  // @ts-expect-error a row that is taken out is a null, which this topic does not take
  changes.to(counts)
  changes.to(prices)
  const counted = stream.groupByKey().count(totals)
  same<Equal<typeof counted, TableStream<string, number>>>()
  counted.toStream().to(counts)

  const few = counted.filter((count, key) => count < key.length)
  same<Equal<typeof few, TableStream<string, number, null>>>()
  const texts = counted.mapValues((count) => String(count))
  same<Equal<typeof texts, TableStream<string, string>>>()
  const inner = table.join(texts, (price, text) => `${text}${price.toFixed(2)}`)
  same<Equal<typeof inner, TableStream<string, string, null>>>()
  // @ts-expect-error the other side may be absent
  table.leftJoin(texts, (_price, text) => text.length)
  // @ts-expect-error either side may be absent
  table.outerJoin(texts, (price) => price.toFixed(2))
  // @ts-expect-error the store holds numbers
  table.mapValues((price) => String(price), store('texts', { key: string, value: int64 }))

  const byNumberRows = t.table(byNumber, store('numbered', { key: int64, value: string }))
  const foreign = { name: 'foreign', foreignKey: int64, value: string } as const
  const looked = table.foreignKeyJoin(
    byNumberRows,
    (price) => price,
    (price, name) => `${price}${name}`,
    {
      ...foreign,
      store: store('looked', { key: string, value: string }),
    },
  )
  same<Equal<typeof looked, TableStream<string, string, null>>>()
  table.foreignKeyJoin(
    byNumberRows,
    // @ts-expect-error the keys of the other table are numbers
    (_price, key) => key,
    (price) => price,
    { ...foreign, store: store('looked', { key: string, value: int64 }) },
  )
  table.foreignKeyLeftJoin(
    byNumberRows,
    (price) => price,
    // @ts-expect-error there may be no such row
    (_price, name) => name.length,
    { ...foreign, store: store('looked', { key: string, value: int64 }) },
  )

  const priced = stream.join(table, (line, price, record) => line.length * price + record.timestamp)
  same<Equal<typeof priced, RecordStream<string, number>>>()
  // @ts-expect-error there may be no row
  stream.leftJoin(table, (_line, price) => price + 1)
  // @ts-expect-error the keys are not of one type
  t.stream(byNumber).join(table, (_line, price) => price)

  const grouped = table.groupBy((price, key) => ({ key: price, value: key }), {
    name: 'by-price',
    key: int64,
    value: string,
  })
  grouped.count(store('by-price', { key: int64, value: int64 }))
  // @ts-expect-error the repartition topic takes strings as values
  table.groupBy((price, key) => ({ key, value: price }), { name: 'wrong', key: string, value: string })
  // @ts-expect-error what is taken in has to be taken out again
  grouped.reduce(store('longest', { key: int64, value: string }), { add: (left) => left })
  const renamed = grouped.reduce(store('longest', { key: int64, value: string }), {
    add: (longest, value) => (value.length > longest.length ? value : longest),
    subtract: (longest) => longest,
  })
  same<Equal<typeof renamed, TableStream<number, string, null>>>()
})

const split = processor({
  stores: [totals],
  outputs: { accepted: output<string, number>(), rejected: output<string, string>() },
  init({ schedule, stores, forward, streamTime }) {
    schedule(1000, 'wall-clock', (timestamp) => {
      const total = stores.counts.get('a')
      same<Equal<typeof total, number | undefined>>()
      same<Equal<typeof streamTime, number>>()
      same<Equal<typeof timestamp, number>>()
      forward
    })
  },
  process(record: StreamRecord<string, string>, { stores, forward, metadata }) {
    same<Equal<typeof stores.counts, KeyValueStore<string, number>>>()
    forward('accepted', record.withValue(stores.counts.get(record.key) ?? 0))
    forward('rejected', record)
    // @ts-expect-error not declared
    forward('unknown', record)
    // @ts-expect-error the output carries numbers
    forward('accepted', record)
    // @ts-expect-error not declared
    stores.other
    // @ts-expect-error the store holds numbers
    stores.counts.put(record.key, 'one')
    const offset = metadata?.offset
    same<Equal<typeof offset, number | undefined>>()
  },
})

class Doubler
  implements
    Processor<string, number, { readonly sums: typeof totals }, ReturnType<typeof output<string, number>>>
{
  process = (
    record: StreamRecord<string, number>,
    {
      stores,
      forward,
    }: ProcessContext<{ readonly sums: typeof totals }, ReturnType<typeof output<string, number>>>,
  ): void => {
    stores.sums.put(record.key, record.value)
    forward(record.withValue(record.value * 2))
  }
}

export const processors = topology('processors', (t) => {
  const stream = t.stream(lines)
  const { accepted, rejected } = stream.process(split)
  same<Equal<typeof accepted, RecordStream<string, number>>>()
  same<Equal<typeof rejected, RecordStream<string, string>>>()
  // @ts-expect-error the processor takes strings
  accepted.process(split)
  const doubled = accepted.process({
    stores: { sums: totals },
    outputs: output<string, number>(),
    create: () => new Doubler(),
  })
  same<Equal<typeof doubled, RecordStream<string, number>>>()
  const nothing = stream.process({
    process(record, { forward }) {
      same<Equal<typeof record, StreamRecord<string, string>>>()
      same<Equal<typeof forward, never>>()
    },
  })
  same<Equal<typeof nothing, undefined>>()
  const inline = stream.process({
    stores: { sums: totals },
    outputs: output<string, number>(),
    process(record, { stores, forward }) {
      forward(record.withValue(stores.sums.get(record.key) ?? 0))
      // @ts-expect-error the output carries numbers
      forward(record)
    },
  })
  same<Equal<typeof inline, RecordStream<string, number>>>()
})

export const partitioners = topology('partitioners', (t) => {
  const stream = t.stream(lines)
  stream.to(lines, { partition: ({ key, value }, partitions) => (key.length + value.length) % partitions })
  stream.to(lines, {
    partition: (_, partitions) => Array.from({ length: partitions }, (_one, index) => index),
  })
  stream.to(lines, {})
  stream.to(() => lines, { topics: [lines], partition: () => [] })
  // @ts-expect-error a partition is a number
  stream.to(lines, { partition: ({ key }) => key })
  // @ts-expect-error nothing is no partition: an empty list leaves the record out
  stream.to(lines, { partition: () => undefined })
  // @ts-expect-error a chooser needs its topics
  stream.to(() => lines, { partition: () => 0 })
})

export const valueProcessors = topology('value-processors', (t) => {
  const stream = t.stream(lines)
  const lengths = stream.processValues({
    stores: { totals },
    outputs: valueOutput<number>(),
    process(record, { stores, forward, streamTime }) {
      same<Equal<typeof record, StreamRecord<string, string>>>()
      stores.totals.put(record.key, streamTime)
      forward(record.value.length)
      forward(1, { timestamp: 5, headers: [] })
      // @ts-expect-error a value of another type
      forward(record.value)
      // @ts-expect-error it answers values: a record has a key of its own
      forward(record.withValue(1))
      // @ts-expect-error there is no key to change
      forward(1, { key: 'other' })
      // @ts-expect-error the store is not declared
      stores.others
    },
  })
  same<Equal<typeof lengths, RecordStream<string, number>>>()
  lengths.groupByKey().count(totals)
  const { even, odd } = stream.processValues({
    outputs: { even: valueOutput<number>(), odd: valueOutput<string>() },
    process({ value }, { forward }) {
      forward('even', 2)
      forward('odd', value, { timestamp: 1 })
      // @ts-expect-error odd carries strings
      forward('odd', 1)
      // @ts-expect-error no such output
      forward('other', 1)
    },
  })
  same<Equal<typeof even, RecordStream<string, number>>>()
  same<Equal<typeof odd, RecordStream<string, string>>>()
  const nothing = stream.processValues({
    process(_, { forward }) {
      same<Equal<typeof forward, never>>()
    },
  })
  same<Equal<typeof nothing, undefined>>()
  class Lengths implements ValueProcessor<string, string, unknown, ReturnType<typeof valueOutput<number>>> {
    process(): void {}
  }
  const apart = valueProcessor({ outputs: valueOutput<number>(), create: () => new Lengths() })
  const fromApart = stream.processValues(apart)
  same<Equal<typeof fromApart, RecordStream<string, number>>>()
  // @ts-expect-error an output of processValues has no type of keys
  stream.processValues({ outputs: output<string, number>(), process: () => undefined })
  // @ts-expect-error an output of process has one
  stream.process({ outputs: valueOutput<number>(), process: () => undefined })
})

export const asynchronous = topology('asynchronous', (t) => {
  const stream = t.stream(lines)
  const mapped = stream.mapValuesAsync(async (value, record, signal) => {
    same<Equal<typeof value, string>>()
    same<Equal<typeof record, StreamRecord<string, string>>>()
    same<Equal<typeof signal, AbortSignal>>()
    return await Promise.resolve(value.length)
  })
  same<Equal<typeof mapped, RecordStream<string, number>>>()
  const atOnce = stream.mapValuesAsync((value) => value.length, { inFlightMax: 5, timeoutMs: 10, name: 'x' })
  same<Equal<typeof atOnce, RecordStream<string, number>>>()
  const asked = stream.processAsync({
    stores: { totals },
    outputs: output<string, number>(),
    call: async ({ value }, signal) => ({ length: value.length, late: signal.aborted }),
    process(answer, record, { stores, forward }) {
      same<Equal<typeof answer, { length: number; late: boolean }>>()
      same<Equal<typeof record, StreamRecord<string, string>>>()
      stores.totals.put(record.key, answer.length)
      forward(record.withValue(answer.length))
      // @ts-expect-error the output carries numbers
      forward(record)
    },
  })
  same<Equal<typeof asked, RecordStream<string, number>>>()
  const nothing = stream.processAsync({ call: async ({ value }) => value, process: () => undefined })
  same<Equal<typeof nothing, undefined>>()
  // @ts-expect-error a call has no stores
  stream.processAsync({ call: (_record, _signal, { stores }) => stores, process: () => undefined })
})
