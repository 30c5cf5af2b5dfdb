// Which node leads a partition and which one coordinates a group or a transactional id. Both can be moved, as on a
// cluster whose brokers restart: the old node answers NOT_COORDINATOR (NOT_LEADER_OR_FOLLOWER) from then on, the new one
// COORDINATOR_LOAD_IN_PROGRESS while it reads its state.
import type { Clock } from '../base/ports.ts'
import { codes } from './codes.ts'

export type CoordinatorKind = 'group' | 'transaction'

/** A broker of the cluster, as Metadata names it. */
export interface NodeAddress {
  readonly nodeId: number
  readonly host: string
  readonly port: number
}

interface Place {
  readonly nodeId: number
  /** Monotonic time until which its state is being loaded. */
  readonly loadedAt: number
  /** How often it has moved. */
  readonly epoch: number
}

/** As Java's String.hashCode, by which Kafka picks the partition of a coordinator's topic. */
export const javaHash = (text: string): number => {
  let hash = 0
  for (let at = 0; at < text.length; at++) hash = (Math.imul(hash, 31) + text.charCodeAt(at)) | 0
  return hash
}

const hashMin = -(2 ** 31)

/** Partition of the coordinator's topic that a group or a transactional id belongs to, by the amount of its hash. */
export const coordinatorPartition = (key: string, partitions: number): number => {
  const hash = javaHash(key)
  // 32 bits have no positive counterpart of it.
  return hash === hashMin ? 0 : Math.abs(hash) % partitions
}

export class Nodes {
  readonly #clock: Clock
  readonly #partitions: number
  readonly #addresses: NodeAddress[] = []
  readonly #down = new Set<number>()
  readonly #leaders = new Map<string, number>()
  readonly #epochs = new Map<string, number>()
  readonly #coordinators = new Map<string, Place>()
  readonly #watchers = new Set<() => void>()

  /** @param partitions of the topics of the coordinators */
  constructor(clock: Clock, partitions: number) {
    this.#clock = clock
    this.#partitions = partitions
  }

  add(address: NodeAddress): void {
    this.#addresses.push(address)
    this.#changed()
  }

  /** Calls back whenever a leader, a coordinator or a node has changed, until the returned function is called. */
  watch(changed: () => void): () => void {
    this.#watchers.add(changed)
    return () => this.#watchers.delete(changed)
  }

  /** Those that are up. */
  addresses(): readonly NodeAddress[] {
    return this.#addresses.filter(({ nodeId }) => !this.#down.has(nodeId))
  }

  /** All of them. */
  ids(): readonly number[] {
    return this.#addresses.map(({ nodeId }) => nodeId)
  }

  isUp(nodeId: number): boolean {
    return !this.#down.has(nodeId)
  }

  /** A node that is down leads and coordinates nothing: what it had goes to the next one, if there is one. */
  setUp(nodeId: number, up: boolean): void {
    if (up) this.#down.delete(nodeId)
    else this.#down.add(nodeId)
    this.#changed()
  }

  /** -1 where no node is up that could. */
  leader(topic: string, partition: number): number {
    const chosen = this.#leaders.get(`${topic}-${partition}`)
    return this.#upOrNext(chosen ?? this.#spread(javaHash(topic) + partition))
  }

  leaderEpoch(topic: string, partition: number): number {
    return this.#epochs.get(`${topic}-${partition}`) ?? 0
  }

  /** A log that was kept over a restart has batches of this epoch: it goes on from there. */
  raiseLeaderEpoch(topic: string, partition: number, epoch: number): void {
    if (epoch > this.leaderEpoch(topic, partition)) this.#epochs.set(`${topic}-${partition}`, epoch)
  }

  moveLeader(topic: string, partition: number, nodeId: number): void {
    this.#leaders.set(`${topic}-${partition}`, nodeId)
    this.#epochs.set(`${topic}-${partition}`, this.leaderEpoch(topic, partition) + 1)
    this.#changed()
  }

  /** -1 where no node is up that could. */
  coordinator(kind: CoordinatorKind, key: string): number {
    const partition = coordinatorPartition(key, this.#partitions)
    return this.#upOrNext(this.#coordinators.get(`${kind}/${partition}`)?.nodeId ?? this.#spread(partition))
  }

  /** NONE, or why this node does not answer for that key now. */
  coordinatorError(kind: CoordinatorKind, key: string, nodeId: number): number {
    if (this.coordinator(kind, key) !== nodeId) return codes.NOT_COORDINATOR
    return this.coordinatorLoadMs(kind, key) > 0 ? codes.COORDINATOR_LOAD_IN_PROGRESS : codes.NONE
  }

  /** How long the coordinator still reads its state. */
  coordinatorLoadMs(kind: CoordinatorKind, key: string): number {
    const place = this.#coordinators.get(`${kind}/${coordinatorPartition(key, this.#partitions)}`)
    return place === undefined ? 0 : Math.max(0, place.loadedAt - this.#clock.monotonic())
  }

  /** Raised by each move: what an earlier coordinator still had to do is not done by it any more. */
  coordinatorEpoch(kind: CoordinatorKind, key: string): number {
    return this.#coordinators.get(`${kind}/${coordinatorPartition(key, this.#partitions)}`)?.epoch ?? 0
  }

  /** To another node (or the same one, which then loads again), which needs so long to read its state. */
  moveCoordinator(kind: CoordinatorKind, key: string, nodeId: number, loadMs = 0): void {
    const place = `${kind}/${coordinatorPartition(key, this.#partitions)}`
    const loadedAt = this.#clock.monotonic() + loadMs
    this.#coordinators.set(place, { nodeId, loadedAt, epoch: this.coordinatorEpoch(kind, key) + 1 })
    this.#changed()
  }

  #changed(): void {
    for (const changed of [...this.#watchers]) changed()
  }

  #spread(number: number): number {
    const count = this.#addresses.length
    return this.#addresses[((number % count) + count) % count]?.nodeId ?? -1
  }

  #upOrNext(nodeId: number): number {
    if (nodeId >= 0 && !this.#down.has(nodeId)) return nodeId
    const up = this.addresses()
    return up[Math.max(0, nodeId) % Math.max(1, up.length)]?.nodeId ?? -1
  }
}
