// A worker that counts words, and the recount that judges it: from the raw lines as the Java consumer reads them, with
// neither our serdes nor our client.
import { expect } from 'vitest'
import { int64, store, string, topic, topology, type KeyValueStore } from 'millstream'
import type { Topology } from '../../src/topology/contracts.ts'
import type { Judge } from './judge.ts'
import { uniqueTopic } from './kafka.ts'

export interface WordCount {
  readonly applicationId: string
  readonly lines: string
  readonly counts: string
  readonly repartition: string
  readonly changelog: string
  readonly topology: Topology
  /** The stores of the tasks that were made last, by partition. */
  readonly stores: Map<number, KeyValueStore<string, number>>
}

/** Words of lines, counted in a store behind a repartition topic: two sub-topologies. */
export const wordCount = (name: string): WordCount => {
  const applicationId = uniqueTopic(name)
  const lines = topic(`${applicationId}-lines`, { key: string, value: string })
  const counts = topic(`${applicationId}-counts`, { key: string, value: int64 })
  const totals = store('totals', { key: string, value: int64 })
  const stores = new Map<number, KeyValueStore<string, number>>()
  const built = topology(applicationId, (t) => {
    const counted = t
      .stream(lines)
      .flatMapValues((line) => line.split(' '))
      .groupBy((record) => record.value, { name: 'by-word', key: string, value: string })
      .count(totals)
      .toStream()
    counted.to(counts)
    counted.process({
      name: 'inspector',
      stores: [totals],
      init: (context) => void stores.set(context.partition, context.stores.totals),
      process: () => undefined,
    })
  })
  return {
    applicationId,
    lines: lines.name,
    counts: counts.name,
    repartition: `${applicationId}-by-word-repartition`,
    changelog: `${applicationId}-totals-changelog`,
    topology: built,
    stores,
  }
}

export const createWordCountTopics = async (
  judge: Judge,
  app: WordCount,
  partitions: number,
): Promise<void> =>
  await judge.createTopics({ name: app.lines, partitions }, { name: app.counts, partitions })

const textOf = (bytes: Buffer | null): string => (bytes ?? Buffer.from('(null)')).toString('utf8')
/** In the changelog of a table its timestamp stands before the count. */
const countOf = (bytes: Buffer | null): number =>
  bytes === null ? 0 : Number(bytes.readBigInt64BE(bytes.length - 8))

/** How often each word stands in the lines that a reader of committed data sees. */
const recount = async (judge: Judge, app: WordCount): Promise<Map<string, number>> => {
  const words = new Map<string, number>()
  for (const { value } of (await judge.dump(app.lines)).records) {
    for (const word of textOf(value).split(' ')) words.set(word, (words.get(word) ?? 0) + 1)
  }
  return words
}

/** Every input is read up to its end, as far as the group knows. */
export const isDrained = async (judge: Judge, app: WordCount): Promise<boolean> => {
  const committed = await judge.groupOffsets(app.applicationId)
  for (const topic of [app.lines, app.repartition]) {
    for (const { partition, lastStable, highWatermark } of await judge.offsets(topic)) {
      const found = committed.find((one) => one.topic === topic && one.partition === partition)?.offset ?? -1
      if (lastStable !== highWatermark || found !== highWatermark) return false
    }
  }
  return true
}

/**
 * Output, changelog, store and offsets are those of the recount. The counts of a word are 1, 2, 3, … without a gap and
 * without a repetition, which is stronger than the last one being right.
 */
export const expectExactCounts = async (judge: Judge, app: WordCount): Promise<Map<string, number>> => {
  const expected = await recount(judge, app)
  const seen = new Map<string, number>()
  const wrong: string[] = []
  for (const { key, value, partition, offset } of (await judge.dump(app.counts)).records) {
    const word = textOf(key)
    const next = (seen.get(word) ?? 0) + 1
    if (countOf(value) !== next)
      wrong.push(`${word} is ${countOf(value)} after ${next - 1} (${partition}@${offset})`)
    seen.set(word, countOf(value))
  }
  expect(wrong).toEqual([])
  const sorted = (map: ReadonlyMap<string, number>): [string, number][] => [...map].sort()
  expect(sorted(seen)).toEqual(sorted(expected))
  const changelog = new Map(
    (await judge.dump(app.changelog)).records.map(({ key, value }) => [textOf(key), countOf(value)]),
  )
  expect(sorted(changelog)).toEqual(sorted(expected))
  const stored = new Map(
    [...app.stores.values()].flatMap((one) => [...one.all()].map(({ key, value }) => [key, value] as const)),
  )
  expect(sorted(stored)).toEqual(sorted(expected))
  expect(await isDrained(judge, app)).toBe(true)
  return expected
}
