// Several inputs, calls, tries and timers together, under aborts and restarts: whatever fails and whatever order the inputs are
// read in, each record has its effects once, those of an input in their order, and each timer fires once.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  int64,
  output,
  store,
  StreamRecord,
  string,
  timerStore,
  topic,
  topology,
} from '../../../src/index.ts'
import { type TestDriver, testDriver } from '../../../src/testing/index.ts'
import { restarts, turns } from './model-steps.ts'

const inputs = [0, 1].map((number) => topic(`in-${number}`, { key: string, value: string }))
const out = topic('out', { key: string, value: string })
const numbers = store('numbers', { key: string, value: int64 })
const reminders = timerStore('reminders', { key: string })

const stages = ['before', 'call', 'turn'] as const
type Stage = (typeof stages)[number]
type End = 'answer' | 'fail'

/** How often each stage of a value is still to fail, and the calls that are open. */
class Desk {
  readonly failures = new Map<string, number>()
  readonly open: ((end: End) => void)[] = []

  tryIt(stage: Stage, value: string): void {
    const left = this.failures.get(`${stage} ${value}`) ?? 0
    this.failures.set(`${stage} ${value}`, left - 1)
    if (left > 0) throw new Error(`${stage} ${value}: not yet`)
  }

  readonly call = (value: string, signal: AbortSignal): Promise<string> =>
    new Promise((resolve, reject) => {
      this.tryIt('call', value)
      const end = (how: End): void => {
        this.open.splice(this.open.indexOf(end), 1)
        if (how === 'answer') resolve(value)
        else reject(new Error('no answer'))
      }
      this.open.push(end)
      signal.addEventListener('abort', () => this.open.includes(end) && end('fail'))
    })
}

/** A record is numbered within its key, and sets a timer for 5 ms later, or for the wall clock. */
const remindedOf = (desk: Desk, calls: boolean) =>
  topology('reminded', (t) => {
    const [one, other] = inputs.map((input) => t.stream(input))
    const merged = (one as NonNullable<typeof one>)
      .merge(other as NonNullable<typeof other>)
      .peek(({ value }) => {
        desk.tryIt('before', value)
      })
    const called = calls
      ? merged.mapValuesAsync((value, _record, signal) => desk.call(value, signal), { inFlightMax: 3 })
      : merged
    called
      .process({
        stores: { numbers },
        timers: reminders,
        outputs: output<string, string>(),
        process(record, { stores, timers, forward, wallClockTime }) {
          const { key, value, timestamp } = record
          const number = (stores.numbers.get(key) ?? 0) + 1
          stores.numbers.put(key, number)
          if (value.length % 2 === 0) timers.set(key, timestamp + 5, value)
          else timers.set(key, wallClockTime + 5, value, 'wall-clock')
          forward(record.withValue(`${number} ${value}`))
          desk.tryIt('turn', value)
        },
        onTimer: ({ key, name, at }, { forward }) =>
          forward(StreamRecord.of({ key, value: `fired ${name}`, timestamp: at })),
      })
      .to(out)
  })

const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('send' as const),
      input: fc.nat(1),
      key: fc.nat(2),
      timestamp: fc.nat(40),
      fails: fc.option(
        fc.record({ stage: fc.constantFrom(...stages), times: fc.integer({ min: 1, max: 3 }) }),
      ),
    }),
  },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('answer' as const), which: fc.nat(9) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('fail' as const), which: fc.nat(9) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.nat(20) }) },
  turns,
  restarts,
)
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never

const settle = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve))

const settings = {
  onFailure: 'retry',
  retryAttempts: 1000,
  retryBackoffMs: 4,
  retryBackoffMaxMs: 8,
} as const

class Run {
  readonly #desk = new Desk()
  readonly #driver: TestDriver
  readonly #sent = new Map<string, string[]>()
  #count = 0
  #begun = false

  constructor(calls: boolean, maxTaskIdleMs: number) {
    this.#driver = testDriver(remindedOf(this.#desk, calls), { settings: { ...settings, maxTaskIdleMs } })
  }

  async take(one: Step): Promise<void> {
    const driver = this.#driver
    if (one.kind === 'send') this.#send(one)
    else if (one.kind === 'answer' || one.kind === 'fail') {
      const { open } = this.#desk
      open[one.which % Math.max(1, open.length)]?.(one.kind)
      await settle()
      driver.run()
    } else if (one.kind === 'wait') driver.advanceWallClock(one.ms)
    else if (one.kind === 'restart') {
      driver.restart({ keepState: one.keepState })
      this.#begun = false
    } else if (one.kind === 'begin' ? !this.#begun : this.#begun) {
      driver[one.kind]()
      this.#begun = one.kind === 'begin'
    }
  }

  async finish(): Promise<void> {
    const driver = this.#driver
    driver.run()
    if (this.#begun) driver.commit()
    // What brings the time of all timers.
    for (const input of [0, 1]) this.#send({ input, key: 0, timestamp: 1000, fails: null })
    const expected = this.#count + this.#due.length
    const told: { key: string; value: string }[] = []
    for (let left = 500; left > 0 && told.length < expected; left--) {
      for (const end of [...this.#desk.open]) end('answer')
      await settle()
      driver.advanceWallClock(8)
      told.push(...driver.output(out).readKeyValues())
    }
    driver.advanceWallClock(100)
    told.push(...driver.output(out).readKeyValues())
    this.#check(told)
    driver.close()
  }

  #send({ input, key, timestamp, fails }: Omit<Extract<Step, { kind: 'send' }>, 'kind'>): void {
    const value = `v${this.#count++}`
    if (fails !== null) this.#desk.failures.set(`${fails.stage} ${value}`, fails.times)
    const place = `${input} k${key}`
    this.#sent.set(place, [...(this.#sent.get(place) ?? []), value])
    this.#driver.input(inputs[input] as (typeof inputs)[0]).send(`k${key}`, value, { timestamp })
  }

  /** But for the timers of stream time that the last two records set. */
  get #due(): string[] {
    const values = [...this.#sent.values()].flat()
    return values.filter((value) => value.length % 2 === 1 || Number(value.slice(1)) < this.#count - 2)
  }

  #check(told: readonly { readonly key: string; readonly value: string }[]): void {
    const fired = told.flatMap(({ value }) => (value.startsWith('fired') ? [value.slice(6)] : []))
    expect(fired.toSorted()).toEqual(this.#due.toSorted())
    const effects = told.filter(({ value }) => !value.startsWith('fired'))
    for (const key of ['k0', 'k1', 'k2']) {
      const ofKey = effects
        .filter((one) => one.key === key)
        .map(({ value }) => value.split(' ') as [string, string])
      expect(ofKey.map(([number]) => Number(number))).toEqual(ofKey.map((_, index) => index + 1))
      for (const input of [0, 1]) {
        const sent = this.#sent.get(`${input} ${key}`) ?? []
        expect(ofKey.map(([, value]) => value).filter((value) => sent.includes(value))).toEqual(sent)
      }
    }
    expect(effects).toHaveLength(this.#count)
  }
}

describe.each([true, false])('two inputs, tries and timers (calls: %s)', (calls) => {
  it('have each effect once, under aborts and restarts', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 50, size: 'max' }),
        fc.constantFrom(-1, 0, 10),
        async (steps, maxTaskIdleMs) => {
          const run = new Run(calls, maxTaskIdleMs)
          for (const one of steps) await run.take(one)
          await run.finish()
        },
      ),
      { numRuns: 60 },
    )
  })
})
