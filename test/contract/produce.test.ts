// Produce without idempotence: what is taken, what is refused and with which code, and what stands in the log then.
import { describe, expect } from 'vitest'
import { produce } from '../../src/protocol/produce.ts'
import type { Compression } from '../../src/record/compression.ts'
import { contract } from '../support/contract/contract.ts'
import {
  batchOf,
  boundsOf,
  fetchFrom,
  patched,
  produceBytes,
  produceTo,
  valuesIn,
} from '../support/contract/log.ts'
import { nameOf, unique } from '../support/contract/names.ts'
import { settled } from '../support/contract/waits.ts'

const hourMs = 3_600_000

describe('Produce', () => {
  contract('gives offsets one after the other, batch by batch', async (broker) => {
    const topic = await broker.topic()
    const first = await produceTo(broker.wire, topic, ['a', 'b'])
    const second = await produceTo(broker.wire, topic, ['c'])
    const common = {
      error: 'NONE',
      logAppendTimeMs: -1,
      logStartOffset: 0,
      recordErrors: [],
      errorMessage: null,
    }
    expect(first).toMatchObject({ baseOffset: 0, ...common })
    expect(second).toMatchObject({ baseOffset: 2, ...common })
    const { seen, highWatermark, batches } = await fetchFrom(broker.wire, topic)
    expect(seen.map(({ offset, value }) => [offset, value])).toEqual([
      [0, 'a'],
      [1, 'b'],
      [2, 'c'],
    ])
    expect(highWatermark).toBe(3)
    expect(batches.map(({ base, last }) => [base, last])).toEqual([
      [0, 1],
      [2, 2],
    ])
  })

  contract('keeps keys, nulls, empty values and timestamps', async (broker) => {
    const topic = await broker.topic()
    const now = Date.now()
    const records = [
      { key: null, value: 'no key', timestamp: now },
      { key: 'no value', value: null, timestamp: now - 5000 },
      { key: '', value: '', timestamp: now + 5000 },
    ]
    await produceTo(broker.wire, topic, records)
    const { seen, views } = await fetchFrom(broker.wire, topic)
    expect(seen).toEqual(records.map((record, offset) => ({ offset, ...record })))
    expect(views[0]?.maxTimestamp).toBe(now + 5000)
    expect(views[0]?.timestampType).toBe('create')
  })

  for (const compression of ['gzip', 'snappy', 'lz4', 'zstd'] satisfies Compression[]) {
    contract(`takes ${compression}, and gives it back as it was`, async (broker) => {
      const topic = await broker.topic()
      const values = Array.from({ length: 50 }, (_, index) => `value ${index} of many that are alike`)
      expect((await produceTo(broker.wire, topic, values, { compression })).error).toBe('NONE')
      const { views } = await fetchFrom(broker.wire, topic)
      expect(views.map((view) => view.compression)).toEqual([compression])
      expect(await valuesIn(broker.wire, topic)).toEqual(values)
      expect((await produceTo(broker.wire, topic, ['next'])).baseOffset).toBe(50)
    })
  }

  contract('stamps records when they are appended, where the topic wants it', async (broker) => {
    const topic = await broker.topic(1, { 'message.timestamp.type': 'LogAppendTime' })
    const before = Date.now()
    const { logAppendTimeMs } = await produceTo(broker.wire, topic, ['a', 'b'], { timestamp: 1000 })
    expect(Math.abs(logAppendTimeMs - before)).toBeLessThan(10_000)
    const { seen, views } = await fetchFrom(broker.wire, topic)
    expect(seen.map(({ timestamp }) => timestamp)).toEqual([logAppendTimeMs, logAppendTimeMs])
    expect(views[0]?.timestampType).toBe('log-append')
    for (const view of views) view.checkCrc()
  })

  contract('sets offset and leader epoch, and leaves the rest of the batch', async (broker) => {
    const topic = await broker.topic()
    await produceTo(broker.wire, topic, ['a'])
    const sent = batchOf(['b', 'c'])
    await produceBytes(broker.wire, topic, sent)
    const { views } = await fetchFrom(broker.wire, topic, { offset: 1 })
    const [view] = views
    expect(view?.baseOffset).toBe(1)
    expect(view?.partitionLeaderEpoch).toBe(0)
    expect(view?.buffer.subarray(view.start + 16, view.end)).toEqual(sent.subarray(16))
  })

  contract('is the same with acks 1', async (broker) => {
    const topic = await broker.topic()
    expect(await produceTo(broker.wire, topic, ['a'], { acks: 1 })).toMatchObject({
      error: 'NONE',
      baseOffset: 0,
    })
    expect(await valuesIn(broker.wire, topic)).toEqual(['a'])
  })

  contract('has no answer with acks 0', async (broker) => {
    const topic = await broker.topic()
    const topics = [{ topic, partitions: [{ partition: 0, records: batchOf(['quiet']) }] }]
    broker.wire.tell(produce, { transactionalId: null, acks: 0 as 1, timeoutMs: 1000, topics })
    // The next answer is that of the next request.
    const values = await settled(
      () => valuesIn(broker.wire, topic),
      (found) => found.length > 0,
    )
    expect(values).toEqual(['quiet'])
  })

  contract('keeps the batches of several partitions apart', async (broker) => {
    const topic = await broker.topic(2)
    const topics = [
      {
        topic,
        partitions: [
          { partition: 1, records: batchOf(['one']) },
          { partition: 7, records: batchOf(['seven']) },
          { partition: 0, records: batchOf(['zero']) },
        ],
      },
    ]
    const answer = await broker.wire.ask(produce, {
      transactionalId: null,
      acks: -1,
      timeoutMs: 1000,
      topics,
    })
    const errors = answer.topics[0]?.partitions.map(({ partition, errorCode }) => [
      partition,
      nameOf(errorCode),
    ])
    expect(Object.fromEntries(errors ?? [])).toEqual({
      ...{ 0: 'NONE', 1: 'NONE', 7: 'UNKNOWN_TOPIC_OR_PARTITION' },
    })
    expect(await valuesIn(broker.wire, topic, 'read_committed', 1)).toEqual(['one'])
  })
})

