import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  nextSequence,
  readInt64,
  VarintReader,
  varintSize,
  varlongSize,
  writeInt64,
  writeVarint,
  writeVarlong,
} from '../../../src/record/varint.ts'
import { naiveVarlong } from './naive-batch.ts'

const int32 = fc.oneof(
  fc.integer(),
  fc.constantFrom(0, -1, 63, -64, 64, -65, 8191, 8192, 2 ** 31 - 1, -(2 ** 31)),
)
const int53 = fc.oneof(
  int32,
  fc.integer({ min: -(2 ** 52), max: 2 ** 52 }),
  fc
    .integer({ min: 0, max: 52 })
    .chain((bits) => fc.constantFrom(2 ** bits, 2 ** bits - 1, -(2 ** bits), 1 - 2 ** bits)),
)

describe('varints', () => {
  it('are the bytes of a BigInt encoder, and read back', () => {
    fc.assert(
      fc.property(int32, (value) => {
        const target = Buffer.alloc(12, 0xff)
        const end = writeVarint(target, 1, value)
        expect([...target.subarray(1, end)]).toEqual(naiveVarlong(value))
        expect(varintSize(value)).toBe(end - 1)
        const reader = new VarintReader(target, 1)
        expect(reader.readVarint()).toBe(value)
        expect(reader.position).toBe(end)
      }),
      { numRuns: 500 },
    )
  })

  it('of 64 bits are exact within 2^52', () => {
    fc.assert(
      fc.property(int53, (value) => {
        const target = Buffer.alloc(14, 0xff)
        const end = writeVarlong(target, 1, value)
        expect([...target.subarray(1, end)]).toEqual(naiveVarlong(value))
        expect(varlongSize(value)).toBe(end - 1)
        const reader = new VarintReader(target, 1)
        expect(reader.readVarlong()).toBe(value === 0 ? 0 : value)
        expect(reader.position).toBe(end)
      }),
      { numRuns: 500 },
    )
  })

  it('of the widest int64 come out rounded', () => {
    const most = Buffer.from([0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01])
    expect(new VarintReader(most, 0).readVarlong()).toBe(2 ** 63)
    most[0] = 0xff
    expect(new VarintReader(most, 0).readVarlong()).toBe(-(2 ** 63))
  })

  it.each([
    ['a sixth byte', 'readVarint', [0xff, 0xff, 0xff, 0xff, 0xff, 0x01]],
    ['a thirty-third bit', 'readVarint', [0xff, 0xff, 0xff, 0xff, 0x10]],
    ['an eleventh byte', 'readVarlong', [...Array<number>(10).fill(0xff), 0x01]],
    ['a sixty-fifth bit', 'readVarlong', [...Array<number>(9).fill(0xff), 0x02]],
  ] as const)('with %s move the reader beyond every end', (_, method, bytes) => {
    const reader = new VarintReader(Buffer.from(bytes), 0)
    reader[method]()
    expect(reader.position).toBeGreaterThan(2 ** 50)
  })

  it('that are cut end behind the buffer', () => {
    const reader = new VarintReader(Buffer.from([0x80]), 0)
    reader.readVarint()
    expect(reader.position).toBe(2)
  })
})

it('an int64 goes both ways as a number', () => {
  fc.assert(
    fc.property(fc.maxSafeInteger(), (value) => {
      const target = Buffer.alloc(8)
      writeInt64(target, 0, value)
      expect(target.readBigInt64BE(0)).toBe(BigInt(value))
      expect(readInt64(target, 0)).toBe(value === 0 ? 0 : value)
    }),
  )
})

it('sequences begin again at 0 after 2^31 - 1', () => {
  expect(nextSequence(5, 3)).toBe(8)
  expect(nextSequence(2 ** 31 - 1, 1)).toBe(0)
  expect(nextSequence(2 ** 31 - 2, 5)).toBe(3)
})
