import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { StateDigest } from '../../../src/state/state-digest.ts'

type Entry = readonly [key: string, value: Uint8Array]

const digestOf = (entries: Iterable<Entry>): string => {
  const digest = new StateDigest()
  for (const [key, value] of entries) {
    digest.setKey(key)
    digest.add(value)
  }
  return digest.text
}

const of = (key: string, value: string): Entry => [key, Buffer.from(value, 'latin1')]

const anyBytes = fc.uint8Array({ maxLength: 20 })
const anyKey = anyBytes.map((bytes) => Buffer.from(bytes).toString('latin1'))
const anyEntries = fc.uniqueArray(fc.tuple(anyKey, anyBytes), { selector: ([key]) => key, maxLength: 30 })

describe('the digest of a state', () => {
  // Published results of MurmurHash3 x86_32 with seed 0: the first lane of an entry with an empty key.
  it.each([
    ['', '00000000'],
    ['test', 'ba6bd213'],
    ['Hello, world!', 'c0363e43'],
    ['The quick brown fox jumps over the lazy dog', '2e4ff723'],
  ])('hashes %j as others do', (value, expected) => {
    expect(digestOf([of('', value)]).slice(2, 10)).toBe(expected)
  })

  it('does not depend on the order, and forgets what goes', () => {
    fc.assert(
      fc.property(anyEntries, anyEntries, fc.infiniteStream(fc.nat()), (entries, others, numbers) => {
        const shuffled = entries
          .map((entry) => [numbers.next().value as number, entry] as const)
          .sort(([a], [b]) => a - b)
          .map(([, entry]) => entry)
        const digest = new StateDigest()
        const each = (list: readonly Entry[], act: 'add' | 'remove'): void => {
          for (const [key, value] of list) {
            digest.setKey(key)
            digest[act](value)
          }
        }
        each(others, 'add')
        each(shuffled, 'add')
        each(others.toReversed(), 'remove')
        expect(digest.text).toBe(digestOf(entries))
        each(entries, 'remove')
        expect(digest.text).toBe('0.0000000000000000')
      }),
    )
  })

  it('differs when an entry is lost, doubled, changed in one bit, or has changed places with another', () => {
    fc.assert(
      fc.property(anyEntries, fc.nat(), fc.nat(), (entries, one, other) => {
        const [first, second] = [entries[one % entries.length], entries[other % entries.length]]
        if (first === undefined || second === undefined) return
        const whole = digestOf(entries)
        const without = entries.filter((entry) => entry !== first)
        const sum = (digest: string): string => digest.split('.')[1] as string
        expect(sum(digestOf(without))).not.toBe(sum(whole))
        expect(sum(digestOf([...entries, first]))).not.toBe(sum(whole))
        const flipped = Uint8Array.from(first[1])
        if (flipped.length > 0) {
          const at = other % flipped.length
          flipped[at] = (flipped[at] as number) ^ (1 << (one % 8))
          expect(digestOf([...without, [first[0], flipped]])).not.toBe(whole)
        }
        if (first === second || Buffer.compare(first[1], second[1]) === 0) return
        const rest = without.filter((entry) => entry !== second)
        const swapped: Entry[] = [
          [first[0], second[1]],
          [second[0], first[1]],
        ]
        expect(digestOf([...rest, ...swapped])).not.toBe(whole)
      }),
    )
  })

  it('tells where the key ends', () => {
    const parts = ['', 'a', 'ab', 'abc', 'abcd', 'abcde'].map((key) => of(key, 'abcde'.slice(key.length)))
    expect(new Set(parts.map((entry) => digestOf([entry]))).size).toBe(6)
    // Zeros at the end are bytes, too.
    expect(digestOf([of('a', '\0')])).not.toBe(digestOf([of('a', '')]))
    expect(digestOf([of('a\0', '')])).not.toBe(digestOf([of('a', '')]))
  })

  it('spreads small differences over both lanes', () => {
    const bits = (hexadecimal: string): number =>
      [...hexadecimal].reduce(
        (sum, digit) => sum + [...Number.parseInt(digit, 16).toString(2)].filter((bit) => bit === '1').length,
        0,
      )
    const lanes = (entry: Entry): [bigint, bigint] => {
      const text = digestOf([entry]).split('.')[1] as string
      return [BigInt(`0x${text.slice(0, 8)}`), BigInt(`0x${text.slice(8)}`)]
    }
    const changed = [0, 0]
    const rounds = 2000
    const seen = new Set<string>()
    for (let round = 0; round < rounds; round++) {
      const value = Buffer.alloc(8)
      value.writeUInt32BE(round, 4)
      const before = lanes([`user-${round % 100}`, value])
      const other = Buffer.from(value)
      other[round % 8] = (other[round % 8] as number) ^ (1 << (round % 7))
      const after = lanes([`user-${round % 100}`, other])
      for (const lane of [0, 1] as const)
        changed[lane] = (changed[lane] as number) + bits((before[lane] ^ after[lane]).toString(16))
      seen.add(before.join())
    }
    for (const sum of changed) expect(sum / rounds).toBeCloseTo(16, 0)
    expect(seen.size).toBe(rounds)
  })

  it('comes back from its text, and from no other', () => {
    fc.assert(
      fc.property(anyEntries, (entries) => {
        const text = digestOf(entries)
        expect(StateDigest.parse(text)?.text).toBe(text)
      }),
    )
    for (const text of [
      '',
      '1',
      '1.',
      '1.00',
      '-1.0000000000000000',
      '1.000000000000000g',
      '1.00000000000000000',
    ])
      expect(StateDigest.parse(text)).toBeUndefined()
  })
})
