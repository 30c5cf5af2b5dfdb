// The serdes of numbers, in the formats of Java's serializers: fixed length, big-endian, two's complement.
import type { Serde } from './serde.ts'
import { bufferOver } from './text.ts'

const twoTo32 = 4294967296

const describe = (value: unknown): string =>
  typeof value === 'string' || value === null || typeof value !== 'object'
    ? `${typeof value} ${String(value)}`
    : `an ${typeof value}`

const checkLength = (name: string, length: number, expected: number): void => {
  if (length !== expected) throw new RangeError(`${name} takes ${expected} bytes, not ${length}`)
}

const checkInt32 = (value: number): void => {
  if ((value | 0) !== value)
    throw new RangeError(`int32 takes a whole number from -2^31 to 2^31 - 1, not ${describe(value)}`)
}

const checkInt64 = (value: number): void => {
  if (!Number.isSafeInteger(value)) {
    throw new RangeError(
      `int64 takes a whole number from -(2^53 - 1) to 2^53 - 1, not ${describe(value)}; use bigint64 beyond`,
    )
  }
}

const checkBigint64 = (value: bigint): void => {
  if (typeof value !== 'bigint') throw new TypeError(`bigint64 takes a bigint, not ${describe(value)}`)
  if (BigInt.asIntN(64, value) !== value)
    throw new RangeError(`bigint64 takes -2^63 to 2^63 - 1, not ${value}`)
}

const checkFloat64 = (value: number): void => {
  if (typeof value !== 'number') throw new TypeError(`float64 takes a number, not ${describe(value)}`)
}

const fixed = <T>(
  name: string,
  length: number,
  check: (value: T) => void,
  write: (value: T, target: Buffer, offset: number) => void,
  read: (source: Buffer, start: number) => T,
): Serde<T> => ({
  name,
  primitive: true,
  encode(value: T): Uint8Array {
    check(value)
    const bytes = Buffer.allocUnsafe(length)
    write(value, bytes, 0)
    return bytes
  },
  encodeInto(value: T, target: Buffer, offset: number): number {
    check(value)
    if (offset + length > target.length) return -1
    write(value, target, offset)
    return length
  },
  decode(bytes: Uint8Array): T {
    checkLength(name, bytes.length, length)
    return read(bufferOver(bytes), 0)
  },
  decodeFrom(source: Buffer, start: number, end: number): T {
    checkLength(name, end - start, length)
    return read(source, start)
  },
})

/** A whole number from -2^31 to 2^31 - 1 in 4 bytes. Java: IntegerSerializer. */
export const int32: Serde<number> = fixed<number>(
  'int32',
  4,
  checkInt32,
  (value, target, offset) => target.writeInt32BE(value, offset),
  (source, start) => source.readInt32BE(start),
)

// Two 32-bit halves instead of a BigInt: a BigInt is an allocation per record. Math.floor rounds towards minus
// infinity, so the high half of -1 is -1 and its low half 2^32 - 1, which is two's complement.
const writeInt64 = (value: number, target: Buffer, offset: number): void => {
  const high = Math.floor(value / twoTo32)
  target.writeInt32BE(high, offset)
  target.writeUInt32BE(value - high * twoTo32, offset + 4)
}

const readInt64 = (source: Buffer, start: number): number => {
  const high = source.readInt32BE(start)
  // 2^53 = 2^21 * 2^32: beyond it a number is not exact, and -2^53 itself is not a safe integer either.
  const value = high * twoTo32 + source.readUInt32BE(start + 4)
  if (!Number.isSafeInteger(value))
    throw new RangeError('the int64 lies beyond 2^53 - 1, where a number is not exact; use bigint64')
  return value
}

/** A whole number within 2^53 - 1 in 8 bytes; beyond, it throws. Java: LongSerializer. */
export const int64: Serde<number> = fixed<number>('int64', 8, checkInt64, writeInt64, readInt64)

/** A bigint from -2^63 to 2^63 - 1 in 8 bytes. Java: LongSerializer. */
export const bigint64: Serde<bigint> = fixed<bigint>(
  'bigint64',
  8,
  checkBigint64,
  (value, target, offset) => target.writeBigInt64BE(value, offset),
  (source, start) => source.readBigInt64BE(start),
)

/** A number in 8 bytes, IEEE 754. Java: DoubleSerializer. */
export const float64: Serde<number> = fixed<number>(
  'float64',
  8,
  checkFloat64,
  (value, target, offset) => target.writeDoubleBE(value, offset),
  (source, start) => source.readDoubleBE(start),
)
