// One group of the classic protocol: its states, generations and the rounds of a rebalance, as the coordinator of Kafka
// 4.3 runs them. Members join (PreparingRebalance) until all known ones did, or the rebalance timeout is over; then the
// leader hands in the assignment (CompletingRebalance), and everybody gets theirs (Stable).
//
// Members and their ids are in group-members.ts, sessions and the timers of the rounds here. What a coordinator keeps
// is the group as it was when it last became stable or empty: another coordinator (`reload`) goes on from there, and a
// rebalance that had begun is forgotten, as on Kafka.
import type { Ports, TimerHandle } from '../base/ports.ts'
import { codes } from './codes.ts'
import {
  GroupMembers,
  type JoinAnswer,
  type JoinRequest,
  joinError,
  Member,
  noAssignment,
  type SyncAnswer,
  type SyncRequest,
  syncError,
} from './group-members.ts'
import { createGroupMachine, type GroupMachine, type GroupState, type KeptGroup } from './group-state.ts'

/** A member that has not yet heard its id gets so long for its first rebalance (group coordinator of Kafka). */
const newMemberTimeoutMs = 300_000
/** From which version of JoinGroup on a dynamic member is first told its id (KIP-394). */
const memberIdRequiredFrom = 4
/** From which version on a static leader that came back is told to keep the assignment (KIP-814). */
const skipAssignmentFrom = 9

export interface GroupOptions {
  readonly ports: Ports
  readonly initialRebalanceDelayMs: number
  /** What outlives the broker has changed: generation or type of protocol. */
  changed(group: Group): void
}

type Answer<T> = (answer: T) => void

export class Group {
  readonly id: string
  readonly #options: GroupOptions
  readonly members: GroupMembers = new GroupMembers()
  /** Dynamic members that were told their id and have not come back with it, with the end of their patience. */
  readonly #pending = new Map<string, TimerHandle>()
  /** Members that did not ask for their assignment yet. */
  readonly #pendingSync = new Set<string>()
  #machine: GroupMachine
  #previous: GroupState = 'Dead'
  #newMemberAdded = false
  #joinTimer: TimerHandle | undefined
  #syncTimer: TimerHandle | undefined
  #kept: KeptGroup
  generationId: number
  protocolType: string | null
  protocolName: string | null = null

  constructor(id: string, options: GroupOptions, generationId = 0, protocolType: string | null = null) {
    this.id = id
    this.#options = options
    this.generationId = generationId
    this.protocolType = protocolType
    this.#machine = this.#machineAt('Empty')
    this.#kept = this.#snapshot()
  }

  get state(): GroupState {
    return this.#machine.current
  }

  // Joining

  join(request: JoinRequest, answer: Answer<JoinAnswer>): void {
    const { memberId, instanceId } = request
    if (!this.#supports(request)) {
      answer(joinError(codes.INCONSISTENT_GROUP_PROTOCOL, memberId))
      return
    }
    if (memberId !== '') {
      this.#joinKnown(request, answer)
      return
    }
    const newId = `${instanceId ?? request.clientId}-${this.#options.ports.random.uuid()}`
    const old = instanceId === null ? undefined : this.members.ofInstance(instanceId)
    if (old !== undefined) this.#replaceStatic(request, old, newId, answer)
    else if (instanceId === null && request.version >= memberIdRequiredFrom) {
      const expire = (): void => this.#expirePending(newId)
      this.#pending.set(newId, this.#options.ports.timers.set(expire, request.sessionTimeoutMs))
      answer(joinError(codes.MEMBER_ID_REQUIRED, newId))
    } else this.#add(request, newId, answer)
  }

