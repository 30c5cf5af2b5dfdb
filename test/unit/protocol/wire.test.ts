import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Reader, Writer } from '../../../src/protocol/wire.ts'

const reader = (bytes: readonly number[] | Buffer, flexible = false): Reader => {
  const made = new Reader(Buffer.from(bytes as number[]))
  made.begin('a test', flexible)
  return made
}

const writer = (flexible = false): Writer => {
  const made = new Writer()
  made.flexible = flexible
  return made
}

const hex = (made: Writer): string => made.toBuffer().toString('hex')
const invalid = { code: 'PROTOCOL_INVALID' }
const broken = { code: 'INVARIANT_BROKEN' }
const thrownBy = (run: () => unknown): unknown => {
  try {
    run()
  } catch (error) {
    return error
  }
  return undefined
}

// The bytes below are worked out by hand: big-endian two's complement for integers; for a varint the value in groups of
// seven bits, lowest group first, with the top bit set on all but the last (300 = 0b10_0101100 -> ac 02).
describe('bytes worked out by hand', () => {
  it('writes integers', () => {
    const made = writer().int8(-1).int16(-2).int32(1).int64(-1).int64(4_294_967_298).bool(true)
    expect(hex(made)).toBe('ff' + 'fffe' + '00000001' + 'ffffffffffffffff' + '0000000100000002' + '01')
  })

  it('writes the largest and the smallest safe integer', () => {
    expect(hex(writer().int64(Number.MAX_SAFE_INTEGER))).toBe('001fffffffffffff')
    expect(hex(writer().int64(Number.MIN_SAFE_INTEGER))).toBe('ffe0000000000001')
  })

  it('writes varints', () => {
    expect(hex(writer().uvarint(0).uvarint(127).uvarint(128).uvarint(300))).toBe(
      '00' + '7f' + '8001' + 'ac02',
    )
    expect(hex(writer().uvarint(2 ** 31 - 1))).toBe('ffffffff07')
  })

  it('writes strings, bytes and arrays before and since KIP-482', () => {
    const all = (made: Writer): Writer =>
      made
        .string('é')
        .nullableString(null)
        .bytes(Buffer.from([7]))
        .nullableBytes(null)
        .array([1], (n) => made.int8(n))
        .nullableArray(null, () => made)
        .structs([1], (n) => made.int8(n))
        .tags()
    expect(hex(all(writer()))).toBe(
      '0002c3a9' + 'ffff' + '0000000107' + 'ffffffff' + '0000000101' + 'ffffffff' + '0000000101',
    )
    expect(hex(all(writer(true)))).toBe('03c3a9' + '00' + '0207' + '00' + '0201' + '00' + '020100' + '00')
  })

  it('reads a tag section, passing over the tags that nobody asked for', () => {
    // two tags: number 1, 2 bytes 0005; number 9, 3 bytes; then an int8
    const made = reader([2, 1, 2, 0, 5, 9, 3, 1, 2, 3, 42], true)
    let value = 0
    made.tags((tag) => {
      if (tag !== 1) return false
      value = made.int16()
      return true
    })
    expect([value, made.int8(), made.remaining]).toEqual([5, 42, 0])
  })

  it('has no tag sections before KIP-482', () => {
    const made = reader([7])
    made.tags()
    expect(made.int8()).toBe(7)
  })
})

describe('round trips', () => {
  const values = fc.record({
    int8: fc.integer({ min: -128, max: 127 }),
    int16: fc.integer({ min: -32_768, max: 32_767 }),
    int32: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
    int64: fc.maxSafeInteger(),
    uvarint: fc.integer({ min: 0, max: 2 ** 31 - 1 }),
    text: fc.string({ unit: 'binary' }),
    maybe: fc.option(fc.string()),
    bytes: fc.option(fc.uint8Array({ maxLength: 3000 })),
    numbers: fc.option(fc.array(fc.integer())),
    flexible: fc.boolean(),
  })

  it('reads back what was written, in both modes', () => {
    fc.assert(
      fc.property(values, (value) => {
        const made = writer(value.flexible)
        made.int8(value.int8).int16(value.int16).int32(value.int32).int64(value.int64).uvarint(value.uvarint)
        made.string(value.text).nullableString(value.maybe).nullableBytes(value.bytes)
        made.nullableArray(value.numbers, (n) => made.int32(n)).tags()
        const size = made.size
        const bytes = made.toBuffer()
        expect(bytes.length).toBe(size)
        const back = reader(bytes, value.flexible)
        expect([back.int8(), back.int16(), back.int32(), back.int64(), back.uvarint()]).toEqual([
          value.int8,
          value.int16,
          value.int32,
          value.int64,
          value.uvarint,
        ])
        expect([back.string(), back.nullableString()]).toEqual([value.text, value.maybe])
        expect(back.nullableBytes()).toEqual(value.bytes === null ? null : Buffer.from(value.bytes))
        expect(back.nullableArray(() => back.int32())).toEqual(value.numbers)
        back.tags()
        back.finish()
      }),
    )
  })

  it('agrees with BigInt on 64 bits', () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), (value) => {
        const expected = Buffer.alloc(8)
        expected.writeBigInt64BE(BigInt(value))
        expect(writer().int64(value).toBuffer()).toEqual(expected)
        expect(reader(expected).int64()).toBe(value)
      }),
    )
  })

  it('reads topic ids as Kafka prints them, and none for zeros', () => {
    const id = 'AAECAwQFBgcICQoLDA0ODw'
    expect(reader(writer().uuid(id).toBuffer()).uuid()).toBe(id)
    expect(hex(writer().uuid(null))).toBe('00'.repeat(16))
    expect(reader(Buffer.alloc(16)).uuid()).toBeNull()
  })
})

