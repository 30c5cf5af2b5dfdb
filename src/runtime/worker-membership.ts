// What a worker holds in its group: the tasks it may work for, under which member id and generation; and the join that is
// under way while it goes on working (incremental rebalance, KIP-429).
//
//   heartbeat: rebalance ──> joinInBackground ──> JoinGroup (claims: the tasks held) ──> SyncGroup ──> an arrival:
//     tasks     to run from now on
//     revoking  held, given to nobody yet: the worker commits, closes them, and joins again to hand them over
//
// The leader gives a task that somebody claims to nobody else in the same generation. So a worker keeps processing and
// committing while it joins, and a transaction may end under the next generation, as long as the member id is the same,
// no generation was skipped, and its tasks are still held.
import type { LogFields } from '../base/log.ts'
import type { GroupMember } from '../client/group-member.ts'
import type { Joined } from '../client/group-protocol.ts'
import type { Membership, MembershipSource } from '../client/producer.ts'
import { ensureError, isMillstreamError, MillstreamError } from '../errors.ts'
import { type Assignment, readAssignment } from './assignor.ts'
import type { HandOver } from './hand-over.ts'
import type { Claim } from './placement.ts'

/** The outcome of a join, for the worker to follow. */
export interface Arrival extends Assignment {
  readonly generationId: number
  /**
   * The membership broke: another member id, or a generation without us in between. Somebody else may have run the tasks that were
   * held, so that what is in memory may not be what is committed.
   */
  readonly broken: boolean
}

/** For the log. */
export const fieldsOf = ({ generationId, tasks, revoking, standbys }: Arrival): LogFields => ({
  generation: generationId,
  tasks: tasks.join(' '),
  revoking: revoking.length > 0 ? revoking.join(' ') : undefined,
  standbys: standbys.length > 0 ? standbys.join(' ') : undefined,
})

export interface WorkerMembershipOptions {
  readonly member: GroupMember
  readonly groupId: string
  /** How far the stores of this worker have followed their changelogs, by task. */
  readonly stored: () => Readonly<Record<string, number>>
  readonly host: string
  /** Called when a join in the background has ended. */
  readonly notify: () => void
  /** Called after each join in which this member became the leader of the group. */
  readonly led?: ((joined: Joined) => void) | undefined
  /** Told when somebody waits for tasks, and when a join is on its way. */
  readonly handOver: Pick<HandOver, 'called' | 'joins'>
}

type Outcome = { readonly joined: Omit<Arrival, 'broken'> } | { readonly error: unknown }

export class WorkerMembership implements MembershipSource {
  readonly #options: WorkerMembershipOptions
  #held: ReadonlySet<string> = new Set()
  #memberId = ''
  #generationId = -1
  #joining: Promise<Outcome> | undefined
  #outcome: Outcome | undefined
  /** Stays until the worker learns of it: a later join could otherwise hide that an earlier one began anew. */
  #broke = false

  constructor(options: WorkerMembershipOptions) {
    this.#options = options
  }

  /** The member id under which the tasks are held; empty before the first join. */
  get memberId(): string {
    return this.#memberId
  }

  /** Whether a join is under way, or has ended and was not followed yet. */
  get joining(): boolean {
    return this.#joining !== undefined || this.#outcome !== undefined
  }

  /** The membership under which the tasks are held is over, or nothing is held yet: only a join can help. */
  get isOver(): boolean {
    const { state, memberId } = this.#options.member
    if (state === 'unjoined' || state === 'lost' || state === 'fenced') return true
    return memberId !== this.#memberId
  }

