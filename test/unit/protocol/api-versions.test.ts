import { describe, expect, it } from 'vitest'
import { apiVersions } from '../../../src/protocol/api-versions.ts'
import { Reader } from '../../../src/protocol/wire.ts'

describe('ApiVersions', () => {
  it('reads the v0 answer of a broker that is too old for the version asked', () => {
    // By hand, v0: error 35, array of int32 length 1, then key 18 with versions 0 to 2; no throttle time, no tags.
    const answer = Buffer.from(`0023${'00000001'}${'0012'}${'0000'}${'0002'}`, 'hex')
    for (const version of [3, 4]) {
      expect(apiVersions.decode(new Reader(answer), version)).toEqual({
        errorCode: 35,
        apis: [{ key: 18, min: 0, max: 2 }],
        throttleTimeMs: 0,
        supportedFeatures: [],
        finalizedFeaturesEpoch: -1,
        finalizedFeatures: [],
      })
    }
  })

  it('reads an answer without any tag', () => {
    const answer = Buffer.from('0000' + '01' + '00000000' + '00', 'hex')
    expect(apiVersions.decode(new Reader(answer), 4)).toMatchObject({ apis: [], finalizedFeaturesEpoch: -1 })
  })
})
