import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeWitness, encodeWitness } from '../../../src/runtime/witness.ts'

describe('the witness', () => {
  it('comes back as it was written', () => {
    const name = fc.stringMatching(/^[a-z0-9.-]{1,30}$/)
    const witness = fc.record({
      transactionalId: name,
      incarnation: name,
      transaction: fc.maxSafeNat(),
      streamTime: fc.integer({ min: -1, max: 2 ** 45 }),
    })
    fc.assert(
      fc.property(witness, (one) => {
        expect(decodeWitness(encodeWitness(one))).toEqual(one)
      }),
    )
  })

  it('is nothing where a tool or another program wrote the metadata', () => {
    for (const text of ['', 'ms1', 'ms1;a;b;c;d', 'ms2;a;b;1;2', 'ms1;a;b;1;2;3', 'AgAAAZ'])
      expect(decodeWitness(text)).toBeUndefined()
  })
})
