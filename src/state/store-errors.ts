// What a store says to those who use it at the wrong time.
import { invariant } from '../base/assert.ts'
import { MillstreamError } from '../errors.ts'
import type { Checkpoint } from './contracts.ts'

export const writtenTooLate = (store: string): MillstreamError =>
  new MillstreamError('CONTEXT_EXPIRED', {
    what: 'a store was written when no record was in hand',
    where: { store },
    fix: 'Write inside process or a punctuator, before it returns; asynchronous work does not belong into them.',
  })

export const rangeInvalidated = (store: string): MillstreamError =>
  new MillstreamError('RANGE_INVALIDATED', {
    what: 'a range was read on after the store had been written',
    where: { store },
    fix: 'Collect the entries first ([...store.range(from, to)]), then write.',
  })

export const storeClosed = (store: string): MillstreamError =>
  new MillstreamError('CLOSED', { what: 'the store is closed', where: { store } })

export const assertForward = (
  store: string,
  known: Checkpoint | undefined,
  { changelogOffset }: Checkpoint,
): void => {
  const before = known?.changelogOffset ?? 0
  invariant(changelogOffset >= before, 'changelog offsets only grow', {
    store,
    before,
    next: changelogOffset,
  })
}
