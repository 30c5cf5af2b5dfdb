import { describe, expect, it } from 'vitest'
import { committedState } from '../../../src/runtime/digest-check.ts'
import { decodeWitness } from '../../../src/runtime/witness.ts'

const witness = (stores = '') => decodeWitness(`${stores === '' ? 'ms1' : 'ms2'};app.one.0;abc;1;2${stores}`)
const at = (changelogEnd: number, lane: string): string =>
  `;counts@${changelogEnd}=3.00112233${lane.repeat(8)}`

describe('the committed state of a store', () => {
  it('is the one that all inputs of the task were committed with', () => {
    const both = [witness(at(5, 'a')), witness(at(5, 'a'))]
    expect(committedState(both, 'counts')?.digest).toBe('3.00112233aaaaaaaa')
    expect(committedState(both, 'others')).toBeUndefined()
    expect(committedState([], 'counts')).toBeUndefined()
  })

  it('is that of the longest changelog, where an input was away for a while', () => {
    const witnesses = [witness(at(5, 'a')), witness(at(9, 'b')), witness(at(7, 'c'))]
    expect(committedState(witnesses, 'counts')).toMatchObject({
      changelogEnd: 9,
      digest: '3.00112233bbbbbbbb',
    })
  })

  it('is not known where some input was committed without a digest, which may be newer', () => {
    expect(committedState([witness(at(5, 'a')), witness()], 'counts')).toBeUndefined()
    expect(committedState([witness(at(5, 'a')), undefined], 'counts')).toBeUndefined()
  })
})
