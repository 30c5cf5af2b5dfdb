// What an answer of a broker, or its absence, becomes: an error of ours whose code says what the runtime does.
import { isMillstreamError, MillstreamError } from '../errors.ts'
import type { ApiName } from '../protocol/api.ts'
import { brokerError, reactionFor } from '../protocol/error-codes.ts'

/** Pause before attempt n + 1: 2 ms, doubling up to 100 ms. */
export const backoffMs = (attempt: number): number => Math.min(2 * 2 ** Math.min(attempt, 6), 100)

/** No answer came: the outcome is unknown, and the same request may be sent again. */
export const isRepeatable = (error: unknown): error is MillstreamError =>
  isMillstreamError(error) && error.reaction === 'retry'

/** What an error code inside a transaction becomes; `broker-failure.ts` does the same for all other requests. */
export function transactionFailure(
  api: ApiName,
  code: number,
  where: Readonly<Record<string, unknown>>,
  detail?: string | null,
): MillstreamError {
  const { name, text } = brokerError(code)
  const what = `${api} was answered ${name}: ${detail ?? text}`
  switch (reactionFor(code, api)) {
    case 'recover':
      return new MillstreamError('PRODUCER_FENCED', { what, where })
    case 'rejoin':
      return new MillstreamError('MEMBERSHIP_LOST', { what, where })
    case 'record':
      if (name === 'INVALID_TIMESTAMP') {
        return new MillstreamError('TIMESTAMP_INVALID', {
          what,
          where,
          fix: 'Keep timestamps within message.timestamp.before.max.ms and message.timestamp.after.max.ms of the topic.',
        })
      }
      return new MillstreamError('RECORD_TOO_LARGE', {
        what,
        where,
        fix: 'Raise max.message.bytes of the topic, or make the record smaller.',
      })
    case 'denied':
      return new MillstreamError('AUTHORIZATION_FAILED', {
        what,
        where,
        fix: 'Grant the right on the resource named here to the principal of the worker.',
      })
    case 'retry':
    case 'find-coordinator':
    case 'refresh-metadata':
      // It was repeated until the deadline: what passes by itself must not stop a worker.
      if (api === 'InitProducerId') return new MillstreamError('REQUEST_TIMED_OUT', { what, where })
      return new MillstreamError('TRANSACTION_ABORTABLE', { what, where })
    case 'rebalance':
    case 'abort':
      return new MillstreamError('TRANSACTION_ABORTABLE', { what, where })
    default:
      if (name !== 'FENCED_INSTANCE_ID') return new MillstreamError('BROKER_ERROR', { what, where })
      return new MillstreamError('INSTANCE_FENCED', {
        what,
        where,
        fix: 'Another process runs with the same instance id: give each its own.',
      })
  }
}

/** Entries as the requests want them: grouped by topic, in the order of their first appearance. */
export const byTopic = <T extends { readonly topic: string }>(
  entries: readonly T[],
): { topic: string; partitions: T[] }[] => {
  const topics = new Map<string, T[]>()
  for (const entry of entries) {
    const list = topics.get(entry.topic)
    if (list === undefined) topics.set(entry.topic, [entry])
    else list.push(entry)
  }
  return [...topics].map(([topic, partitions]) => ({ topic, partitions }))
}

/** What a broker answers for the healthy partitions of a request that failed because of another one. */
const OPERATION_NOT_ATTEMPTED = 55

/** The error that decides about a request for several partitions, 0 without one. */
export const firstError = (codes: readonly number[]): number =>
  codes.find((code) => code !== 0 && code !== OPERATION_NOT_ATTEMPTED) ??
  codes.find((code) => code !== 0) ??
  0

const UNKNOWN_SERVER_ERROR = -1
const PRODUCER_FENCED = 90

/**
 * What the error code of InitProducerId says. Shown an older epoch when the present one is the last of its producer id, a
 * coordinator fails each time (Kafka 4.3). The holder was overtaken, by its own timeout maybe: what it may do then the
 * group says.
 * @param shown whether the id and epoch held so far stood in the request
 */
export const initErrorOf = (errorCode: number, shown: boolean): number =>
  shown && errorCode === UNKNOWN_SERVER_ERROR ? PRODUCER_FENCED : errorCode
