// A member of a consumer group on the classic protocol, dynamic or static (KIP-345). It joins when it is told to and
// keeps the membership alive by heartbeats in between; it never joins again by itself, since only the worker knows
// what has to be committed or aborted before.
//
//                        ┌──────── join() ─────────┐
//                        v                         │
//   unjoined ─join()─> joining ─SyncGroup─> stable ─┴─heartbeat: rebalance──> rebalance-needed ─join()─> joining
//      ^                 │                   │                                      │
//      │                 │                   └──── heartbeat: unknown member ───────┤
//      │                 ├── join failed, membership in doubt ──────────────────> lost ─join()─> joining
//      └─ leave() ───────┤
//                        └── instance id taken by another ──────────────────────> fenced (for good)
//
// Heartbeats go on in `stable` and `rebalance-needed`: during a rebalance the broker waits for those that it still
// hears of. In `joining` the coordinator itself watches the member. Who sends them, and over which connection, is the
// business of `Heartbeats`; what an answer means is decided here.
import type { Logger } from '../base/log.ts'
import type { Ports } from '../base/ports.ts'
import { createStateMachine, type StateMachine } from '../base/state-machine.ts'
import { ensureError, isMillstreamError, MillstreamError } from '../errors.ts'
import { brokerError, reactionFor } from '../protocol/error-codes.ts'
import { type JoinGroupResponse, joinGroup } from '../protocol/join-group.ts'
import { leaveGroup } from '../protocol/leave-group.ts'
import { syncGroup } from '../protocol/sync-group.ts'
import { isRepeatable } from './answers.ts'
import { Backoff } from './backoff.ts'
import { brokerFailure } from './broker-failure.ts'
import type { Cluster } from './cluster.ts'
import { withCoordinator } from './coordinator.ts'
import {
  type Generation,
  type GroupMemberInfo,
  type GroupMemberSettings,
  type GroupProtocol,
  type Joined,
  membersOf,
} from './group-protocol.ts'
import type { Membership } from './heartbeat-loop.ts'
import { type Heartbeats, localHeartbeats } from './heartbeats.ts'
import { isGroupLoaded } from './loaded-group.ts'

export type MemberState = 'unjoined' | 'joining' | 'stable' | 'rebalance-needed' | 'lost' | 'fenced'

const transitions = {
  unjoined: ['joining'],
  joining: ['stable', 'unjoined', 'lost', 'fenced'],
  stable: ['rebalance-needed', 'lost', 'fenced', 'joining', 'unjoined'],
  'rebalance-needed': ['joining', 'lost', 'fenced', 'unjoined'],
  lost: ['joining', 'unjoined'],
  fenced: ['unjoined'],
} as const satisfies Record<MemberState, readonly MemberState[]>

const NONE = 0
const UNKNOWN_SERVER_ERROR = -1
const NO_GENERATION = -1
const MEMBER_ID_REQUIRED = 'MEMBER_ID_REQUIRED'
const PROTOCOL_TYPE = 'consumer'
/** The broker cuts longer ones; kept short for its logs. */
const REASON_CHARACTERS_MAX = 200
/** The answer to a join comes when the rebalance timeout is over at the latest; this is for the way. */
const JOIN_MARGIN_MS = 5000
const LEAVE_TIMEOUT_MS = 5000

/** What the next round of a join does. */
type Round =
  | { readonly joined: Joined }
  | { readonly again: 'at once' | 'after a pause'; readonly why: string }

export class GroupMember {
  readonly #cluster: Cluster
  readonly #ports: Ports
  readonly #settings: GroupMemberSettings
  readonly #protocol: GroupProtocol
  readonly #log: Logger
  readonly #onChange: () => void
  readonly #heartbeats: Heartbeats
  readonly #state: StateMachine<MemberState>
  readonly #closing = new AbortController()
  #memberId = ''
  #generationId = NO_GENERATION
  /** When the coordinator last confirmed this member: the wall-clock time at which that was asked; 0 before. */
  confirmedAtMs = 0
  #joinsNoMore = false
  #syncing: Generation | undefined
  /** The last generation in which this member took part, and whether it did in all of them since its join began. */
  #last: Generation = { generationId: NO_GENERATION, continuous: false }
  /** A JoinGroup is at the coordinator that may make a member whose id we do not know. */
  #unknownMember = false
  /** Resolves at the next answer to JoinGroup or SyncGroup, and at the end of the join. */
  #progress = Promise.withResolvers<void>()
  #join: { readonly giveUp: AbortController; node: number | undefined } | undefined

