// The examples of windows for docs/dsl.md.
import { sessions, sliding, tumbling } from '../../../src/index.ts'
import { type Example, example, perWindow, sectionOf, sums, texts } from './dsl-parts.ts'

export const windowExamples: readonly Example[] = [
  ...sectionOf('Windows'),
  example(
    'tumbling, hopping',
    'Windows of one length, one after another or overlapping (`advanceMs`). The key is one in a window then, `{ key, start, end }`; `windowed(serde, windows)` writes it to a topic as Kafka does. A window takes records until stream time has passed its end by the grace; what comes later is counted, and is in `late()` of the table.',
    (t) => {
      const counted = t
        .stream(texts)
        .groupByKey()
        .windowedBy(tumbling({ sizeMs: 2, graceMs: 0 }))
      counted
        .count(perWindow)
        .toStream()
        .map(({ key: { key, start }, value }) => ({ key: `${key}@${start}`, value }))
        .to(sums)
    },
    [
      ['texts', 'a', 'at 1'],
      ['texts', 'a', 'at 2'],
      ['texts', 'a', 'at 3'],
    ],
    [
      ['sums', 'a@0', 1],
      ['sums', 'a@2', 1],
      ['sums', 'a@2', 2],
    ],
  ),
  example(
    'windows told on close',
    'Each window once, when it has closed, in the order of time.',
    (t) => {
      const windows = t
        .stream(texts)
        .groupByKey()
        .windowedBy(tumbling({ sizeMs: 2, graceMs: 0 }))
      windows
        .count(perWindow, { emit: 'on-close' })
        .toStream()
        .map(({ key: { key, start }, value }) => ({ key: `${key}@${start}`, value }))
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
  example(
    'sliding',
    'Windows that move with the records: one ends with each record, and one begins right after each that is followed by another. Both ends belong to it.',
    (t) => {
      const windows = t
        .stream(texts)
        .groupByKey()
        .windowedBy(sliding({ sizeMs: 1, graceMs: 0 }))
      windows
        .count(perWindow)
        .toStream()
        .map(({ key: { key, start, end }, value }) => ({ key: `${key}@${start}-${end}`, value }))
        .to(sums)
    },
    [
      ['texts', 'a', 'at 1'],
      ['texts', 'a', 'at 2'],
    ],
    [
      ['sums', 'a@0-1', 1],
      ['sums', 'a@2-3', 1],
      ['sums', 'a@1-2', 2],
    ],
  ),
  example(
    'sessions',
    'Records of a key that are at most the gap apart. A session that grows, or becomes one with another, is taken out (null) and put in anew.',
    (t) => {
      const visits = t
        .stream(texts)
        .groupByKey()
        .windowedBy(sessions({ gapMs: 1, graceMs: 0 }))
      visits
        .count(perWindow)
        .toStream()
        .map(({ key: { key, start, end }, value }) => ({ key: `${key}@${start}-${end}`, value }))
        .to(sums)
    },
    [
      ['texts', 'a', 'at 1'],
      ['texts', 'a', 'at 2'],
      ['texts', 'b', 'at 3'],
    ],
    [
      ['sums', 'a@1-1', 1],
      ['sums', 'a@1-1', null],
      ['sums', 'a@1-2', 2],
      ['sums', 'b@3-3', 1],
    ],
  ),
]
