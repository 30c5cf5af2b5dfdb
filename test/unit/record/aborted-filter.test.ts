import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type AbortedTransaction, AbortedTransactionFilter } from '../../../src/record/aborted-filter.ts'
import { type BatchView, readBatches } from '../../../src/record/batch-view.ts'
import { naiveBatch, naiveMarker, transactionalBit } from './naive-batch.ts'
import { readPlain } from './record-arbitrary.ts'
import { logStep, TransactionLog } from './transaction-log.ts'

const place = { topic: 'orders', partition: 3 }

/** Reads on from `start` as a consumer does: fetch after fetch, each with a filter of its own. */
const consume = (
  log: TransactionLog,
  start: number,
  cut: (fetch: number) => number,
  order: (list: AbortedTransaction[]) => void,
): number[] => {
  const seen: number[] = []
  let position = start
  for (let fetch = 0; position < log.lastStableOffset; fetch++) {
    const part = log.fetch(position, cut(fetch), fetch % 2 === 0)
    if (part.bytes.length === 0) break
    const list = [...part.aborted]
    order(list)
    const filter = new AbortedTransactionFilter(list)
    for (const batch of readBatches(part.bytes, 0, part.bytes.length, place)) {
      if (filter.accepts(batch)) {
        for (const record of readPlain(batch)) if (record.offset >= position) seen.push(record.offset)
      }
      position = batch.nextOffset
    }
  }
  return seen
}

// An open transaction hides whatever is behind it, so most logs are closed before they are read.
const closes = fc.constantFrom(true, true, true, false)
const abortsAtClose = (producerId: number): boolean => producerId % 2 === 0

describe('AbortedTransactionFilter against a log that knows the truth', () => {
  const steps = fc.array(logStep, { minLength: 1, maxLength: 40, size: 'max' })
  const someOffsets = fc
    .uniqueArray(fc.nat(80), { maxLength: 80, size: 'max' })
    .map((offsets) => new Set(offsets))

  it('shows the committed records and no other, from every offset, cut anywhere, listed in any order', () => {
    fc.assert(
      fc.property(
        steps,
        closes,
        fc.array(fc.nat(400), { minLength: 1 }),
        fc.boolean(),
        (all, closed, cuts, reversed) => {
          const log = new TransactionLog()
          for (const step of all) log.run(step)
          if (closed) log.close(abortsAtClose)
          for (let start = 0; start <= log.lastStableOffset; start++) {
            const cut = (fetch: number): number => cuts[fetch % cuts.length] as number
            const seen = consume(log, start, cut, (list) => reversed && list.reverse())
            expect(seen).toEqual(log.visible(start))
          }
        },
      ),
      { numRuns: 600 },
    )
  }, 60_000)

  it('still does after compaction, once and twice', () => {
    fc.assert(
      fc.property(
        steps,
        closes,
        fc.array(fc.tuple(someOffsets, someOffsets), { minLength: 1, maxLength: 2 }),
        fc.nat(600),
        (all, closed, passes, cut) => {
          const log = new TransactionLog()
          for (const step of all) log.run(step)
          if (closed) log.close(abortsAtClose)
          for (const [removed, collected] of passes) {
            log.compact(
              (offset) => removed.has(offset),
              (offset) => collected.has(offset),
            )
          }
          for (let start = 0; start <= log.lastStableOffset; start++) {
            expect(
              consume(
                log,
                start,
                () => cut,
                () => undefined,
              ),
            ).toEqual(log.visible(start))
          }
        },
      ),
      { numRuns: 600 },
    )
  }, 60_000)
})

describe('AbortedTransactionFilter, case by case', () => {
  const data = (offset: number, producerId: number, attributes = transactionalBit): Buffer =>
    naiveBatch({
      baseOffset: offset,
      lastOffset: offset,
      attributes,
      producerId,
      records: [{ offset, timestamp: 1, key: Buffer.alloc(4), value: Buffer.alloc(6) }],
    })
  const accepted = (aborted: AbortedTransaction[], ...parts: Buffer[]): number[] => {
    const bytes = Buffer.concat(parts)
    const filter = new AbortedTransactionFilter(aborted)
    return readBatches(bytes, 0, bytes.length, place)
      .filter((batch: BatchView) => filter.accepts(batch))
      .map((batch) => batch.baseOffset)
  }

  it('the list comes by completion: a long range after a short one that began later', () => {
    const aborted = [
      { producerId: 2, firstOffset: 1 },
      { producerId: 1, firstOffset: 0 },
      { producerId: 1, firstOffset: 4 },
    ].reverse()
    expect(
      accepted(
        aborted,
        data(0, 1),
        data(1, 2),
        naiveMarker(2, 2, 'abort'),
        naiveMarker(3, 1, 'abort'),
        data(4, 1),
        data(5, 2),
      ),
    ).toEqual([5])
  })

  it('a committed transaction between two aborted ones of the same producer', () => {
    const aborted = [
      { producerId: 1, firstOffset: 0 },
      { producerId: 1, firstOffset: 4 },
    ]
    const parts = [
      data(0, 1),
      naiveMarker(1, 1, 'abort'),
      data(2, 1),
      naiveMarker(3, 1, 'commit'),
      data(4, 1),
      naiveMarker(5, 1, 'abort'),
      data(6, 1),
    ]
    expect(accepted(aborted, ...parts)).toEqual([2, 6])
  })

  it('a fetch that begins in the middle, and one that begins at the marker', () => {
    const aborted = [{ producerId: 1, firstOffset: 0 }]
    expect(accepted(aborted, data(7, 1), naiveMarker(8, 1, 'abort'), data(9, 1))).toEqual([9])
    expect(accepted(aborted, naiveMarker(8, 1, 'abort'), data(9, 1))).toEqual([9])
  })

  it('an abort marker whose data and entry are gone does not end a later range', () => {
    expect(
      accepted([{ producerId: 1, firstOffset: 5 }], naiveMarker(3, 1, 'abort'), data(5, 1), data(6, 1)),
    ).toEqual([])
  })

  it('a marker of another producer, and a commit marker, end nothing', () => {
    const aborted = [{ producerId: 1, firstOffset: 0 }]
    expect(
      accepted(aborted, data(0, 1), naiveMarker(1, 2, 'abort'), naiveMarker(2, 2, 'commit'), data(3, 1)),
    ).toEqual([])
    expect(accepted(aborted, data(0, 1), naiveMarker(1, 1, 'commit'), data(2, 1))).toEqual([])
  })

  it('data whose marker comes in a later fetch', () => {
    expect(accepted([{ producerId: 1, firstOffset: 2 }], data(1, 2), data(2, 1), data(3, 1))).toEqual([1])
  })

  it('records that look like a marker are data, and batches without a transaction pass', () => {
    expect(
      accepted([{ producerId: 1, firstOffset: 0 }], data(0, 1), data(1, 1), data(2, 1, 0), data(3, 2)),
    ).toEqual([2, 3])
  })

  it('control batches are never accepted, even where nothing was aborted', () => {
    expect(accepted([], data(0, 1), naiveMarker(1, 1, 'commit'), naiveMarker(2, 1, 'abort'))).toEqual([0])
  })
})
