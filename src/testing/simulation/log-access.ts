// The logs of the embedded broker past its protocol: input is put into them and what is in them is read, so that neither
// depends on a client, on the network, or on a broker that is down.
import type { TopicPartition } from '../../base/topic-partition.ts'
import type { EmbeddedKafka } from '../../embedded/embedded-kafka.ts'
import type { PartitionLog } from '../../embedded/partition-log.ts'
import { BatchBuilder } from '../../record/batch-builder.ts'
import { partitionForKey } from '../../record/murmur2.ts'
import { LogFollower, type LogRecord } from './log-follower.ts'

/** A record to append; lengths of null are those of Kafka: no key, a tombstone. */
export interface NewRecord {
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly timestamp: number
  readonly headers?: readonly { readonly key: string; readonly value: Uint8Array | null }[] | undefined
  /** Where nothing is said the key decides, as in Kafka's producer. */
  readonly partition?: number | undefined
}

/** A transactional producer that no coordinator knows of. */
interface ForeignProducer {
  readonly producerId: number
  /** Of the next record, by partition. */
  readonly sequences: Map<string, number>
}

export interface ForeignTransaction {
  readonly producer: ForeignProducer
  /** Where it has records. */
  readonly parts: Map<string, TopicPartition>
}

/** Far beyond what a coordinator gives out. */
const firstForeignId = 1_000_000_000
const readBytesMax = 64 * 1024 * 1024
const noBytes = Buffer.alloc(0)

export class LogAccess {
  readonly #kafka: EmbeddedKafka
  readonly #followers = new Map<string, LogFollower[]>()
  /** Without an open transaction. */
  readonly #idle: ForeignProducer[] = []
  #nextForeignId = firstForeignId

  constructor(kafka: EmbeddedKafka) {
    this.#kafka = kafka
  }

  createTopic(name: string, partitions: number, settings: Readonly<Record<string, string>> = {}): void {
    const { errorCode, message } = this.#kafka.state.topics.create(name, { partitions, settings })
    if (errorCode !== 0) throw new Error(`the topic ${name} cannot be created: ${message ?? errorCode}`)
  }

  /** The logs of a topic; none where it does not exist. */
  logs(topic: string): readonly PartitionLog[] {
    return this.#kafka.state.topics.get(topic)?.logs ?? []
  }

  /** Of a producer that has none open: one after the other, as far as they do not overlap. */
  beginTransaction(): ForeignTransaction {
    const producer = this.#idle.pop() ?? { producerId: this.#nextForeignId++, sequences: new Map() }
    return { producer, parts: new Map() }
  }

  endTransaction({ producer, parts }: ForeignTransaction, committed: boolean): void {
    const { producerId } = producer
    for (const { topic, partition } of parts.values())
      this.#log(topic, partition).appendMarker({
        producerId,
        producerEpoch: 0,
        coordinatorEpoch: 0,
        committed,
      })
    this.#idle.push(producer)
  }

  /** Appends records, in a transaction or at once. */
  append(topic: string, records: readonly NewRecord[], transaction?: ForeignTransaction): void {
    const logs = this.logs(topic)
    const batches = new Map<number, BatchBuilder>()
    for (const { key, value, timestamp, headers, partition } of records) {
      const chosen = partition ?? (key === null ? 0 : partitionForKey(key, 0, key.length, logs.length))
      const builder = batches.get(chosen) ?? new BatchBuilder(1024)
      batches.set(chosen, builder)
      builder.append(
        timestamp,
        key ?? noBytes,
        0,
        key?.length ?? -1,
        value ?? noBytes,
        0,
        value?.length ?? -1,
        headers,
      )
    }
    for (const [partition, builder] of batches) this.#add({ topic, partition }, builder, transaction)
  }

  /** Of each partition what was appended so far; only what is new is read. */
  follow(topic: string, onCommitted?: (records: readonly LogRecord[]) => void): readonly LogFollower[] {
    const logs = this.logs(topic)
    const followers = this.#followers.get(topic) ?? []
    this.#followers.set(topic, followers)
    for (const [partition, log] of logs.entries()) {
      const follower = followers[partition] ?? new LogFollower(partition)
      followers[partition] = follower
      // One read ends where its segment ends.
      while (follower.end < log.endOffset) {
        const { parts = [] } =
          log.read(Math.max(follower.end, log.startOffset), readBytesMax, false, true) ?? {}
        if (parts.length === 0) break
        for (const part of parts) {
          const fresh = follower.follow(part)
          if (fresh.length > 0) onCommitted?.(fresh)
        }
      }
    }
    return followers
  }

  #add(
    { topic, partition }: TopicPartition,
    builder: BatchBuilder,
    transaction: ForeignTransaction | undefined,
  ): void {
    const { count } = builder
    const id = `${topic}/${partition}`
    transaction?.parts.set(id, { topic, partition })
    const sequence = transaction?.producer.sequences.get(id) ?? 0
    transaction?.producer.sequences.set(id, sequence + count)
    const batch = builder.seal({
      compression: 'none',
      transactional: transaction !== undefined,
      producerId: transaction?.producer.producerId ?? -1,
      producerEpoch: transaction === undefined ? -1 : 0,
      baseSequence: transaction === undefined ? -1 : sequence,
    })
    const { errorCode, message } = this.#log(topic, partition).append(batch, true)
    if (errorCode !== 0) throw new Error(`${id} takes no records: ${message ?? errorCode}`)
  }

  #log(topic: string, partition: number): PartitionLog {
    const log = this.logs(topic)[partition]
    if (log === undefined) throw new Error(`there is no ${topic}-${partition}`)
    return log
  }
}
