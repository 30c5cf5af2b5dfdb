// What a dead worker left open, where sessions are so short that the broker has not aborted it yet: whoever gets its tasks
// waits for that, since their offsets and changelogs are undecided. The leader of the group, and nobody else, aborts it at
// each join: a transaction of this application whose transactional id no member of the generation has.
//
// Nobody with a right to his transaction is hit, since a transaction begins after an assignment:
//
//   JoinGroup answered: the members, with their ids  ──>  list  ──>  heartbeat: the generation is the last one  ──>  fence
//
// What is on the list was begun in this generation or an earlier one. A member has an id that is spared; whoever is no
// member has lost his tasks. A worker that is just starting has begun nothing until the generation after this one, and
// there is none before the leader has joined again, or was waited for in vain for rebalanceTimeoutMs. So it fences right
// after the answer to the heartbeat or asks once more. What remains is a leader that an operator takes out of the group
// in that moment: then an owner may be hit, and begins its transaction anew.
import type { Logger } from '../base/log.ts'
import type { Ports } from '../base/ports.ts'
import { Backoff } from '../client/backoff.ts'
import type { Cluster } from '../client/cluster.ts'
import { withCoordinator } from '../client/coordinator.ts'
import type { GroupMember } from '../client/group-member.ts'
import type { Joined } from '../client/group-protocol.ts'
import { fenceProducer, listOpenTransactions, type OpenTransaction } from '../client/transactions.ts'
import { transactionCleanupIntervalMs } from '../config/short-sessions.ts'
import type { WorkerSettings } from '../config/worker-settings.ts'
import { type ErrorCode, ensureError, isMillstreamError } from '../errors.ts'
import { type HeartbeatResponse, heartbeat } from '../protocol/heartbeat.ts'
import { transactionalIdsOf } from './assignor.ts'
import { isWorkerOf } from './transactional-id.ts'

export interface TakeOverOptions {
  readonly cluster: Cluster
  readonly ports: Ports
  readonly settings: WorkerSettings
  readonly member: GroupMember
  readonly log: Logger
  /** Called after each transaction of somebody else that was aborted. */
  readonly aborted: () => void
}

/** One generation in which this member leads. */
interface Term {
  readonly generationId: number
  readonly memberId: string
  /** The transactional ids of its members. */
  readonly spared: ReadonlySet<string>
  /** Those that it may not fence. */
  readonly denied: Set<string>
  /** Those that the coordinator was asked to abort, and has taken note of. */
  readonly aborted: Set<string>
  /** What was logged: each thing once. */
  readonly said: Set<string>
  readonly ended: AbortController
}

/** With these it makes no sense to ask again; the timeouts do what is left. */
const final: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['AUTHORIZATION_FAILED', 'BROKER_TOO_OLD', 'CLOSED'])

const NONE = 0

export class TakeOver {
  readonly #options: TakeOverOptions
  #term: Term | undefined

  constructor(options: TakeOverOptions) {
    this.#options = options
  }

  /**
   * Aborts in the background what workers that are gone left open. The worker goes on meanwhile; tasks that wait for it
   * come free. Where it fails, the broker does it after transactionTimeoutMs.
   * @param joined with this member as the leader
   */
  begin({ generationId, memberId, members }: Joined): void {
    this.close()
    const spared = transactionalIdsOf(members)
    if (spared === undefined) {
      const text = 'no transaction is aborted for others: a member does not say which one is its own'
      this.#options.log.info(text, { generation: generationId })
      return
    }
    const [denied, aborted, said] = [new Set<string>(), new Set<string>(), new Set<string>()]
    this.#term = { generationId, memberId, spared, denied, aborted, said, ended: new AbortController() }
    void this.#clear(this.#term)
  }

  /** Begins nothing more; requests that are under way end with the connections. */
  close(): void {
    this.#term?.ended.abort()
    this.#term = undefined
  }

