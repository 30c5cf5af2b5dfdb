// The examples of joins of streams for docs/dsl.md.
import { within } from '../../../src/index.ts'
import { type Example, example, met, names, out, sectionOf, texts } from './dsl-parts.ts'

export const streamJoinExamples: readonly Example[] = [
  ...sectionOf('Joins'),
  example(
    'stream with stream: join',
    'Each record with those of the other stream that have its key and are at most so much earlier (`beforeMs`) or later (`afterMs`), whichever comes first. The grace is how much longer a record is kept for late ones. What comes later still is joined with what is there, counted, and in `lateLeft()` or `lateRight()` of the joined stream. Both topics need the same number of partitions.',
    (t) => {
      const windows = within({ beforeMs: 1, afterMs: 1, graceMs: 0 })
      t.stream(texts)
        .join(t.stream(names), (text, name) => `${text} ${name}`, windows, met)
        .to(out)
    },
    [
      ['texts', 'a', 'at 1'],
      ['names', 'a', 'at 2'],
      ['names', 'a', 'at 3'],
      ['texts', 'a', 'at 4'],
    ],
    [
      ['out', 'a', 'at 1 at 2'],
      ['out', 'a', 'at 4 at 3'],
    ],
  ),
  example(
    'stream with stream: leftJoin, outerJoin',
    'A record that met none is told alone when its window has closed, and is joined with nothing after that. `outerJoin` does so for both sides.',
    (t) => {
      const windows = within({ beforeMs: 1, afterMs: 1, graceMs: 0 })
      const joined = t
        .stream(texts)
        .leftJoin(t.stream(names), (text, name) => `${text} ${name ?? 'alone'}`, windows, met)
      joined.to(out)
    },
    [
      ['texts', 'a', 'at 1'],
      ['texts', 'b', 'at 2'],
      ['names', 'b', 'at 3'],
    ],
    [
      ['out', 'b', 'at 2 at 3'],
      ['out', 'a', 'at 1 alone'],
    ],
  ),
]
