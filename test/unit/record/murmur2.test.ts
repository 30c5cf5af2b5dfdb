import { describe, expect, it } from 'vitest'
import { murmur2, partitionForKey } from '../../../src/record/murmur2.ts'

// The vectors of Kafka's own UtilsTest.
describe('murmur2', () => {
  it.each([
    ['21', -973932308],
    ['foobar', -790332482],
    ['a-little-bit-long-string', -985981536],
    ['a-little-bit-longer-string', -1486304829],
    ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
    ['abc', 479470107],
  ])('of %s', (text, hash) => {
    const source = Buffer.from(`<${text}>`)
    expect(murmur2(source, 1, source.length - 2)).toBe(hash)
  })

  it('chooses the partition by the hash without its sign bit', () => {
    expect(partitionForKey(Buffer.from('21'), 0, 2, 6)).toBe((-973932308 & 0x7fffffff) % 6)
    // An absolute value would choose another one here.
    expect(partitionForKey(Buffer.from('21'), 0, 2, 6)).not.toBe(973932308 % 6)
    expect(partitionForKey(Buffer.from('abc'), 0, 3, 1)).toBe(0)
  })
})
