// The errors of what a task does: with a record, and between records (a punctuator, a portion of work).
import { ensureError, isMillstreamError, MillstreamError } from '../errors.ts'
import { metadataOf, type RecordPlace } from './taken-record.ts'

/** How often a task looks for a schema that it waits for, ms. */
export const schemaLookMs = 10

/** An error with its place; what is no error of ours is the user's processor that threw. */
export const located = (error: unknown, task: string, place: RecordPlace | undefined): MillstreamError => {
  const cause = ensureError(error)
  const where = place && metadataOf(place)
  if (isMillstreamError(cause)) {
    if (cause.reaction !== 'policy') return cause
    return cause.relocated({ ...where, task })
  }
  return new MillstreamError('PROCESSING_FAILED', {
    what: `a processor threw ${cause.name}: ${cause.message}`,
    where: { ...where, task },
    fix: 'Mend the processor, or set onFailure to skip or retry. What came before this record is committed.',
    cause,
  })
}

export const scheduledTooLate = (task: string): MillstreamError =>
  new MillstreamError('CONTEXT_EXPIRED', {
    what: 'schedule was called outside init',
    where: { task },
    fix: 'Schedule punctuators in the init of the processor.',
  })

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
    fix: 'Mend the processor. The transaction is aborted, and it comes again after the restart.',
    cause: error,
  })
