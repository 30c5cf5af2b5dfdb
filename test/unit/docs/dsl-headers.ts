// The example of stores that keep headers, for docs/dsl.md.
import { output, store, string } from '../../../src/index.ts'
import { type Example, example, out, sectionOf, texts } from './dsl-parts.ts'

const traced = store('traced', { key: string, value: string, headers: true })

export const headerExamples: readonly Example[] = [
  ...sectionOf('Headers in stores'),
  example(
    'stores that keep headers',
    'A store with `headers: true` keeps with each value the timestamp and the headers of the record that wrote it: in tables those of the record that changed the row last, with `put` those of the record in hand, as it came from its topic, and with `putEntry` what is given. `getEntry`, `range`, `all` and `prefixScan` show them. In the changelog they are the headers of the record, for any consumer.',
    (t) => {
      t.stream(texts)
        .process({
          stores: { traced },
          outputs: output<string, string>(),
          process(record, { stores, forward }) {
            stores.traced.put(record.key, record.value)
            for (const { timestamp, headers } of stores.traced.all())
              forward(record.withValue(`at ${timestamp} with ${headers.length} headers`))
          },
        })
        .to(out)
    },
    [['texts', 'a', 'b']],
    [['out', 'a', 'at 1 with 0 headers']],
  ),
]