  /**
   * @param onChange called after the state was changed by a heartbeat; it must not throw
   * @param heartbeats for this member alone; by default they are sent by this thread over `cluster`
   */
  constructor(
    cluster: Cluster,
    ports: Ports,
    settings: GroupMemberSettings,
    protocol: GroupProtocol,
    log: Logger,
    onChange: () => void,
    heartbeats: Heartbeats = localHeartbeats(cluster, ports),
  ) {
    this.#cluster = cluster
    this.#ports = ports
    this.#settings = settings
    this.#protocol = protocol
    this.#log = log
    this.#onChange = onChange
    this.#heartbeats = heartbeats
    heartbeats.listen({
      answered: (errorCode, sentAtMs) => this.#answered(errorCode, sentAtMs),
      unanswered: (cause) => this.#unanswered(cause),
      ended: () => this.#become('lost'),
    })
    this.#state = createStateMachine<MemberState>('group member', 'unjoined', transitions)
  }

  get state(): MemberState {
    return this.#state.current
  }

  /** Empty until the coordinator has given one. */
  get memberId(): string {
    return this.#memberId
  }

  /** -1 while the member belongs to no generation. */
  get generationId(): number {
    return this.#generationId
  }

  /** Where JoinGroup was answered and SyncGroup was not: the old generation is over, and this one begins. */
  get syncing(): Generation | undefined {
    return this.#syncing
  }

  /** Resolves when a join that is under way has got further: JoinGroup or SyncGroup was answered, or it has ended. */
  progress(): Promise<void> {
    return this.#progress.promise
  }

  get instanceId(): string | undefined {
    return this.#settings.instanceId
  }

