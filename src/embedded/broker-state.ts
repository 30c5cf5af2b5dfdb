// What the requests work on: the parts of the embedded broker and how they may call each other. All nodes of a cluster
// share one state, since they live in one process; which node leads or coordinates what is looked up in `nodes`, so that
// leaders and coordinators can move as they do on a real cluster.
//
// Everything here is synchronous and runs in one thread: a request sees no state in between two steps of another one.
import type { Logger } from '../base/log.ts'
import type { Ports } from '../base/ports.ts'
import type { Journal } from './journal.ts'
import type { Nodes } from './nodes.ts'

/** Settings of the broker, by the names that Kafka gives them where it has them. */
export interface BrokerSettings {
  /** auto.create.topics.enable */
  readonly autoCreateTopics: boolean
  /** num.partitions, for topics that are made by their first use or with -1 partitions. */
  readonly defaultPartitions: number
  /** The finalized transaction.version: 2 as in Kafka 4, or 1. */
  readonly transactionVersion: 1 | 2
  /** group.initial.rebalance.delay.ms */
  readonly initialRebalanceDelayMs: number
  /** group.min.session.timeout.ms */
  readonly sessionTimeoutMsMin: number
  /** group.max.session.timeout.ms */
  readonly sessionTimeoutMsMax: number
  /** transaction.max.timeout.ms */
  readonly transactionTimeoutMsMax: number
  /** transaction.abort.timed.out.transaction.cleanup.interval.ms: how often old transactions are looked for. */
  readonly transactionCleanupIntervalMs: number
  /** transactional.id.expiration.ms */
  readonly transactionalIdExpirationMs: number
  /** offset.metadata.max.bytes */
  readonly offsetMetadataBytesMax: number
  /** offsets.topic.num.partitions and transaction.state.log.num.partitions */
  readonly coordinatorPartitions: number
  /** socket.request.max.bytes */
  readonly requestBytesMax: number
  /** log.retention.check.interval.ms, and how often compaction looks for something to do. */
  readonly cleanIntervalMs: number
  /** How long the marker of a transaction needs to each partition: with 0 it is written before EndTxn is answered. */
  readonly markerDelayMs: (topic: string, partition: number) => number
  /**
   * How long a transaction needs to take in a new partition, transactions version 2: another one that comes meanwhile is
   * put back (NOT_ENOUGH_REPLICAS, COORDINATOR_LOAD_IN_PROGRESS), as it is on a broker that has to write it down.
   */
  readonly joinDelayMs: number
  /** The last epoch that a producer id is used with. Kafka: 32,766; a simulation lowers it to see the rotation. */
  readonly producerEpochMax: number
}

export interface BrokerState {
  readonly clusterId: string
  readonly ports: Ports
  readonly log: Logger
  readonly settings: BrokerSettings
  readonly journal: Journal
  readonly nodes: Nodes
  readonly topics: Topics
  readonly groups: Groups
  readonly transactions: Transactions
}

/** The topics under which coordinators keep their state in Kafka; here only their names and partitions are used. */
export const offsetsTopic = '__consumer_offsets'
export const transactionsTopic = '__transaction_state'

export interface Marker {
  readonly producerId: number
  readonly producerEpoch: number
  readonly coordinatorEpoch: number
  readonly committed: boolean
  /** 2: a marker with the epoch that the open transaction has comes too late (KIP-1228). Else only a lower one does. */
  readonly transactionVersion?: number | undefined
}

/** What the other parts ask of the log of a partition; requests of the data plane know the class itself. */
export interface MarkedLog {
  /** Appends a control batch and ends the transaction of this producer here. @returns NONE or why not: INVALID_PRODUCER_EPOCH, … */
  appendMarker(marker: Marker): number
  /** Producers whose transaction is open here, with its first offset. */
  openTransactions(): ReadonlyMap<number, number>
}

export interface Topic<Log extends MarkedLog = MarkedLog> {
  readonly name: string
  /** 16 bytes in base64url, as Kafka prints it. */
  readonly id: string
  readonly isInternal: boolean
  readonly logs: readonly Log[]
  /** What was set for it alone; `setting` knows the defaults of Kafka. */
  readonly settings: ReadonlyMap<string, string>
  setting(name: string): string
}

export interface Topics<Log extends MarkedLog = MarkedLog> {
  get(name: string): Topic<Log> | undefined
  byId(id: string): Topic<Log> | undefined
  all(): Iterable<Topic<Log>>
  /** Whether `create` would do it. */
  check(
    name: string,
    options: { readonly partitions: number; readonly settings?: Readonly<Record<string, string>> },
  ): { readonly errorCode: number; readonly message: string | null }
  /** @returns NONE or why not, with a sentence */
  create(
    name: string,
    options: { readonly partitions: number; readonly settings?: Readonly<Record<string, string>> },
  ): { readonly errorCode: number; readonly message: string | null }
  addPartitions(name: string, count: number): { readonly errorCode: number; readonly message: string | null }
  delete(name: string): number
  /** Of one topic; null sets it back to its default. @returns NONE or INVALID_CONFIG with a sentence */
  configure(
    name: string,
    changes: Readonly<Record<string, string | null>>,
  ): { readonly errorCode: number; readonly message: string | null }
}

/** What a transaction asks of the groups. */
export interface Groups {
  /** The marker reached a partition of the offsets topic: offsets pending under this producer are in force, or gone. */
  applyMarker(partition: number, marker: Marker): void
  /** Offsets of all groups in it are gone. */
  topicDeleted(topic: string): void
}

export interface TopicPartitionName {
  readonly topic: string
  readonly partition: number
}

/** What produce and TxnOffsetCommit ask of the transactions. */
export interface Transactions {
  /**
   * Whether this producer may write these partitions in its open transaction.
   * @param add transactions version 2: the partitions join the transaction, which begins with the first of them
   * (KIP-890); else they must have been added before (AddPartitionsToTxn), or it is INVALID_TXN_STATE.
   * @returns NONE or INVALID_PRODUCER_EPOCH, INVALID_PRODUCER_ID_MAPPING, CONCURRENT_TRANSACTIONS, INVALID_TXN_STATE,
   * NETWORK_EXCEPTION (another partition is just joining), …
   */
  admit(
    transactionalId: string,
    producerId: number,
    producerEpoch: number,
    partitions: readonly TopicPartitionName[],
    add: boolean,
  ): number
}
