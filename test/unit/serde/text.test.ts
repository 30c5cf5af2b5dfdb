import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { bytes, string } from '../../../src/serde/text.ts'

describe('string', () => {
  const anyText = fc.oneof(
    fc.string({ unit: 'grapheme', maxLength: 80 }),
    fc.string({ unit: 'binary', maxLength: 80 }),
  )

  it('comes back as it was, by every way', () => {
    fc.assert(
      fc.property(anyText, fc.nat(5), (text, offset) => {
        const expected = Buffer.from(text, 'utf8')
        expect(Buffer.from(string.encode(text)).equals(expected)).toBe(true)
        const target = Buffer.alloc(expected.length + offset + 1, 0xee)
        expect(string.encodeInto?.(text, target, offset)).toBe(expected.length)
        expect(target.subarray(offset, offset + expected.length).equals(expected)).toBe(true)
        expect(target[offset + expected.length]).toBe(0xee)
        expect(string.decodeFrom?.(target, offset, offset + expected.length)).toBe(text)
        expect(string.decode(new Uint8Array(expected))).toBe(text)
      }),
    )
  })

  it('fits exactly or answers -1, for text of any width', () => {
    for (const text of ['abc', 'é', '€uro', '😀', 'x'.repeat(40), 'ä'.repeat(40), `${'a'.repeat(30)}€`]) {
      const length = Buffer.byteLength(text)
      expect(string.encodeInto?.(text, Buffer.alloc(length), 0)).toBe(length)
      expect(string.encodeInto?.(text, Buffer.alloc(length + 3), 3)).toBe(length)
      expect(string.encodeInto?.(text, Buffer.alloc(length + 2), 3)).toBe(-1)
      expect(string.encodeInto?.(text, Buffer.alloc(length - 1), 0)).toBe(-1)
    }
    expect(string.encodeInto?.('', Buffer.alloc(0), 0)).toBe(0)
  })

  it('keeps a byte order mark and NUL, and reads what is not UTF-8 as U+FFFD', () => {
    for (const text of ['\ufefftext', 'a\0b']) expect(string.decode(string.encode(text))).toBe(text)
    expect(string.decode(Uint8Array.of(0x61, 0xff))).toBe('a\ufffd')
  })

  it('refuses half a surrogate pair and what is no string', () => {
    for (const value of ['\ud83d', 'a\ude00b', 1, null, undefined]) {
      expect(() => string.encode(value as string)).toThrow(/string/)
      expect(() => string.encodeInto?.(value as string, Buffer.alloc(9), 0)).toThrow(/string/)
    }
  })
})

describe('bytes', () => {
  it('are copied when read, so that the batch they came from may go', () => {
    const source = Buffer.from([9, 1, 2, 3, 9])
    const viaView = bytes.decode(source.subarray(1, 4))
    const viaRange = bytes.decodeFrom?.(source, 1, 4) as Uint8Array
    source.fill(0)
    expect([...viaView]).toEqual([1, 2, 3])
    expect([...viaRange]).toEqual([1, 2, 3])
    expect(viaView.buffer).not.toBe(source.buffer)
  })

  it('are written as they are, or answer -1', () => {
    const target = Buffer.alloc(4)
    expect(bytes.encodeInto?.(Uint8Array.of(1, 2), target, 2)).toBe(2)
    expect([...target]).toEqual([0, 0, 1, 2])
    expect(bytes.encodeInto?.(Uint8Array.of(1, 2), target, 3)).toBe(-1)
    expect(() => bytes.encode('a' as never)).toThrow(/Uint8Array/)
    expect(() => bytes.encode(null as never)).toThrow(/Uint8Array/)
  })
})
