// The groups of the cluster: finds them, makes them, keeps what outlives the broker, and moves them to another
// coordinator. What members do is in group.ts, offsets are in group-offsets.ts.
//
// Kept over a restart of the broker: that a group exists, its generation and its type of protocol, all offsets in force
// and all that are pending in a transaction. Unlike Kafka's, this broker forgets the members: each is answered
// UNKNOWN_MEMBER_ID and joins again, so that a development session that was killed does not have to sit out the session
// of its former self. (A coordinator that only moves to another node keeps them, as on Kafka.)
import { invariant } from '../base/assert.ts'
import { offsetsTopic, type BrokerState, type Groups, type Marker } from './broker-state.ts'
import { Group } from './group.ts'
import { GroupOffsets } from './group-offsets.ts'
import { coordinatorPartition } from './nodes.ts'

const groupKind = 'group'

interface JournaledGroup {
  readonly generationId: number
  readonly protocolType: string | null
}

export class GroupTable implements Groups {
  readonly offsets: GroupOffsets
  readonly #broker: BrokerState
  readonly #groups = new Map<string, Group>()
  /** Where each group is coordinated, as it was seen last. */
  readonly #places = new Map<string, string>()
  readonly #unwatch: () => void

  constructor(broker: BrokerState) {
    this.#broker = broker
    this.offsets = new GroupOffsets(broker, (group) => this.partitionOf(group))
    this.#unwatch = broker.nodes.watch(() => this.#moveGroups())
  }

  load(): void {
    for (const [id, value] of this.#broker.journal.entries(groupKind)) {
      const { generationId, protocolType } = value as JournaledGroup
      this.#add(id, generationId, protocolType)
    }
    for (const id of this.offsets.load()) if (!this.#groups.has(id)) this.#add(id)
  }

  close(): void {
    this.#unwatch()
    for (const group of this.#groups.values()) group.close()
    this.#groups.clear()
  }

  get(id: string): Group | undefined {
    return this.#groups.get(id)
  }

  /** A new one is empty, and exists from now on also if nobody joins. */
  getOrCreate(id: string): Group {
    const existing = this.#groups.get(id)
    if (existing !== undefined) return existing
    const group = this.#add(id)
    this.#keep(group)
    return group
  }

  all(): Iterable<Group> {
    return this.#groups.values()
  }

  /** With all its offsets. */
  delete(id: string): void {
    this.offsets.deleteGroup(id)
    this.#groups.get(id)?.close()
    this.#groups.delete(id)
    this.#places.delete(id)
    this.#broker.journal.put(groupKind, id, null)
  }

  /** Partition of the offsets topic that a group belongs to. */
  partitionOf(group: string): number {
    return coordinatorPartition(group, this.#broker.settings.coordinatorPartitions)
  }

  applyMarker(partition: number, marker: Marker): void {
    const error = this.offsets.applyMarker(partition, marker)
    if (error === 0) return
    const { producerId, producerEpoch } = marker
    this.#broker.log.debug('a marker of an older epoch is refused', {
      topic: offsetsTopic,
      partition,
      producerId,
      producerEpoch,
    })
  }

  topicDeleted(topic: string): void {
    this.offsets.deleteTopic(topic)
  }

  #add(id: string, generationId = 0, protocolType: string | null = null): Group {
    const { ports, settings } = this.#broker
    const changed = (group: Group): void => this.#keep(group)
    const { initialRebalanceDelayMs } = settings
    const group = new Group(id, { ports, initialRebalanceDelayMs, changed }, generationId, protocolType)
    this.#groups.set(id, group)
    this.#places.set(id, this.#placeOf(id))
    return group
  }

  /** A node came, went, or was given other groups: those that are coordinated elsewhere now are read anew there. */
  #moveGroups(): void {
    for (const [id, group] of this.#groups) {
      const place = this.#placeOf(id)
      if (place === this.#places.get(id)) continue
      this.#places.set(id, place)
      group.reload(this.#broker.nodes.coordinatorLoadMs('group', id))
    }
  }

  #placeOf(id: string): string {
    const { nodes } = this.#broker
    return `${nodes.coordinator('group', id)}/${nodes.coordinatorEpoch('group', id)}`
  }

  #keep({ id, generationId, protocolType }: Group): void {
    this.#broker.journal.put(groupKind, id, { generationId, protocolType } satisfies JournaledGroup)
  }
}

/** The groups of this broker as its group requests use them. */
export const groupsOf = ({ groups }: BrokerState): GroupTable => {
  invariant(groups instanceof GroupTable, 'the groups of a broker are a table', {})
  return groups
}

/** Starts something that answers at once or later. */
export const answerOf = <T>(start: (answer: (value: T) => void) => void): T | Promise<T> => {
  const answered: T[] = []
  let resolve = (value: T): void => {
    answered.push(value)
  }
  start((value) => resolve(value))
  const [now] = answered
  if (now !== undefined) return now
  return new Promise((settle) => {
    resolve = settle
  })
}
