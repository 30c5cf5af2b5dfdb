import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { recount } from '../../../processors/word-count/dev.ts'
import type { RawRecord } from '../../../src/cli/dev-contract.ts'

const line = (text: string): RawRecord => ({ partition: 0, offset: 0, key: null, value: Buffer.from(text) })
const count = (word: string, value: number): RawRecord => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64BE(BigInt(value))
  return { partition: 0, offset: 0, key: Buffer.from(word), value: bytes }
}

/** As the topology splits. */
const words = (text: string): string[] => text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []

const countsOf = (texts: readonly string[]): RawRecord[] => {
  const seen = new Map<string, number>()
  return texts.flatMap(words).map((word) => {
    seen.set(word, (seen.get(word) ?? 0) + 1)
    return count(word, seen.get(word) ?? 0)
  })
}

describe('the recount of word-count', () => {
  const lines = ['A b, a!', '', 'Ärger: 3x ΟΔΟΣ b']

  it('finds nothing wrong where nothing is', () => {
    expect(recount(lines.map(line), countsOf(lines))).toEqual({
      recordsIn: 7,
      counted: 7,
      lost: 0,
      duplicated: 0,
      differences: [],
    })
  })

  it('agrees with the topology on any text', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'grapheme', maxLength: 60 })), (texts) => {
        const { lost, duplicated, recordsIn, counted } = recount(texts.map(line), countsOf(texts))
        return lost === 0 && duplicated === 0 && recordsIn === counted
      }),
    )
  })

  it.each([
    ['a record lost at the end', countsOf(lines).slice(0, -1), { counted: 6, lost: 1, duplicated: 0 }],
    ['a record counted twice', [...countsOf(lines), count('b', 3)], { counted: 8, lost: 0, duplicated: 1 }],
    ['an output written twice', [...countsOf(lines), count('b', 2)], { counted: 7, lost: 0, duplicated: 1 }],
    ['one lost and another twice', [...countsOf(lines).slice(1), count('b', 3)], { lost: 1, duplicated: 1 }],
    [
      'a word that never was',
      [...countsOf(lines), count('ghost', 1)],
      { counted: 8, lost: 0, duplicated: 1 },
    ],
    [
      'an older count after a newer one',
      [count('a', 2), count('a', 1), ...countsOf(['b 3x ärger οδος b'])],
      { counted: 6 },
    ],
    ['nothing written', [], { counted: 0, lost: 7, duplicated: 0 }],
  ])('sees %s', (_what, counts, expected) => {
    const verdict = recount(lines.map(line), counts)
    expect(verdict).toMatchObject({ recordsIn: 7, ...expected })
    expect(verdict.differences).not.toEqual([])
  })
})
