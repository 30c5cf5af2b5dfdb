// What a store says to those who use it at the wrong time.
import { MillstreamError } from '../errors.ts'

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