  /** What this worker claims in its next JoinGroup. */
  claim(): Claim {
    // Under another member id somebody else may have what we held.
    const running = this.#options.member.memberId === this.#memberId ? [...this.#held] : []
    const { stored, host } = this.#options
    return { running, generation: this.#generationId, stored: stored(), host }
  }

  /** Joins while the worker goes on; the outcome comes from `arrived`. */
  joinInBackground(): void {
    this.#options.handOver.joins()
    this.#joining ??= this.#join().then((outcome) => {
      this.#joining = undefined
      this.#outcome = outcome
      this.#options.notify()
      return outcome
    })
  }

  /** The outcome of a join that has ended, once. @throws what the join threw */
  arrived(): Arrival | undefined {
    const outcome = this.#outcome
    this.#outcome = undefined
    if (outcome === undefined) return undefined
    if ('error' in outcome) throw outcome.error
    const broken = this.#broke
    this.#broke = false
    return { ...outcome.joined, broken }
  }

  /** Waits for the join that is under way, or joins. @throws what `GroupMember.join` throws */
  async join(): Promise<Arrival> {
    // An outcome that waits may be older than what broke the membership since.
    if (this.#joining === undefined && this.#options.member.state === 'stable') {
      const arrival = this.arrived()
      if (arrival !== undefined) return arrival
    }
    this.#outcome = undefined
    this.joinInBackground()
    await this.#joining
    return this.arrived() as Arrival
  }

  /**
   * `join` for a worker that works for nothing: repeated until nothing is left to hand over, since others wait for that,
   * and its own restore may take long.
   * @param topology of this worker. A static member that was restarted gets its old assignment, also when its topology is
   * another one by now (KIP-345): then it asks once more, and the leader assigns anew.
   * @param release closes all tasks but those that it is given; they are at their last commit
   */
  async joinUntilHandedOver(topology: string, release: (arrival: Arrival) => void): Promise<Arrival> {
    let arrival = await this.join()
    let { broken } = arrival
    const joinAgain = async (): Promise<void> => {
      arrival = await this.join()
      broken ||= arrival.broken
    }
    if (arrival.topology !== topology) await joinAgain()
    while (arrival.topology === topology && arrival.revoking.length > 0) {
      release(arrival)
      this.hold(arrival.tasks)
      await joinAgain()
    }
    return { ...arrival, broken }
  }

  /** These tasks are the worker's from now on, and no others. */
  hold(tasks: readonly string[]): void {
    this.#held = new Set(tasks)
  }

  /** @throws MEMBERSHIP_LOST, INSTANCE_FENCED when what these tasks did under `memberId` must not be committed */
  check(memberId: string | undefined, tasks: readonly string[]): void {
    const task = tasks.find((id) => !this.#held.has(id))
    if (!this.isOver && memberId === this.#memberId && task === undefined) return
    throw this.#lost(task)
  }

  #lost(task: string | undefined): MillstreamError {
    const { groupId, member } = this.#options
    const { state } = member
    return new MillstreamError(state === 'fenced' ? 'INSTANCE_FENCED' : 'MEMBERSHIP_LOST', {
      what:
        task === undefined
          ? `the membership under which the transaction began is over (${state})`
          : 'a task of the transaction was given to another member',
      where: { group: groupId, member: this.#memberId, task },
      fix: 'The transaction is aborted; its records are processed again by whoever owns them now.',
    })
  }

  /**
   * The old generation is over when JoinGroup is answered. The new one takes the offsets of a transaction at once: to
   * wait for SyncGroup would be to wait for the leader, which may be dead or busy for as long as the group lets it be.
   */
  async current(options?: { readonly synced?: boolean }): Promise<Membership> {
    const { groupId, member } = this.#options
    if (options?.synced === true) await this.#joining
    const { syncing } = member
    // What a join has brought is taken note of in a moment: until then the held tasks are those of the generation before.
    if (syncing === undefined && member.generationId !== this.#generationId) await this.#joining
    if (syncing?.continuous === false) throw this.#lost(undefined)
    const { memberId, instanceId } = member
    return { groupId, memberId, generationId: syncing?.generationId ?? member.generationId, instanceId }
  }

  async outlives({ generationId }: Membership): Promise<boolean> {
    const { member } = this.#options
    while (this.#joining !== undefined && member.syncing === undefined)
      await Promise.race([this.#joining, member.progress()])
    const { syncing } = member
    if (syncing !== undefined) return syncing.continuous && syncing.generationId > generationId
    return !this.isOver && member.generationId > generationId
  }

  async #join(): Promise<Outcome> {
    try {
      const joined = await this.#options.member.join()
      if (joined.isLeader) this.#options.led?.(joined)
      return { joined: this.#accept(joined) }
    } catch (error) {
      return { error: isMillstreamError(error) ? error : ensureError(error) }
    }
  }

  #accept({ memberId, generationId, assignment, continuous }: Joined): Omit<Arrival, 'broken'> {
    const given = readAssignment(assignment)
    this.#broke ||= memberId !== this.#memberId || !continuous
    const kept = new Set([...given.tasks, ...given.revoking])
    // Until the worker follows, it may finish what it had and was not given to others; what is new is not its own yet.
    this.#held = this.#broke ? new Set() : new Set([...this.#held].filter((id) => kept.has(id)))
    this.#memberId = memberId
    this.#generationId = generationId
    if (given.revoking.length > 0) this.#options.handOver.called()
    return { ...given, generationId }
  }
}
