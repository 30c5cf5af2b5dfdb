// Compaction and retention: what is still to be seen once the cleaner has been there. Segments are closed after a moment
// here, and the one that is written to is never cleaned; so each case ends its part of the log with records of no matter.
import { describe, expect } from 'vitest'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Broker, contract } from '../support/contract/contract.ts'
import {
  boundsOf,
  fetchFrom,
  produceTo,
  readLog,
  type RecordToSend,
  type SeenBatch,
  type SeenRecord,
  valuesIn,
} from '../support/contract/log.ts'
import { initOnce, Producer } from '../support/contract/producers.ts'
import { settled } from '../support/contract/waits.ts'
import type { Wire } from '../support/contract/wire.ts'

const segmentMs = 100
/** For the cleaner, which looks every 200 ms. */
const timeoutMs = 70_000
const patienceMs = 45_000

const compacted = {
  'cleanup.policy': 'compact',
  'segment.ms': String(segmentMs),
  'min.cleanable.dirty.ratio': '0.001',
  // Later than any of these cases ends.
  'delete.retention.ms': '3600000',
}

const pair = (key: string, value: string | null): RecordToSend => ({ key, value })

/** Ends the segment that is being written, and begins another. */
const roll = async (wire: Wire, topic: string): Promise<void> => {
  await sleep(segmentMs * 2)
  await produceTo(wire, topic, [pair('end', 'of no matter')])
}

const withoutEnds = (records: readonly SeenRecord[]): SeenRecord[] =>
  records.filter(({ key }) => key !== 'end')

const seen = async (wire: Wire, topic: string): Promise<string[]> =>
  withoutEnds((await readLog(wire, topic)).seen).map((one) => `${one.offset} ${one.key} ${one.value}`)

/** Waits until this is all that is seen, besides the ends of segments. @returns what is seen then, or at last */
const untilSeen = async (wire: Wire, topic: string, expected: readonly string[]): Promise<string[]> => {
  const isThere = (found: readonly string[]): boolean => found.join() === expected.join()
  const ask = async (): Promise<string[]> => {
    await produceTo(wire, topic, [pair('end', 'of no matter')])
    await sleep(segmentMs)
    return await seen(wire, topic)
  }
  return await settled(ask, isThere, patienceMs)
}

const batchesOf = async (wire: Wire, topic: string): Promise<readonly SeenBatch[]> =>
  (await readLog(wire, topic, 'read_uncommitted')).batches

/** Also what was aborted or is not committed yet. */
const allValues = async (wire: Wire, topic: string): Promise<string[]> =>
  withoutEnds((await readLog(wire, topic, 'read_uncommitted')).seen).map(({ value }) => String(value))

const compactedTopic = (broker: Broker, settings: Readonly<Record<string, string>> = {}): Promise<string> =>
  broker.topic(1, { ...compacted, ...settings })

