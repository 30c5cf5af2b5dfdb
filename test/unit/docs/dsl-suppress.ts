// The examples of cogroup, suppress and emission per commit for docs/dsl.md.
import { int64, string, tumbling, untilTimeLimit, untilWindowCloses, windowed } from '../../../src/index.ts'
import { type Example, numbers, perWindow, priced, sums, texts, totals } from './dsl-parts.ts'

const inSection =
  (section: string) =>
  (
    operator: string,
    text: string,
    describe: Example['describe'],
    input: Example['input'],
    output: Example['output'],
  ): Example => ({ section, operator, text, describe, input, output })

const grouping = inSection('Aggregates of streams')
const table = inSection('Tables')
const windows = inSection('Windows')

export const suppressExamples: readonly Example[] = [
  grouping(
    'cogroup',
    'Several grouped streams that are folded into one value of each key: each input has a function of its own, and the type of the aggregate stands at the first one. `windowedBy` before `aggregate` puts all inputs into the same windows, which close for all of them; sessions take a `merge` beside `initial`.',
    (t) => {
      t.stream(texts)
        .groupByKey()
        .cogroup((text, total: number) => total + text.value.length)
        .cogroup(t.stream(numbers).groupByKey(), (number, total) => total + (number.value ?? 0))
        .aggregate(totals, { initial: () => 0 })
        .toStream()
        .to(sums)
    },
    [
      ['texts', 'a', 'to be'],
      ['numbers', 'a', 10],
    ],
    [
      ['sums', 'a', 5],
      ['sums', 'a', 15],
    ],
  ),
  table(
    'told per commit',
    'Of each key its last change, when the transaction commits, and nothing where the key is what it was. An option of `table`, `toTable`, of every aggregation, of those in windows, and of what is made of tables and kept in a store: `filter`, `filterNot`, `mapValues`, joins, joins by a foreign key. Without a store these are told as what they are made of. What a transaction holds is in memory and part of it, so nothing is told twice or lost; who looks a row up for a stream (`join`) sees the latest one. Here each record is a transaction.',
    (t) => {
      t.stream(texts).groupByKey().count(totals, { emit: 'per-commit' }).toStream().to(sums)
    },
    [
      ['texts', 'a', 'to'],
      ['texts', 'a', 'be'],
    ],
    [
      ['sums', 'a', 1],
      ['sums', 'a', 2],
    ],
  ),
  table(
    'suppress until a time limit',
    "Each key at most once in `waitMs` of stream time, from its first change on: its last change then, with the timestamp of that one. The changes wait in a store of their own. `recordsMax` and `bytesMax` limit how much waits; beyond them the oldest is told early, or, with `whenFull: 'stop'`, the worker stops (SUPPRESS_FULL). What is built on it gets, as what was before, what was told before.",
    (t) => {
      t.table(numbers, priced)
        .suppress(untilTimeLimit({ waitMs: 2, recordsMax: 10_000 }), {
          name: 'waiting',
          key: string,
          value: int64,
        })
        .toStream()
        .to(sums)
    },
    [
      ['numbers', 'a', 1],
      ['numbers', 'a', 2],
      ['numbers', 'b', 3],
      ['numbers', 'a', 4],
    ],
    [['sums', 'a', 2]],
  ),
  windows(
    'suppress until the window closes',
    "Each window once, when it has closed, in the order of time and key; one that is gone by then is not told. Also behind `filter`, `mapValues` and joins of windows, where `emit: 'on-close'` cannot stand. Beyond `recordsMax` or `bytesMax` the worker stops (SUPPRESS_FULL).",
    (t) => {
      const size = tumbling({ sizeMs: 2, graceMs: 0 })
      const held = { name: 'held', key: windowed(string, size), value: int64 }
      t.stream(texts)
        .groupByKey()
        .windowedBy(size)
        .count(perWindow)
        .suppress(untilWindowCloses(), held)
        .toStream()
        .selectKey(({ key: { key, start } }) => `${key}@${start}`)
        .to(sums)
    },
    [
      ['texts', 'a', 'at 1'],
      ['texts', 'a', 'at 2'],
      ['texts', 'a', 'at 3'],
      ['texts', 'b', 'at 4'],
    ],
    [
      ['sums', 'a@0', 1],
      ['sums', 'a@2', 2],
    ],
  ),
]
