import { describe, expect, it } from 'vitest'
import { checkVersions, speaksTransactionsV2 } from '../../../src/client/broker-versions.ts'
import type { ApiVersionsResponse } from '../../../src/protocol/api-versions.ts'

const address = { host: 'kafka-1', port: 9092 }
const PRODUCE = 0
const TXN_OFFSET_COMMIT = 28
const END_TXN = 26

/** A broker that speaks v0 to v99 of everything but what is said. */
const broker = (
  level: number | undefined,
  less: Readonly<Record<number, readonly [min: number, max: number] | null>> = {},
): ApiVersionsResponse => ({
  errorCode: 0,
  throttleTimeMs: 0,
  supportedFeatures: [],
  finalizedFeaturesEpoch: 7,
  finalizedFeatures:
    level === undefined ? [] : [{ name: 'transaction.version', minLevel: level, maxLevel: level }],
  apis: Array.from({ length: 70 }, (_, key) => ({
    key,
    range: less[key] === undefined ? ([0, 99] as const) : less[key],
  }))
    .filter(({ range }) => range !== null)
    .map(({ key, range }) => ({
      key,
      min: (range as readonly [number, number])[0],
      max: (range as readonly [number, number])[1],
    })),
})

describe('version 2 of transactions', () => {
  it('takes the finalized feature and the three requests', () => {
    expect(speaksTransactionsV2(broker(2))).toBe(true)
    expect(speaksTransactionsV2(broker(3))).toBe(true)
    expect(
      speaksTransactionsV2(broker(2, { [PRODUCE]: [0, 12], [TXN_OFFSET_COMMIT]: [0, 5], [END_TXN]: [0, 5] })),
    ).toBe(true)
  })

  it.each([
    ['the feature is not finalized', broker(undefined)],
    ['the feature is at 1', broker(1)],
    ['the finalized features are not known yet', { ...broker(2), finalizedFeaturesEpoch: -1 }],
    ['Produce ends at 11', broker(2, { [PRODUCE]: [0, 11] })],
    ['TxnOffsetCommit ends at 4', broker(2, { [TXN_OFFSET_COMMIT]: [0, 4] })],
    ['EndTxn ends at 4', broker(2, { [END_TXN]: [0, 4] })],
  ])('is not used where %s', (_, answer) => {
    expect(speaksTransactionsV2(answer)).toBe(false)
  })
})

describe('checkVersions', () => {
  it('takes a broker that speaks everything', () => {
    expect(() => checkVersions(broker(2), address, 2)).not.toThrow()
    expect(() =>
      checkVersions(broker(undefined, { [PRODUCE]: [0, 11], [END_TXN]: [0, 4] }), address, 1),
    ).not.toThrow()
  })

  it('names the broker, each request that is missing, and both ranges', () => {
    const old = broker(undefined, { [TXN_OFFSET_COMMIT]: [0, 2], [END_TXN]: null })
    expect(() => checkVersions(old, address, 1)).toThrow(
      expect.objectContaining({ code: 'BROKER_TOO_OLD', where: { broker: 'kafka-1:9092' } }),
    )
    expect(() => checkVersions(old, address, 1)).toThrow(
      /TxnOffsetCommit v3 to v5 is needed and the broker has v0 to v2/,
    )
    expect(() => checkVersions(old, address, 1)).toThrow(
      /EndTxn v1 to v5 is needed and the broker does not have it/,
    )
  })

  it('refuses a newer broker that dropped what we speak', () => {
    expect(() => checkVersions(broker(2, { [PRODUCE]: [13, 20] }), address, 2)).toThrow(
      /the broker has v13 to v20/,
    )
  })

  it('refuses a broker that cannot do the transactions that were agreed with the others', () => {
    expect(() => checkVersions(broker(2, { [PRODUCE]: [0, 11] }), address, 2)).toThrow(/Produce/)
  })
})
