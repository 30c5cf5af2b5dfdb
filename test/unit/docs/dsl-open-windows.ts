// The examples of windows without an end for docs/dsl.md.
import { unlimited } from '../../../src/index.ts'
import { type Example, example, perWindow, sectionOf, sums, texts } from './dsl-parts.ts'

export const openWindowExamples: readonly Example[] = [
  ...sectionOf('Windows'),
  example(
    'unlimited',
    'One window for each key, from a start on; it never closes, its `end` is infinite, and it is kept for good. Records before the start are left out.',
    (t) => {
      const since = t
        .stream(texts)
        .groupByKey()
        .windowedBy(unlimited({ startMs: 2 }))
      since
        .count(perWindow)
        .toStream()
        .map(({ key: { key, start, end }, value }) => ({ key: `${key}@${start}-${end}`, value }))
        .to(sums)
    },
    [
      ['texts', 'a', 'at 1'],
      ['texts', 'a', 'at 2'],
      ['texts', 'a', 'at 3'],
    ],
    [
      ['sums', 'a@2-Infinity', 1],
      ['sums', 'a@2-Infinity', 2],
    ],
  ),
]
