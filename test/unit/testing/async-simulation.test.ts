// Asynchronous processors while workers die, stall and move: what comes out is what synchronous ones would have given, in the
// order of the input, and no two calls of one key overlap.
import { int64, output, store, string, topic, topology, type Topology } from 'millstream'
import { type SimulatedLife, type SimulatedWorld, simulate } from 'millstream/testing'
import { describe, expect, it } from 'vitest'

const input = topic('in', { key: string, value: string })
const plain = topic('plain', { key: string, value: string })
const asked = topic('asked', { key: string, value: string })
const numbers = store('numbers', { key: string, value: int64 })

const timeoutMs = 700

/** Calls that began while another one of their key was open. */
const overlaps: string[] = []

/** What is called: it answers late, sometimes with an error, sometimes too late. */
class Server {
  readonly #life: SimulatedLife
  readonly #open = new Set<string>()
  most = 0

  constructor(life: SimulatedLife) {
    this.#life = life
  }

  async ask(key: string, value: string, signal: AbortSignal): Promise<string> {
    if (this.#open.has(key)) overlaps.push(`${key} ${value}`)
    this.#open.add(key)
    signal.addEventListener('abort', () => this.#open.delete(key))
    this.most = Math.max(this.most, this.#open.size)
    const luck = this.#life.random()
    await this.#life.sleep(luck < 0.03 ? 3 * timeoutMs : luck * 200)
    // Whoever was given up is not heard of any more.
    if (signal.aborted) return ''
    this.#open.delete(key)
    if (luck > 0.95) throw new Error('the server is busy')
    return value.toUpperCase()
  }
}

/** How many calls were open at once, at most. */
let mostOpen = 0

const overAsync = (life: SimulatedLife): Topology =>
  topology('async', (t) => {
    const server = new Server(life)
    const stream = t.stream(input)
    stream.mapValues((value) => `plain ${value}`).to(plain)
    stream
      .processAsync({
        stores: { numbers },
        outputs: output<string, string>(),
        inFlightMax: 10,
        timeoutMs,
        async call({ key, value }, signal) {
          const answer = await server.ask(key, value, signal)
          mostOpen = Math.max(mostOpen, server.most)
          return answer
        },
        process(answer, record, { stores, forward }) {
          const number = (stores.numbers.get(record.key) ?? 0) + 1
          stores.numbers.put(record.key, number)
          forward(record.withValue(`${answer} ${number}`))
        },
      })
      .to(asked)
  })

const invariants = (world: SimulatedWorld): void => {
  expect(overlaps.splice(0)).toEqual([])
  const sent = world.records(input)
  const counts = new Map<string, number>()
  const expected = sent.map(({ key, value, partition }) => {
    const number = (counts.get(key) ?? 0) + 1
    counts.set(key, number)
    return { key, partition, plain: `plain ${value}`, asked: `${value.toUpperCase()} ${number}` }
  })
  // All of it in the order of the input, partition by partition.
  const told = (records: ReturnType<typeof world.records<string, string>>): unknown[] =>
    records.map(({ key, value, partition }) => [partition, key, value])
  expect(told(world.records(plain))).toEqual(expected.map((one) => [one.partition, one.key, one.plain]))
  expect(told(world.records(asked))).toEqual(expected.map((one) => [one.partition, one.key, one.asked]))
  expect(world.store(numbers)).toEqual(counts)
}

describe('asynchronous processors under simulate', () => {
  it('give what synchronous ones would, whatever dies', async () => {
    mostOpen = 0
    const summary = await simulate({
      topology: overAsync,
      seeds: 8,
      settings: { onFailure: 'retry', retryAttempts: 50, retryBackoffMs: 20, retryBackoffMaxMs: 100 },
      input: ({ send, random }) => {
        for (let step = 0; step < 80; step++) send(input, `k${Math.floor(random() * 9)}`, `v${step}`)
      },
      invariants,
    })
    expect(summary.failovers).toBeGreaterThan(0)
    expect(mostOpen).toBeGreaterThan(3)
  }, 60_000)
})
