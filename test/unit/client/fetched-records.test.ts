import { describe, expect, it } from 'vitest'
import { acceptBatches } from '../../../src/client/fetched-records.ts'
import { type NaiveBatch, naiveBatch, naiveMarker, transactionalBit } from '../record/naive-batch.ts'

const place = { topic: 'orders', partition: 3 }
const bytesOf = (text: string): Buffer => Buffer.from(text)

const batch = (baseOffset: number, count: number, more: Partial<NaiveBatch> = {}): Buffer =>
  naiveBatch({
    baseOffset,
    lastOffset: baseOffset + count - 1,
    records: Array.from({ length: count }, (_, n) => ({
      offset: baseOffset + n,
      timestamp: 1,
      key: null,
      value: bytesOf(`v${baseOffset + n}`),
    })),
    ...more,
  })

const accept = (
  parts: readonly Buffer[],
  position: number,
  aborted: readonly { producerId: number; firstOffset: number }[] = [],
  isolation: 'read_committed' | 'read_uncommitted' = 'read_committed',
) => {
  const { batches, nextOffset, failure } = acceptBatches(
    Buffer.concat(parts),
    place,
    position,
    isolation,
    aborted,
  )
  return { from: batches.map(({ baseOffset }) => baseOffset), nextOffset, failure: failure?.code }
}

describe('acceptBatches', () => {
  it('gives data batches and the position behind them', () => {
    expect(accept([batch(0, 2), batch(2, 3)], 0)).toEqual({ from: [0, 2], nextOffset: 5, failure: undefined })
  })

  it('gives the batch around the position whole, and none below it', () => {
    expect(accept([batch(0, 2), batch(2, 3)], 3)).toEqual({ from: [2], nextOffset: 5, failure: undefined })
  })

  it('moves past markers and aborted batches', () => {
    const parts = [batch(4, 2, { attributes: transactionalBit, producerId: 9 }), naiveMarker(6, 9, 'abort')]
    const aborted = [{ producerId: 9, firstOffset: 4 }]
    expect(accept(parts, 4, aborted)).toEqual({ from: [], nextOffset: 7, failure: undefined })
    expect(accept([...parts, batch(7, 1)], 4, aborted)).toEqual({
      from: [7],
      nextOffset: 8,
      failure: undefined,
    })
  })

  it('shows aborted batches under read_uncommitted, but no markers', () => {
    const parts = [batch(4, 2, { attributes: transactionalBit, producerId: 9 }), naiveMarker(6, 9, 'abort')]
    const aborted = [{ producerId: 9, firstOffset: 4 }]
    expect(accept(parts, 4, aborted, 'read_uncommitted')).toEqual({
      from: [4],
      nextOffset: 7,
      failure: undefined,
    })
  })

  it('lets a marker below the position end its range', () => {
    const parts = [naiveMarker(6, 9, 'abort'), batch(7, 1, { attributes: transactionalBit, producerId: 9 })]
    expect(accept(parts, 7, [{ producerId: 9, firstOffset: 4 }]).from).toEqual([7])
  })

  it('only moves over a batch that compaction emptied', () => {
    const empty = naiveBatch({ baseOffset: 5, lastOffset: 8, records: [], recordCount: 0 })
    expect(accept([empty], 5)).toEqual({ from: [], nextOffset: 9, failure: undefined })
  })

  it('gives what stands before a damaged batch, and stops there', () => {
    const damaged = batch(2, 3)
    damaged[damaged.length - 1] = 0x7f
    expect(accept([batch(0, 2), damaged, batch(5, 1)], 0)).toEqual({
      from: [0],
      nextOffset: 2,
      failure: 'BATCH_CORRUPT',
    })
  })

  it('leaves a batch that was cut off for the next request', () => {
    expect(accept([batch(0, 2), batch(2, 3).subarray(0, 40)], 0)).toEqual({
      from: [0],
      nextOffset: 2,
      failure: undefined,
    })
  })
})
