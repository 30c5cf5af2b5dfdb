// What the cluster says about itself in the tagged fields of ApiVersions: its finalized features (KIP-584).
import type { ApiVersionsResponse } from './api-versions.ts'

/** The feature whose level 2 is "transactions version 2" (KIP-890 part 2). */
export const TRANSACTION_VERSION = 'transaction.version'

/**
 * The level that the cluster has finalized for a feature, 0 where it has none. "Supported" by a broker is not
 * enough: a cluster half way through an upgrade supports what its other brokers do not yet take.
 */
export function finalizedLevel(response: ApiVersionsResponse, feature: string): number {
  // An epoch below 0 says that the broker does not know the finalized features yet (KIP-584).
  if (response.finalizedFeaturesEpoch < 0) return 0
  return response.finalizedFeatures.find((entry) => entry.name === feature)?.maxLevel ?? 0
}
