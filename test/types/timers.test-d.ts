// What the types of timers hold: keys as the serde writes and reads them, no timers where none are declared.
import {
  json,
  output,
  type ProcessContext,
  string,
  type Timer,
  type Timers,
  timerStore,
  topic,
  topology,
} from 'millstream'
import { z } from 'zod'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const same = <_ extends true>(): void => undefined

const input = topic('in', { key: string, value: string })
const reminders = timerStore('reminders', { key: string })
const converted = timerStore('converted', { key: json(z.string().transform(Number)) })

topology('types', (t) => {
  t.stream(input).process({
    timers: reminders,
    process({ key, timestamp }, { timers }) {
      same<Equal<typeof timers, Timers<string>>>()
      timers.set(key, timestamp + 1)
      timers.set(key, timestamp + 1, 'name', 'wall-clock')
      // @ts-expect-error the keys are strings
      timers.set(1, timestamp)
      // @ts-expect-error no kind of time
      timers.set(key, timestamp, 'name', 'moon')
      same<Equal<ReturnType<typeof timers.at>, number | undefined>>()
    },
    onTimer(timer, { timers }) {
      same<Equal<typeof timer, Timer<string>>>()
      timers.cancel(timer.key, timer.name)
    },
  })
  t.stream(input).process({
    timers: converted,
    process: ({ value }, { timers }) => timers.set(value, 1),
    onTimer: ({ key }) => same<Equal<typeof key, number>>(),
  })
  t.stream(input)
    .process({
      outputs: output<string, string>(),
      process(record, context) {
        same<Equal<(typeof context)['timers'], undefined>>()
        context.forward(record)
      },
    })
    .foreach(() => undefined)
  t.stream(input).processValues({
    // @ts-expect-error it forwards no keys
    timers: reminders,
    process: () => undefined,
  })
  t.stream(input).process({
    // @ts-expect-error timers are no store of a processor
    stores: [reminders],
    process: () => undefined,
  })
})

// A context without timers is that of before.
export const context = (given: ProcessContext<unknown, undefined>): undefined => given.timers
