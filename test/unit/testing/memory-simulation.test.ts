// Memory of answers that is used again while its records pass through operators, workers die and transactions are aborted:
// every text that comes out is the one that went in.
import {
  int64,
  json,
  output,
  type RecordStream,
  type Serde,
  store,
  type StreamRecord,
  string,
  type Topology,
  topic,
  topology,
} from 'millstream'
import { type SimulatedWorld, simulate } from 'millstream/testing'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { wrapProcessors } from '../../../src/topology/wrap.ts'

interface Line {
  readonly number: number
  readonly text: string
}

const lines = topic('lines', { key: string, value: json<Line>() })
const passed = topic('passed', { key: string, value: json<Line>() })
const changed = topic('changed', { key: string, value: string })
const counted = topic('counted', { key: string, value: int64 })
const lasts = topic('lasts', { key: string, value: json<Line>() })
const totals = store('totals', { key: string, value: int64 })
const latest = store('latest', { key: string, value: json<Line>() })

const operators = topology('operators', (t) => {
  const all = t.stream(lines)
  // The key as it came, from memory that is written again afterwards.
  all.filter(({ value }) => value.number % 3 > 0).to(passed)
  all.mapValues(({ text }, { headers }) => `${text} ${Buffer.from(headers[0]?.value ?? [])}`).to(changed)
  const words = all
    .flatMap(({ value }) => value.text.split(' ').map((word) => ({ key: word, value })))
    .groupByKey({ name: 'by-word', key: string, value: json<Line>() })
  words.count(totals).toStream().to(counted)
  words
    .reduce(latest, (_, line) => line)
    .toStream()
    .to(lasts)
})

/** How many answers were let go: those without records are, too, and lie in far less (97 to 146 bytes, by four at most). */
const withRecords = (letGo: {
  readonly mock: { readonly results: readonly { readonly value?: unknown }[] }
}): number => letGo.mock.results.filter(({ value }) => (value as ArrayBuffer).byteLength > 600).length

const sorted = (texts: Iterable<unknown>): string[] =>
  Array.from(texts, (text) => JSON.stringify(text)).sort()

const invariants = (world: SimulatedWorld): void => {
  const input = world.records(lines)
  expect(sorted(world.records(passed).map(({ key, value }) => [key, value]))).toEqual(
    sorted(input.filter(({ value }) => value.number % 3 > 0).map(({ key, value }) => [key, value])),
  )
  expect(sorted(world.records(changed).map(({ key, value }) => [key, value]))).toEqual(
    sorted(input.map(({ key, value }) => [key, `${value.text} ${key}`])),
  )
  const words = input.flatMap(({ value }) => value.text.split(' '))
  const counts = new Map<string, number>()
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1)
  expect(sorted(world.store(totals))).toEqual(sorted(counts))
  // Each line of a key is the last one at some moment: all of them are told.
  expect(sorted(world.records(lasts).map(({ key, value }) => [key, value]))).toEqual(
    sorted(input.flatMap(({ value }) => value.text.split(' ').map((word) => [word, value]))),
  )
}

afterEach(() => {
  vi.restoreAllMocks()
})

describe('operators whose records end with their turn', () => {
  it('read what was sent, however often the memory of an answer is used', async () => {
    const letGo = vi.spyOn(ArrayBuffer.prototype, 'transfer')
    const summary = await simulate({
      topology: operators,
      seeds: 12,
      input: ({ send, random }) => {
        for (let number = 0; number < 200; number++) {
          const key = `key-${Math.floor(random() * 20)}`
          const words = Array.from({ length: 1 + random() * 4 }, () => `word${Math.floor(random() * 30)}`)
          send(
            lines,
            key,
            { number, text: words.join(' ') },
            { headers: [{ key: 'of', value: Buffer.from(key) }] },
          )
        }
      },
      invariants,
    })
    expect(summary.records).toBeGreaterThan(1000)
    expect(withRecords(letGo)).toBeGreaterThan(100)
  })
})

const texts = topic('texts', { key: string, value: string })
const out = topic('out', { key: string, value: string })

