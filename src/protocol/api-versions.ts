// ApiVersions, key 18, v3-4: which requests and versions a broker takes, and the features of the cluster.
// v3 flexible, names the client (KIP-511) and carries features (KIP-584); v4 may list features whose lowest level is 0.
// The response header has no tag section in any version.
//
// request   client_software_name string · client_software_version string · tags
// response  error_code int16 · api_keys [ api_key int16 · min_version int16 · max_version int16 · tags ]
//           · throttle_time_ms int32 · tags
//             tag 0 supported_features [ name string · min_version int16 · max_version int16 · tags ]
//             tag 1 finalized_features_epoch int64 (-1: not known)
//             tag 2 finalized_features [ name string · max_version_level int16 · min_version_level int16 · tags ]
import { type Api, defineApi } from './api.ts'
import type { Reader } from './wire.ts'

export interface ApiVersionsRequest {
  /** The broker takes letters, digits, dots and dashes only, and shows it in its metrics. */
  readonly clientSoftwareName: string
  readonly clientSoftwareVersion: string
}

export interface SupportedApi {
  readonly key: number
  readonly min: number
  readonly max: number
}

export interface SupportedFeature {
  readonly name: string
  readonly minVersion: number
  readonly maxVersion: number
}

export interface FinalizedFeature {
  readonly name: string
  readonly minLevel: number
  readonly maxLevel: number
}

export interface ApiVersionsResponse {
  readonly errorCode: number
  readonly apis: SupportedApi[]
  readonly throttleTimeMs: number
  readonly supportedFeatures: SupportedFeature[]
  /** -1 while the broker does not know the finalized features. */
  readonly finalizedFeaturesEpoch: number
  readonly finalizedFeatures: FinalizedFeature[]
}

const UNSUPPORTED_VERSION = 35

const readApi = (reader: Reader): SupportedApi => ({
  key: reader.int16(),
  min: reader.int16(),
  max: reader.int16(),
})

const readSupported = (reader: Reader): SupportedFeature => ({
  name: reader.string(),
  minVersion: reader.int16(),
  maxVersion: reader.int16(),
})

const readFinalized = (reader: Reader): FinalizedFeature => {
  const name = reader.string()
  const maxLevel = reader.int16()
  const minLevel = reader.int16()
  return { name, minLevel, maxLevel }
}

export const apiVersions: Api<ApiVersionsRequest, ApiVersionsResponse> = defineApi({
  key: 18,
  name: 'ApiVersions',
  versions: [3, 4],
  flexibleFrom: 3,

  encode(writer, _version, request) {
    writer.string(request.clientSoftwareName).string(request.clientSoftwareVersion).tags()
  },

  decode(reader) {
    const errorCode = reader.int16()
    let supportedFeatures: SupportedFeature[] = []
    let finalizedFeaturesEpoch = -1
    let finalizedFeatures: FinalizedFeature[] = []
    let throttleTimeMs = 0
    // A broker older than the version asked for answers in v0, which has neither tags nor throttle time, so that it
    // can be named with the versions it does take instead of failing as garbage (KIP-511).
    if (errorCode === UNSUPPORTED_VERSION) reader.flexible = false
    const apis = reader.structs(() => readApi(reader))
    if (reader.flexible) {
      throttleTimeMs = reader.int32()
      reader.tags((tag) => {
        if (tag === 0) supportedFeatures = reader.structs(() => readSupported(reader))
        else if (tag === 1) finalizedFeaturesEpoch = reader.int64()
        else if (tag === 2) finalizedFeatures = reader.structs(() => readFinalized(reader))
        else return false
        return true
      })
    }
    return { errorCode, apis, throttleTimeMs, supportedFeatures, finalizedFeaturesEpoch, finalizedFeatures }
  },
})
