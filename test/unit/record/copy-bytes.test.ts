import { describe, expect, it } from 'vitest'
import { copyBytes } from '../../../src/record/copy-bytes.ts'

describe('copied bytes', () => {
  it('are those, and nothing beside them, at every length', () => {
    const source = Buffer.from(Array.from({ length: 80 }, (_, index) => index + 1))
    for (let length = 0; length <= 60; length++) {
      const target = Buffer.alloc(80, 0xff)
      copyBytes(source, 3, length, target, 7)
      const wanted = Buffer.alloc(80, 0xff)
      wanted.set(source.subarray(3, 3 + length), 7)
      expect(target.equals(wanted), `${length} bytes`).toBe(true)
    }
  })

  it('do not come from beyond their source', () => {
    const source = Buffer.alloc(10)
    expect(() => copyBytes(source, 5, 6, Buffer.alloc(20), 0)).toThrow(/claims bytes up to 11 of 10/)
  })
})
