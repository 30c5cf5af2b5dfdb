// The errors of what a task does between records: a punctuator, a portion of work.
import { MillstreamError } from '../errors.ts'

export const punctuatorFailed = (error: MillstreamError): MillstreamError =>
  new MillstreamError('PUNCTUATOR_FAILED', {
    what: `a punctuator failed: ${error.message}`,
    where: error.where,
    fix: 'Mend the punctuator. The transaction is aborted, and the tick comes again after the restart.',
    cause: error,
  })

export const portionFailed = (error: MillstreamError): MillstreamError =>
  new MillstreamError('PUNCTUATOR_FAILED', {
    what: `what a closed window led to failed: ${error.message}`,
    where: error.where,
    fix: 'Mend the processor behind it. The transaction is aborted, and the window comes again after the restart.',
    cause: error,
  })
