// Reads partitions to their last stable offset by raw Fetch requests in many small steps, and hands every answer to
// whoever judges it. What an answer holds depends on the sizes alone, never on a filter.
import type { Cluster } from '../../src/client/cluster.ts'
import { acceptBatches } from '../../src/client/fetched-records.ts'
import { type FetchedPartition, fetch } from '../../src/protocol/fetch.ts'
import { type BatchView, readBatches } from '../../src/record/batch-view.ts'
import { RecordCursor } from '../../src/record/record-cursor.ts'
import type { JudgedRecord } from './judge.ts'
import { below, type Random, shuffled } from './random.ts'
import type { BatchFilter } from './wrong-filters.ts'

export interface Reading {
  readonly topic: string
  readonly partition: number
  readonly from: number
  /** Last stable offset. */
  readonly end: number
  position: number
}

const textOf = (offset: number, key: Buffer | null, value: Buffer | null): string =>
  `${offset}:${key?.toString('hex') ?? 'null'}:${value?.toString('latin1') ?? 'null'}`

/** One record of the judge in one word: offset, key and value. */
export const judgedText = ({ offset, key, value }: JudgedRecord): string => textOf(offset, key, value)

const cursor = new RecordCursor()

/** The records of a batch at or above `from`, each in one word as judgedText writes it. */
export const batchTexts = (batch: BatchView, from: number): string[] => {
  const texts: string[] = []
  cursor.reset(batch)
  while (cursor.next()) {
    const { buffer, keyStart, keyLength, valueStart, valueLength, offset } = cursor
    if (offset < from) continue
    const key = keyLength < 0 ? null : buffer.subarray(keyStart, keyStart + keyLength)
    const value = valueLength < 0 ? null : buffer.subarray(valueStart, valueStart + valueLength)
    texts.push(textOf(offset, key, value))
  }
  return texts
}

/** Most answers hold one or two small batches or part of the next one; the first of a request is never empty. */
const partitionMaxBytes = (random: Random): number =>
  random() < 0.1 ? 1 : random() < 0.85 ? 90 + below(random, 200) : 1000

/** Reads all of `readings` side by side; `seen` gets each answer before the position moves. */
export const readInSmallSteps = async (
  cluster: Cluster,
  readings: readonly Reading[],
  random: Random,
  seen: (reading: Reading, answer: FetchedPartition) => number,
): Promise<void> => {
  for (let left = readings.filter(({ position, end }) => position < end); left.length > 0; ) {
    const byPlace = new Map(left.map((reading) => [`${reading.topic}/${reading.partition}`, reading]))
    const topics = shuffled(random, left).map(({ topic, partition, position }) => ({
      topic,
      partitions: [
        { partition, currentLeaderEpoch: -1, fetchOffset: position, maxBytes: partitionMaxBytes(random) },
      ],
    }))
    const first = left[0] as Reading
    const leader = cluster.partition(first.topic, first.partition)?.leader as number
    const answer = await cluster.send(leader, 'fetch', fetch, {
      maxWaitMs: 0,
      minBytes: 0,
      maxBytes: 10_000_000,
      isolationLevel: 'read_committed',
      topics,
    })
    for (const { topic, partitions } of answer.topics) {
      for (const one of partitions) {
        const reading = byPlace.get(`${topic}/${one.partition}`) as Reading
        if (one.errorCode !== 0) throw new Error(`${topic}/${one.partition} was answered ${one.errorCode}`)
        if (one.records.length > 0) reading.position = seen(reading, one)
      }
    }
    left = left.filter(({ position, end }) => position < end)
  }
}

/** What millstream shows of an answer, and where it goes on. @throws the failure of a batch. */
export const shown = (
  reading: Reading,
  answer: FetchedPartition,
): { texts: string[]; nextOffset: number } => {
  const { position } = reading
  const { records, abortedTransactions } = answer
  const accepted = acceptBatches(records, reading, position, 'read_committed', abortedTransactions)
  if (accepted.failure !== undefined) throw accepted.failure
  const texts = accepted.batches.flatMap((batch) => batchTexts(batch, position))
  return { texts, nextOffset: accepted.nextOffset }
}

/** What would be shown of an answer with another filter. */
export const shownBy = (filter: BatchFilter, reading: Reading, answer: FetchedPartition): string[] =>
  readBatches(answer.records, 0, answer.records.length, reading)
    .filter((batch) => filter.accepts(batch))
    .flatMap((batch) => batchTexts(batch, reading.position))
