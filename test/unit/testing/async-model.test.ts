// Asynchronous processors against a naive model: what a synchronous processor would have put out. Calls are answered and fail
// in any order; transactions are aborted, and workers start anew. None of that may show, beside calls that are repeated.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { int64, output, store, string, topic, topology, type Topology } from '../../../src/index.ts'
import { type TestDriver, testDriver } from '../../../src/testing/index.ts'
import { restarts, turns } from './model-steps.ts'

const input = topic('in', { key: string, value: string })
const plain = topic('plain', { key: string, value: string })
const asked = topic('asked', { key: string, value: string })
const numbers = store('numbers', { key: string, value: int64 })

const inFlightMax = 3
const asyncInFlightMax = 5

interface OpenCall {
  readonly key: string
  readonly sequence: number
  readonly answer: () => void
  readonly fail: () => void
}

/** What is called. A call that was aborted is heard of no more. */
class Desk {
  readonly open: OpenCall[] = []
  /** Of each key, what was called last in this life. */
  readonly last = new Map<string, number>()
  readonly wrong: string[] = []

  readonly call = (key: string, sequence: number, answer: string, signal: AbortSignal): Promise<string> =>
    new Promise((resolve, reject) => {
      // Not thrown here: a call that fails is made again.
      if (this.open.some((one) => one.key === key)) this.wrong.push(`calls of ${key} overlap`)
      if (sequence < (this.last.get(key) ?? 0)) this.wrong.push(`${key}: ${sequence} is called too late`)
      this.last.set(key, sequence)
      const end = (act: () => void) => (): void => {
        const place = this.open.indexOf(call)
        if (place >= 0) this.open.splice(place, 1)
        act()
      }
      const call: OpenCall = {
        key,
        sequence,
        answer: end(() => resolve(answer)),
        fail: end(() => reject(new Error('no answer'))),
      }
      this.open.push(call)
      signal.addEventListener(
        'abort',
        end(() => undefined),
      )
    })
}

const numberOf = (value: string): number => Number(value.replace(/\D/g, ''))
const groupOf = (value: string): string => `g${numberOf(value) % 2}`

const asking = (first: Desk, second: Desk): Topology =>
  topology('asking', (t) => {
    const stream = t.stream(input)
    stream.filter(({ value }) => numberOf(value) % 3 === 0).to(plain)
    stream
      .flatMapValues((value) => (numberOf(value) % 5 === 0 ? [] : [value]))
      .mapValuesAsync(
        (value, { key }, signal) => first.call(key, numberOf(value), value.toUpperCase(), signal),
        { inFlightMax },
      )
      .selectKey(({ value }) => groupOf(value))
      .processAsync({
        inFlightMax,
        stores: { numbers },
        outputs: output<string, string>(),
        call: ({ key, value }, signal) => second.call(key, numberOf(value), `${value}!`, signal),
        process(answer, record, { stores, forward }) {
          const number = (stores.numbers.get(record.key) ?? 0) + 1
          stores.numbers.put(record.key, number)
          forward(record.withValue(`${answer}${number}`))
        },
      })
      .to(asked)
  })

const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ kind: fc.constant('send' as const), key: fc.integer({ max: 5, min: 0 }) }),
  },
  { weight: 10, arbitrary: fc.record({ kind: fc.constant('answer' as const), which: fc.nat(9) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('fail' as const), which: fc.nat(9) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.nat(30) }) },
  turns,
  restarts,
)
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never

const expectedOf = (sent: readonly string[]): { plain: string[]; asked: string[] } => {
  const counts = new Map<string, number>()
  const of = (value: string): string => {
    const number = (counts.get(groupOf(value)) ?? 0) + 1
    counts.set(groupOf(value), number)
    return `${value.toUpperCase()}!${number}`
  }
  return {
    plain: sent.filter((value) => numberOf(value) % 3 === 0),
    asked: sent.filter((value) => numberOf(value) % 5 !== 0).map(of),
  }
}

/** A run of steps on one partition of a topic, where the order of all records is known. */
class Run {
  readonly #desks = [new Desk(), new Desk()] as const
  readonly #driver: TestDriver
  readonly #sent: string[] = []
  readonly #told: { readonly plain: string[]; readonly asked: string[] } = { plain: [], asked: [] }
  #begun = false

  constructor() {
    this.#driver = testDriver(asking(...this.#desks), {
      settings: {
        onFailure: 'retry',
        retryAttempts: 1000,
        retryBackoffMs: 10,
        retryBackoffMaxMs: 20,
        asyncInFlightMax,
      },
    })
  }

  async take(one: Step): Promise<void> {
    const driver = this.#driver
    if (one.kind === 'send') {
      const value = `v${this.#sent.length}`
      this.#sent.push(value)
      driver.input(input).send(`k${one.key}`, value)
    } else if (one.kind === 'answer' || one.kind === 'fail') await this.#end(one.kind, one.which)
    else if (one.kind === 'wait') driver.advanceWallClock(one.ms)
    else if (one.kind === 'restart') this.#again(() => driver.restart({ keepState: one.keepState }))
    else if (one.kind === 'begin') this.#begin()
    else if (this.#begun) {
      if (one.kind === 'commit') driver.commit()
      else this.#again(() => driver.abort())
      this.#begun = false
    }
    this.check()
  }

  async finish(): Promise<void> {
    if (this.#begun) this.#driver.commit()
    for (let left = 1000; left > 0 && !this.#isWhole(); left--) {
      for (const { open } of this.#desks) for (const call of [...open]) call.answer()
      await settle()
      this.#driver.advanceWallClock(20)
      this.check()
    }
    expect(this.#told).toEqual(expectedOf(this.#sent))
    this.#driver.close()
  }

  check(): void {
    for (const name of ['plain', 'asked'] as const) {
      const told = this.#driver.output(name === 'plain' ? plain : asked).readAll()
      this.#told[name].push(...told.map(({ value }) => value))
      expect(this.#told[name]).toEqual(expectedOf(this.#sent)[name].slice(0, this.#told[name].length))
    }
    const [first, second] = this.#desks
    expect([...first.wrong, ...second.wrong]).toEqual([])
    expect(first.open.length).toBeLessThanOrEqual(inFlightMax)
    expect(first.open.length + second.open.length).toBeLessThanOrEqual(asyncInFlightMax)
  }

  #begin(): void {
    if (this.#begun) return
    this.#driver.begin()
    this.#begun = true
  }

  /** What was not committed is called for again. */
  #again(act: () => void): void {
    for (const { last } of this.#desks) last.clear()
    act()
    this.#begun = false
  }

  async #end(kind: 'answer' | 'fail', which: number): Promise<void> {
    const open = this.#desks.flatMap((desk) => desk.open)
    open[which % Math.max(1, open.length)]?.[kind]()
    await settle()
    this.#driver.run()
  }

  #isWhole(): boolean {
    const { plain: told, asked: answered } = expectedOf(this.#sent)
    return this.#told.plain.length === told.length && this.#told.asked.length === answered.length
  }
}

const settle = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve))

describe('asynchronous processors under aborts and restarts', () => {
  it('put out what synchronous ones would', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 80, size: 'max' }), async (steps) => {
        const run = new Run()
        for (const one of steps) await run.take(one)
        await run.finish()
      }),
      { numRuns: 80 },
    )
  })
})