  /** Until nothing is left to do at any broker, or the brokers have done it by themselves. Never rejects. */
  async #clear(term: Term): Promise<void> {
    const { cluster, ports, settings } = this.#options
    const deadline = ports.clock.monotonic() + settings.transactionTimeoutMs + transactionCleanupIntervalMs
    const backoff = new Backoff(ports)
    while (this.#leads(term)) {
      // A broker may have come since, and coordinators with it.
      const all = await this.#attempt(term, () => cluster.refreshMetadata([]).then(() => true))
      const nodes = cluster.brokers().map(({ nodeId }) => nodeId)
      const clear = await Promise.all(
        nodes.map((node) => this.#attempt(term, () => this.#clearAt(node, term))),
      )
      if (all && clear.every((one) => one)) return
      if (!(await backoff.wait(deadline, term.ended.signal))) return
    }
  }

  /** @returns what `work` does; where it throws, whether it makes no sense to repeat it */
  async #attempt(term: Term, work: () => Promise<boolean>): Promise<boolean> {
    try {
      return await work()
    } catch (error) {
      this.#warn(term, ensureError(error).message)
      return isMillstreamError(error) && final.has(error.code)
    }
  }

  /** @returns whether this broker has nothing open of a worker that is gone */
  async #clearAt(node: number, term: Term): Promise<boolean> {
    const { cluster, ports, settings } = this.#options
    const left = (await listOpenTransactions(cluster, node)).filter((one) => this.#isLeft(one, term))
    if (left.length === 0) return true
    const sinceMs = await this.#current(term)
    // Another generation has come or is to come, and its leader looks for itself.
    if (sinceMs === undefined) term.ended.abort()
    // Nothing is awaited between these looks and the requests.
    if (sinceMs === undefined || !this.#leads(term)) return true
    if (ports.clock.monotonic() - sinceMs < settings.rebalanceTimeoutMs)
      await Promise.all(left.map((one) => this.#fence(one, term)))
    // The next list shows what became of them.
    return false
  }

  #isLeft({ transactionalId }: OpenTransaction, { spared, denied }: Term): boolean {
    const { applicationId } = this.#options.settings
    return (
      isWorkerOf(applicationId, transactionalId) &&
      !spared.has(transactionalId) &&
      !denied.has(transactionalId)
    )
  }

  async #fence(transaction: OpenTransaction, term: Term): Promise<void> {
    const { cluster, settings, log } = this.#options
    const { transactionalId, producerId } = transaction
    if (!term.said.has(transactionalId)) {
      term.said.add(transactionalId)
      const { generationId: generation } = term
      const text = 'a worker that is gone left a transaction open, which is aborted'
      log.warn(text, { transactionalId, producerId, generation })
    }
    try {
      await fenceProducer(cluster, transaction, settings.transactionTimeoutMs)
      if (term.aborted.has(transactionalId)) return
      term.aborted.add(transactionalId)
      this.#options.aborted()
    } catch (error) {
      if (!isMillstreamError(error) || error.code !== 'AUTHORIZATION_FAILED') throw error
      term.denied.add(transactionalId)
      this.#warn(term, error.message)
    }
  }

  /** As far as this member knows. */
  #leads({ generationId, ended }: Term): boolean {
    const { member } = this.#options
    return !ended.signal.aborted && member.state === 'stable' && member.generationId === generationId
  }

  /**
   * Asks the coordinator whether this generation is the last one and no rebalance has begun.
   * @returns since when that holds for sure, on the monotonic clock; undefined where it does not
   */
  async #current({ generationId, memberId }: Term): Promise<number | undefined> {
    const { cluster, ports, settings, member } = this.#options
    const { applicationId: groupId, rebalanceTimeoutMs } = settings
    const request = { groupId, generationId, memberId, groupInstanceId: member.instanceId ?? null }
    const { clock } = ports
    let sentMs = clock.monotonic()
    const attempt = (node: number): Promise<HeartbeatResponse> => {
      sentMs = clock.monotonic()
      return cluster.send(node, 'admin', heartbeat, request)
    }
    const deadline = sentMs + rebalanceTimeoutMs
    const { errorCode } = await withCoordinator(
      cluster,
      ports,
      'group',
      groupId,
      attempt,
      deadline,
      'Heartbeat',
    )
    // Whatever else it may be, the heartbeats of the member learn it too.
    return errorCode === NONE ? sentMs : undefined
  }

  #warn({ said, ended }: Term, cause: string): void {
    if (ended.signal.aborted || said.has(cause)) return
    said.add(cause)
    this.#options.log.warn('what a worker that is gone left open may stay until it times out', { cause })
  }
}
