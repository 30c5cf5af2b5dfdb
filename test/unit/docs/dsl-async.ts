// The examples of asynchronous processors, as those of dsl-examples.ts.
import { output } from '../../../src/index.ts'
import { type Example, out, sums, texts, totals } from './dsl-parts.ts'

const example = (
  operator: string,
  text: string,
  describe: Example['describe'],
  input: Example['input'],
  result: Example['output'],
): Example => ({ section: 'Asynchronous processors', operator, text, describe, input, output: result })

/** Stands for something far away. */
const translate = async (word: string, _signal: AbortSignal): Promise<string> => word.toUpperCase()

export const asyncExamples: readonly Example[] = [
  example(
    'mapValuesAsync',
    'As `mapValues`, where the answer takes its time: up to `inFlightMax` calls (20) of a task are open at once, those of one key one after the other. `signal` is aborted after `timeoutMs` (30 s), and when nobody waits any more. What follows comes in the order of the records.',
    (t) => {
      t.stream(texts)
        .mapValuesAsync((word, _record, signal) => translate(word, signal), {
          inFlightMax: 50,
          timeoutMs: 5_000,
        })
        .to(out)
    },
    [
      ['texts', 'a', 'to'],
      ['texts', 'b', 'be'],
    ],
    [
      ['out', 'a', 'TO'],
      ['out', 'b', 'BE'],
    ],
  ),
  example(
    'processAsync',
    'A call for each record, and a processor for its answer: `call` has the record and a signal and nothing else; `process` is synchronous, in the order of the records, with stores and outputs.',
    (t) => {
      const lengths = t.stream(texts).processAsync({
        stores: { totals },
        outputs: output<string, number>(),
        call: ({ value }, signal) => translate(value, signal),
        process(answer, record, { stores, forward }) {
          stores.totals.put(record.key, (stores.totals.get(record.key) ?? 0) + answer.length)
          forward(record.withValue(stores.totals.get(record.key) ?? 0))
        },
      })
      lengths.to(sums)
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
]
