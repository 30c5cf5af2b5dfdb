// Errors of the worker loop.
import { MillstreamError } from '../errors.ts'

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
