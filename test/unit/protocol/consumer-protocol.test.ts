import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isMillstreamError } from '../../../src/errors.ts'
import {
  CONSUMER_PROTOCOL_VERSION,
  decodeAssignment,
  decodeSubscription,
  encodeAssignment,
  encodeSubscription,
  type Subscription,
} from '../../../src/protocol/consumer-protocol.ts'
import golden from './golden/golden.json' with { type: 'json' }

const partitions = [{ topic: 'in', partitions: [0, 2] }]
const userData = Buffer.from([1, 2, 3])
const assignment = { partitions, userData }
const full: Subscription = {
  topics: ['in', 'more'],
  userData,
  ownedPartitions: partitions,
  generationId: 3,
  rackId: 'r',
}
const empty: Subscription = {
  topics: [],
  userData: null,
  ownedPartitions: [],
  generationId: -1,
  rackId: null,
}

const versions = [0, 1, 2, 3] as const

/** Kafka's classes write the struct; the version in front of it is ours to add. */
const goldenBytes = (name: keyof typeof golden, version: number): Buffer =>
  Buffer.concat([Buffer.from([0, version]), Buffer.from(golden[name], 'hex')])

const carried = (subscription: Subscription, version: number): Subscription => ({
  ...subscription,
  ownedPartitions: version >= 1 ? subscription.ownedPartitions : [],
  generationId: version >= 2 ? subscription.generationId : -1,
  rackId: version >= 3 ? subscription.rackId : null,
})

const isInvalid = (run: () => unknown): boolean => {
  try {
    run()
    return false
  } catch (error) {
    return isMillstreamError(error) && error.code === 'PROTOCOL_INVALID'
  }
}

describe('consumer protocol', () => {
  for (const version of versions) {
    it(`v${version} is what Kafka writes`, () => {
      expect(encodeSubscription(full, version)).toEqual(goldenBytes(`subscription v${version}`, version))
      expect(encodeSubscription(empty, version)).toEqual(
        goldenBytes(`subscription without v${version}`, version),
      )
      expect(encodeAssignment(assignment, version)).toEqual(goldenBytes(`assignment v${version}`, version))
    })

    it(`v${version} is read back`, () => {
      expect(decodeSubscription(encodeSubscription(full, version))).toEqual(carried(full, version))
      expect(decodeSubscription(encodeSubscription(empty, version))).toEqual(empty)
      expect(decodeAssignment(encodeAssignment(assignment, version))).toEqual(assignment)
    })

    it(`v${version} cut anywhere is PROTOCOL_INVALID`, () => {
      const subscription = encodeSubscription(full, version)
      for (let length = 0; length < subscription.length; length++) {
        expect(isInvalid(() => decodeSubscription(subscription.subarray(0, length)))).toBe(true)
      }
      const assigned = encodeAssignment(assignment, version)
      for (let length = 0; length < assigned.length; length++) {
        expect(isInvalid(() => decodeAssignment(assigned.subarray(0, length)))).toBe(true)
      }
    })
  }

  it('writes the newest version unless told otherwise', () => {
    expect(encodeSubscription(full)).toEqual(encodeSubscription(full, CONSUMER_PROTOCOL_VERSION))
    expect(encodeAssignment(assignment).readInt16BE(0)).toBe(3)
  })

  it('reads a version of the future as far as it knows it', () => {
    const future = Buffer.concat([encodeSubscription(full), Buffer.from('appended')])
    future.writeInt16BE(4, 0)
    expect(decodeSubscription(future)).toEqual(full)
    const assigned = Buffer.concat([encodeAssignment(assignment), Buffer.from('appended')])
    assigned.writeInt16BE(9, 0)
    expect(decodeAssignment(assigned)).toEqual(assignment)
  })

  it('refuses versions that it does not write, and negative ones', () => {
    expect(() => encodeSubscription(full, 4)).toThrow(/INVARIANT_BROKEN/)
    expect(() => encodeAssignment(assignment, -1)).toThrow(/INVARIANT_BROKEN/)
    const negative = encodeSubscription(full, 0)
    negative.writeInt16BE(-1, 0)
    expect(isInvalid(() => decodeSubscription(negative))).toBe(true)
  })

  it('takes garbage for a value or PROTOCOL_INVALID', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        for (const decode of [decodeSubscription, decodeAssignment]) {
          try {
            decode(Buffer.from(bytes))
          } catch (error) {
            expect(error).toMatchObject({ code: 'PROTOCOL_INVALID' })
          }
        }
      }),
      { numRuns: 1000 },
    )
  })
})
