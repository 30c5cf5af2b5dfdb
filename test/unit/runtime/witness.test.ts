import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeWitness, encodeWitness, witnessedStores } from '../../../src/runtime/witness.ts'

const state = (store: string, changelogEnd = 7, digest = '3.00112233aabbccdd', layout = '') => ({
  store,
  changelogEnd,
  digest,
  layout,
})
const named = (stores: ReturnType<typeof state>[]) => ({
  transactionalId: 'app.one.0',
  incarnation: 'abc',
  transaction: 1,
  streamTime: 2,
  partitionTime: 2,
  stores,
})

describe('the witness', () => {
  it('comes back as it was written', () => {
    const name = fc.stringMatching(/^[a-z0-9.-]{1,30}$/)
    const witness = fc.record({
      transactionalId: name,
      incarnation: name,
      transaction: fc.maxSafeNat(),
      streamTime: fc.integer({ min: -1, max: 2 ** 45 }),
      partitionTime: fc.integer({ min: -1, max: 2 ** 45 }),
      stores: fc.array(
        fc.record({
          store: fc.stringMatching(/^[A-Za-z0-9_-]{1,30}$/),
          changelogEnd: fc.maxSafeNat(),
          digest: fc.stringMatching(/^((0|-?[1-9][0-9]{0,14})\.[0-9a-f]{16})?$/),
          layout: fc.stringMatching(/^([1-9][0-9]{0,3}[a-z]{2,8})?$/),
        }),
        { maxLength: 5 },
      ),
    })
    fc.assert(
      fc.property(witness, (one) => {
        expect(decodeWitness(encodeWitness(one))).toEqual(one)
      }),
    )
  })

  it('is nothing where a tool or another program wrote the metadata', () => {
    for (const text of [
      '',
      'ms1',
      'ms1;a;b;c;d',
      'ms2',
      'ms2;a;b;c;d',
      'ms3;a;b;1;2',
      'ms1;a;b;1;2;3',
      'AgAAAZ',
    ])
      expect(decodeWitness(text)).toBeUndefined()
  })

  it('is one that versions without digests can read, where it carries none', () => {
    expect(encodeWitness(named([]))).toBe('ms1;app.one.0;abc;1;2')
    expect(encodeWitness(named([state('counts')]))).toBe('ms2;app.one.0;abc;1;2;counts@7=3.00112233aabbccdd')
    expect(decodeWitness('ms1;app.one.0;abc;1;2')).toEqual(named([]))
    const behind = { ...named([state('counts')]), partitionTime: -1 }
    expect(encodeWitness(behind)).toBe('ms2;app.one.0;abc;1;2;time=-1;counts@7=3.00112233aabbccdd')
  })

  it('passes over what a later version added', () => {
    expect(decodeWitness('ms2;app.one.0;abc;1;2;colour=blue;counts@7=3.00112233aabbccdd;x')).toEqual(
      named([state('counts')]),
    )
  })

  it('fits into the metadata of an offset, and leaves the same stores out whatever the numbers are', () => {
    const long = 'x'.repeat(200)
    const name = fc.integer({ min: 1, max: 249 }).map((length) => 'n'.repeat(length))
    const names = fc.array(name, { maxLength: 100, size: 'max' })
    fc.assert(
      fc.property(names, (list) => {
        const small = list.map((name) => state(name, 0, '0.0000000000000000'))
        const large = list.map((name) =>
          state(name, Number.MAX_SAFE_INTEGER, `${Number.MAX_SAFE_INTEGER}.ffffffffffffffff`, '9999tnonooc'),
        )
        const head = {
          transactionalId: `${long}.${long}.0`,
          incarnation: 'abcd1234',
          transaction: Number.MAX_SAFE_INTEGER,
          streamTime: Number.MAX_SAFE_INTEGER,
          partitionTime: Number.MAX_SAFE_INTEGER - 1,
        }
        const text = encodeWitness({ ...head, stores: large })
        expect(Buffer.byteLength(text)).toBeLessThanOrEqual(4096)
        const kept = (written: string): string[] =>
          decodeWitness(written)?.stores.map(({ store }) => store) ?? []
        expect(kept(text)).toEqual(list.slice(0, witnessedStores(list)))
        expect(kept(encodeWitness(named(small)))).toEqual(kept(text))
      }),
    )
    expect(witnessedStores(Array.from({ length: 100 }, () => 'a-store-of-usual-length'))).toBe(40)
  })
})