/** Sixty texts of 400 characters, without any fault. */
const runOf = (made: Topology): Promise<unknown> =>
  simulate({
    topology: made,
    seeds: 1,
    workers: 1,
    partitions: 1,
    faults: [],
    input: ({ send }) => {
      for (let number = 0; number < 60; number++)
        send(texts, `key-${number % 3}`, `${number}`.padEnd(400, '.'))
    },
    invariants: (world) => {
      expect(world.records(texts).length).toBe(60)
    },
  })

const toOut = (change: (texts: RecordStream<string, string>) => RecordStream<string, string>): Topology =>
  topology('texts', (t) => change(t.stream(texts)).to(out))

describe('the memory of an answer', () => {
  const timesLetGo = async (made: Topology): Promise<number> => {
    const letGo = vi.spyOn(ArrayBuffer.prototype, 'transfer')
    await runOf(made)
    return withRecords(letGo)
  }
  const counts = store('counts', { key: string, value: int64 })
  const own: Serde<string> = { name: 'own', encode: string.encode, decode: string.decode }

  it.each<[string, Topology]>([
    ['filter', toOut((all) => all.filter(() => true).filterNot(() => false))],
    ['map', toOut((all) => all.map(({ key, value }) => ({ key, value: `${value}!` })))],
    [
      'mapValues and flatMapValues',
      toOut((all) => all.mapValues((value) => `${value}!`).flatMapValues((v) => [v])),
    ],
    [
      'branch, selectKey and merge',
      toOut((all) => {
        const { odd, even } = all.branch({ odd: ({ key }) => key === 'key-1', even: () => true })
        return odd.selectKey(() => 'odd').merge(even)
      }),
    ],
    ['count', toOut((all) => all.groupByKey().count(counts).toStream().mapValues(String))],
  ])('is used again behind %s', async (_, made) => {
    expect(await timesLetGo(made)).toBeGreaterThan(0)
  })

  it.each<[string, Topology]>([
    ['peek', toOut((all) => all.peek(() => {}))],
    [
      'foreach',
      topology('texts', (t) => {
        const all = t.stream(texts)
        all.foreach(() => {})
        all.to(out)
      }),
    ],
    [
      'process',
      toOut((all) =>
        all.process({ outputs: output<string, string>(), process: (record, { forward }) => forward(record) }),
      ),
    ],
    ['mapValuesAsync', toOut((all) => all.mapValuesAsync((value) => Promise.resolve(value)))],
    [
      'a serde of the user',
      topology('texts', (t) =>
        t
          .stream(topic('texts', { key: string, value: own }))
          .filter(() => true)
          .to(out),
      ),
    ],
    [
      'a wrapped processor',
      wrapProcessors(
        toOut((all) => all.filter(() => true)),
        (_, processor) => ({ process: (record) => processor.process(record) }),
      ),
    ],
  ])('stays behind %s', async (_, made) => {
    expect(await timesLetGo(made)).toBe(0)
  })
})

describe('a record that was kept behind its turn', () => {
  type Text = StreamRecord<string, string>

  /** Answers the first record that it was given. */
  const keeper = (): ((record: Text) => Text) => {
    let kept: Text | undefined
    return (record) => {
      kept ??= record
      return kept
    }
  }

  it('is refused where a function answers it', async () => {
    const first = keeper()
    const made = toOut((all) => all.map((record) => first(record)))
    await expect(runOf(made)).rejects.toThrow(
      /RECORD_EXPIRED: a record was read after its turn.*topic texts, partition 0/,
    )
  })

  it('is refused where a processor sends it on', async () => {
    const first = keeper()
    const made = topology('texts', (t) => {
      const all = t.stream(texts)
      all
        .filter((record) => first(record) !== undefined)
        .repartition({ name: 'again', key: string, value: string })
        .process({
          outputs: output<string, string>(),
          process: (record, { forward }) => forward(first(record)),
        })
        .to(out)
    })
    await expect(runOf(made)).rejects.toThrow(/RECORD_EXPIRED.*topic texts-again-repartition/)
  })

  it('still has the value that was read', async () => {
    const first = keeper()
    const seen = new Set<string>()
    await runOf(
      toOut((all) =>
        all.mapValues((value, record) => {
          seen.add(first(record).value)
          return value
        }),
      ),
    )
    expect([...seen]).toEqual(['0'.padEnd(400, '.')])
  })
})
