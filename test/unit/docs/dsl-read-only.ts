// The examples of read-only stores for docs/dsl.md.
import { output, readOnlyStore, string } from '../../../src/index.ts'
import { type Example, names, out, texts } from './dsl-parts.ts'

/** What the group shares. */
const customers = readOnlyStore('customers', { key: string, value: string })

const example = (
  operator: string,
  text: string,
  describe: Example['describe'],
  input: Example['input'],
  result: Example['output'],
): Example => ({ section: 'Read-only stores', operator, text, describe, input, output: result })

export const readOnlyExamples: readonly Example[] = [
  example(
    'readOnlyStore',
    'A topic as the changelog of a store: its records fill the store, each in its own turn by timestamp, and a restore reads the same topic up to what the task has committed. Processors that declare the store read it; nothing is written to any topic for it. Each task has the rows of its partition, so the topic has as many partitions as the other inputs of those processors. The topic has to be compacted, or to keep its records for ever.',
    (t) => {
      t.readOnlyStore(names, { store: customers })
      const greetings = t.stream(texts).process({
        stores: { customers },
        outputs: output<string, string>(),
        process: (record, { stores, forward }) =>
          forward(record.withValue(`${record.value}, ${stores.customers.get(record.key) ?? 'stranger'}`)),
      })
      greetings.to(out)
    },
    [
      ['texts', 'c1', 'hello'],
      ['names', 'c1', 'Ann'],
      ['texts', 'c1', 'hello'],
      ['names', 'c1', null],
      ['texts', 'c1', 'bye'],
    ],
    [
      ['out', 'c1', 'hello, stranger'],
      ['out', 'c1', 'hello, Ann'],
      ['out', 'c1', 'bye, stranger'],
    ],
  ),
  example(
    'readOnlyStore with a function',
    'As above, where a function of yours writes the store: it is called with each record in its turn, and again while the store is restored. Where it adds up what came before, the topic must not be compacted, since a restored store would lack what is gone.',
    (t) => {
      t.readOnlyStore(names, {
        store: customers,
        process: ({ key, value }, store) => store.put(key, (value ?? 'gone').toUpperCase()),
      })
      const found = t.stream(texts).process({
        stores: { customers },
        outputs: output<string, string>(),
        process: (one, { stores, forward }) => forward(one.withValue(stores.customers.get(one.key) ?? '-')),
      })
      found.to(out)
    },
    [
      ['texts', 'c1', 'who?'],
      ['names', 'c1', 'Ann'],
      ['texts', 'c1', 'who?'],
      ['names', 'c1', null],
      ['texts', 'c1', 'who?'],
    ],
    [
      ['out', 'c1', '-'],
      ['out', 'c1', 'ANN'],
      ['out', 'c1', 'GONE'],
    ],
  ),
]
