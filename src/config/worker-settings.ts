// The settings of a worker after they were read, checked and completed: what the runtime gets. Where they come from,
// their defaults, limits and texts stand in settings-table.ts.
import type { ConnectionOptions } from 'node:tls'

export type Guarantee = 'exactly_once' | 'at_least_once'

export interface WorkerSettings {
  /** host:port of some brokers of the cluster. */
  readonly brokers: readonly string[]
  /** application.id = group.id; the name of the topology unless set. */
  readonly applicationId: string
  /** Stable name of this worker (group.instance.id and part of the transactional.id); undefined: kept in stateDir. */
  readonly instanceId: string | undefined
  readonly stateDir: string
  /** Whether stores are held against the digest that was committed; verify: also what lies on the disk at a start. */
  readonly stateDigest: 'on' | 'off' | 'verify'
  readonly guarantee: Guarantee
  readonly clientId: string
  readonly tls: ConnectionOptions | boolean
  readonly sasl:
    | {
        readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'
        readonly username: string
        readonly password: string
      }
    | undefined

  readonly commitIntervalMs: number
  /** Store writes and outputs of the open transaction beyond which it is committed early. */
  readonly uncommittedBytesMax: number
  /** What all stores keep in memory together. */
  readonly storeMemoryBytesMax: number
  readonly transactionTimeoutMs: number
  readonly sessionTimeoutMs: number
  readonly heartbeatIntervalMs: number
  /** A processor that blocks for longer loses its tasks. */
  readonly maxPollIntervalMs: number
  readonly rebalanceTimeoutMs: number
  readonly requestTimeoutMs: number
  readonly connectionTimeoutMs: number
  /** A close takes no longer, whether brokers answer or not. */
  readonly closeTimeoutMs: number

  /** Fetched and not processed yet, over all partitions. */
  readonly bufferedBytesMax: number
  readonly maxTaskIdleMs: number
  readonly fetchBytesMax: number
  readonly partitionFetchBytesMax: number
  readonly fetchWaitMs: number
  /** An output batch of this size is sent without waiting for the commit. */
  readonly batchBytes: number
  readonly compression: 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd'

  /** Where an input is read from when nothing is committed. */
  readonly startFrom: 'earliest' | 'latest'
  readonly onFailure: 'fail' | 'skip' | 'retry'
  readonly retryAttempts: number
  readonly retryBackoffMs: number
  readonly retryBackoffMaxMs: number
  readonly afterRetries: 'fail' | 'skip'
  /** Calls of asynchronous processors that are open at once. */
  readonly asyncInFlightMax: number

  /** Copies of each store on other workers, close behind its changelog. */
  readonly standbyReplicas: number
  /** A worker that lacks more offsets than this of a task's changelogs gets the task only when it has caught up. */
  readonly standbyLagMax: number
  /** The machine that this worker runs on: standbys go to other ones. */
  readonly hostId: string | undefined

  /** Create missing internal topics. */
  readonly createInternalTopics: boolean
  /** Of internal topics; -1: the default of the broker. */
  readonly replicationFactor: number
  /** How often what was processed is deleted from repartition topics. */
  readonly purgeIntervalMs: number
  /** How often topics that match a pattern are looked for. */
  readonly topicRefreshMs: number

  /** Port for probes and metrics; undefined: none, 0: any free one. */
  readonly httpPort: number | undefined
  readonly httpHost: string
}
