// The offsets of all groups: those in force, and those that are pending in an open transaction until its marker reaches
// the partition of the offsets topic that the group belongs to.
//
// Kafka keeps them as records of that partition, and the later record wins: a plain commit made while a transaction was
// open is not undone by the offsets which that transaction had sent before it. `order` stands for the position of the
// record. The same log knows the epoch in which a producer wrote there last, and refuses an older one.
//
// Not built: the retention of offsets (offsets.retention.minutes); here they stay until they are deleted.
import type { BrokerState, Marker } from './broker-state.ts'
import { codes } from './codes.ts'

export interface CommittedOffset {
  readonly offset: number
  readonly leaderEpoch: number
  readonly metadata: string
}

interface Stored extends CommittedOffset {
  readonly order: number
}

interface Pending extends Stored {
  readonly epoch: number
}

/** A producer in one partition of the offsets topic. */
interface Writer {
  epoch: number
  isOpen: boolean
}

const offsetKind = 'offset'
const pendingKind = 'pending-offset'

/** Values by group, topic and partition. */
class OffsetMap<T> {
  readonly #groups = new Map<string, Map<string, Map<number, T>>>()

  get(group: string, topic: string, partition: number): T | undefined {
    return this.#groups.get(group)?.get(topic)?.get(partition)
  }

  put(group: string, topic: string, partition: number, value: T): void {
    const topics = this.#groups.get(group) ?? new Map<string, Map<number, T>>()
    this.#groups.set(group, topics)
    const partitions = topics.get(topic) ?? new Map<number, T>()
    topics.set(topic, partitions)
    partitions.set(partition, value)
  }

  remove(group: string, topic: string, partition: number): void {
    const topics = this.#groups.get(group)
    const partitions = topics?.get(topic)
    partitions?.delete(partition)
    if (partitions?.size === 0) topics?.delete(topic)
    if (topics?.size === 0) this.#groups.delete(group)
  }

  groups(): string[] {
    return [...this.#groups.keys()]
  }

  topics(group: string): ReadonlyMap<string, ReadonlyMap<number, T>> {
    return this.#groups.get(group) ?? new Map()
  }

  entries(group: string): [topic: string, partition: number, value: T][] {
    const entries: [string, number, T][] = []
    for (const [topic, partitions] of this.topics(group)) {
      for (const [partition, value] of partitions) entries.push([topic, partition, value])
    }
    return entries
  }

  get isEmpty(): boolean {
    return this.#groups.size === 0
  }
}

export class GroupOffsets {
  readonly #broker: Pick<BrokerState, 'journal'>
  /** Partition of the offsets topic that a group belongs to. */
  readonly #partitionOf: (group: string) => number
  readonly #committed = new OffsetMap<Stored>()
  /** By producer id. */
  readonly #pending = new Map<number, OffsetMap<Pending>>()
  /** By partition of the offsets topic and producer id. */
  readonly #writers = new Map<number, Map<number, Writer>>()
  #order = 0

  constructor(broker: Pick<BrokerState, 'journal'>, partitionOf: (group: string) => number) {
    this.#broker = broker
    this.#partitionOf = partitionOf
  }

  /** What the journal knows. @returns the groups that have offsets, or will have when a transaction ends */
  load(): Set<string> {
    const groups = new Set<string>()
    for (const [key, value] of this.#broker.journal.entries(offsetKind)) {
      const [group, topic, partition] = JSON.parse(key) as [string, string, number]
      const stored = value as Stored
      this.#committed.put(group, topic, partition, stored)
      this.#order = Math.max(this.#order, stored.order)
      groups.add(group)
    }
    for (const [key, value] of this.#broker.journal.entries(pendingKind)) {
      const [producerId, group, topic, partition] = JSON.parse(key) as [number, string, string, number]
      const pending = value as Pending
      this.#pendingOf(producerId).put(group, topic, partition, pending)
      this.#writersOf(group).set(producerId, { epoch: pending.epoch, isOpen: true })
      this.#order = Math.max(this.#order, pending.order)
      groups.add(group)
    }
    return groups
  }

  get(group: string, topic: string, partition: number): CommittedOffset | undefined {
    return this.#committed.get(group, topic, partition)
  }

  /** All of a group that are in force. */
  topics(group: string): ReadonlyMap<string, ReadonlyMap<number, CommittedOffset>> {
    return this.#committed.topics(group)
  }

  isPending(group: string, topic: string, partition: number): boolean {
    for (const pending of this.#pending.values()) {
      if (pending.get(group, topic, partition) !== undefined) return true
    }
    return false
  }

  commit(group: string, topic: string, partition: number, offset: CommittedOffset): void {
    this.#put(group, topic, partition, { ...offset, order: ++this.#order })
  }

