// The examples of composition, as those of dsl-examples.ts: partitions, processors that keep the key, parts, wrappers.
import {
  int64,
  type RecordStream,
  store,
  type StoreHandle,
  string,
  valueOutput,
  type WrapProcessor,
} from '../../../src/index.ts'
import { type Example, numbers, out, sums, texts, totals } from './dsl-parts.ts'

const highest = store('highest', { key: string, value: int64 })

const example = (
  operator: string,
  text: string,
  describe: Example['describe'],
  input: Example['input'],
  output: Example['output'],
): Example => ({ section: 'Composition', operator, text, describe, input, output })

export const compositionExamples: readonly Example[] = [
  example(
    'to, with a partitioner',
    'A function chooses the partition of each record, or several that each get it; an empty list leaves the record out.',
    (t) => {
      t.stream(texts).to(out, {
        partition: ({ value }, partitions) =>
          value === 'to all' ? Array.from({ length: partitions }, (_, index) => index) : [],
      })
    },
    [
      ['texts', 'a', 'to none'],
      ['texts', 'a', 'to all'],
    ],
    [['out', 'a', 'to all']],
  ),
  example(
    'processValues',
    'As `process`, for processors that keep the key: they forward values, so that no repartition is needed after them. Timestamp and headers are those of the record, or stand in a second argument. Not from a timer, where there is no key.',
    (t) => {
      const sum = t.stream(texts).processValues({
        stores: { totals },
        outputs: valueOutput<number>(),
        process({ key, value }, { stores, forward }) {
          stores.totals.put(key, (stores.totals.get(key) ?? 0) + value.length)
          forward(stores.totals.get(key) ?? 0)
        },
      })
      sum.groupByKey().reduce(highest, Math.max).toStream().to(sums)
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
  example(
    'a part of a topology: a function',
    'Streams and tables are values: a function that takes and answers them is a part that can be used again, and tested alone. Stores and repartition topics that it needs are its arguments, since each has its name once.',
    (t) => {
      const shout = <K>(words: RecordStream<K, string>) =>
        words.filter(({ value }) => value !== '').mapValues((value) => `${value}!`)
      const countInto = <K>(words: RecordStream<K, string>, store: StoreHandle<K, number>) =>
        words.groupByKey().count(store)
      shout(t.stream(texts)).to(out)
      countInto(shout(t.stream(numbers).mapValues(String)), totals)
        .toStream()
        .to(sums)
    },
    [
      ['texts', 'a', 'hey'],
      ['texts', 'a', ''],
      ['numbers', 'a', 7],
    ],
    [
      ['out', 'a', 'hey!'],
      ['sums', 'a', 1],
    ],
  ),
]

/** Time spent in each processor and in what follows from it, ms. */
export const spentMs = new Map<string, number>()

export const timed: WrapProcessor = ({ name }, processor) => ({
  process(record) {
    const startedAt = performance.now()
    processor.process(record)
    spentMs.set(name, (spentMs.get(name) ?? 0) + performance.now() - startedAt)
  },
})
