// The errors of a task: with their place, and of what it does between records (a punctuator, a portion of work).
import { ensureError, type ErrorDetails, isMillstreamError, MillstreamError } from '../errors.ts'

/** The error with its place; what is no error of ours is the user's processor that threw. */
export const located = (error: unknown, where: NonNullable<ErrorDetails['where']>): MillstreamError => {
  const cause = ensureError(error)
  if (isMillstreamError(cause)) return cause.reaction === 'policy' ? cause.relocated(where) : cause
  return new MillstreamError('PROCESSING_FAILED', {
    what: `a processor threw ${cause.name}: ${cause.message}`,
    where,
    fix: 'Mend the processor, or set onFailure to skip or retry. What came before this record is committed.',
    cause,
  })
}

export const punctuatorFailed = (error: MillstreamError): MillstreamError =>
  new MillstreamError('PUNCTUATOR_FAILED', {
    what: `a punctuator failed: ${error.message}`,
    where: error.where,
    fix: 'Mend the punctuator. The transaction is aborted, and the tick comes again after the restart.',
    cause: error,
  })

export const portionFailed = (error: MillstreamError): MillstreamError =>
  new MillstreamError('PUNCTUATOR_FAILED', {
    what: `what was told between records failed: ${error.message}`,
    where: error.where,
    fix: 'Mend the processor behind it. The transaction is aborted, and it is told again after the restart.',
    cause: error,
  })