  /** INVALID_PRODUCER_EPOCH where the partition of this group has seen a newer epoch of this producer. */
  checkProducer(group: string, producerId: number, epoch: number): number {
    const writer = this.#writersOf(group).get(producerId)
    return writer !== undefined && epoch < writer.epoch ? codes.INVALID_PRODUCER_EPOCH : codes.NONE
  }

  /** Whether this transaction has written into the partition of this group already. */
  isOpen(group: string, producerId: number, epoch: number): boolean {
    const writer = this.#writersOf(group).get(producerId)
    return writer?.isOpen === true && writer.epoch === epoch
  }

  commitPending(
    group: string,
    topic: string,
    partition: number,
    producer: { readonly producerId: number; readonly producerEpoch: number },
    offset: CommittedOffset,
  ): void {
    const { producerId, producerEpoch } = producer
    const pending = { ...offset, order: ++this.#order, epoch: producerEpoch }
    this.#writersOf(group).set(producerId, { epoch: producerEpoch, isOpen: true })
    this.#pendingOf(producerId).put(group, topic, partition, pending)
    this.#broker.journal.put(pendingKind, JSON.stringify([producerId, group, topic, partition]), pending)
  }

  /** The transaction of this producer has ended in one partition of the offsets topic. */
  applyMarker(partition: number, { producerId, producerEpoch, committed }: Marker): number {
    const writers = this.#writers.get(partition) ?? new Map<number, Writer>()
    this.#writers.set(partition, writers)
    const writer = writers.get(producerId)
    if (writer !== undefined && producerEpoch < writer.epoch) return codes.INVALID_PRODUCER_EPOCH
    writers.set(producerId, { epoch: producerEpoch, isOpen: false })
    const pending = this.#pending.get(producerId)
    for (const group of pending?.groups() ?? []) {
      if (this.#partitionOf(group) === partition) this.#settle(producerId, group, committed)
    }
    return codes.NONE
  }

  #settle(producerId: number, group: string, committed: boolean): void {
    const pending = this.#pendingOf(producerId)
    for (const [topic, partition, { epoch: _, ...offset }] of pending.entries(group)) {
      const current = this.#committed.get(group, topic, partition)
      if (committed && (current === undefined || current.order < offset.order)) {
        this.#put(group, topic, partition, offset)
      }
      this.#removePending(producerId, group, topic, partition)
    }
  }

  /** Also what is pending for it: the transaction has nothing to bring into force then. */
  delete(group: string, topic: string, partition: number): void {
    if (this.#committed.get(group, topic, partition) !== undefined) {
      this.#committed.remove(group, topic, partition)
      this.#broker.journal.put(offsetKind, JSON.stringify([group, topic, partition]), null)
    }
    for (const [producerId, pending] of this.#pending) {
      if (pending.get(group, topic, partition) !== undefined) {
        this.#removePending(producerId, group, topic, partition)
      }
    }
  }

  deleteGroup(group: string): void {
    this.#deleteWhere(group, () => true)
  }

  /** In all groups, where a topic is gone. */
  deleteTopic(topic: string): void {
    const groups = new Set(this.#committed.groups())
    for (const pending of this.#pending.values()) for (const group of pending.groups()) groups.add(group)
    for (const group of groups) this.#deleteWhere(group, (name) => name === topic)
  }

  #deleteWhere(group: string, matches: (topic: string) => boolean): void {
    const maps = [this.#committed, ...this.#pending.values()]
    const entries = maps.flatMap((map) => map.entries(group))
    for (const [topic, partition] of entries) if (matches(topic)) this.delete(group, topic, partition)
  }

  #put(group: string, topic: string, partition: number, stored: Stored): void {
    this.#committed.put(group, topic, partition, stored)
    this.#broker.journal.put(offsetKind, JSON.stringify([group, topic, partition]), stored)
  }

  #removePending(producerId: number, group: string, topic: string, partition: number): void {
    const pending = this.#pendingOf(producerId)
    pending.remove(group, topic, partition)
    if (pending.isEmpty) this.#pending.delete(producerId)
    this.#broker.journal.put(pendingKind, JSON.stringify([producerId, group, topic, partition]), null)
  }

  #pendingOf(producerId: number): OffsetMap<Pending> {
    const pending = this.#pending.get(producerId) ?? new OffsetMap<Pending>()
    this.#pending.set(producerId, pending)
    return pending
  }

  #writersOf(group: string): Map<number, Writer> {
    const partition = this.#partitionOf(group)
    const writers = this.#writers.get(partition) ?? new Map<number, Writer>()
    this.#writers.set(partition, writers)
    return writers
  }
}
