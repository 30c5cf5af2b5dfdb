import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BatchBuilder } from '../../../src/record/batch-builder.ts'
import { BatchView, readBatches } from '../../../src/record/batch-view.ts'
import { compressions } from '../../../src/record/compression.ts'
import { controlBit, logAppendBit, naiveBatch, naiveRecords, transactionalBit } from './naive-batch.ts'
import { appendPlain, plain, plainRecord, readPlain } from './record-arbitrary.ts'

const place = { topic: 'orders', partition: 3 }
const key = Buffer.from('k')
const simple = (baseOffset: number, count = 2): Buffer =>
  naiveBatch({
    baseOffset,
    lastOffset: baseOffset + count - 1,
    records: Array.from({ length: count }, (_, index) => ({
      offset: baseOffset + index,
      timestamp: 1000 + index,
      key,
      value: key,
    })),
  })
const readAll = (bytes: Buffer): BatchView[] => readBatches(bytes, 0, bytes.length, place)
const codeOf = (action: () => unknown): string => {
  try {
    action()
  } catch (error) {
    return (error as { code?: string }).code ?? String(error)
  }
  return 'nothing thrown'
}

describe('the fields of a batch', () => {
  it('are read in place', () => {
    const bytes = naiveBatch({
      baseOffset: 2 ** 40,
      lastOffset: 2 ** 40 + 9,
      attributes: transactionalBit | logAppendBit,
      producerId: 4_000_000_000_000,
      producerEpoch: 12,
      baseSequence: 77,
      baseTimestamp: 5,
      maxTimestamp: 6,
      records: [{ offset: 2 ** 40 + 4, timestamp: 5, key: null, value: null }],
    })
    bytes.writeInt32BE(31, 12)
    const batch = readBatches(
      Buffer.concat([Buffer.alloc(7), bytes]),
      7,
      7 + bytes.length,
      place,
    )[0] as BatchView
    batch.checkCrc(place)
    expect(batch).toMatchObject({
      baseOffset: 2 ** 40,
      lastOffset: 2 ** 40 + 9,
      nextOffset: 2 ** 40 + 10,
      sizeInBytes: bytes.length,
    })
    expect(batch).toMatchObject({
      partitionLeaderEpoch: 31,
      magic: 2,
      compression: 'none',
      timestampType: 'log-append',
    })
    expect(batch).toMatchObject({
      isTransactional: true,
      isControl: false,
      baseTimestamp: 5,
      maxTimestamp: 6,
    })
    expect(batch).toMatchObject({ producerId: 4e12, producerEpoch: 12, baseSequence: 77, recordCount: 1 })
    expect(batch.records()).toEqual({ buffer: batch.buffer, start: 68, end: 7 + bytes.length })
  })

  it('without a producer are -1, and control is a bit', () => {
    const batch = readAll(
      naiveBatch({ baseOffset: 0, lastOffset: 0, records: [], attributes: controlBit }),
    )[0] as BatchView
    expect(batch).toMatchObject({
      producerId: -1,
      producerEpoch: -1,
      baseSequence: -1,
      isControl: true,
      isTransactional: false,
    })
    expect(batch.timestampType).toBe('create')
  })

  it.each([
    ['a negative base offset', (bytes: Buffer) => bytes.writeBigInt64BE(-5n, 0)],
    ['a base offset beyond 2^53', (bytes: Buffer) => bytes.writeBigInt64BE(2n ** 53n, 0)],
    ['a negative last offset', (bytes: Buffer) => bytes.writeInt32BE(-1, 23)],
    ['more records than offsets', (bytes: Buffer) => bytes.writeInt32BE(3, 57)],
    ['a negative record count', (bytes: Buffer) => bytes.writeInt32BE(-1, 57)],
    ['a producer id beyond 2^53', (bytes: Buffer) => bytes.writeBigInt64BE(2n ** 60n, 43)],
    ['a length below its own header', (bytes: Buffer) => bytes.writeInt32BE(48, 8)],
    ['a length below every format', (bytes: Buffer) => bytes.writeInt32BE(13, 8)],
    ['a negative length', (bytes: Buffer) => bytes.writeInt32BE(-1, 8)],
  ])('with %s are refused', (_, damage) => {
    const bytes = simple(10)
    damage(bytes)
    expect(() => readAll(bytes)).toThrow(/^BATCH_CORRUPT: .*topic orders, partition 3, offset/)
  })

  it('claiming records that their bytes cannot hold are refused', () => {
    const bytes = naiveBatch({ baseOffset: 0, lastOffset: 2 ** 30, records: [], recordCount: 2 ** 30 })
    expect(() => readAll(bytes)[0]?.records()).toThrow(/^BATCH_CORRUPT: .*1073741824 records in 0 bytes/)
  })

  it('with an unknown compression are refused when the records are asked for', () => {
    const bytes = naiveBatch({
      baseOffset: 0,
      lastOffset: 0,
      records: [{ offset: 0, timestamp: 1, key, value: key }],
      attributes: 7,
    })
    expect(() => readAll(bytes)[0]?.records()).toThrow(/^COMPRESSION_UNSUPPORTED: .*compression 7/)
  })

  it('without a record left after compaction have no section, whatever the compression bits say', () => {
    const batch = readAll(
      naiveBatch({ baseOffset: 3, lastOffset: 9, records: [], attributes: 1 }),
    )[0] as BatchView
    expect(batch.recordCount).toBe(0)
    expect(readPlain(batch)).toEqual([])
    expect(batch.nextOffset).toBe(10)
  })

  it('are decompressed once', () => {
    const builder = new BatchBuilder(100)
    builder.append(1, key, 0, 1, key, 0, 1, undefined)
    const batch = readAll(builder.seal({ ...plain, compression: 'gzip' }))[0] as BatchView
    expect(batch.records()).toBe(batch.records())
    expect(batch.records().start).toBe(0)
  })
})

