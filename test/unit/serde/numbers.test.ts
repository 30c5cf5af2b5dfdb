import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { bigint64, float64, int32, int64 } from '../../../src/serde/numbers.ts'
import type { Serde } from '../../../src/serde/serde.ts'

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

/** Every way in and out of a serde agrees. */
const roundTrips = <T>(serde: Serde<T>, value: T): void => {
  const encoded = Buffer.from(serde.encode(value))
  expect(serde.decode(new Uint8Array(encoded))).toStrictEqual(value)
  const target = Buffer.alloc(encoded.length + 5, 0xee)
  expect(serde.encodeInto?.(value, target, 3)).toBe(encoded.length)
  expect(hex(target)).toBe(`eeeeee${hex(encoded)}eeee`)
  expect(serde.decodeFrom?.(target, 3, 3 + encoded.length)).toStrictEqual(value)
  expect(serde.encodeInto?.(value, Buffer.alloc(encoded.length + 2), 3)).toBe(-1)
}

const refuses = (serde: Serde<never>, value: unknown, text: RegExp): void => {
  expect(() => serde.encode(value as never)).toThrow(text)
  expect(() => serde.encodeInto?.(value as never, Buffer.alloc(16), 0)).toThrow(text)
}

describe('numbers', () => {
  it('are written as Java writes them', () => {
    expect(hex(int32.encode(1))).toBe('00000001')
    expect(hex(int32.encode(-2))).toBe('fffffffe')
    expect(hex(int32.encode(-2147483648))).toBe('80000000')
    expect(hex(int64.encode(1))).toBe('0000000000000001')
    expect(hex(int64.encode(-1))).toBe('ffffffffffffffff')
    expect(hex(int64.encode(-4294967296))).toBe('ffffffff00000000')
    expect(hex(int64.encode(-4294967297))).toBe('fffffffeffffffff')
    expect(hex(int64.encode(Number.MAX_SAFE_INTEGER))).toBe('001fffffffffffff')
    expect(hex(bigint64.encode(-(2n ** 63n)))).toBe('8000000000000000')
    expect(hex(float64.encode(1.5))).toBe('3ff8000000000000')
  })

  it('come back as they were', () => {
    fc.assert(fc.property(fc.integer(), (value) => roundTrips(int32, value)))
    fc.assert(fc.property(fc.maxSafeInteger(), (value) => roundTrips(int64, value)))
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (value) =>
        roundTrips(bigint64, value),
      ),
    )
    fc.assert(fc.property(fc.double(), (value) => roundTrips(float64, value)))
    for (const value of [
      0,
      -1,
      2 ** 31,
      2 ** 32,
      -(2 ** 32),
      Number.MAX_SAFE_INTEGER,
      Number.MIN_SAFE_INTEGER,
    ])
      roundTrips(int64, value)
  })

  it('int64 and bigint64 write the same bytes', () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), (value) => {
        expect(hex(int64.encode(value))).toBe(hex(bigint64.encode(BigInt(value))))
      }),
    )
  })

  it('refuse what they cannot hold', () => {
    for (const value of [0.5, 2 ** 31, Number.NaN, '1', null, undefined, 1n])
      refuses(int32 as Serde<never>, value, /int32 takes|BigInt/)
    for (const value of [0.5, 2 ** 53, -(2 ** 53), Number.POSITIVE_INFINITY, '1', null, undefined, 1n, {}]) {
      refuses(int64 as Serde<never>, value, /int64 takes/)
    }
    for (const value of [2n ** 63n, -(2n ** 63n) - 1n, 1, null])
      refuses(bigint64 as Serde<never>, value, /bigint64 takes/)
    for (const value of ['1', null, undefined, 1n]) refuses(float64 as Serde<never>, value, /float64 takes/)
  })

  it('refuse bytes of another length, and an int64 beyond 2^53', () => {
    for (const serde of [int32, int64, bigint64, float64] as Serde<unknown>[]) {
      for (const length of [0, 3, 5, 9]) {
        expect(() => serde.decode(new Uint8Array(length))).toThrow(/takes \d bytes, not/)
        expect(() => serde.decodeFrom?.(Buffer.alloc(32), 1, 1 + length)).toThrow(/takes \d bytes, not/)
      }
    }
    expect(() => int64.decode(bigint64.encode(2n ** 53n))).toThrow(/beyond 2\^53/)
    expect(() => int64.decode(bigint64.encode(-(2n ** 53n)))).toThrow(/beyond 2\^53/)
    expect(int64.decode(bigint64.encode(2n ** 53n - 1n))).toBe(Number.MAX_SAFE_INTEGER)
  })
})
