// Errors of the worker loop.
import { MillstreamError, type Reaction } from '../errors.ts'

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

/**
 * What an error makes the worker do. A position that a partition does not hold any more stops a worker that owns it. One
 * that was put out of its group, and does not know it yet, meets the same where its successor has deleted what it
 * processed of a repartition topic: it joins again.
 */
export const reactionTo = async (
  error: MillstreamError,
  member: { verify(): Promise<boolean> },
): Promise<Reaction> =>
  error.code === 'OFFSET_OUT_OF_RANGE' && !(await member.verify()) ? 'rejoin' : error.reaction
