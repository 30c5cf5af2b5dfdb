// The examples of windows of the calendar for docs/dsl.md.
import { calendar } from '../../../src/index.ts'
import { type Example, example, perWindow, sectionOf, sums, texts } from './dsl-parts.ts'

export const calendarExamples: readonly Example[] = [
  ...sectionOf('Windows'),
  example(
    'calendar',
    'The days, the weeks (from Monday) or the months of a time zone. Where clocks are turned a day has 23 or 25 hours.',
    (t) => {
      const days = t
        .stream(texts)
        .groupByKey()
        .windowedBy(calendar({ every: 'day', timeZone: 'Europe/Berlin', graceMs: 0 }))
      days
        .count(perWindow)
        .toStream()
        .map(({ key: { key, end }, value }) => ({
          key: `${key} until ${new Date(end).toISOString()}`,
          value,
        }))
        .to(sums)
    },
    [
      ['texts', 'a', 'at 1'],
      ['texts', 'a', 'at 2'],
    ],
    [
      ['sums', 'a until 1970-01-01T23:00:00.000Z', 1],
      ['sums', 'a until 1970-01-01T23:00:00.000Z', 2],
    ],
  ),
]
