// Keeps asynchronous functions out of the synchronous path. A promise that nobody awaits would go on after its record
// was committed: what it writes would be lost or belong to another transaction.
import { types } from 'node:util'
import { MillstreamError } from '../errors.ts'

const instead = 'mapValuesAsync and processAsync take what answers later'

/** What is wrong with a function given to an operator, or undefined. Asked once, when the topology is built. */
export const functionProblem = (given: unknown, place: string): string | undefined => {
  if (typeof given !== 'function') return `${place} is not a function`
  // True for an async generator, too.
  if (types.isAsyncFunction(given))
    return `${place} is an async function, but records are processed synchronously: ${instead}`
  return undefined
}

/** @throws PROCESSING_FAILED where the result is a promise. */
export const refusePromise = (result: unknown): void => {
  if (!types.isPromise(result)) return
  result.catch(() => undefined)
  throw new MillstreamError('PROCESSING_FAILED', {
    what: 'a function of the topology returned a promise, but records are processed synchronously',
    fix: `What runs after an await is no longer part of the record: ${instead}.`,
  })
}
