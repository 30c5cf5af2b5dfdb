// What a transactional producer has seen of the partitions that it writes to: where it need not look again, and where it
// does before it writes (docs/decisions/0014-marker-guard.md). How it looks: MarkerGuard.
import type { Logger } from '../base/log.ts'
import type { Ports } from '../base/ports.ts'
import type { Cluster } from './cluster.ts'
import {
  type EndedTransaction,
  type Endings,
  type GuardedPartition,
  type GuardedProducer,
  isSettled,
  MarkerGuard,
  type MarkerGuardSettings,
  offsetsPartition,
  offsetsTopic,
  type Settled,
} from './marker-guard.ts'
import type { Lane } from './outbox.ts'
import type { TransactionRequests } from './transaction-requests.ts'

export class Settling {
  readonly #cluster: Cluster
  readonly #guard: MarkerGuard
  readonly #requests: TransactionRequests
  readonly #endings: Endings
  /** Reasons to look at partitions again: a leader had to be looked up, or a transaction did not end by a commit. */
  #doubts = 0
  /** For the partition with the offsets of the group, what a lane has for the others. */
  #offsetsSettled: Settled | undefined

  constructor(
    cluster: Cluster,
    ports: Ports,
    settings: MarkerGuardSettings,
    log: Logger,
    requests: TransactionRequests,
    endings: Endings,
  ) {
    this.#cluster = cluster
    this.#guard = new MarkerGuard(cluster, ports, settings, log)
    this.#requests = requests
    this.#endings = endings
  }

  doubted(): void {
    this.#doubts++
  }

  /** KIP-890: an epoch has one transaction. With TV1 it has many, and it is not known which of them a partition means. */
  ended(transaction: EndedTransaction): void {
    if (this.#cluster.transactionVersion === 2) this.#endings.note(transaction)
  }

  /** Asks the coordinator how the last transaction of our transactional id has ended. @throws REQUEST_TIMED_OUT */
  async findLast(): Promise<void> {
    if (this.#cluster.transactionVersion === 1) return
    const known = await this.#requests.wait(this.#guard.look())
    if (known?.last !== undefined) this.#endings.note(known.last)
  }

  /**
   * Before the first records of a transaction for these partitions, and before a produce is repeated: that it was not
   * answered may be the first sign that the leader had gone since. With version 1 of transactions there is no telling
   * then which of them is open there.
   */
  async settle(lanes: readonly Lane[], producer: GuardedProducer, deadlineMs: number): Promise<void> {
    const now = (lane: Lane): Settled => {
      const leader = this.#cluster.partition(lane.topic, lane.partition)?.leader ?? -1
      return { over: this.#cluster.connection(leader, 'produce'), doubts: this.#doubts }
    }
    const distinct = this.#cluster.transactionVersion === 2
    const doubtful = lanes.filter(
      (lane) => (distinct || !lane.written) && !isSettled(lane.settled, now(lane)),
    )
    if (doubtful.length === 0) return
    const seen = doubtful.map(now)
    await this.#settleAt(doubtful, producer, deadlineMs)
    for (const [index, lane] of doubtful.entries()) lane.settled = seen[index]
  }

  /** `settle` for the partition with the offsets of this group. */
  async settleOffsets(groupId: string, producer: GuardedProducer, deadlineMs: number): Promise<void> {
    const node = await this.#requests.wait(this.#cluster.coordinator('group', groupId)).catch(() => -1)
    const now = { over: this.#cluster.connection(node, 'coordinator'), doubts: this.#doubts }
    if (isSettled(this.#offsetsSettled, now)) return
    const partition = await this.#requests.wait(offsetsPartition(this.#cluster, groupId))
    if (partition !== undefined)
      await this.#settleAt([{ topic: offsetsTopic, partition }], producer, deadlineMs)
    this.#offsetsSettled = now
  }

  async #settleAt(
    partitions: readonly GuardedPartition[],
    { producerId, epoch }: GuardedProducer,
    deadlineMs: number,
  ): Promise<void> {
    const own = this.#cluster.transactionVersion === 2 ? epoch : undefined
    const producer = { producerId, epoch: own }
    await this.#requests.wait(this.#guard.settle(partitions, producer, this.#endings, deadlineMs))
  }
}
