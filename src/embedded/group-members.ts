// The members of one classic group as the coordinator sees them: who they are, which assignors they know, which of them
// leads, and who of them waits for an answer. It decides nothing about the group's state; group.ts does.
//
// Where Kafka takes "any" member (the next leader) the one that came first is taken, so that a run can be repeated.
import type { TimerHandle } from '../base/ports.ts'
import { decodeSubscription } from '../protocol/consumer-protocol.ts'
import { codes } from './codes.ts'
import { javaHash } from './nodes.ts'

export interface MemberProtocol {
  readonly name: string
  readonly metadata: Buffer
}

export interface JoinRequest {
  readonly memberId: string
  readonly instanceId: string | null
  readonly clientId: string
  readonly clientHost: string
  readonly sessionTimeoutMs: number
  readonly rebalanceTimeoutMs: number
  readonly protocolType: string
  readonly protocols: readonly MemberProtocol[]
  /** Version of JoinGroup. */
  readonly version: number
}

export interface SyncRequest {
  readonly memberId: string
  readonly instanceId: string | null
  readonly generationId: number
  /** null below v5. */
  readonly protocolType: string | null
  readonly protocolName: string | null
  readonly assignments: ReadonlyMap<string, Buffer>
}

export interface JoinedMember {
  readonly memberId: string
  readonly instanceId: string | null
  readonly metadata: Buffer
}

export interface JoinAnswer {
  readonly errorCode: number
  readonly generationId: number
  readonly protocolType: string | null
  readonly protocolName: string | null
  readonly leader: string
  readonly skipAssignment: boolean
  readonly memberId: string
  readonly members: readonly JoinedMember[]
}

export interface SyncAnswer {
  readonly errorCode: number
  readonly protocolType: string | null
  readonly protocolName: string | null
  readonly assignment: Buffer
}

/** max.message.bytes of the offsets topic. */
const recordBytesMax = 1_048_588

export const noAssignment: Buffer = Buffer.alloc(0)

export const joinError = (errorCode: number, memberId = ''): JoinAnswer => ({
  errorCode,
  generationId: -1,
  protocolType: null,
  protocolName: null,
  leader: '',
  skipAssignment: false,
  memberId,
  members: [],
})

export const syncError = (errorCode: number): SyncAnswer => ({
  errorCode,
  protocolType: null,
  protocolName: null,
  assignment: noAssignment,
})

/** What is kept of a member when the group's state is written. */
export interface MemberState {
  readonly memberId: string
  readonly instanceId: string | null
  readonly clientId: string
  readonly clientHost: string
  readonly rebalanceTimeoutMs: number
  readonly sessionTimeoutMs: number
  /** Best first. */
  readonly protocols: readonly MemberProtocol[]
  readonly assignment: Buffer
}

export class Member {
  readonly memberId: string
  readonly instanceId: string | null
  readonly clientId: string
  readonly clientHost: string
  rebalanceTimeoutMs: number
  sessionTimeoutMs: number
  protocols: readonly MemberProtocol[]
  assignment: Buffer
  /** Was never told a generation: it cannot beat yet, so that its first session is a longer one. */
  isNew = false
  joining: ((answer: JoinAnswer) => void) | undefined
  syncing: ((answer: SyncAnswer) => void) | undefined
  session: TimerHandle | undefined

  constructor(state: MemberState) {
    this.memberId = state.memberId
    this.instanceId = state.instanceId
    this.clientId = state.clientId
    this.clientHost = state.clientHost
    this.rebalanceTimeoutMs = state.rebalanceTimeoutMs
    this.sessionTimeoutMs = state.sessionTimeoutMs
    this.protocols = state.protocols
    this.assignment = state.assignment
  }

  state(): MemberState {
    const { memberId, instanceId, clientId, clientHost } = this
    const { rebalanceTimeoutMs, sessionTimeoutMs, protocols, assignment } = this
    return {
      memberId,
      instanceId,
      clientId,
      clientHost,
      rebalanceTimeoutMs,
      sessionTimeoutMs,
      protocols,
      assignment,
    }
  }

  /** @returns whether it waited */
  answerJoin(answer: JoinAnswer): boolean {
    const { joining } = this
    this.joining = undefined
    joining?.(answer)
    return joining !== undefined
  }

  /** @returns whether it waited */
  answerSync(answer: SyncAnswer): boolean {
    const { syncing } = this
    this.syncing = undefined
    syncing?.(answer)
    return syncing !== undefined
  }

  /** A member that waits for others is not asked to beat, unless nobody ever heard its id. */
  isExcused(): boolean {
    return !this.isNew && (this.joining !== undefined || this.syncing !== undefined)
  }

  metadataOf(protocol: string | null): Buffer {
    return this.protocols.find(({ name }) => name === protocol)?.metadata ?? noAssignment
  }

  /** The same assignors, in the same order, with the same metadata. */
  hasSame(protocols: readonly MemberProtocol[]): boolean {
    return (
      protocols.length === this.protocols.length &&
      this.protocols.every(({ name, metadata }, at) => {
        const other = protocols[at]
        return other !== undefined && other.name === name && other.metadata.equals(metadata)
      })
    )
  }
}