  #joinKnown(request: JoinRequest, answer: Answer<JoinAnswer>): void {
    const { memberId, instanceId } = request
    if (this.#pending.has(memberId)) {
      // Only dynamic members are told an id before they join.
      if (instanceId !== null) answer(joinError(codes.UNKNOWN_SERVER_ERROR))
      else this.#add(request, memberId, answer)
      return
    }
    const error = this.members.check(memberId, instanceId)
    const member = this.members.get(memberId)
    if (error !== codes.NONE || member === undefined) {
      answer(joinError(error, memberId))
      return
    }
    const { state } = this
    if (state === 'Empty' || state === 'Dead') {
      answer(joinError(codes.UNKNOWN_MEMBER_ID, memberId))
      return
    }
    // Nothing new: most likely it did not get the answer to its first try. A leader of a stable group is different: it
    // asks for another assignment (its topics have changed, for instance).
    const isLeader = this.members.leaderId === memberId
    const isSame = member.hasSame(request.protocols)
    if (state === 'CompletingRebalance' && isSame) answer(this.#joined(member, isLeader))
    else if (state === 'Stable' && isSame && !isLeader) answer(this.#joined(member, false))
    else {
      this.#update(member, request, answer)
      this.#rebalanceOrComplete()
    }
  }

  #supports({ protocolType, protocols }: JoinRequest): boolean {
    if (this.state === 'Empty') return protocolType !== '' && protocols.length > 0
    return protocolType === this.protocolType && this.members.sharesOneOf(protocols)
  }

  #add(request: JoinRequest, memberId: string, answer: Answer<JoinAnswer>): void {
    this.#forgetPending(memberId)
    if (this.members.size === 0) this.protocolType = request.protocolType
    const member = new Member({ ...request, memberId, assignment: noAssignment })
    member.isNew = true
    member.joining = answer
    // More may follow, so that the first rebalance is put off once more.
    if (this.state === 'PreparingRebalance' && this.#previous === 'Empty') this.#newMemberAdded = true
    this.members.add(member)
    this.#beat(member, newMemberTimeoutMs)
    this.#rebalanceOrComplete()
  }

