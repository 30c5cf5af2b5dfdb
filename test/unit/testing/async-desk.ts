// What the cases of asynchronous processors share: a desk that is called, and answers when the test says so.
import { int64, type NamedAsyncOptions, store, string, topic, topology, type Topology } from 'millstream'
import { type TestDriver, type TestDriverSettings, testDriver } from 'millstream/testing'

export const input = topic('in', { key: string, value: string })
export const other = topic('other', { key: string, value: string })
export const out = topic('out', { key: string, value: string })
export const counted = store('counted', { key: string, value: int64 })

export interface OpenCall {
  readonly value: string
  readonly signal: AbortSignal
  answer(value: string): void
  fail(error: Error): void
}

/** What was called and is not answered yet; the answers come when the test gives them. */
export class Desk {
  readonly open = new Map<string, OpenCall>()
  /** Every call in its order. */
  readonly called: string[] = []

  readonly call = (value: string, _record: unknown, signal: AbortSignal): Promise<string> =>
    new Promise((resolve, reject) => {
      this.called.push(value)
      const end = (act: () => void) => (): void => {
        this.open.delete(value)
        act()
      }
      this.open.set(value, {
        value,
        signal,
        answer: (answer) => end(() => resolve(answer))(),
        fail: (error) => end(() => reject(error))(),
      })
    })

  answer(value: string, answer: string = value.toUpperCase()): void {
    this.#opened(value).answer(answer)
  }

  fail(value: string): void {
    this.#opened(value).fail(new Error(`no answer for ${value}`))
  }

  get waiting(): string[] {
    return [...this.open.keys()]
  }

  #opened(value: string): OpenCall {
    const call = this.open.get(value)
    if (call === undefined) throw new Error(`${value} is not called`)
    return call
  }
}

/** Lets answers come in, and processes. */
export const turn = async (driver: TestDriver): Promise<void> => {
  await new Promise((resolve) => void setImmediate(resolve))
  driver.run()
}

export const upper = (desk: Desk, options?: NamedAsyncOptions): Topology =>
  topology('upper', (t) => {
    t.stream(input).mapValuesAsync(desk.call, options).to(out)
  })

export const started = (
  desk: Desk,
  { settings, ...options }: NamedAsyncOptions & { settings?: TestDriverSettings } = {},
): TestDriver => testDriver(upper(desk, options), settings && { settings })

/** Sends records without waiting: a key for each value, or one for all. */
export const send = (driver: TestDriver, values: string, key?: string): void => {
  for (const value of values) driver.input(input).send(key ?? value, value)
}

export const outputs = (driver: TestDriver): string =>
  driver
    .output(out)
    .readAll()
    .map(({ value }) => value)
    .join('')