  /**
   * JoinGroup and SyncGroup, repeated while the group goes on rebalancing. Whatever this member is to give up must be
   * committed or aborted before.
   *
   * Compare the member id with the one before: another one means that the membership broke in between, and what was
   * begun under the old one must not be committed.
   * @throws MillstreamError INSTANCE_FENCED, HEARTBEATS_ENDED, AUTHORIZATION_FAILED, CLOSED; REQUEST_TIMED_OUT when the
   * coordinator could not be reached for twice the rebalance timeout; BROKER_ERROR, for instance for a protocol that the
   * other members do not have, or an assignment that is too large for the group's topic
   */
  async join(): Promise<Joined> {
    if (this.#closing.signal.aborted || this.#joinsNoMore) throw givenUp()
    if (this.state === 'fenced') throw this.#fenced()
    if (this.#heartbeats.failure !== undefined) throw this.#heartbeats.failure
    // Lost: generations may have passed without us. The member id is kept: the group may still wait for it, and answers
    // UNKNOWN_MEMBER_ID where it does not. A static member that came without one would leave its former self behind as
    // a member that the group waits for, into the next rebalance and the one after.
    const continuous = this.state !== 'lost' && this.#generationId !== NO_GENERATION
    this.#last = { generationId: this.#generationId, continuous }
    if (this.state === 'lost') this.#generationId = NO_GENERATION
    this.#stopHeartbeats()
    this.#state.transitionTo('joining')
    const join = { giveUp: new AbortController(), node: undefined }
    this.#join = join
    try {
      const joined = await this.#joinUntilDone(join.giveUp.signal)
      if (join.giveUp.signal.aborted) throw givenUp()
      this.#state.transitionTo('stable')
      this.#heartbeats.start(this.#membership())
      return joined
    } catch (error) {
      if (this.#join === join && this.state === 'joining') {
        const fenced = isMillstreamError(error) && error.code === 'INSTANCE_FENCED'
        // The coordinator may have counted us in, in a generation that we do not know.
        this.#state.transitionTo(fenced ? 'fenced' : 'lost')
      }
      throw error
    } finally {
      if (this.#join === join) this.#join = undefined
      this.#progressed()
    }
  }

  #progressed(): void {
    this.#progress.resolve()
    this.#progress = Promise.withResolvers<void>()
  }

  /**
   * Leaves the group, so that the others take over at once. A static member that is to come back does not leave.
   * @throws nothing: without an answer the session timeout decides
   */
  async leave(reason: string): Promise<void> {
    this.#stopHeartbeats()
    this.#giveUpJoin()
    const memberId = this.#memberId
    const { groupId, instanceId } = this.#settings
    // Also after a join that was given up: the group may have counted us in, and would wait for us.
    const isMember =
      (memberId !== '' || (this.#unknownMember && instanceId !== undefined)) && this.state !== 'fenced'
    this.#unknownMember = false
    this.#forgetMembership()
    if (this.state !== 'unjoined') this.#state.transitionTo('unjoined')
    if (!isMember || this.#closing.signal.aborted) return
    const member = {
      memberId,
      groupInstanceId: instanceId ?? null,
      reason: reason.slice(0, REASON_CHARACTERS_MAX),
    }
    const deadline = this.#ports.clock.monotonic() + LEAVE_TIMEOUT_MS
    const timeoutMs = LEAVE_TIMEOUT_MS
    try {
      // Not on the group's connection, where a join may be waiting.
      const request = { groupId, members: [member] }
      const send = (node: number) => this.#cluster.send(node, 'admin', leaveGroup, request, { timeoutMs })
      const answer = await withCoordinator(
        this.#cluster,
        this.#ports,
        'group',
        groupId,
        send,
        deadline,
        'LeaveGroup',
      )
      const errorCode = answer.errorCode || (answer.members[0]?.errorCode ?? NONE)
      if (errorCode === NONE) return
      this.#log.info('leaving the group was refused', { group: groupId, error: brokerError(errorCode).name })
    } catch (error) {
      this.#log.warn('the group was not told that we leave; its session timeout decides', {
        group: groupId,
        cause: ensureError(error).message,
      })
    }
  }

  /** Ends a join that is under way, and lets no other begin: the member is to leave or to close. */
  giveUpJoin(): void {
    this.#joinsNoMore = true
    this.#giveUpJoin()
  }

  /** Ends heartbeats and a join that is under way, without a word to the group. */
  close(): void {
    this.#closing.abort()
    this.#stopHeartbeats()
    this.#giveUpJoin()
  }

  // Joining

  #giveUpJoin(): void {
    this.#join?.giveUp.abort()
    // A join waits at the broker for the other members.
    if (this.#join?.node !== undefined) this.#cluster.interrupt(this.#join.node, 'group')
  }

  async #joinUntilDone(signal: AbortSignal): Promise<Joined> {
    const patienceMs = 2 * this.#settings.rebalanceTimeoutMs + this.#cluster.requestTimeoutMs
    const backoff = new Backoff(this.#ports)
    let deadline = this.#ports.clock.monotonic() + patienceMs
    for (;;) {
      let why: string
      try {
        const round = await this.#joinOnce(signal)
        if ('joined' in round) return round.joined
        if (signal.aborted) throw givenUp()
        why = round.why
        if (round.again === 'at once') {
          // The coordinator answers and the group moves on: that is no failure, however often it happens.
          deadline = this.#ports.clock.monotonic() + patienceMs
          backoff.reset()
          continue
        }
      } catch (error) {
        if (signal.aborted) throw givenUp()
        if (!isRepeatable(error)) throw error
        this.#cluster.forgetCoordinator('group', this.#settings.groupId)
        why = error.message
      }
      this.#log.debug('the join is repeated', { group: this.#settings.groupId, why })
      const inTime = await backoff.wait(deadline, signal)
      if (signal.aborted) throw givenUp()
      if (inTime) continue
      throw new MillstreamError('REQUEST_TIMED_OUT', {
        what: `the group could not be joined in ${patienceMs} ms; at last: ${why}`,
        where: { group: this.#settings.groupId },
        fix: 'Look at the health of the brokers and of the topic __consumer_offsets.',
      })
    }
  }

  async #joinOnce(signal: AbortSignal): Promise<Round> {
    const { groupId, instanceId, sessionTimeoutMs, rebalanceTimeoutMs } = this.#settings
    const node = await this.#cluster.coordinator('group', groupId)
    if (signal.aborted) throw givenUp()
    if (this.#join !== undefined) this.#join.node = node
    this.#unknownMember ||= this.#memberId === ''
    const answer = await this.#cluster.send(
      node,
      'group',
      joinGroup,
      {
        groupId,
        sessionTimeoutMs,
        rebalanceTimeoutMs,
        memberId: this.#memberId,
        groupInstanceId: instanceId ?? null,
        protocolType: PROTOCOL_TYPE,
        protocols: [{ name: this.#protocol.name, metadata: this.#protocol.metadata() }],
        reason: null,
      },
      { timeoutMs: rebalanceTimeoutMs + JOIN_MARGIN_MS },
    )
    this.#unknownMember = false
    if (brokerError(answer.errorCode).name === MEMBER_ID_REQUIRED) {
      this.#memberId = answer.memberId
      return { again: 'at once', why: MEMBER_ID_REQUIRED }
    }
    if (answer.errorCode !== NONE) return this.#refused('JoinGroup', answer.errorCode)
    const { generationId, continuous } = this.#last
    const goesOn = answer.memberId === this.#memberId && answer.generationId <= generationId + 1
    this.#last = { generationId: answer.generationId, continuous: continuous && goesOn }
    this.#memberId = answer.memberId
    this.#syncing = this.#last
    this.#progressed()
    try {
      return await this.#sync(node, answer)
    } finally {
      this.#syncing = undefined
      this.#progressed()
    }
  }

  async #sync(node: number, joined: JoinGroupResponse): Promise<Round> {
    const { groupId, instanceId } = this.#settings
    const { generationId, memberId } = joined
    const isLeader = joined.leader === memberId
    const members = isLeader ? membersOf(joined) : []
    const assignments = isLeader && !joined.skipAssignment ? this.#assign(members) : []
    const answer = await this.#cluster.send(
      node,
      'group',
      syncGroup,
      {
        groupId,
        generationId,
        memberId,
        groupInstanceId: instanceId ?? null,
        protocolType: PROTOCOL_TYPE,
        protocolName: joined.protocolName ?? this.#protocol.name,
        assignments,
      },
      // The leader may take as long as the rebalance timeout to send the assignments.
      { timeoutMs: this.#settings.rebalanceTimeoutMs + JOIN_MARGIN_MS },
    )
    if (answer.errorCode === UNKNOWN_SERVER_ERROR && assignments.length > 0) {
      const bytes = assignments.reduce((sum, { assignment }) => sum + assignment.length, 0)
      throw brokerFailure('SyncGroup', answer.errorCode, { group: groupId, assignmentBytes: bytes })
    }
    if (answer.errorCode !== NONE) return this.#refused('SyncGroup', answer.errorCode)
    this.#generationId = generationId
    this.#log.info('joined the group', {
      group: groupId,
      member: memberId,
      generation: generationId,
      isLeader,
    })
    // A copy: the assignment is kept for long, and a view would keep the whole frame.
    const assignment = Buffer.from(answer.assignment)
    const { continuous } = this.#last
    return { joined: { generationId, memberId, isLeader, members, assignment, continuous } }
  }

  #assign(members: readonly GroupMemberInfo[]): { memberId: string; assignment: Buffer }[] {
    return [...this.#protocol.assign(members)].map(([memberId, assignment]) => ({ memberId, assignment }))
  }

  #refused(api: 'JoinGroup' | 'SyncGroup', errorCode: number): Round {
    const { groupId } = this.#settings
    const why = `${api} was answered ${brokerError(errorCode).name}`
    switch (reactionFor(errorCode, api)) {
      case 'rebalance':
        return { again: 'at once', why }
      case 'rejoin':
        // The leader's assignment could not be stored, for whichever reason: the members are the same as before.
        if (errorCode !== UNKNOWN_SERVER_ERROR) this.#forgetMembership()
        return { again: 'after a pause', why }
      case 'find-coordinator':
        this.#cluster.forgetCoordinator('group', groupId)
        return { again: 'after a pause', why }
      case 'retry':
        return { again: 'after a pause', why }
      default:
        throw brokerFailure(api, errorCode, {
          group: groupId,
          member: this.#memberId || undefined,
          instance: this.#settings.instanceId,
        })
    }
  }

  #forgetMembership(): void {
    this.#memberId = ''
    this.#generationId = NO_GENERATION
    this.#last = { generationId: NO_GENERATION, continuous: false }
  }