describe('Writer', () => {
  it('keeps large byte strings as they are, without a copy, in order', () => {
    const large = Buffer.alloc(100_000, 1)
    const parts = writer().int32(1).bytes(large).int8(2).bytes(Buffer.alloc(1024, 3)).int8(4).parts()
    expect(parts.map((part) => part.length)).toEqual([8, 100_000, 5, 1024, 1])
    expect(parts[1]?.buffer).toBe(large.buffer)
    expect(parts[1]?.byteOffset).toBe(large.byteOffset)
  })

  it('grows over many small writes', () => {
    const made = writer()
    for (let i = 0; i < 10_000; i++) made.int32(i)
    const bytes = made.toBuffer()
    expect(bytes.length).toBe(40_000)
    for (let i = 0; i < 10_000; i++) expect(bytes.readInt32BE(i * 4)).toBe(i)
    expect(made.parts().length).toBeLessThan(12)
  })

  it('can go on after its parts were looked at', () => {
    const made = writer().int8(1)
    expect(made.toBuffer()).toEqual(Buffer.from([1]))
    expect(made.int8(2).toBuffer()).toEqual(Buffer.from([1, 2]))
  })

  it('refuses what a type cannot hold', () => {
    const wrong: (() => unknown)[] = [
      () => writer().int8(128),
      () => writer().int16(-32_769),
      () => writer().int32(2 ** 31),
      () => writer().int32(0.5),
      () => writer().int64(2 ** 53),
      () => writer().int64(Number.NaN),
      () => writer().uvarint(-1),
      () => writer().uvarint(2 ** 31),
      () => writer().string('x'.repeat(32_768)),
      () => writer().uuid('short'),
    ]
    for (const run of wrong) expect(thrownBy(run)).toMatchObject(broken)
  })
})

describe('Reader', () => {
  it('refuses 64-bit numbers that are not safe integers', () => {
    for (const bytes of ['0020000000000000', '7fffffffffffffff', '8000000000000000', 'ffe0000000000000']) {
      expect(thrownBy(() => reader(Buffer.from(bytes, 'hex')).int64())).toMatchObject(invalid)
    }
    expect(reader(Buffer.from('ffe0000000000001', 'hex')).int64()).toBe(Number.MIN_SAFE_INTEGER)
  })

  it('refuses varints that are too long or too large', () => {
    expect(thrownBy(() => reader([0xff, 0xff, 0xff, 0xff, 0xff, 0x01]).uvarint())).toMatchObject(invalid)
    expect(thrownBy(() => reader([0xff, 0xff, 0xff, 0xff, 0x08]).uvarint())).toMatchObject(invalid)
    expect(thrownBy(() => reader([0x80]).uvarint())).toMatchObject(invalid)
  })

  it('refuses counts and lengths above the rest of the frame before it makes anything', () => {
    let made = 0
    const count = (): number => ++made
    const wrong: (() => unknown)[] = [
      () => reader([0x7f, 0xff, 0xff, 0xff, 1]).array(count),
      () => reader([0xff, 0xff, 0xff, 0xff, 0x07, 1], true).structs(count),
      () => reader([0xff, 0xff, 0xff, 0xfe]).array(count),
      () => reader([0x7f, 0xff, 0xff, 0xff, 1]).bytes(),
      () => reader([0xff, 0xff, 0xff, 0xff, 0x07, 1], true).bytes(),
      () => reader([0x7f, 0xff, 65]).string(),
      () => reader([0xff, 0xfe]).nullableString(),
      () => reader([0xff, 0xff, 0xff, 0xff, 0x07, 0], true).tags(),
      () => reader([1, 0, 0xff, 0xff, 0xff, 0xff, 0x07], true).tags(),
    ]
    for (const run of wrong) expect(thrownBy(run)).toMatchObject(invalid)
    expect(made).toBe(0)
  })

  it('refuses null where a value must be', () => {
    expect(thrownBy(() => reader([0xff, 0xff]).string())).toMatchObject(invalid)
    expect(thrownBy(() => reader([0], true).bytes())).toMatchObject(invalid)
    expect(thrownBy(() => reader([0], true).array(() => 0))).toMatchObject(invalid)
  })

  it('keeps a tagged field inside its size', () => {
    // one tag of 2 bytes, read as an int32: the next two bytes belong to somebody else
    const beyond = reader([1, 0, 2, 1, 2, 3, 4], true)
    expect(thrownBy(() => beyond.tags(() => beyond.int32() >= 0))).toMatchObject(invalid)
    const short = reader([1, 0, 2, 1, 2], true)
    expect(thrownBy(() => short.tags(() => short.int8() >= 0))).toMatchObject(invalid)
  })

  it('gives bytes as a view into the frame', () => {
    const frame = Buffer.from([0, 0, 0, 2, 5, 6])
    const bytes = new Reader(frame).bytes()
    frame[4] = 9
    expect([...bytes]).toEqual([9, 6])
  })
})