  #update(member: Member, request: JoinRequest, answer: Answer<JoinAnswer>): void {
    member.protocols = request.protocols
    member.rebalanceTimeoutMs = request.rebalanceTimeoutMs
    member.sessionTimeoutMs = request.sessionTimeoutMs
    member.joining = answer
  }

  #replaceStatic(request: JoinRequest, old: Member, newId: string, answer: Answer<JoinAnswer>): void {
    const leaderBefore = this.members.leaderId ?? ''
    this.#endSession(old)
    this.#pendingSync.delete(old.memberId)
    const member = this.members.replace(old, newId)
    this.#beat(member)
    this.#update(member, request, answer)
    if (this.state === 'Stable' && this.members.selectProtocol() === this.protocolName) {
      // Nobody hears of it: generation and assignment stay (KIP-345). Before KIP-814 the leader's own answer names the
      // id that it had before, so that it does not take itself for the leader, and computes nothing.
      this.#keep()
      const isLeader = this.members.leaderId === newId
      const skips = request.version >= skipAssignmentFrom
      const joined = this.#joined(member, skips && isLeader)
      member.answerJoin(skips ? { ...joined, skipAssignment: isLeader } : { ...joined, leader: leaderBefore })
    } else if (this.state === 'CompletingRebalance') this.#prepare()
    else this.#rebalanceOrComplete()
  }

  #joined(member: Member, withMembers: boolean): JoinAnswer {
    const { protocolType, protocolName } = this
    const members = withMembers
      ? this.members.list().map((one) => ({
          memberId: one.memberId,
          instanceId: one.instanceId,
          metadata: one.metadataOf(protocolName),
        }))
      : []
    return {
      errorCode: codes.NONE,
      generationId: this.generationId,
      protocolType,
      protocolName,
      leader: this.members.leaderId ?? '',
      skipAssignment: false,
      memberId: member.memberId,
      members,
    }
  }

  // Rounds

  #rebalanceOrComplete(): void {
    if (this.state !== 'PreparingRebalance') this.#prepare()
    // In the first one everybody who may come is waited for.
    else if (this.#previous !== 'Empty' && this.#allJoined()) this.#completeJoin()
  }

  #prepare(): void {
    if (this.state === 'CompletingRebalance') {
      for (const member of this.members.all()) member.assignment = noAssignment
      this.#propagate(syncError(codes.REBALANCE_IN_PROGRESS))
    }
    this.#pendingSync.clear()
    this.#clearSyncTimer()
    const isFirst = this.state === 'Empty'
    this.#machine.transitionTo('PreparingRebalance')
    if (isFirst) {
      const { initialRebalanceDelayMs } = this.#options
      const restMs = Math.max(this.members.rebalanceTimeoutMs() - initialRebalanceDelayMs, 0)
      this.#joinIn(initialRebalanceDelayMs, () => this.#completeFirst(initialRebalanceDelayMs, restMs))
    } else if (this.#allJoined()) this.#completeJoin()
    else this.#joinIn(this.members.rebalanceTimeoutMs(), () => this.#completeJoin())
  }

  /** The delay is over; it is lengthened as long as new members come, up to the rebalance timeout. */
  #completeFirst(delayMs: number, restMs: number): void {
    if (!this.#newMemberAdded || restMs === 0) {
      this.#completeJoin()
      return
    }
    this.#newMemberAdded = false
    const nextMs = Math.min(this.#options.initialRebalanceDelayMs, restMs)
    const nextRestMs = Math.max(restMs - delayMs, 0)
    this.#joinIn(nextMs, () => this.#completeFirst(nextMs, nextRestMs))
  }

  #completeJoin(): void {
    this.#clearJoinTimer()
    // Static members stay, since they may come back until their session ends.
    for (const member of this.members.list()) {
      if (member.joining === undefined && member.instanceId === null) this.#remove(member)
    }
    if (this.members.size > 0 && !this.members.electJoined()) {
      this.#joinIn(this.members.rebalanceTimeoutMs(), () => this.#completeJoin())
      return
    }
    this.generationId++
    this.#pendingSync.clear()
    if (this.members.size === 0) {
      this.protocolName = null
      this.#machine.transitionTo('Empty')
      this.#keep()
      return
    }
    this.protocolName = this.members.selectProtocol()
    this.#machine.transitionTo('CompletingRebalance')
    for (const member of this.members.list()) {
      member.answerJoin(this.#joined(member, this.members.leaderId === member.memberId))
      this.#beat(member)
      member.isNew = false
      this.#pendingSync.add(member.memberId)
    }
    const { generationId } = this
    const expire = (): void => this.#expireSync(generationId)
    this.#syncTimer = this.#options.ports.timers.set(expire, this.members.rebalanceTimeoutMs())
  }

  /** Members that joined and then did not ask for their assignment are put out. */
  #expireSync(generationId: number): void {
    this.#syncTimer = undefined
    const isOver = this.state !== 'CompletingRebalance' && this.state !== 'Stable'
    if (isOver || generationId !== this.generationId || this.#pendingSync.size === 0) return
    for (const memberId of [...this.#pendingSync]) {
      const member = this.members.get(memberId)
      if (member !== undefined) this.#remove(member)
    }
    this.#prepare()
  }

  #allJoined(): boolean {
    return this.#pending.size === 0 && this.members.allJoining()
  }

  // Assignments

  sync(request: SyncRequest, answer: Answer<SyncAnswer>): void {
    const error = this.#syncErrorOf(request)
    const member = this.members.get(request.memberId)
    if (error !== codes.NONE || member === undefined) {
      answer(syncError(error))
      return
    }
    this.#pendingSync.delete(member.memberId)
    if (this.#pendingSync.size === 0) this.#clearSyncTimer()
    if (this.state === 'Stable') {
      answer(this.#synced(member))
      return
    }
    member.syncing = answer
    if (this.members.leaderId !== member.memberId) return
    for (const one of this.members.all()) {
      one.assignment = request.assignments.get(one.memberId) ?? noAssignment
    }
    if (!this.members.fitRecord(this.protocolName)) {
      for (const one of this.members.all()) one.assignment = noAssignment
      this.#propagate(syncError(codes.UNKNOWN_SERVER_ERROR))
      this.#prepare()
      return
    }
    this.#keep()
    this.#propagate(undefined)
    this.#machine.transitionTo('Stable')
  }

  #syncErrorOf(request: SyncRequest): number {
    if (this.state === 'Empty') return codes.UNKNOWN_MEMBER_ID
    const error = this.members.check(request.memberId, request.instanceId)
    if (error !== codes.NONE) return error
    if (request.generationId !== this.generationId) return codes.ILLEGAL_GENERATION
    const differs = (told: string | null, mine: string | null): boolean =>
      told !== null && mine !== null && told !== mine
    if (
      differs(request.protocolType, this.protocolType) ||
      differs(request.protocolName, this.protocolName)
    ) {
      return codes.INCONSISTENT_GROUP_PROTOCOL
    }
    return this.state === 'PreparingRebalance' ? codes.REBALANCE_IN_PROGRESS : codes.NONE
  }

  /** Sessions begin anew with the answer: one that ended while its member waited was let pass. */
  #propagate(error: SyncAnswer | undefined): void {
    for (const member of this.members.list()) {
      if (member.answerSync(error ?? this.#synced(member))) this.#beat(member)
    }
  }

  #synced({ assignment }: Member): SyncAnswer {
    const { protocolType, protocolName } = this
    return { errorCode: codes.NONE, protocolType, protocolName, assignment }
  }

  // Sessions

  heartbeat(memberId: string, instanceId: string | null, generationId: number): number {
    const error = this.members.check(memberId, instanceId)
    if (error !== codes.NONE) return error
    if (generationId !== this.generationId) return codes.ILLEGAL_GENERATION
    if (this.state === 'Empty') return codes.UNKNOWN_MEMBER_ID
    this.beat(memberId)
    return this.state === 'PreparingRebalance' ? codes.REBALANCE_IN_PROGRESS : codes.NONE
  }

  /** The session of this member, if it is one, begins anew. */
  beat(memberId: string): void {
    const member = this.members.get(memberId)
    if (member !== undefined) this.#beat(member)
  }

  #beat(member: Member, timeoutMs = member.sessionTimeoutMs): void {
    this.#endSession(member)
    member.session = this.#options.ports.timers.set(() => this.#expireSession(member), timeoutMs)
  }

  #endSession(member: Member): void {
    if (member.session !== undefined) this.#options.ports.timers.clear(member.session)
    member.session = undefined
  }

  #expireSession(member: Member): void {
    member.session = undefined
    if (this.members.get(member.memberId) !== member || member.isExcused()) return
    this.#remove(member)
    if (this.state !== 'PreparingRebalance') this.#prepare()
    else if (this.#allJoined()) this.#completeJoin()
  }

  #expirePending(memberId: string): void {
    this.#pending.delete(memberId)
    if (this.state === 'PreparingRebalance' && this.#allJoined()) this.#completeJoin()
  }

  // Leaving

  /** @param memberId empty when an administrator puts out a static member by its instance id */
  leave(members: readonly { readonly memberId: string; readonly instanceId: string | null }[]): number[] {
    const errors = members.map(({ memberId, instanceId }) => this.#leaveOne(memberId, instanceId))
    if (!errors.includes(codes.NONE)) return errors
    if (this.state === 'Stable' || this.state === 'CompletingRebalance') this.#prepare()
    else if (this.state === 'PreparingRebalance') this.#rebalanceOrComplete()
    return errors
  }

  #leaveOne(memberId: string, instanceId: string | null): number {
    if (memberId === '') {
      const member = instanceId === null ? undefined : this.members.ofInstance(instanceId)
      if (member === undefined) return codes.UNKNOWN_MEMBER_ID
      this.#remove(member)
      return codes.NONE
    }
    if (this.#forgetPending(memberId)) return codes.NONE
    const error = this.members.check(memberId, instanceId)
    const member = this.members.get(memberId)
    if (error === codes.NONE && member !== undefined) this.#remove(member)
    return error
  }

  /** A member that waits in JoinGroup is told, so that it tries again if it is alive. */
  #remove(member: Member): void {
    this.#endSession(member)
    member.answerJoin(joinError(codes.UNKNOWN_MEMBER_ID))
    this.members.remove(member.memberId)
    this.#pendingSync.delete(member.memberId)
  }

  #forgetPending(memberId: string): boolean {
    const timer = this.#pending.get(memberId)
    if (timer !== undefined) this.#options.ports.timers.clear(timer)
    return this.#pending.delete(memberId)
  }

  // Offsets

  /** NONE, or why offsets are not taken from this member, or from a client that is none (generation -1). */
  checkCommit(
    memberId: string,
    instanceId: string | null,
    generationId: number,
    isTransactional: boolean,
  ): number {
    if (generationId < 0 && this.state === 'Empty') return codes.NONE
    if (generationId >= 0 || memberId !== '' || instanceId !== null) {
      const error = this.members.check(memberId, instanceId)
      if (error !== codes.NONE) return error
      if (generationId !== this.generationId) return codes.ILLEGAL_GENERATION
    } else if (!isTransactional) return codes.UNKNOWN_MEMBER_ID
    // It knows the new generation from JoinGroup, and not yet what it owns in it. Transactions are not held to that.
    return !isTransactional && this.state === 'CompletingRebalance' ? codes.REBALANCE_IN_PROGRESS : codes.NONE
  }

  // The coordinator

  /** Its coordinator is another one, or the same one again, which has read the group after `loadMs`. */
  reload(loadMs: number): void {
    this.#drop(codes.NOT_COORDINATOR)
    const { members, generationId, protocolType, protocolName, leaderId } = this.#kept
    this.generationId = generationId
    this.protocolType = protocolType
    this.protocolName = protocolName
    for (const state of members) {
      const member = new Member(state)
      this.members.add(member)
      this.#beat(member, loadMs + member.sessionTimeoutMs)
    }
    this.members.leaderId = leaderId
    this.#previous = 'Dead'
    this.#machine = this.#machineAt(members.length === 0 ? 'Empty' : 'Stable')
  }

  /** The group is deleted, or the broker ends: nothing of it goes on. */
  close(errorCode: number = codes.COORDINATOR_NOT_AVAILABLE): void {
    this.#drop(errorCode)
    if (this.state !== 'Dead') this.#machine.transitionTo('Dead')
  }

  #drop(errorCode: number): void {
    this.#clearJoinTimer()
    this.#clearSyncTimer()
    for (const memberId of [...this.#pending.keys()]) this.#forgetPending(memberId)
    this.#pendingSync.clear()
    this.#newMemberAdded = false
    for (const member of this.members.list()) {
      this.#endSession(member)
      member.answerJoin(joinError(errorCode, member.memberId))
      member.answerSync(syncError(errorCode))
    }
    this.members.clear()
  }

  #machineAt(state: GroupState): GroupMachine {
    return createGroupMachine(this.id, state, (previous) => {
      this.#previous = previous
    })
  }

  #keep(): void {
    this.#kept = this.#snapshot()
    this.#options.changed(this)
  }

  #snapshot(): KeptGroup {
    const { generationId, protocolType, protocolName } = this
    const members = this.members.list().map((member) => member.state())
    return { generationId, protocolType, protocolName, leaderId: this.members.leaderId, members }
  }

  #joinIn(delayMs: number, callback: () => void): void {
    this.#clearJoinTimer()
    this.#joinTimer = this.#options.ports.timers.set(callback, delayMs)
  }

  #clearJoinTimer(): void {
    if (this.#joinTimer !== undefined) this.#options.ports.timers.clear(this.#joinTimer)
    this.#joinTimer = undefined
  }

  #clearSyncTimer(): void {
    if (this.#syncTimer !== undefined) this.#options.ports.timers.clear(this.#syncTimer)
    this.#syncTimer = undefined
  }
}
