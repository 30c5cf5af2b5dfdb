import { describe, expect, it } from 'vitest'
import { BatchView } from '../../../src/record/batch-view.ts'
import { controlType } from '../../../src/record/control-record.ts'
import { controlBit, naiveBatch, naiveMarker, transactionalBit } from './naive-batch.ts'

const place = { topic: 'orders', partition: 3 }
const control = (key: number[] | null, attributes = transactionalBit | controlBit): BatchView => {
  const record = { offset: 4, timestamp: 1, key: key === null ? null : Buffer.from(key), value: null }
  return new BatchView(naiveBatch({ baseOffset: 4, lastOffset: 4, attributes, records: [record] }), 0, place)
}

describe('controlType', () => {
  it('reads markers', () => {
    expect(controlType(new BatchView(naiveMarker(4, 9, 'abort'), 0, place))).toBe('abort')
    expect(controlType(new BatchView(naiveMarker(4, 9, 'commit'), 0, place))).toBe('commit')
  })

  it('takes later versions by their type, and other types as other', () => {
    expect(controlType(control([0, 9, 0, 1, 77]))).toBe('commit')
    expect(controlType(control([0, 0, 0, 5]))).toBe('other')
  })

  it('takes a batch whose marker is compacted away as other', () => {
    const empty = naiveBatch({
      baseOffset: 4,
      lastOffset: 4,
      attributes: transactionalBit | controlBit,
      records: [],
    })
    expect(controlType(new BatchView(empty, 0, place))).toBe('other')
  })

  it.each([
    ['short', [0, 0, 0]],
    ['null', null],
    ['of a negative version', [255, 255, 0, 0]],
  ])('refuses a key that is %s', (_, key) => {
    expect(() => controlType(control(key))).toThrow(/^BATCH_CORRUPT: .*offset 4/)
  })

  it('is never asked about an ordinary record, whatever its key looks like', () => {
    expect(() => controlType(control([0, 0, 0, 0], transactionalBit))).toThrow(/^INVARIANT_BROKEN/)
  })
})
