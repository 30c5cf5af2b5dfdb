// CreateTopics, key 19, v5-7: creates topics; used for changelog and repartition topics.
// v4 takes -1 for the broker's own number of partitions or replicas (KIP-464); v5 flexible, answers the settings
// (KIP-525); v6 may answer THROTTLING_QUOTA_EXCEEDED (KIP-599); v7 answers the topic id (KIP-516).
//
// request   topics [ name string · num_partitions int32 · replication_factor int16
//             · assignments [ partition_index int32 · broker_ids [int32] · tags ]
//             · configs [ name string · value string? · tags ] · tags ] · timeout_ms int32 · validate_only bool · tags
// response  throttle_time_ms int32 · topics [ name string · (v7+) topic_id uuid · error_code int16
//             · error_message string? · num_partitions int32 · replication_factor int16
//             · configs [ name string · value string? · read_only bool · config_source int8 · is_sensitive bool · tags ]
//               (nullable) · tags: 0 topic_config_error_code int16 ] · tags
import { type Api, defineApi } from './api.ts'

export interface TopicToCreate {
  readonly topic: string
  /** -1: what the broker is set to. */
  readonly partitions: number
  /** -1: what the broker is set to. */
  readonly replicationFactor: number
  /** Settings of the topic; null takes the broker's value. */
  readonly configs: Readonly<Record<string, string | null>>
}

export interface CreateTopicsRequest {
  readonly topics: readonly TopicToCreate[]
  readonly timeoutMs: number
  /** Check only, create nothing. */
  readonly validateOnly: boolean
}

export interface CreatedTopicConfig {
  readonly name: string
  readonly value: string | null
  readonly isSensitive: boolean
}

export interface CreatedTopic {
  readonly topic: string
  /** null below v7 and with an error. */
  readonly topicId: string | null
  readonly errorCode: number
  readonly errorMessage: string | null
  readonly partitions: number
  readonly replicationFactor: number
  /** null with an error, and where the principal may not describe the settings. */
  readonly configs: CreatedTopicConfig[] | null
}

export interface CreateTopicsResponse {
  readonly throttleTimeMs: number
  readonly topics: CreatedTopic[]
}

export const createTopics: Api<CreateTopicsRequest, CreateTopicsResponse> = defineApi({
  key: 19,
  name: 'CreateTopics',
  versions: [5, 7],
  flexibleFrom: 5,

  encode(writer, _version, request) {
    writer.structs(request.topics, (topic) => {
      writer.string(topic.topic).int32(topic.partitions).int16(topic.replicationFactor)
      writer.structs([], () => undefined)
      writer.structs(Object.entries(topic.configs), ([name, value]) => {
        writer.string(name).nullableString(value)
      })
    })
    writer.int32(request.timeoutMs).bool(request.validateOnly).tags()
  },

  decode(reader, version) {
    const readConfig = (): CreatedTopicConfig => {
      const name = reader.string()
      const value = reader.nullableString()
      reader.bool() // read only
      reader.int8() // where the value comes from
      return { name, value, isSensitive: reader.bool() }
    }
    const response = {
      throttleTimeMs: reader.int32(),
      topics: reader.structs(() => ({
        topic: reader.string(),
        topicId: version >= 7 ? reader.uuid() : null,
        errorCode: reader.int16(),
        errorMessage: reader.nullableString(),
        partitions: reader.int32(),
        replicationFactor: reader.int16(),
        configs: reader.nullableStructs(readConfig),
      })),
    }
    reader.tags()
    return response
  },
})