describe('Produce refuses', () => {
  contract('a topic that there is not, and does not make it', async ({ wire }) => {
    const topic = unique('unknown')
    for (let times = 0; times < 2; times++) {
      expect(await produceTo(wire, topic, ['a'])).toMatchObject({
        ...{ error: 'UNKNOWN_TOPIC_OR_PARTITION', baseOffset: -1 },
      })
    }
  })

  contract('acks of another number', async (broker) => {
    const topic = await broker.topic()
    expect((await produceTo(broker.wire, topic, ['a'], { acks: 2 })).error).toBe('INVALID_REQUIRED_ACKS')
    expect(await boundsOf(broker.wire, topic)).toEqual([0, 0, 0])
  })

  contract('a batch whose CRC is wrong', async (broker) => {
    const topic = await broker.topic()
    const broken = batchOf(['a value of some length'])
    broken[broken.length - 3] = (broken[broken.length - 3] ?? 0) ^ 0xff
    expect((await produceBytes(broker.wire, topic, broken)).error).toBe('CORRUPT_MESSAGE')
    expect(await boundsOf(broker.wire, topic)).toEqual([0, 0, 0])
  })

  contract('a batch larger than the topic takes', async (broker) => {
    const topic = await broker.topic(1, { 'max.message.bytes': '500' })
    expect((await produceTo(broker.wire, topic, ['x'.repeat(200)])).error).toBe('NONE')
    expect(await produceTo(broker.wire, topic, ['x'.repeat(300)])).toMatchObject({
      ...{ error: 'MESSAGE_TOO_LARGE', baseOffset: -1 },
    })
    expect(await boundsOf(broker.wire, topic)).toEqual([0, 1, 1])
  })

  contract('a batch larger than any topic takes by default', async (broker) => {
    const topic = await broker.topic()
    const tooLarge = [{ key: null, value: 'x'.repeat(1_048_588) }]
    expect((await produceTo(broker.wire, topic, tooLarge)).error).toBe('MESSAGE_TOO_LARGE')
    const fits = [{ key: null, value: 'x'.repeat(1_048_000) }]
    expect((await produceTo(broker.wire, topic, fits)).error).toBe('NONE')
  })

  contract('a batch whose count is not that of its offsets', async (broker) => {
    const topic = await broker.topic()
    const lastDelta = patched(batchOf(['a', 'b']), (bytes) => bytes.writeInt32BE(5, 23))
    expect((await produceBytes(broker.wire, topic, lastDelta)).error).toBe('INVALID_RECORD')
    const count = patched(batchOf(['a', 'b']), (bytes) => bytes.writeInt32BE(3, 57))
    expect((await produceBytes(broker.wire, topic, count)).error).toBe('INVALID_RECORD')
    expect(await boundsOf(broker.wire, topic)).toEqual([0, 0, 0])
  })

  contract('a batch that says where it begins', async (broker) => {
    const topic = await broker.topic()
    const placed = batchOf(['a'])
    placed.writeBigInt64BE(99n, 0)
    expect((await produceBytes(broker.wire, topic, placed)).error).toBe('INVALID_RECORD')
  })

  contract('a batch without records', async (broker) => {
    const topic = await broker.topic()
    const empty = patched(batchOf(['a']).subarray(0, 61), (bytes) => {
      bytes.writeInt32BE(49, 8)
      bytes.writeInt32BE(0, 57)
    })
    expect((await produceBytes(broker.wire, topic, empty)).error).toBe('INVALID_RECORD')
  })

  contract('two batches for one partition', async (broker) => {
    const topic = await broker.topic()
    const two = Buffer.concat([batchOf(['a']), batchOf(['b'])])
    expect((await produceBytes(broker.wire, topic, two)).error).toBe('INVALID_RECORD')
    expect(await boundsOf(broker.wire, topic)).toEqual([0, 0, 0])
  })

  contract('a control batch of a client', async (broker) => {
    const topic = await broker.topic()
    const control = patched(batchOf(['a']), (bytes) => bytes.writeInt16BE(0x20, 21))
    expect((await produceBytes(broker.wire, topic, control)).error).toBe('INVALID_RECORD')
    expect(await boundsOf(broker.wire, topic)).toEqual([0, 0, 0])
  })

  contract('a record without a key in a compacted topic, and says which', async (broker) => {
    const topic = await broker.topic(1, { 'cleanup.policy': 'compact' })
    const answer = await produceTo(broker.wire, topic, [
      { key: 'k', value: 'v' },
      { key: null, value: 'none' },
    ])
    expect(answer).toMatchObject({ error: 'INVALID_RECORD', baseOffset: -1 })
    expect(answer.recordErrors.map(({ batchIndex }) => batchIndex)).toEqual([1])
    expect(await boundsOf(broker.wire, topic)).toEqual([0, 0, 0])
  })

  contract('timestamps too far in the future', async (broker) => {
    const topic = await broker.topic()
    const later = Date.now() + hourMs + 60_000
    const answer = await produceTo(broker.wire, topic, ['a', { value: 'b', timestamp: later }])
    expect(answer.error).toBe('INVALID_TIMESTAMP')
    expect(answer.recordErrors.map(({ batchIndex }) => batchIndex)).toEqual([1])
    expect((await produceTo(broker.wire, topic, ['a'], { timestamp: later - 120_000 })).error).toBe('NONE')
  })

  contract('timestamps too far in the past, where the topic has such a limit', async (broker) => {
    const topic = await broker.topic(1, { 'message.timestamp.before.max.ms': '60000' })
    expect((await produceTo(broker.wire, topic, ['a'], { timestamp: Date.now() - 120_000 })).error).toBe(
      'INVALID_TIMESTAMP',
    )
    expect((await produceTo(broker.wire, topic, ['a'], { timestamp: Date.now() - 1000 })).error).toBe('NONE')
  })

  contract('records that cannot be taken apart', async (broker) => {
    const topic = await broker.topic()
    // The length of the first record is beyond its batch.
    const broken = patched(batchOf(['a']), (bytes) => bytes.writeInt8(0x7e, 61))
    expect(['INVALID_RECORD', 'CORRUPT_MESSAGE']).toContain(
      (await produceBytes(broker.wire, topic, broken)).error,
    )
    expect(await boundsOf(broker.wire, topic)).toEqual([0, 0, 0])
  })
})
