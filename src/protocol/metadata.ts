// Metadata, key 3, v9-12: brokers, controller, and the leader and epoch of each partition.
// v9 flexible (epochs since v7, KIP-320); v10 adds topic ids (KIP-516); v11 drops the cluster's authorized operations
// (KIP-700); v12 may ask by topic id. We ask by name, and never let the question create a topic: a misspelt input
// would come to life with the broker's default partitions.
//
// request   topics [ (v10+) topic_id uuid · name string · tags ] (null: all) · allow_auto_topic_creation bool
//           · (v9-10) include_cluster_authorized_operations bool · include_topic_authorized_operations bool · tags
// response  throttle_time_ms int32 · brokers [ node_id int32 · host string · port int32 · rack string? · tags ]
//           · cluster_id string? · controller_id int32
//           · topics [ error_code int16 · name string (v12+ nullable) · (v10+) topic_id uuid · is_internal bool
//             · partitions [ error_code int16 · partition_index int32 · leader_id int32 · leader_epoch int32
//               · replica_nodes [int32] · isr_nodes [int32] · offline_replicas [int32] · tags ]
//             · topic_authorized_operations int32 · tags ]
//           · (v9-10) cluster_authorized_operations int32 · tags
import { type Api, defineApi } from './api.ts'
import type { Reader } from './wire.ts'

export interface MetadataRequest {
  /** Names of topics; null asks for all, an empty list for none (brokers only). */
  readonly topics: readonly string[] | null
}

export interface MetadataBroker {
  readonly nodeId: number
  readonly host: string
  readonly port: number
  readonly rack: string | null
}

export interface MetadataPartition {
  readonly errorCode: number
  readonly partition: number
  /** -1 where there is no leader. */
  readonly leaderId: number
  readonly leaderEpoch: number
  readonly replicas: number[]
  readonly isr: number[]
  readonly offlineReplicas: number[]
}

export interface MetadataTopic {
  readonly errorCode: number
  readonly topic: string
  /** In base64url; null in v9 and for a topic that does not exist. */
  readonly topicId: string | null
  readonly isInternal: boolean
  /** In the order of the broker, which need not be that of the numbers. */
  readonly partitions: MetadataPartition[]
}

export interface MetadataResponse {
  readonly throttleTimeMs: number
  readonly brokers: MetadataBroker[]
  readonly clusterId: string | null
  readonly controllerId: number
  readonly topics: MetadataTopic[]
}

const readBroker = (reader: Reader): MetadataBroker => ({
  nodeId: reader.int32(),
  host: reader.string(),
  port: reader.int32(),
  rack: reader.nullableString(),
})

const readPartition = (reader: Reader): MetadataPartition => ({
  errorCode: reader.int16(),
  partition: reader.int32(),
  leaderId: reader.int32(),
  leaderEpoch: reader.int32(),
  replicas: reader.array(() => reader.int32()),
  isr: reader.array(() => reader.int32()),
  offlineReplicas: reader.array(() => reader.int32()),
})

const readTopic = (reader: Reader, version: number): MetadataTopic => {
  const topic = {
    errorCode: reader.int16(),
    topic: reader.string(),
    topicId: version >= 10 ? reader.uuid() : null,
    isInternal: reader.bool(),
    partitions: reader.structs(() => readPartition(reader)),
  }
  reader.int32() // authorized operations, which we do not ask for
  return topic
}

export const metadata: Api<MetadataRequest, MetadataResponse> = defineApi({
  key: 3,
  name: 'Metadata',
  versions: [9, 12],
  flexibleFrom: 9,

  encode(writer, version, request) {
    writer.nullableStructs(request.topics, (topic) => {
      if (version >= 10) writer.uuid(null)
      writer.string(topic)
    })
    writer.bool(false)
    if (version <= 10) writer.bool(false)
    writer.bool(false).tags()
  },

  decode(reader, version) {
    const response = {
      throttleTimeMs: reader.int32(),
      brokers: reader.structs(() => readBroker(reader)),
      clusterId: reader.nullableString(),
      controllerId: reader.int32(),
      topics: reader.structs(() => readTopic(reader, version)),
    }
    if (version <= 10) reader.int32()
    reader.tags()
    return response
  },
})
