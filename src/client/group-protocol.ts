// What a group member and its user tell each other.
import type { JoinGroupResponse } from '../protocol/join-group.ts'

export interface GroupMemberInfo {
  readonly memberId: string
  readonly instanceId: string | undefined
  readonly metadata: Buffer
}

/** How the members of a group agree on who does what. */
export interface GroupProtocol {
  readonly name: string
  /** What this member tells the leader; asked for at each join. */
  metadata(): Buffer
  /** Called on the leader alone. @returns an assignment for each member id */
  assign(members: readonly GroupMemberInfo[]): Map<string, Buffer>
}

export interface GroupMemberSettings {
  readonly groupId: string
  /** Makes the member static: a restart within the session timeout takes its place back. */
  readonly instanceId?: string | undefined
  /** Without a heartbeat for this long the member is put out of the group. */
  readonly sessionTimeoutMs: number
  /** How long a rebalance waits for members to join again. */
  readonly rebalanceTimeoutMs: number
  readonly heartbeatIntervalMs: number
}

export interface Joined {
  readonly generationId: number
  readonly memberId: string
  readonly isLeader: boolean
  /** What the leader was told of all members; empty for the others. */
  readonly members: readonly GroupMemberInfo[]
  /** A copy of its own. Empty where the leader had nothing for this member. */
  readonly assignment: Buffer
  /** See `Generation`. */
  readonly continuous: boolean
}

/** A generation in which this member takes part: its JoinGroup was answered, and SyncGroup may not be yet. */
export interface Generation {
  readonly generationId: number
  /**
   * It took part in every generation since the one before its join, under the same member id: nobody else was given what
   * it claimed in its joins.
   */
  readonly continuous: boolean
}

/** What the leader was told. */
export const membersOf = ({ members }: JoinGroupResponse): GroupMemberInfo[] =>
  members.map(({ memberId, groupInstanceId, metadata }) => ({
    memberId,
    instanceId: groupInstanceId ?? undefined,
    metadata,
  }))
