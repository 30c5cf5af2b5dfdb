// The examples of time for docs/dsl.md.
import { output, StreamRecord, string, timerStore } from '../../../src/index.ts'
import { type Example, example, out, sectionOf, texts } from './dsl-parts.ts'

const deadlines = timerStore('deadlines', { key: string })
const told = (key: string, value: string, timestamp: number): StreamRecord<string, string> =>
  StreamRecord.of({ key, value, timestamp })

export const timeExamples: readonly Example[] = [
  ...sectionOf('Time'),
  example(
    'timers',
    "A time per key (and name) at which `onTimer` is called once: by stream time or, with `'wall-clock'` as the fourth argument, by the wall clock. Timers lie in a store with a changelog, here `const deadlines = timerStore('deadlines', { key: string })`. They survive restarts, and a timer, what it forwards and what it writes are committed together. What is due fires in the order of time, after the record that brings its time and before the next one; a time in the past is due at once. Set again, it is replaced. (`told(key, value, timestamp)` is `StreamRecord.of({ key, value, timestamp })`.)",
    (t) => {
      const silent = t.stream(texts).process({
        timers: deadlines,
        outputs: output<string, string>(),
        process: ({ key, timestamp }, { timers }) => timers.set(key, timestamp + 2),
        onTimer: ({ key, at }, { forward }) => forward(told(key, 'silent', at)),
      })
      silent.mapValues((value, { timestamp }) => `${value} at ${timestamp}`).to(out)
    },
    [
      ['texts', 'a', 'at 1'],
      ['texts', 'b', 'at 2'],
      ['texts', 'a', 'at 3'],
      ['texts', 'c', 'at 4'],
      ['texts', 'c', 'at 5'],
    ],
    [
      ['out', 'b', 'silent at 4'],
      ['out', 'a', 'silent at 5'],
    ],
  ),
  example(
    'punctuators',
    'Calls at an interval, asked for in `init`: by stream time or by the wall clock, on multiples of the interval since the epoch. Ticks that were missed collapse into one.',
    (t) => {
      const ticks = t.stream(texts).process({
        outputs: output<string, string>(),
        init: ({ schedule, forward }) =>
          void schedule(2, 'stream-time', (time) => forward(told('tick', `at ${time}`, time))),
        process: () => undefined,
      })
      ticks.to(out)
    },
    [
      ['texts', 'a', 'at 1'],
      ['texts', 'a', 'at 2'],
      ['texts', 'a', 'at 3'],
      ['texts', 'a', 'at 4'],
    ],
    [
      ['out', 'tick', 'at 1'],
      ['out', 'tick', 'at 2'],
      ['out', 'tick', 'at 4'],
    ],
  ),
]
