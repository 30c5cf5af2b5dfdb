// The examples of versioned tables and of stores that forget, for docs/dsl.md.
import { output } from '../../../src/index.ts'
import {
  type Example,
  example,
  history,
  numbers,
  out,
  recent,
  sectionOf,
  texts,
  waiting,
} from './dsl-parts.ts'

export const versionExamples: readonly Example[] = [
  ...sectionOf('Versions and times to live'),
  example(
    'versioned stores in processors',
    'A versioned store keeps what each key was, as far back as `historyMs`: `put(key, value, timestamp)` and `delete(key, timestamp)` in any order, `asOf(key, timestamp)`, `get(key)` for the latest value, `versions(key, from, to)`.',
    (t) => {
      t.stream(numbers)
        .process({
          stores: { history },
          outputs: output<string, string>(),
          process(record, { stores, forward }) {
            stores.history.put(record.key, record.value ?? 0, record.timestamp * 2)
            forward(record.withValue(`at 3 it was ${stores.history.asOf(record.key, 3)}`))
          },
        })
        .to(out)
    },
    [
      ['numbers', 'a', 10],
      ['numbers', 'a', 11],
    ],
    [
      ['out', 'a', 'at 3 it was 10'],
      ['out', 'a', 'at 3 it was 10'],
    ],
  ),
  example(
    'stream with a versioned table: join, leftJoin',
    'Each record with the row as it was at the time of the record. With `graceMs` the records wait in a store of their own until one has come that is later by that, so that rows which come late are seen; they are joined in the order of time.',
    (t) => {
      const prices = t.table(numbers, history)
      t.stream(texts)
        .join(prices, (text, price) => `${text} at ${price}`, { graceMs: 2, store: waiting })
        .to(out)
    },
    [
      ['numbers', 'a', 10],
      ['texts', 'a', 'bought'],
      ['numbers', 'a', 11],
      ['texts', 'a', 'sold'],
    ],
    [['out', 'a', 'bought at 10']],
  ),
  example(
    'stores whose entries live for a time',
    '`ttlMs` in stream time after the timestamp of the record that wrote the entry. Then it is read as absent, and deleted a little later; nobody is told.',
    (t) => {
      t.stream(texts)
        .process({
          stores: { recent },
          outputs: output<string, string>(),
          process(record, { stores, forward }) {
            forward(record.withValue(stores.recent.has(record.key) ? 'again' : 'new'))
            stores.recent.put(record.key, record.value)
          },
        })
        .to(out)
    },
    [
      ['texts', 'a', 'at 1'],
      ['texts', 'a', 'at 2'],
      ['texts', 'b', 'at 3'],
      ['texts', 'a', 'at 4'],
    ],
    [
      ['out', 'a', 'new'],
      ['out', 'a', 'again'],
      ['out', 'b', 'new'],
      ['out', 'a', 'new'],
    ],
  ),
]
