import { describe, expect, it } from 'vitest'
import { BatchView } from '../../../src/record/batch-view.ts'
import { RecordCursor, readHeaders } from '../../../src/record/record-cursor.ts'
import { logAppendBit, type NaiveBatch, naiveBatch, naiveVarlong } from './naive-batch.ts'
import { readPlain } from './record-arbitrary.ts'

const place = { topic: 'orders', partition: 3 }
const k = Buffer.from('k')
const view = (batch: NaiveBatch): BatchView => new BatchView(naiveBatch(batch), 0, place)
const oneRecord = { offset: 5, timestamp: 100, key: k, value: k }
/** A batch of one record whose body (after its length) is given byte by byte. */
const raw = (body: number[], length = body.length): BatchView =>
  view({
    baseOffset: 0,
    lastOffset: 0,
    records: [oneRecord],
    section: Buffer.from([...naiveVarlong(length), ...body]),
  })

describe('RecordCursor', () => {
  it('gives offsets with the gaps that compaction left', () => {
    const batch = view({
      baseOffset: 10,
      lastOffset: 400,
      records: [12, 75, 76, 330].map((offset) => ({ ...oneRecord, offset })),
    })
    expect(readPlain(batch).map((record) => record.offset)).toEqual([12, 75, 76, 330])
  })

  it('gives the broker time for the log append type, the producer time else', () => {
    const records = [
      { ...oneRecord, timestamp: 100 },
      { ...oneRecord, offset: 6, timestamp: 50 },
    ]
    const batch = { baseOffset: 5, lastOffset: 6, records, maxTimestamp: 999 }
    expect(readPlain(view(batch)).map((record) => record.timestamp)).toEqual([100, 50])
    expect(readPlain(view({ ...batch, attributes: logAppendBit })).map((record) => record.timestamp)).toEqual(
      [999, 999],
    )
  })

  it('counts deltas from the base timestamp, also where it is a delete horizon (KIP-534)', () => {
    const batch = view({
      baseOffset: 5,
      lastOffset: 5,
      records: [oneRecord],
      baseTimestamp: 2 ** 41,
      attributes: 0x40,
    })
    expect(readPlain(batch).map((record) => record.timestamp)).toEqual([100])
  })

  it('is used for one batch after the other, and lets go', () => {
    const cursor = new RecordCursor()
    cursor.reset(view({ baseOffset: 5, lastOffset: 6, records: [oneRecord, { ...oneRecord, offset: 6 }] }))
    expect(cursor.next()).toBe(true)
    cursor.reset(view({ baseOffset: 5, lastOffset: 5, records: [{ ...oneRecord, key: null }] }))
    expect(cursor.next()).toBe(true)
    expect([cursor.offset, cursor.keyLength, cursor.next(), cursor.next()]).toEqual([5, -1, false, false])
    cursor.release()
    expect([cursor.buffer.length, cursor.next()]).toEqual([0, false])
  })

  it('shows headers where they stand', () => {
    const headers = [
      { key: 'ключ', value: Buffer.from('a') },
      { key: '', value: null },
      { key: 'ключ', value: Buffer.alloc(0) },
    ]
    const cursor = new RecordCursor()
    cursor.reset(view({ baseOffset: 5, lastOffset: 5, records: [{ ...oneRecord, headers }] }))
    cursor.next()
    expect(cursor.headerCount).toBe(3)
    const read = readHeaders(cursor.buffer, cursor.headersStart, cursor.headerCount)
    expect(read.map(({ key, value }) => [key, value && Buffer.from(value).toString()])).toEqual([
      ['ключ', 'a'],
      ['', null],
      ['ключ', ''],
    ])
    expect(cursor.recordEnd).toBe(cursor.buffer.length)
  })
})

describe('a record that lies', () => {
  // attributes, timestamp delta, offset delta, key, value, header count
  it.each([
    ['is sound (or the others prove nothing)', raw([0, 0, 0, 1, 1, 0]), undefined],
    ['has a key beyond its end', raw([0, 0, 0, 100, 1, 0]), /do not add up/],
    ['has a value beyond its end', raw([0, 0, 0, 1, 100, 0]), /do not add up/],
    ['has a key of -2 bytes', raw([0, 0, 0, 3, 1, 0]), /key of -2/],
    ['has a value of -2 bytes', raw([0, 0, 0, 1, 3, 0]), /value of -2/],
    ['has bytes to spare', raw([0, 0, 0, 1, 1, 0, 0]), /do not add up/],
    ['is longer than the batch', raw([0, 0, 0, 1, 1, 0], 7), /length beyond its batch/],
    ['is shorter than its fields', raw([0, 0, 0, 1, 1, 0], 5), /do not add up/],
    ['has a negative length', raw([0, 0, 0, 1, 1, 0], -1), /length beyond its batch/],
    [
      'has an endless varint',
      raw([0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 0, 1, 1, 0]),
      /do not add up/,
    ],
    ['has an offset beyond its batch', raw([0, 0, 2, 1, 1, 0]), /offset delta 1/],
    ['has a negative offset', raw([0, 0, 1, 1, 1, 0]), /offset delta -1/],
    ['has a negative header count', raw([0, 0, 0, 1, 1, 1]), /-1 headers/],
    ['has too many headers', raw([0, 0, 0, 1, 1, 254, 255, 255, 255, 15]), /2147483647 headers/],
    ['has a header key beyond its end', raw([0, 0, 0, 1, 1, 2, 60, 1]), /header beyond/],
    ['has a header without a key', raw([0, 0, 0, 1, 1, 2, 1, 1]), /key of -1/],
    ['has a header value of -2 bytes', raw([0, 0, 0, 1, 1, 2, 0, 3]), /value of -2/],
  ])('because it %s', (_, batch, text) => {
    if (text === undefined) expect(readPlain(batch)).toHaveLength(1)
    else {
      expect(() => readPlain(batch)).toThrow(text)
      expect(() => readPlain(batch)).toThrow(
        /^BATCH_CORRUPT: record 0 of 1 .*\(topic orders, partition 3, offset 0\)/,
      )
    }
  })

  it('because an offset comes twice', () => {
    const batch = view({ baseOffset: 5, lastOffset: 7, records: [oneRecord, oneRecord] })
    expect(() => readPlain(batch)).toThrow(/record 1 of 2 .*offset delta 0 after 0/)
  })

  it('because the batch has more bytes, or fewer records, than it says', () => {
    const records = [oneRecord, { ...oneRecord, offset: 6 }]
    expect(() => readPlain(view({ baseOffset: 5, lastOffset: 6, records, recordCount: 1 }))).toThrow(
      /belong to no record/,
    )
    const padded = [{ ...oneRecord, value: Buffer.alloc(20) }]
    expect(() => readPlain(view({ baseOffset: 5, lastOffset: 6, records: padded, recordCount: 2 }))).toThrow(
      /^BATCH_CORRUPT/,
    )
  })
})
