// DescribeConfigs, key 32, v2-4: settings of topics and brokers, asked before a topic is trusted.
// v1 says where a value comes from (KIP-226); v3 adds type and documentation (KIP-569, passed over); v4 flexible.
//
// request   resources [ resource_type int8 · resource_name string · configuration_keys [string] (null: all) · tags ]
//           · include_synonyms bool · (v3+) include_documentation bool · tags
// response  throttle_time_ms int32 · results [ error_code int16 · error_message string? · resource_type int8
//             · resource_name string · configs [ name string · value string? · read_only bool · config_source int8
//               · is_sensitive bool · synonyms [ name string · value string? · source int8 · tags ]
//               · (v3+) config_type int8 · (v3+) documentation string? · tags ] · tags ] · tags
import { type Api, defineApi } from './api.ts'
import type { Reader } from './wire.ts'

/** Resource types that we ask for. */
export const TOPIC_RESOURCE = 2

export interface ConfigResource {
  /** TOPIC_RESOURCE, or 4 for a broker. */
  readonly type: number
  /** Name of the topic, or id of the broker as text. */
  readonly name: string
  /** null asks for all. */
  readonly keys: readonly string[] | null
}

export interface DescribeConfigsRequest {
  readonly resources: readonly ConfigResource[]
}

export interface DescribedConfig {
  readonly name: string
  /** null where it is not set or sensitive. */
  readonly value: string | null
  readonly readOnly: boolean
  /** 1 topic, 2 dynamic broker, 3 dynamic default broker, 4 static broker, 5 default (KIP-226). */
  readonly source: number
  readonly isSensitive: boolean
}

export interface DescribedResource {
  readonly errorCode: number
  readonly errorMessage: string | null
  readonly type: number
  readonly name: string
  readonly configs: DescribedConfig[]
}

export interface DescribeConfigsResponse {
  readonly throttleTimeMs: number
  readonly resources: DescribedResource[]
}

const readConfig = (reader: Reader, version: number): DescribedConfig => {
  const config = {
    name: reader.string(),
    value: reader.nullableString(),
    readOnly: reader.bool(),
    source: reader.int8(),
    isSensitive: reader.bool(),
  }
  reader.structs(() => {
    reader.string()
    reader.nullableString()
    reader.int8()
  })
  if (version >= 3) {
    reader.int8()
    reader.nullableString()
  }
  return config
}

export const describeConfigs: Api<DescribeConfigsRequest, DescribeConfigsResponse> = defineApi({
  key: 32,
  name: 'DescribeConfigs',
  versions: [2, 4],
  flexibleFrom: 4,

  encode(writer, version, request) {
    writer.structs(request.resources, (resource) => {
      writer.int8(resource.type).string(resource.name)
      writer.nullableArray(resource.keys, (key) => writer.string(key))
    })
    writer.bool(false)
    if (version >= 3) writer.bool(false)
    writer.tags()
  },

  decode(reader, version) {
    const response = {
      throttleTimeMs: reader.int32(),
      resources: reader.structs(() => ({
        errorCode: reader.int16(),
        errorMessage: reader.nullableString(),
        type: reader.int8(),
        name: reader.string(),
        configs: reader.structs(() => readConfig(reader, version)),
      })),
    }
    reader.tags()
    return response
  },
})
