// Errors of the worker loop.
import { type ErrorCode, MillstreamError, type Reaction } from '../errors.ts'

export const otherTopology = (applicationId: string): MillstreamError =>
  new MillstreamError('TOPOLOGY_INVALID', {
    what: 'the leader of the group runs a topology with other tasks or inputs',
    where: { applicationId },
    fix: 'Stop the workers of the old topology first, or use a new application id.',
  })

export const restoreInterrupted = (): MillstreamError =>
  new MillstreamError('RESTORE_INTERRUPTED', {
    what: 'the restore of the stores was interrupted by a rebalance, or by the end of the worker',
  })

/** What only a worker that owns its tasks can be sure of. */
const ofOwners: ReadonlySet<ErrorCode> = new Set(['OFFSET_OUT_OF_RANGE', 'STORE_DIVERGED'])

/**
 * What an error makes the worker do. One that was put out of its group, and does not know it yet, meets what its successor
 * does: a position of a repartition topic that is purged, a changelog with more in it than the offsets that were read
 * before it. Such a worker joins again; the others stop.
 */
export const reactionTo = async (
  error: MillstreamError,
  member: { verify(): Promise<boolean> },
): Promise<Reaction> => (ofOwners.has(error.code) && !(await member.verify()) ? 'rejoin' : error.reaction)
