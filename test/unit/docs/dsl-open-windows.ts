// The examples of windows without an end, and of early results, for docs/dsl.md.
import { tumbling, unlimited } from '../../../src/index.ts'
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
  example(
    'early results of windows',
    'What is in windows that are told on close, while they are open: whenever stream time passes a multiple of `everyMs`, each window that has changed since, once. They are a stream of their own, so that final results are told from them; `merge` puts both together. Of sessions that became another one they are taken back (null).',
    (t) => {
      const counted = t
        .stream(texts)
        .groupByKey()
        .windowedBy(tumbling({ sizeMs: 4, graceMs: 0 }))
        .count(perWindow, { emit: 'on-close' })
      const soFar = counted.early({ everyMs: 2 }).selectKey(() => 'so far')
      const final = counted.toStream().selectKey(() => 'final')
      soFar.merge(final).to(sums)
    },
    [
      ['texts', 'a', 'at 1'],
      ['texts', 'a', 'at 2'],
      ['texts', 'a', 'at 3'],
      ['texts', 'b', 'at 4'],
    ],
    [
      ['sums', 'so far', 1],
      ['sums', 'so far', 2],
      ['sums', 'final', 3],
      ['sums', 'so far', 1],
    ],
  ),
]
