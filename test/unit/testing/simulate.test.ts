// `simulate` as a user of the package sees it: a topology that is right passes, and one with a side effect is found out.
import { int64, processor, store, type StreamRecord, string, topic, topology } from 'millstream'
import { type SimulatedFeed, type SimulatedWorld, simulate } from 'millstream/testing'
import { describe, expect, it } from 'vitest'
import wordCount, { counts, lines, totals } from '../../../processors/word-count/index.ts'

const vocabulary = ['to', 'be', 'or', 'not', 'that', 'is', 'the', 'question']

/** So many lines of so many words. */
const sendLines = ({ send, random }: SimulatedFeed, count: number): void => {
  for (let line = 0; line < count; line++) {
    const words = Array.from({ length: 3 }, () => vocabulary[Math.floor(random() * vocabulary.length)])
    send(lines, `line-${line % 10}`, words.join(' '))
  }
}

const expectedCounts = (world: SimulatedWorld): Map<string, number> => {
  const expected = new Map<string, number>()
  for (const { value } of world.records(lines))
    for (const word of value.split(' ')) expected.set(word, (expected.get(word) ?? 0) + 1)
  return expected
}

describe('simulate', () => {
  it('runs a topology that is right under faults', async () => {
    const summary = await simulate({
      topology: wordCount,
      seeds: 8,
      input: (feed) => sendLines(feed, 60),
      invariants: (world) => {
        expect(world.store(totals)).toEqual(expectedCounts(world))
        // Every count is written once: 1, 2, 3, …
        for (const word of vocabulary) {
          const written = world.records(counts).filter(({ key }) => key === word)
          expect(written.map(({ value }) => value)).toEqual(written.map((_, index) => index + 1))
        }
      },
    })
    expect(summary).toMatchObject({ seeds: 8, records: 480 })
    expect(summary.faults).toBeGreaterThan(16)
    expect(summary.failovers).toBeGreaterThan(0)
  })

  // The words are counted in a variable of the module: a record that is processed again, since its transaction was
  // aborted, is counted again.
  const remembered = new Map<string, number>()
  const input = topic('words', { key: string, value: string })
  const output = topic('word-totals', { key: string, value: int64 })
  const forgetful = topology('forgetful', (t) => {
    t.stream(input)
      .mapValues((word, { key }) => {
        const count = (remembered.get(key) ?? 0) + 1
        remembered.set(key, count)
        return word === '' ? 0 : count
      })
      .to(output)
  })
  const options = {
    topology: forgetful,
    input: ({ send }: SimulatedFeed) => {
      remembered.clear()
      for (let index = 0; index < 60; index++) send(input, `key-${index % 5}`, 'word')
    },
    invariants: (world: SimulatedWorld) => {
      for (let index = 0; index < 5; index++) {
        const written = world.records(output).filter(({ key }) => key === `key-${index}`)
        expect(written.map(({ value }) => value)).toEqual(written.map((_, at) => at + 1))
      }
    },
  }

  it('finds a count that is kept in a variable instead of a store, and says how', async () => {
    const failure = await simulate({ ...options, seeds: 50 }).catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(Error)
    const { message, cause } = failure as Error
    expect(message).toMatch(/^SIMULATION_FAILED: seed \d+ failed with these faults:\nfrom .* s.*: /)
    expect(message).toMatch(/seeds: \[\d+\]/)
    expect((cause as Error).name).toBe('AssertionError')
    // The seed alone fails again.
    const seed = Number(/seed (\d+)/.exec(message)?.[1])
    await expect(simulate({ ...options, seeds: [seed] })).rejects.toThrow(`seed ${seed} failed`)
  })

  it('finds nothing wrong with it where nothing goes wrong', async () => {
    const summary = await simulate({ ...options, seeds: 3, faults: [] })
    expect(summary).toMatchObject({ seeds: 3, faults: 0, failovers: 0 })
  })

  it('tells of a processor that throws, with the seed', async () => {
    const counted = store('counted', { key: string, value: int64 })
    const failing = topology('failing', (t) => {
      t.stream(input).process(
        processor({
          name: 'count',
          stores: { counted },
          process: (record: StreamRecord<string, string>, { stores }) => {
            const count = (stores.counted.get(record.key) ?? 0) + 1
            if (count > 3) throw new Error('more than three')
            stores.counted.put(record.key, count)
          },
        }),
      )
    })
    const failure = simulate({ ...options, topology: failing, seeds: [1], faults: [] })
    await expect(failure).rejects.toThrow(/seed 1 failed without any fault: .*more than three/)
  })

  it('refuses a topic and a store that the topology does not have', async () => {
    const other = topic('other', { key: string, value: string })
    const one = { ...options, seeds: [1], faults: [] }
    const sending = simulate({ ...one, input: ({ send }) => send(other, 'key', 'value') })
    await expect(sending).rejects.toThrow(/^DRIVER_MISUSED: .*topic other/)
    const reading = simulate({ ...one, invariants: (world) => void world.records(other) })
    await expect(reading).rejects.toThrow(/DRIVER_MISUSED: .*topic other/)
    const asking = simulate({ ...one, invariants: (world) => void world.store(totals) })
    await expect(asking).rejects.toThrow(/DRIVER_MISUSED: .*forgetful-counts-changelog/)
  })

  it('shows all records of whatever year', async () => {
    // Those of long ago and the markers of today lie in different segments.
    const copied = topic('copied', { key: string, value: string })
    await simulate({
      topology: topology('copy', (t) => t.stream(lines).to(copied)),
      seeds: [1],
      input: ({ send }) => {
        for (let line = 0; line < 20; line++) send(lines, 'a', `line ${line}`, { timestamp: line })
      },
      invariants: (world) => {
        expect(world.records(copied).map(({ value }) => value)).toEqual(
          world.records(lines).map(({ value }) => value),
        )
        expect(world.records(copied)).toHaveLength(20)
      },
    })
  })

  it('may be called twice at the same time: one run follows the other', async () => {
    const one = { ...options, seeds: 2, faults: [] }
    const summaries = await Promise.all([simulate(one), simulate(one)])
    expect(summaries[0]).toEqual(summaries[1])
  })
})
