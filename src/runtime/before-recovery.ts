// Before a recovery: a store that cannot be read is put away, and what the group thinks of this worker decides whether the
// producer's id is its to take back.
import type { MillstreamError } from '../errors.ts'
import type { Engine } from './engine.ts'

/**
 * @returns whether InitProducerId may come without the epoch held so far; undefined: the error says nothing about that
 */
export const beforeRecovery = async (
  { member, membership, manager, globals }: Pick<Engine, 'member' | 'membership' | 'manager' | 'globals'>,
  error: MillstreamError,
): Promise<boolean | undefined> => {
  if (error.code === 'STORE_CORRUPT') {
    globals.discard(error)
    manager.discard(error)
  }
  // A join that has ended meanwhile knows better than a request under the membership before.
  if (error.reaction === 'rejoin' && !membership.joining) member.abandon()
  // The epoch is no longer current: the coordinator timed the transaction out, or somebody took the id because we were
  // thought dead. Only a member in good standing may take it back. After an unanswered EndTxn, too: with TV1 the
  // coordinator fences our epoch itself while it aborts, so that showing it would look like a newer self.
  if (error.code !== 'PRODUCER_FENCED' && error.code !== 'OUTCOME_UNKNOWN') return undefined
  return await member.verify()
}