/** Kafka counts votes in a hash map of Java with 16 places, and takes the first of those that have the most. */
const bucket = (name: string): number => {
  const hash = javaHash(name)
  return (hash ^ (hash >>> 16)) & 15
}

/**
 * Whether a member subscribes to this topic, in a group of the type `consumer`; also where that cannot be read, since
 * nobody can say that it does not.
 */
export const isSubscribed = (members: GroupMembers, protocol: string | null, topic: string): boolean =>
  members.list().some((member) => {
    try {
      return decodeSubscription(member.metadataOf(protocol)).topics.includes(topic)
    } catch {
      return true
    }
  })

export class GroupMembers {
  readonly #members = new Map<string, Member>()
  /** Instance ids of static members. */
  readonly #instances = new Map<string, string>()
  leaderId: string | undefined

  get size(): number {
    return this.#members.size
  }

  all(): Iterable<Member> {
    return this.#members.values()
  }

  list(): Member[] {
    return [...this.#members.values()]
  }

  get(memberId: string): Member | undefined {
    return this.#members.get(memberId)
  }

  ofInstance(instanceId: string): Member | undefined {
    const memberId = this.#instances.get(instanceId)
    return memberId === undefined ? undefined : this.#members.get(memberId)
  }

  /** NONE, or why this id is not, or no longer, one of a member. */
  check(memberId: string, instanceId: string | null): number {
    if (instanceId !== null) {
      const current = this.#instances.get(instanceId)
      if (current === undefined) return codes.UNKNOWN_MEMBER_ID
      if (current !== memberId) return codes.FENCED_INSTANCE_ID
    }
    return this.#members.has(memberId) ? codes.NONE : codes.UNKNOWN_MEMBER_ID
  }

  add(member: Member): void {
    this.leaderId ??= member.memberId
    this.#members.set(member.memberId, member)
    if (member.instanceId !== null) this.#instances.set(member.instanceId, member.memberId)
  }

  remove(memberId: string): void {
    const member = this.#members.get(memberId)
    this.#members.delete(memberId)
    if (member !== undefined && member.instanceId !== null) this.#instances.delete(member.instanceId)
    if (this.leaderId === memberId) this.leaderId = this.#members.keys().next().value
  }

  clear(): void {
    this.#members.clear()
    this.#instances.clear()
    this.leaderId = undefined
  }

  /** A static member came back: it has a new id from now on, and the old one is fenced. */
  replace(old: Member, memberId: string): Member {
    old.answerJoin(joinError(codes.FENCED_INSTANCE_ID, old.memberId))
    old.answerSync(syncError(codes.FENCED_INSTANCE_ID))
    const led = this.leaderId === old.memberId
    this.#members.delete(old.memberId)
    const member = new Member({ ...old.state(), memberId })
    this.#members.set(memberId, member)
    if (old.instanceId !== null) this.#instances.set(old.instanceId, memberId)
    if (led) this.leaderId = memberId
    return member
  }

  /** A leader that did not join again in time gives way to one that did. @returns false where nobody did */
  electJoined(): boolean {
    if (this.leaderId === undefined) return false
    if (this.#members.get(this.leaderId)?.joining !== undefined) return true
    const next = this.list().find(({ joining }) => joining !== undefined)
    if (next === undefined) return false
    this.leaderId = next.memberId
    return true
  }

  allJoining(): boolean {
    for (const { joining } of this.#members.values()) if (joining === undefined) return false
    return true
  }

  /** The largest of the members', which a rebalance waits for the slowest. */
  rebalanceTimeoutMs(): number {
    let largest = 0
    for (const member of this.#members.values()) largest = Math.max(largest, member.rebalanceTimeoutMs)
    return largest
  }

  /** Whether the one record, about, that Kafka writes of all members is not too large for the offsets topic. */
  fitRecord(protocol: string | null): boolean {
    let bytes = 0
    for (const member of this.#members.values()) {
      const names = [member.memberId, member.instanceId ?? '', member.clientId, member.clientHost]
      for (const name of names) bytes += name.length
      bytes += member.metadataOf(protocol).length + member.assignment.length
    }
    return bytes <= recordBytesMax
  }

  /** Whether one of these assignors is known to every member. */
  sharesOneOf(protocols: readonly MemberProtocol[]): boolean {
    return protocols.some(({ name }) => this.#knowAll(name))
  }

  /** The assignor that most members like best among those that all of them know. */
  selectProtocol(): string {
    const votes = new Map<string, number>()
    for (const { protocols } of this.#members.values()) {
      const best = protocols.find(({ name }) => this.#knowAll(name))?.name
      if (best !== undefined) votes.set(best, (votes.get(best) ?? 0) + 1)
    }
    let winner = ''
    for (const name of [...votes.keys()].sort((a, b) => bucket(a) - bucket(b))) {
      if ((votes.get(name) ?? 0) > (votes.get(winner) ?? 0)) winner = name
    }
    return winner
  }

  #knowAll(protocol: string): boolean {
    for (const { protocols } of this.#members.values()) {
      if (!protocols.some(({ name }) => name === protocol)) return false
    }
    return true
  }
}
