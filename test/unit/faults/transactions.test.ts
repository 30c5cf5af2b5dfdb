import { describe, expect, it } from 'vitest'
import { tornTransactions } from '../../system/faults/transactions.ts'
import type { LogBatch } from '../../system/support/log-batches.ts'

const offsets = '__consumer_offsets'
const producerId = 7
const data = (partition: string, offset: number, epoch: number): LogBatch => ({
  partition,
  offset,
  producerId,
  epoch,
  marker: undefined,
})
/** With transaction version 2 a marker has the epoch after that of the data. */
const marker = (partition: string, offset: number, epoch: number, which: 'commit' | 'abort'): LogBatch => ({
  ...data(partition, offset, epoch + 1),
  marker: which,
})

/** Two transactions, the first committed, the second aborted. */
const right = (): LogBatch[] =>
  ['out-0', 'store-changelog-0', `${offsets}-3`].flatMap((partition) => [
    data(partition, 0, 0),
    data(partition, 1, 0),
    marker(partition, 2, 0, 'commit'),
    data(partition, 3, 1),
    marker(partition, 4, 1, 'abort'),
  ])

const torn = (change: (batches: LogBatch[]) => LogBatch[]): string[] =>
  tornTransactions(change(right()), offsets).map(({ transaction, what }) => `${transaction} ${what}`)

const at = (partition: string, offset: number) => (batch: LogBatch) =>
  batch.partition === partition && batch.offset === offset

describe('the parts of a transaction', () => {
  it('are whole in a right run', () => {
    expect(torn((batches) => batches)).toEqual([])
  })

  it('of other producers in between change nothing', () => {
    const strangers = { ...marker('out-0', 1, 5, 'abort'), producerId: 8 }
    expect(torn((batches) => batches.toSpliced(1, 0, strangers))).toEqual([])
  })

  it('are torn when one partition was aborted', () => {
    expect(
      torn((batches) =>
        batches.map((batch) => (at('out-0', 2)(batch) ? { ...batch, marker: 'abort' } : batch)),
      ),
    ).toEqual([`7:0 committed in store-changelog-0, ${offsets}-3, aborted in out-0`])
  })

  it('are torn when what was aborted is committed somewhere', () => {
    expect(
      torn((batches) =>
        batches.map((batch) => (at('store-changelog-0', 4)(batch) ? { ...batch, marker: 'commit' } : batch)),
      ),
    ).toEqual([`7:1 committed in store-changelog-0, aborted in out-0, ${offsets}-3`])
  })

  it('are torn when a marker is missing', () => {
    expect(
      torn((batches) => batches.filter((batch) => batch.partition !== 'out-0' || batch.offset < 2)),
    ).toEqual([`7:0 committed in store-changelog-0, ${offsets}-3, open in out-0`])
  })

  it('are torn when the offsets are not among them', () => {
    expect(torn((batches) => batches.filter(({ partition }) => !partition.startsWith(offsets)))).toEqual([
      '7:0 committed in out-0, store-changelog-0, without offsets',
    ])
  })
})
