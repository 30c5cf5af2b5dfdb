// The states of a group of the classic protocol, and the group as its coordinator has written it down.
import { createStateMachine, type StateMachine } from '../base/state-machine.ts'
import type { MemberState } from './group-members.ts'

export type GroupState = 'Empty' | 'PreparingRebalance' | 'CompletingRebalance' | 'Stable' | 'Dead'

const table: Readonly<Record<GroupState, readonly GroupState[]>> = {
  Empty: ['PreparingRebalance', 'Dead'],
  PreparingRebalance: ['CompletingRebalance', 'Empty', 'Dead'],
  CompletingRebalance: ['PreparingRebalance', 'Stable', 'Dead'],
  Stable: ['PreparingRebalance', 'Dead'],
  Dead: [],
}

export type GroupMachine = StateMachine<GroupState>

/** @param left hears each state that the group leaves */
export const createGroupMachine = (
  group: string,
  state: GroupState,
  left: (previous: GroupState) => void,
): GroupMachine => createStateMachine(`group ${group}`, state, table, (_, previous) => left(previous))

/** The group as its coordinator has written it down. */
export interface KeptGroup {
  readonly generationId: number
  readonly protocolType: string | null
  readonly protocolName: string | null
  readonly leaderId: string | undefined
  readonly members: readonly MemberState[]
}
