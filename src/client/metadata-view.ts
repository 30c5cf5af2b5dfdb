// What the last Metadata answers said: brokers, topics, leaders. Pure: answers go in, look-ups come out.
//
// Answers come from different brokers, which learn of a change at different times. A leader of an older epoch must not
// replace a newer one (KIP-320), else a client swings back to the broker that just said NOT_LEADER_OR_FOLLOWER. The
// epochs of a topic start anew when it is deleted and created again, which its id shows (KIP-516).
import { partitionId } from '../base/topic-partition.ts'
import { MillstreamError } from '../errors.ts'
import { reactionFor } from '../protocol/error-codes.ts'
import type { MetadataResponse } from '../protocol/metadata.ts'
import { brokerFailure } from './broker-failure.ts'

export interface BrokerNode {
  readonly nodeId: number
  readonly host: string
  readonly port: number
}

export interface PartitionLeader {
  /** Node id. */
  readonly leader: number
  readonly leaderEpoch: number
}

export interface TopicInfo {
  /** base64url; empty where the broker gives none. */
  readonly topicId: string
  readonly partitions: number
  readonly internal: boolean
}

type TopicMetadata = MetadataResponse['topics'][number]

export class MetadataView {
  #clusterId = ''
  #brokers = new Map<number, BrokerNode>()
  readonly #topics = new Map<string, TopicInfo>()
  readonly #leaders = new Map<string, PartitionLeader>()
  /** Topics whose last answer was an error that does not pass by itself, with its code. */
  readonly #errors = new Map<string, number>()

  get clusterId(): string {
    return this.#clusterId
  }

  broker(nodeId: number): BrokerNode | undefined {
    return this.#brokers.get(nodeId)
  }

  brokers(): readonly BrokerNode[] {
    return [...this.#brokers.values()]
  }

  /** A broker that another answer named (FindCoordinator). */
  addBroker({ nodeId, host, port }: BrokerNode): void {
    this.#brokers.set(nodeId, { nodeId, host, port })
  }

  topic(name: string): TopicInfo | undefined {
    return this.#topics.get(name)
  }

  /** Undefined where no leader is known; one is being elected, or the partition does not exist. */
  partition(topic: string, partition: number): PartitionLeader | undefined {
    return this.#leaders.get(partitionId(topic, partition))
  }

  /** @throws MillstreamError PROTOCOL_INVALID when the cluster is another one than before */
  apply(response: MetadataResponse): void {
    const clusterId = response.clusterId ?? ''
    if (this.#clusterId !== '' && clusterId !== this.#clusterId) {
      throw new MillstreamError('PROTOCOL_INVALID', {
        what: `the brokers now say that they are cluster ${clusterId}, and not ${this.#clusterId} as before`,
        where: { setting: 'brokers' },
        fix: 'Two clusters must not share addresses. Check the setting brokers, and restart.',
      })
    }
    this.#clusterId = clusterId
    if (response.brokers.length > 0) {
      this.#brokers = new Map(
        response.brokers.map(({ nodeId, host, port }) => [nodeId, { nodeId, host, port }]),
      )
    }
    for (const topic of response.topics) this.#applyTopic(topic)
  }

  /** @throws MillstreamError AUTHORIZATION_FAILED naming those of the topics that may not be described */
  throwDenied(topics: readonly string[]): void {
    const denied = topics.filter(
      (topic) => reactionFor(this.#errors.get(topic) ?? 0, 'Metadata') === 'denied',
    )
    if (denied.length === 0) return
    const code = this.#errors.get(denied[0] as string) as number
    throw brokerFailure('Metadata', code, { topic: denied.join(', ') })
  }

  #applyTopic(topic: TopicMetadata): void {
    const { topic: name, errorCode } = topic
    this.#errors.delete(name)
    if (errorCode !== 0) {
      // While a leader is being elected the topic is still there; else it is gone, or never was.
      if (topic.partitions.length > 0) return
      this.#forget(name)
      this.#errors.set(name, errorCode)
      return
    }
    const known = this.#topics.get(name)
    const topicId = topic.topicId ?? ''
    if (known !== undefined && known.topicId !== topicId) this.#forget(name)
    this.#topics.set(name, { topicId, partitions: topic.partitions.length, internal: topic.isInternal })
    for (const { partition, leaderId, leaderEpoch } of topic.partitions) {
      const id = partitionId(name, partition)
      if (leaderEpoch < (this.#leaders.get(id)?.leaderEpoch ?? -1)) continue
      if (leaderId < 0) this.#leaders.delete(id)
      else this.#leaders.set(id, { leader: leaderId, leaderEpoch })
    }
  }

  #forget(name: string): void {
    const known = this.#topics.get(name)
    for (let partition = 0; partition < (known?.partitions ?? 0); partition++) {
      this.#leaders.delete(partitionId(name, partition))
    }
    this.#topics.delete(name)
  }
}