describe('compaction', () => {
  contract(
    'leaves the last value of each key, at its offset',
    async (broker) => {
      const { wire } = broker
      const topic = await compactedTopic(broker)
      await produceTo(wire, topic, [pair('a', '0'), pair('b', '1'), pair('a', '2')])
      await produceTo(wire, topic, [pair('c', '3'), pair('b', '4')])
      await roll(wire, topic)
      const expected = ['2 a 2', '3 c 3', '4 b 4']
      expect(await untilSeen(wire, topic, expected)).toEqual(expected)
      // The log still begins where it began, and may be read from a place where nothing is left.
      expect((await boundsOf(wire, topic))[0]).toBe(0)
      expect((await fetchFrom(wire, topic, { offset: 1 })).seen[0]).toMatchObject({ offset: 2, value: '2' })
      for (const view of (await readLog(wire, topic)).views) view.checkCrc()
    },
    timeoutMs,
  )

  contract(
    'leaves what is being written to',
    async (broker) => {
      const { wire } = broker
      const topic = await compactedTopic(broker, { 'segment.ms': '3600000' })
      await produceTo(wire, topic, [pair('a', '0'), pair('a', '1')])
      await sleep(1500)
      expect(await seen(wire, topic)).toEqual(['0 a 0', '1 a 1'])
    },
    timeoutMs,
  )

  contract(
    'keeps a tombstone for as long as the topic says',
    async (broker) => {
      const { wire } = broker
      const topic = await compactedTopic(broker)
      await produceTo(wire, topic, [pair('a', '0'), pair('b', '1')])
      await produceTo(wire, topic, [pair('a', null)])
      await roll(wire, topic)
      const expected = ['1 b 1', '2 a null']
      expect(await untilSeen(wire, topic, expected)).toEqual(expected)
      await sleep(600)
      expect(await untilSeen(wire, topic, expected)).toEqual(expected)
    },
    timeoutMs,
  )

  contract(
    'removes a tombstone after that',
    async (broker) => {
      const { wire } = broker
      const topic = await compactedTopic(broker, { 'delete.retention.ms': '100' })
      await produceTo(wire, topic, [pair('a', '0'), pair('b', '1')])
      await produceTo(wire, topic, [pair('a', null)])
      await roll(wire, topic)
      expect(await untilSeen(wire, topic, ['1 b 1'])).toEqual(['1 b 1'])
    },
    timeoutMs,
  )

  contract(
    'keeps timestamps and headers of the batch that is left',
    async (broker) => {
      const { wire } = broker
      const topic = await compactedTopic(broker)
      const start = Date.now() - 10_000
      const at = (key: string, value: string, ms: number): RecordToSend => ({
        key,
        value,
        timestamp: start + ms,
      })
      await produceTo(wire, topic, [
        at('a', '0', 0),
        at('b', '1', 1000),
        at('a', '2', 2000),
        at('c', '3', 500),
      ])
      await roll(wire, topic)
      const expected = ['1 b 1', '2 a 2', '3 c 3']
      expect(await untilSeen(wire, topic, expected)).toEqual(expected)
      const found = withoutEnds((await readLog(wire, topic)).seen)
      expect(found.map(({ timestamp }) => timestamp - start)).toEqual([1000, 2000, 500])
    },
    timeoutMs,
  )

  contract(
    'keeps compressed batches compressed',
    async (broker) => {
      const { wire } = broker
      const topic = await compactedTopic(broker)
      const records = ['a', 'b', 'a', 'b'].map((key, index) => pair(key, String(index)))
      await produceTo(wire, topic, records, { compression: 'gzip' })
      await roll(wire, topic)
      const expected = ['2 a 2', '3 b 3']
      expect(await untilSeen(wire, topic, expected)).toEqual(expected)
      const [view] = (await readLog(wire, topic)).views
      expect(view?.compression).toBe('gzip')
      expect(view?.lastOffset).toBe(3)
    },
    timeoutMs,
  )

  contract(
    'removes records of aborted transactions, and lets those of committed ones replace',
    async (broker) => {
      const { wire } = broker
      const topic = await compactedTopic(broker)
      await produceTo(wire, topic, [pair('a', '0'), pair('b', '1')])
      const producer = await Producer.open(broker)
      await producer.produce(topic, [pair('a', '2'), pair('b', '3')])
      await producer.end(false)
      await producer.complete()
      await producer.produce(topic, [pair('b', '5')])
      await producer.end(true)
      await producer.complete()
      await roll(wire, topic)
      // An aborted record does not replace a committed one.
      const expected = ['0 a 0', '5 b 5']
      expect(await untilSeen(wire, topic, expected)).toEqual(expected)
      const gone = (): Promise<string[]> => allValues(wire, topic)
      expect(await settled(gone, (found) => found.length === 2, patienceMs)).toEqual(['0', '5'])
    },
    timeoutMs,
  )

  contract(
    'removes a marker once nothing of its transaction is left, and not before',
    async (broker) => {
      const { wire } = broker
      const topic = await compactedTopic(broker, { 'delete.retention.ms': '100' })
      const [one, two] = [await Producer.open(broker), await Producer.open(broker)]
      await one.produce(topic, [pair('kept', 'of the first')])
      await one.end(true)
      await one.complete()
      await two.produce(topic, [pair('replaced', 'of the second')])
      await two.end(true)
      await two.complete()
      await produceTo(wire, topic, [pair('replaced', 'later')])
      await roll(wire, topic)
      const markers = async (): Promise<(number | string)[]> => {
        await produceTo(wire, topic, [pair('end', 'of no matter')])
        await sleep(segmentMs)
        const batches = await batchesOf(wire, topic)
        return batches.filter(({ kind, count }) => kind === 'commit' && count > 0).map(({ base }) => base)
      }
      expect(await settled(markers, (found) => found.join() === '1', patienceMs)).toEqual([1])
      expect(await seen(wire, topic)).toEqual(['0 kept of the first', '4 replaced later'])
    },
    timeoutMs,
  )

  contract(
    'keeps the last batch of a producer, empty, so that its sequence goes on',
    async (broker) => {
      const { wire } = broker
      const topic = await compactedTopic(broker)
      const { producerId, producerEpoch } = await initOnce(wire, null)
      const send = (baseSequence: number, key: string): Promise<{ error: string; baseOffset: number }> =>
        produceTo(wire, topic, [pair(key, String(baseSequence))], { producerId, producerEpoch, baseSequence })
      await send(0, 'a')
      await send(1, 'a')
      await produceTo(wire, topic, [pair('a', 'replaced')])
      await roll(wire, topic)
      expect(await untilSeen(wire, topic, ['2 a replaced'])).toEqual(['2 a replaced'])
      const ofProducer = async (): Promise<number[][]> =>
        (await batchesOf(wire, topic))
          .filter((batch) => batch.producerId === producerId)
          .map(({ base, last, count, sequence }) => [base, last, count, sequence])
      expect(await settled(ofProducer, (found) => found.length === 1)).toEqual([[1, 1, 0, 1]])
      expect(await send(2, 'b')).toMatchObject({ error: 'NONE' })
      expect((await send(5, 'b')).error).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER')
    },
    timeoutMs,
  )

  contract(
    'does not go beyond an open transaction',
    async (broker) => {
      const { wire } = broker
      const topic = await compactedTopic(broker)
      await produceTo(wire, topic, [pair('a', '0'), pair('a', '1')])
      await roll(wire, topic)
      const producer = await Producer.open(broker)
      await producer.produce(topic, [pair('a', '2')])
      await produceTo(wire, topic, [pair('b', '3'), pair('b', '4')])
      await roll(wire, topic)
      const all = async (): Promise<string[]> => {
        await produceTo(wire, topic, [pair('end', 'of no matter')])
        await sleep(segmentMs)
        return await allValues(wire, topic)
      }
      const found = await settled(all, (values) => values.length === 4, patienceMs)
      expect(found).toEqual(['1', '2', '3', '4'])
      expect(await seen(wire, topic)).toEqual(['1 a 1'])
    },
    timeoutMs,
  )
})

