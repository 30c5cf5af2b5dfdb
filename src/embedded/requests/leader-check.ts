// Who may answer for a partition: its leader, and for a client that knows the same leader epoch (KIP-320).
import type { BrokerState } from '../broker-state.ts'
import { codes } from '../codes.ts'
import type { PartitionLog } from '../partition-log.ts'

/**
 * @param leaderEpoch what the client knows; -1 where it does not ask
 * @returns NONE, NOT_LEADER_OR_FOLLOWER, FENCED_LEADER_EPOCH or UNKNOWN_LEADER_EPOCH
 */
export const leaderEpochError = (
  { nodes }: BrokerState,
  nodeId: number,
  log: PartitionLog,
  leaderEpoch: number,
): number => {
  if (nodes.leader(log.topic, log.partition) !== nodeId) return codes.NOT_LEADER_OR_FOLLOWER
  if (leaderEpoch < 0 || leaderEpoch === log.leaderEpoch) return codes.NONE
  return leaderEpoch < log.leaderEpoch ? codes.FENCED_LEADER_EPOCH : codes.UNKNOWN_LEADER_EPOCH
}
