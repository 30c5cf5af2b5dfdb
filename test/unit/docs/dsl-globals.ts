// The examples of global tables and of topics by pattern for docs/dsl.md.
import { globalStore, output, string, topicPattern, topology } from '../../../src/index.ts'
import { type Example, names, out, sums, texts, totals } from './dsl-parts.ts'

export const everyRegion = topology('every-region', (t) => {
  const orders = topicPattern(/orders-.+/, { key: string, value: string })
  t.stream(orders).groupByKey().count(totals).toStream().to(sums)
})

/** What the group of global tables shares. */
const nicknames = globalStore('nicknames', { key: string, value: string })

const example = (
  operator: string,
  text: string,
  describe: Example['describe'],
  input: Example['input'],
  result: Example['output'],
): Example => ({ section: 'Global tables', operator, text, describe, input, output: result })

export const globalExamples: readonly Example[] = [
  example(
    'globalTable, joinGlobal, leftJoinGlobal',
    'A topic as a table that every worker holds whole, all partitions of it: loaded before any task runs, and kept up to date from then on. A stream joins it by any key that a function answers from the record (null: none), without a repartition and with any number of partitions. It is no part of the transactions of the tasks: a record that is processed again may meet a newer row.',
    (t) => {
      const nickname = t.globalTable(names, { store: nicknames })
      t.stream(texts)
        .leftJoinGlobal(
          nickname,
          ({ value }) => value.split(' ')[0] ?? null,
          (text, name) => `${text}, ${name ?? 'nobody'}`,
        )
        .to(out)
    },
    [
      ['names', 'robert', 'bob'],
      ['texts', 'a', 'robert came'],
      ['texts', 'a', 'edward left'],
    ],
    [
      ['out', 'a', 'robert came, bob'],
      ['out', 'a', 'edward left, nobody'],
    ],
  ),
  example(
    'globalStore',
    'As `globalTable`, where a function of yours writes the store: it is called with each record of the topic, in every worker, while the table is loaded and from then on. Its writes and the position in the topic are kept together, so that a restart goes on behind them.',
    (t) => {
      const longest = t.globalStore(names, {
        store: nicknames,
        process({ key, value }, store) {
          if ((value ?? '').length > (store.get(key) ?? '').length) store.put(key, value ?? '')
        },
      })
      const named = t.stream(texts).joinGlobal(
        longest,
        ({ key }) => key,
        (text, name) => text + name,
      )
      named.to(out)
    },
    [
      ['names', 'a', 'alexander'],
      ['names', 'a', 'alex'],
      ['texts', 'a', 'great: '],
    ],
    [['out', 'a', 'great: alexander']],
  ),
  example(
    'global stores in processors',
    'A processor that declares a global store reads it: `get`, `has`, `range`, `prefixScan`, `all`.',
    (t) => {
      t.globalTable(names, { store: nicknames })
      const answers = t.stream(texts).process({
        stores: { nicknames },
        outputs: output<string, string>(),
        process: (record, { stores, forward }) => {
          for (const { value } of stores.nicknames.range('a', 'c')) forward(record.withValue(value))
        },
      })
      answers.to(out)
    },
    [
      ['names', 'a', 'al'],
      ['names', 'b', 'bo'],
      ['names', 'c', 'cy'],
      ['texts', 'x', 'who?'],
    ],
    [
      ['out', 'x', 'al'],
      ['out', 'x', 'bo'],
    ],
  ),
]
