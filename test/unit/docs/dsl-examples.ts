// Every operator of the language in a few lines, with what goes in and what comes out. dsl-examples.test.ts runs them, and
// docs/dsl.md shows them as they stand here.
import { output, string } from '../../../src/index.ts'
import {
  type Example,
  example,
  named,
  names,
  numbers,
  out,
  priced,
  ranked,
  sectionOf,
  sums,
  texts,
  totals,
} from './dsl-parts.ts'
import { calendarExamples } from './dsl-calendar.ts'
import { openWindowExamples } from './dsl-open-windows.ts'
import { streamJoinExamples } from './dsl-stream-joins.ts'
import { windowExamples } from './dsl-windows.ts'

export const examples: readonly Example[] = [
  ...sectionOf('Record by record'),
  example(
    'filter, filterNot',
    'Keeps the records for which the predicate holds, or for which it does not.',
    (t) => {
      t.stream(texts)
        .filter(({ value }) => value.length > 3)
        .to(out)
    },
    [
      ['texts', 'a', 'to'],
      ['texts', 'a', 'long'],
    ],
    [['out', 'a', 'long']],
  ),
  example(
    'map',
    'Answers a new key and a new value. What is grouped or joined after it needs `repartition`, since the key changed.',
    (t) => {
      t.stream(texts)
        .map(({ key, value }) => ({ key: value, value: key }))
        .to(out)
    },
    [['texts', 'a', 'b']],
    [['out', 'b', 'a']],
  ),
  example(
    'mapValues',
    'Answers a new value; the key is kept, and with it the partition.',
    (t) => {
      t.stream(texts)
        .mapValues((value, record) => `${record.key}${value.toUpperCase()}`)
        .to(out)
    },
    [['texts', 'a', 'b']],
    [['out', 'a', 'aB']],
  ),
  example(
    'flatMap, flatMapValues',
    'Answers any number of records, or of values.',
    (t) => {
      t.stream(texts)
        .flatMapValues((value) => value.split(' '))
        .to(out)
    },
    [['texts', 'a', 'to be']],
    [
      ['out', 'a', 'to'],
      ['out', 'a', 'be'],
    ],
  ),
  example(
    'selectKey',
    'Answers a new key.',
    (t) => {
      t.stream(texts)
        .selectKey(({ value }) => value.slice(0, 1))
        .to(out)
    },
    [['texts', 'a', 'be']],
    [['out', 'b', 'be']],
  ),
  example(
    'peek, foreach',
    'Looks at each record; `foreach` ends the stream. Side effects may happen more than once: they are no part of the transaction.',
    (t) => {
      t.stream(texts)
        .peek(({ key }) => key.length)
        .to(out)
    },
    [['texts', 'a', 'b']],
    [['out', 'a', 'b']],
  ),
  example(
    'branch',
    'Sends each record to the first branch whose predicate holds.',
    (t) => {
      const { short, rest } = t.stream(texts).branch({
        short: ({ value }) => value.length < 3,
        rest: () => true,
      })
      short.mapValues((value) => `short ${value}`).to(out)
      rest.to(out)
    },
    [
      ['texts', 'a', 'to'],
      ['texts', 'a', 'long'],
    ],
    [
      ['out', 'a', 'short to'],
      ['out', 'a', 'long'],
    ],
  ),
  example(
    'merge',
    'The records of both streams, each in its own order.',
    (t) => {
      const lengths = t.stream(numbers).mapValues((value) => String(value))
      t.stream(texts).merge(lengths).to(out)
    },
    [
      ['texts', 'a', 'b'],
      ['numbers', 'a', 7],
    ],
    [
      ['out', 'a', 'b'],
      ['out', 'a', '7'],
    ],
  ),
  example(
    'to',
    'Ends the stream in a topic, or in the topic that a function picks out of those that are declared.',
    (t) => {
      t.stream(numbers).to(({ value }) => (value === null ? numbers : sums), { topics: [numbers, sums] })
    },
    [['numbers', 'a', 1]],
    [['sums', 'a', 1]],
  ),
  example(
    'repartition',
    'Sends the records through a topic of ours, `<application.id>-<name>-repartition`, so that equal keys are in one partition.',
    (t) => {
      const byLength = { name: 'by-length', key: string, value: string }
      t.stream(texts)
        .selectKey(({ value }) => String(value.length))
        .repartition(byLength)
        .to(out)
    },
    [['texts', 'a', 'be']],
    [['out', '2', 'be']],
  ),
  example(
    'process',
    'The Processor API: stores, named outputs, timers of stream time or the wall clock. The operators are made of it.',
    (t) => {
      const sum = t.stream(texts).process({
        stores: { totals },
        outputs: output<string, number>(),
        process(record, { stores, forward }) {
          stores.totals.put(record.key, (stores.totals.get(record.key) ?? 0) + record.value.length)
          forward(record.withValue(stores.totals.get(record.key) ?? 0))
        },
      })
      sum.to(sums)
    },
    [
      ['texts', 'a', 'to'],
      ['texts', 'a', 'be'],
    ],
    [
      ['sums', 'a', 2],
      ['sums', 'a', 4],
    ],
  ),

  ...sectionOf('Aggregates of streams'),
  example(
    'groupByKey, groupBy',
    '`groupBy` answers the key to group by and goes through a repartition topic; `groupByKey` takes the key as it is.',
    (t) => {
      t.stream(texts)
        .groupBy(({ value }) => value, { name: 'by-word', key: string, value: string })
        .count(totals)
        .toStream()
        .to(sums)
    },
    [
      ['texts', 'a', 'x'],
      ['texts', 'b', 'x'],
    ],
    [
      ['sums', 'x', 1],
      ['sums', 'x', 2],
    ],
  ),
  example(
    'count',
    'Counts the records of each key into a store. Records without a key or a value are left out.',
    (t) => {
      t.stream(texts).groupByKey().count(totals).toStream().to(sums)
    },
    [
      ['texts', 'a', 'x'],
      ['texts', 'a', 'y'],
    ],
    [
      ['sums', 'a', 1],
      ['sums', 'a', 2],
    ],
  ),
  example(
    'reduce',
    'Combines the values of each key; the first one is taken as it is.',
    (t) => {
      const longer = (one: string, other: string) => (other.length > one.length ? other : one)
      t.stream(texts).groupByKey().reduce(named, longer).toStream().to(out)
    },
    [
      ['texts', 'a', 'long'],
      ['texts', 'a', 'x'],
    ],
    [
      ['out', 'a', 'long'],
      ['out', 'a', 'long'],
    ],
  ),
  example(
    'aggregate',
    'Folds the records of each key into a value of another type.',
    (t) => {
      t.stream(texts)
        .groupByKey()
        .aggregate(totals, { initial: () => 0, add: ({ value }, sum) => sum + value.length })
        .toStream()
        .to(sums)
    },
    [
      ['texts', 'a', 'to'],
      ['texts', 'a', 'be'],
    ],
    [
      ['sums', 'a', 2],
      ['sums', 'a', 4],
    ],
  ),

  ...windowExamples,
  ...calendarExamples,
  ...openWindowExamples,
  ...sectionOf('Tables'),
  example(
    'table, toTable, toStream',
    'A table is the latest value of each key, kept in a store; null takes a key out. `toStream` tells its changes. A record that brings what is there already is no change.',
    (t) => {
      t.table(names, named).toStream().to(out)
    },
    [
      ['names', 'a', 'Ann'],
      ['names', 'a', 'Ann'],
      ['names', 'a', 'Anna'],
      ['names', 'a', null],
    ],
    [
      ['out', 'a', 'Ann'],
      ['out', 'a', 'Anna'],
      ['out', 'a', null],
    ],
  ),
  example(
    'filter, filterNot of a table',
    'Keeps rows; one that no longer passes is taken out.',
    (t) => {
      t.table(numbers, totals)
        .filter((value) => value > 9)
        .toStream()
        .to(sums)
    },
    [
      ['numbers', 'a', 1],
      ['numbers', 'a', 10],
      ['numbers', 'a', 2],
    ],
    [
      ['sums', 'a', 10],
      ['sums', 'a', null],
    ],
  ),
  example(
    'mapValues of a table',
    'Answers a new value for each row. With a store as second argument the result is kept and can be read; without, it is worked out when somebody looks.',
    (t) => {
      t.table(numbers, totals)
        .mapValues((value, key) => `${key}=${value}`, named)
        .toStream()
        .to(out)
    },
    [['numbers', 'a', 1]],
    [['out', 'a', 'a=1']],
  ),
  example(
    'groupBy of a table',
    'Puts each row under another key, for `count`, `reduce` or `aggregate`: each takes out what a row gave before it takes in what it gives now.',
    (t) => {
      t.table(names, named)
        .groupBy((name, key) => ({ key: name, value: key }), { name: 'by-name', key: string, value: string })
        .count(totals)
        .toStream()
        .to(sums)
    },
    [
      ['names', 'a', 'Ann'],
      ['names', 'b', 'Ann'],
      ['names', 'a', 'Bob'],
    ],
    [
      ['sums', 'Ann', 1],
      ['sums', 'Ann', 2],
      ['sums', 'Ann', 1],
      ['sums', 'Bob', 1],
    ],
  ),

  ...sectionOf('Joins'),
  example(
    'table with table: join',
    'The keys that both tables have. Both topics need the same number of partitions.',
    (t) => {
      const prices = t.table(numbers, priced)
      t.table(names, named)
        .join(prices, (name, price) => `${name} ${price}`)
        .toStream()
        .to(out)
    },
    [
      ['names', 'a', 'tea'],
      ['numbers', 'a', 3],
      ['numbers', 'a', null],
    ],
    [
      ['out', 'a', 'tea 3'],
      ['out', 'a', null],
    ],
  ),
  example(
    'table with table: leftJoin',
    'Every key of the first table.',
    (t) => {
      const prices = t.table(numbers, priced)
      t.table(names, named)
        .leftJoin(prices, (name, price) => `${name} ${price ?? '?'}`)
        .toStream()
        .to(out)
    },
    [
      ['names', 'a', 'tea'],
      ['numbers', 'a', 3],
    ],
    [
      ['out', 'a', 'tea ?'],
      ['out', 'a', 'tea 3'],
    ],
  ),
  example(
    'table with table: outerJoin',
    'Every key that either table has.',
    (t) => {
      const prices = t.table(numbers, priced)
      t.table(names, named)
        .outerJoin(prices, (name, price) => `${name ?? '?'} ${price ?? '?'}`)
        .toStream()
        .to(out)
    },
    [
      ['numbers', 'a', 3],
      ['names', 'a', 'tea'],
    ],
    [
      ['out', 'a', '? 3'],
      ['out', 'a', 'tea 3'],
    ],
  ),
  example(
    'table with table: foreignKeyJoin, foreignKeyLeftJoin',
    'Each row with the row of the other table that a foreign key in it names; null is none. The joined table is kept in a store. The numbers of partitions may differ.',
    (t) => {
      const people = t.table(names, named)
      const scores = t.table(numbers, priced)
      scores
        .foreignKeyJoin(
          people,
          (score) => (score > 9 ? 'high' : 'low'),
          (score, name) => `${score} ${name}`,
          {
            name: 'ranked',
            foreignKey: string,
            value: string,
            store: ranked,
          },
        )
        .toStream()
        .to(out)
    },
    [
      ['numbers', 'a', 10],
      ['names', 'high', 'gold'],
      ['numbers', 'a', 11],
      ['numbers', 'a', 2],
    ],
    [
      ['out', 'a', '10 gold'],
      ['out', 'a', '11 gold'],
      ['out', 'a', null],
    ],
  ),
  example(
    'stream with table: join, leftJoin',
    'Each record with the row of its key, as it is when the record is processed. `leftJoin` keeps records without a row.',
    (t) => {
      const people = t.table(names, named)
      t.stream(texts)
        .join(people, (text, name) => `${name}: ${text}`)
        .to(out)
    },
    [
      ['texts', 'a', 'too early'],
      ['names', 'a', 'Ann'],
      ['texts', 'a', 'hello'],
    ],
    [['out', 'a', 'Ann: hello']],
  ),
  ...streamJoinExamples,
]
