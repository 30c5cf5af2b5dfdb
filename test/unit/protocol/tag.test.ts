import { describe, expect, it } from 'vitest'
import type { ApiVersionsResponse } from '../../../src/protocol/api-versions.ts'
import { finalizedLevel, TRANSACTION_VERSION } from '../../../src/protocol/tag.ts'

const response: ApiVersionsResponse = {
  errorCode: 0,
  apis: [],
  throttleTimeMs: 0,
  supportedFeatures: [{ name: 'group.version', minVersion: 0, maxVersion: 1 }],
  finalizedFeaturesEpoch: 3,
  finalizedFeatures: [{ name: TRANSACTION_VERSION, minLevel: 0, maxLevel: 2 }],
}

describe('finalizedLevel', () => {
  it('is the highest level that the cluster has finalized', () => {
    expect(finalizedLevel(response, 'transaction.version')).toBe(2)
  })

  it('is 0 for a feature that is supported only', () => {
    expect(finalizedLevel(response, 'group.version')).toBe(0)
  })

  it('is 0 while the broker does not know the features', () => {
    expect(finalizedLevel({ ...response, finalizedFeaturesEpoch: -1 }, TRANSACTION_VERSION)).toBe(0)
  })
})