describe('retention', () => {
  contract(
    'by time removes old segments, and moves the start of the log',
    async (broker) => {
      const { wire } = broker
      const topic = await broker.topic(1, { 'retention.ms': '60000', 'segment.ms': String(segmentMs) })
      await produceTo(wire, topic, ['old'], { timestamp: Date.now() - 120_000 })
      await sleep(segmentMs * 2)
      await produceTo(wire, topic, ['new'])
      const bounds = await settled(
        () => boundsOf(wire, topic),
        ([start]) => start === 1,
        patienceMs,
      )
      expect(bounds).toEqual([1, 2, 2])
      expect(await valuesIn(wire, topic)).toEqual(['new'])
      expect((await fetchFrom(wire, topic, { offset: 0 })).error).toBe('OFFSET_OUT_OF_RANGE')
    },
    timeoutMs,
  )

  contract(
    'by size removes the oldest segments',
    async (broker) => {
      const { wire } = broker
      const topic = await broker.topic(1, { 'retention.bytes': '2500', 'segment.ms': String(segmentMs) })
      for (let at = 0; at < 5; at++) {
        await produceTo(wire, topic, [{ key: null, value: 'x'.repeat(1000) }])
        await sleep(segmentMs * 1.5)
      }
      // One segment less would be less than what is to be kept.
      const bounds = await settled(
        () => boundsOf(wire, topic),
        ([start]) => start === 2,
        patienceMs,
      )
      expect(bounds).toEqual([2, 5, 5])
    },
    timeoutMs,
  )

  contract(
    'and compaction go together',
    async (broker) => {
      const { wire } = broker
      const policy = { 'cleanup.policy': 'compact,delete', 'retention.ms': '60000' }
      const topic = await compactedTopic(broker, policy)
      const old = Date.now() - 120_000
      await produceTo(wire, topic, [{ key: 'old', value: '0', timestamp: old }])
      await sleep(segmentMs * 2)
      await produceTo(wire, topic, [pair('a', '1'), pair('a', '2')])
      await roll(wire, topic)
      expect(await untilSeen(wire, topic, ['2 a 2'])).toEqual(['2 a 2'])
      const [start] = await settled(
        () => boundsOf(wire, topic),
        ([first]) => first > 0,
        patienceMs,
      )
      expect(start).toBeGreaterThanOrEqual(1)
    },
    timeoutMs,
  )

  contract(
    'keeps idempotent producers that have nothing left in the log',
    async (broker) => {
      const { wire } = broker
      const topic = await broker.topic(1, { 'retention.ms': '60000', 'segment.ms': String(segmentMs) })
      const { producerId, producerEpoch } = await initOnce(wire, null)
      const timestamp = Date.now() - 120_000
      const identity = { producerId, producerEpoch }
      await produceTo(wire, topic, ['old'], { ...identity, baseSequence: 0, timestamp })
      await sleep(segmentMs * 2)
      await produceTo(wire, topic, ['new'])
      await settled(
        () => boundsOf(wire, topic),
        ([start]) => start === 1,
        patienceMs,
      )
      expect((await produceTo(wire, topic, ['gap'], { ...identity, baseSequence: 5 })).error).toBe(
        'OUT_OF_ORDER_SEQUENCE_NUMBER',
      )
      expect((await produceTo(wire, topic, ['next'], { ...identity, baseSequence: 1 })).error).toBe('NONE')
    },
    timeoutMs,
  )
})