describe('readBatches', () => {
  it('drops an incomplete batch at the end, cut anywhere', () => {
    const first = simple(10)
    const all = Buffer.concat([first, simple(12, 3)])
    for (let end = first.length; end < all.length; end++) {
      expect(readBatches(all, 0, end, place).map((batch) => batch.nextOffset)).toEqual([12])
    }
    expect(readAll(all).map((batch) => batch.baseOffset)).toEqual([10, 12])
    expect(readBatches(all, 5, 5, place)).toEqual([])
  })

  it('refuses an incomplete first batch, which would be fetched for ever', () => {
    const bytes = simple(10)
    for (let end = 1; end < bytes.length; end++) {
      expect(codeOf(() => readBatches(bytes, 0, end, place))).toBe('BATCH_CORRUPT')
    }
  })

  it('refuses offsets that go back', () => {
    expect(() => readAll(Buffer.concat([simple(10), simple(11)]))).toThrow(
      /^BATCH_CORRUPT: .*begins at 11 behind one that ends at 11/,
    )
  })

  it.each([
    [0, /older than Kafka 0\.11/],
    [1, /older than Kafka 0\.11/],
    [3, /newer broker/],
  ])('refuses magic %i with the way out', (magic, text) => {
    const bytes = simple(10)
    bytes[16] = magic
    expect(codeOf(() => readAll(bytes))).toBe('COMPRESSION_UNSUPPORTED')
    expect(() => readAll(bytes)).toThrow(text)
    expect(() => readAll(bytes)).toThrow('topic orders, partition 3, offset 10')
  })
})

describe('damage', () => {
  const sealedBatch = fc
    .tuple(fc.array(plainRecord, { minLength: 1, maxLength: 5 }), fc.constantFrom(...compressions))
    .map(([records, compression]) => {
      const builder = new BatchBuilder(200)
      for (const record of records) appendPlain(builder, record)
      return builder.seal({ ...plain, compression })
    })

  it('of one bit anywhere but base offset, leader epoch and magic (not covered) is BATCH_CORRUPT', () => {
    fc.assert(
      fc.property(sealedBatch, fc.nat(), (bytes, at) => {
        const bit = at % (bytes.length * 8)
        const position = bit >>> 3
        if (position < 8 || (position >= 12 && position <= 16)) return
        bytes[position] = (bytes[position] as number) ^ (1 << (bit & 7))
        const code = codeOf(() => (readAll(bytes)[0] as BatchView).checkCrc())
        // A wrong length makes the rest look like another batch, of a format of its own.
        if (position < 12 && code === 'COMPRESSION_UNSUPPORTED') return
        expect(code).toBe('BATCH_CORRUPT')
      }),
      { numRuns: 400 },
    )
  })

  it('of any byte, even unseen by a CRC, gives our errors or records inside the batch', () => {
    fc.assert(
      fc.property(sealedBatch, fc.nat(), fc.integer({ min: 1, max: 255 }), (bytes, at, mask) => {
        bytes[at % bytes.length] = (bytes[at % bytes.length] as number) ^ mask
        const code = codeOf(() => readAll(bytes).map(readPlain))
        expect(['nothing thrown', 'BATCH_CORRUPT', 'BATCH_TOO_LARGE', 'COMPRESSION_UNSUPPORTED']).toContain(
          code,
        )
      }),
      { numRuns: 400 },
    )
  })

  it('is named with its place', () => {
    const bytes = simple(10)
    bytes.writeUInt8(1, bytes.length - 1)
    const batch = readAll(bytes)[0] as BatchView
    expect(() => batch.checkCrc()).toThrow(
      /^BATCH_CORRUPT: .*CRC-32C .*\(topic orders, partition 3, offset 10\)/,
    )
    expect(() => batch.checkCrc({ topic: 'other', partition: 1 })).toThrow(
      /topic other, partition 1, offset 10/,
    )
  })

  it('of truncated records with a right CRC never reads past the end', () => {
    const records = [
      {
        offset: 0,
        timestamp: 1,
        key: Buffer.alloc(70, 1),
        value: Buffer.alloc(9000, 2),
        headers: [{ key: 'h', value: Buffer.from('v') }],
      },
      { offset: 1, timestamp: 2 ** 40, key: null, value: Buffer.from('x') },
    ]
    const whole = naiveRecords({ baseOffset: 0, lastOffset: 1, records })
    // Bytes behind the batch that look like more of it: reading past the end would take them.
    const behind = Buffer.concat([whole, whole])
    for (let length = 0; length < whole.length; length++) {
      const bytes = naiveBatch({ baseOffset: 0, lastOffset: 1, records, section: whole.subarray(0, length) })
      const buffer = Buffer.concat([bytes, behind.subarray(length)])
      const code = codeOf(() => readPlain(new BatchView(buffer, 0, place)))
      if (code !== 'BATCH_CORRUPT') expect.fail(`cut at ${length}: ${code}`)
    }
  })
})
