// Asking a coordinator: it moves with the leader of its partition, so an answer may be "ask another one".
import type { Ports } from '../base/ports.ts'
import { MillstreamError } from '../errors.ts'
import type { ApiName } from '../protocol/api.ts'
import { brokerError, reactionFor } from '../protocol/error-codes.ts'
import { givenUp, isRepeatable } from './answers.ts'
import { Backoff } from './backoff.ts'
import type { Cluster, CoordinatorType } from './cluster.ts'

/**
 * Repeats `attempt` until its answer is something else than "not here" or "not yet". Only for requests that are safe
 * to repeat: one that was not answered is sent again.
 * @param attempt sends to the given node; its answer carries the error code that decides (0: done)
 * @param deadline on the monotonic clock, for beginning another attempt
 * @param api whose reaction to an error code is meant; without it the one that most APIs share
 * @param signal nothing is sent once it is aborted: for a caller that waits no longer (`unlessAborted`)
 * @returns the first answer with another code, for the caller to judge
 * @throws MillstreamError REQUEST_TIMED_OUT at the deadline, naming the last answer, and when it is given up; what `attempt` and
 * Cluster.coordinator throw
 */
export const withCoordinator = async <Response extends { readonly errorCode: number }>(
  cluster: Cluster,
  ports: Ports,
  type: CoordinatorType,
  key: string,
  attempt: (node: number) => Promise<Response>,
  deadline: number,
  api?: ApiName,
  signal?: AbortSignal,
): Promise<Response> => {
  const backoff = new Backoff(ports)
  for (;;) {
    let failure: string
    let cause: unknown
    try {
      const node = await cluster.coordinator(type, key)
      if (signal?.aborted === true) throw givenUp()
      const response = await attempt(node)
      const { errorCode } = response
      const reaction = api === undefined ? brokerError(errorCode).reaction : reactionFor(errorCode, api)
      if (reaction === 'find-coordinator') cluster.forgetCoordinator(type, key)
      else if (reaction !== 'retry') return response
      failure = `it answered ${brokerError(errorCode).name}`
    } catch (error) {
      if (!isRepeatable(error) || signal?.aborted === true) throw error
      // A coordinator that is down has moved, but only another broker can tell where to.
      cluster.forgetCoordinator(type, key)
      failure = error.message
      cause = error
    }
    if (await backoff.wait(deadline, signal)) continue
    throw new MillstreamError('REQUEST_TIMED_OUT', {
      what: `the coordinator of the ${type} did not take a request in time; at last: ${failure}`,
      where: { [type]: key },
      fix: 'Look at the health of the brokers and of the internal topics (__consumer_offsets, __transaction_state).',
      cause,
    })
  }
}
