// The two blobs that members of a group of protocol type "consumer" exchange through the coordinator: what a member
// subscribes to (in JoinGroup) and what it is assigned (in SyncGroup), v0-3. The coordinator and ordinary lag tools
// read them, so they keep to Kafka's layout; what only we understand goes into user_data.
// v1 adds what the member owns, for cooperative rebalances (KIP-429); v2 the generation in which it was given that
// (KIP-792); v3 the rack (KIP-881). Never flexible. A newer version may only append fields, so one that we do not know
// is read as v3 and the rest of it passed over.
//
// subscription  version int16 · topics [string] · user_data bytes? · (v1+) owned_partitions [ topic string
//               · partitions [int32] ] · (v2+) generation_id int32 · (v3+) rack_id string?
// assignment    version int16 · assigned_partitions [ topic string · partitions [int32] ] · user_data bytes?
import { invariant } from '../base/assert.ts'
import { Reader, Writer } from './wire.ts'

/** The newest version that we write. */
export const CONSUMER_PROTOCOL_VERSION = 3

export interface TopicPartitions {
  readonly topic: string
  readonly partitions: readonly number[]
}

export interface Subscription {
  readonly topics: readonly string[]
  readonly userData: Buffer | null
  /** Not written in v0, and empty when read from it. */
  readonly ownedPartitions: readonly TopicPartitions[]
  /** The generation in which ownedPartitions were assigned; -1 below v2. */
  readonly generationId: number
  /** null below v3. */
  readonly rackId: string | null
}

export interface Assignment {
  readonly partitions: readonly TopicPartitions[]
  readonly userData: Buffer | null
}

const checkVersion = (version: number): void => {
  const known = Number.isInteger(version) && version >= 0 && version <= CONSUMER_PROTOCOL_VERSION
  invariant(known, 'a consumer protocol version is one we speak', { version })
}

const writePartitions = (writer: Writer, partitions: readonly TopicPartitions[]): void => {
  writer.array(partitions, (entry) => {
    writer.string(entry.topic).array(entry.partitions, (partition) => writer.int32(partition))
  })
}

const readPartitions = (reader: Reader): TopicPartitions[] =>
  reader.array(() => ({ topic: reader.string(), partitions: reader.array(() => reader.int32()) }))

const readVersion = (reader: Reader, what: string): number => {
  reader.begin(what, false)
  const version = reader.int16()
  if (version < 0) reader.fail(`its version is ${version}`)
  return version
}

export function encodeSubscription(
  subscription: Subscription,
  version: number = CONSUMER_PROTOCOL_VERSION,
): Buffer {
  checkVersion(version)
  const writer = new Writer()
  writer.int16(version).array(subscription.topics, (topic) => writer.string(topic))
  writer.nullableBytes(subscription.userData)
  if (version >= 1) writePartitions(writer, subscription.ownedPartitions)
  if (version >= 2) writer.int32(subscription.generationId)
  if (version >= 3) writer.nullableString(subscription.rackId)
  return writer.toBuffer()
}

/**
 * userData is a view into `buffer`.
 * @throws MillstreamError PROTOCOL_INVALID
 */
export function decodeSubscription(buffer: Buffer): Subscription {
  const reader = new Reader(buffer)
  const version = readVersion(reader, 'the subscription of a group member')
  return {
    topics: reader.array(() => reader.string()),
    userData: reader.nullableBytes(),
    ownedPartitions: version >= 1 ? readPartitions(reader) : [],
    generationId: version >= 2 ? reader.int32() : -1,
    rackId: version >= 3 ? reader.nullableString() : null,
  }
}

export function encodeAssignment(
  assignment: Assignment,
  version: number = CONSUMER_PROTOCOL_VERSION,
): Buffer {
  checkVersion(version)
  const writer = new Writer()
  writePartitions(writer.int16(version), assignment.partitions)
  return writer.nullableBytes(assignment.userData).toBuffer()
}

/**
 * userData is a view into `buffer`.
 * @throws MillstreamError PROTOCOL_INVALID
 */
export function decodeAssignment(buffer: Buffer): Assignment {
  const reader = new Reader(buffer)
  readVersion(reader, 'the assignment of a group member')
  return { partitions: readPartitions(reader), userData: reader.nullableBytes() }
}