  // Heartbeats

  /**
   * The coordinator refused the membership in another request (TxnOffsetCommit): what the next heartbeat would say is
   * known, and the next join begins anew.
   */
  abandon(): void {
    if (!this.#isIn) return
    this.#stopHeartbeats()
    this.#state.transitionTo('lost')
  }

  /** Sends a heartbeat now. @returns whether the coordinator answered that this member is in good standing. */
  async verify(): Promise<boolean> {
    if (!this.#isIn || !(await isGroupLoaded(this.#cluster, this.#ports, this.#settings))) return false
    return this.#isIn && (await this.#heartbeats.verify(this.#membership())) && this.#isIn
  }

  get #isIn(): boolean {
    return this.state === 'stable' || this.state === 'rebalance-needed'
  }

  #stopHeartbeats(): void {
    this.#heartbeats.stop()
  }

  #membership(): Membership {
    const { groupId, instanceId, sessionTimeoutMs, heartbeatIntervalMs } = this.#settings
    const memberId = this.#memberId
    const generationId = this.#generationId
    return { groupId, memberId, generationId, instanceId, sessionTimeoutMs, heartbeatIntervalMs }
  }

  #answered(errorCode: number, sentAtMs: number): void {
    if (errorCode === NONE) this.confirmedAtMs = sentAtMs
    const next = this.#afterHeartbeat(errorCode)
    if (next === 'lost' || next === 'fenced') this.#stopHeartbeats()
    if (next !== undefined) this.#become(next)
  }

  #unanswered(cause: string): void {
    const { groupId } = this.#settings
    this.#cluster.forgetCoordinator('group', groupId)
    this.#log.warn('a heartbeat was not answered', { group: groupId, cause })
  }

  /** What a heartbeat has brought. */
  #become(next: MemberState): void {
    const { state } = this
    if (next === state || !this.#isIn) return
    this.#state.transitionTo(next)
    this.#onChange()
  }

  /** @returns the state that follows from it, or undefined for the same as before */
  #afterHeartbeat(errorCode: number): MemberState | undefined {
    const { groupId } = this.#settings
    const reaction = reactionFor(errorCode, 'Heartbeat')
    if (reaction === 'none') return undefined
    const { name } = brokerError(errorCode)
    this.#log.info('a heartbeat was answered', { group: groupId, error: name })
    if (reaction === 'rebalance') return 'rebalance-needed'
    if (reaction === 'rejoin') return 'lost'
    if (name === 'FENCED_INSTANCE_ID') return 'fenced'
    if (reaction === 'find-coordinator') this.#cluster.forgetCoordinator('group', groupId)
    if (reaction === 'find-coordinator' || reaction === 'retry') return undefined
    // For instance the right was taken away: joining again gives the error its name.
    return 'lost'
  }

  #fenced(): MillstreamError {
    const { groupId, instanceId } = this.#settings
    return new MillstreamError('INSTANCE_FENCED', {
      what: 'JoinGroup is not sent, since another process has taken this instance id',
      where: { group: groupId, instance: instanceId },
      fix: 'Another process runs with the same instance id: give each its own.',
    })
  }
}

const givenUp = (): MillstreamError =>
  new MillstreamError('CLOSED', { what: 'the join was given up by leave or close' })
