import { describe, expect, it } from 'vitest'
import { batchesOf } from '../../system/support/log-batches.ts'
import { controlBit, naiveBatch, naiveMarker, transactionalBit } from '../record/naive-batch.ts'

const record = { offset: 0, timestamp: 1, key: Buffer.from('k'), value: null }
const data = (baseOffset: number, attributes: number): Buffer =>
  naiveBatch({ baseOffset, lastOffset: baseOffset, attributes, records: [{ ...record, offset: baseOffset }] })

describe('the batches in a segment of a broker', () => {
  it('are told with their producer, and markers with what they say', () => {
    const segment = Buffer.concat([
      data(0, transactionalBit),
      naiveMarker(1, 9, 'commit'),
      data(2, transactionalBit),
      naiveMarker(3, 9, 'abort'),
    ])
    const found = batchesOf('t-0', segment)
    expect(found.map(({ offset, marker }) => [offset, marker])).toEqual([
      [0, undefined],
      [1, 'commit'],
      [2, undefined],
      [3, 'abort'],
    ])
    expect(found[1]).toMatchObject({ partition: 't-0', producerId: 9 })
  })

  it('leave out what has no transaction, what compaction emptied, and what is not written to its end', () => {
    const emptied = naiveBatch({
      baseOffset: 1,
      lastOffset: 1,
      attributes: transactionalBit | controlBit,
      records: [],
    })
    const marker = naiveMarker(2, 9, 'commit')
    expect(batchesOf('t-0', Buffer.concat([data(0, 0), emptied, marker.subarray(0, 60)]))).toEqual([])
    expect(batchesOf('t-0', Buffer.alloc(5))).toEqual([])
  })
})
