// Zigzag varints and varlongs of RecordBatch v2, on numbers alone: 32-bit integer arithmetic for varints, and float
// arithmetic for the part of a varlong beyond 28 bits (a BigInt per record would be a heap object per record).

const twoTo28 = 2 ** 28
const twoTo31 = 2 ** 31

// The sizes and writes of varints are small, for V8 to inline them into the loop over all records: each call that is left
// there costs some 5 ns.

/** Bytes of a varint of 32 bits. Any other number must not come here. */
export const varintSize = (value: number): number => {
  const zigzag = ((value << 1) ^ (value >> 31)) >>> 0
  return zigzag < 0x80 ? 1 : zigzag < 0x4000 ? 2 : longVarintSize(zigzag)
}

const longVarintSize = (zigzag: number): number => {
  if (zigzag < 0x200000) return 3
  return zigzag < 0x10000000 ? 4 : 5
}

/** Writes a varint of 32 bits at `position`. @returns the position after it. */
export const writeVarint = (target: Buffer, position: number, value: number): number => {
  let rest = ((value << 1) ^ (value >> 31)) >>> 0
  let at = position
  // What goes into a byte is cut to its lowest eight bits.
  for (; rest > 0x7f; rest >>>= 7) target[at++] = rest | 0x80
  target[at] = rest
  return at + 1
}

/** The zigzag form is twice the value: exact below 2^63 as a float, since doubling only moves the exponent. */
const zigzagOf = (value: number): number => (value < 0 ? -2 * value - 1 : 2 * value)

/** Bytes of a varlong: `value` is a safe integer, `-2 * value - 1` too (true within +-2^52). */
export const varlongSize = (value: number): number => {
  if ((value | 0) === value) return varintSize(value)
  let rest = Math.floor(zigzagOf(value) / twoTo28)
  let size = 5
  while (rest > 0x7f) {
    rest = Math.floor(rest / 0x80)
    size++
  }
  return size
}

/** Writes a varlong, an integer within +-2^52. @returns the position after it. */
export const writeVarlong = (target: Buffer, position: number, value: number): number =>
  (value | 0) === value ? writeVarint(target, position, value) : writeLongVarlong(target, position, value)

const writeLongVarlong = (target: Buffer, position: number, value: number): number => {
  let rest = zigzagOf(value)
  let at = position
  while (rest > 0x7f) {
    const next = Math.floor(rest / 0x80)
    target[at++] = (rest - next * 0x80) | 0x80
    rest = next
  }
  target[at++] = rest
  return at
}

/** The largest distance from zero of a varlong that is written exactly. */
export const varlongMax: number = 2 ** 52

/**
 * Where a malformed varint leaves its reader: beyond every end. So that the fast loops need one comparison at the end
 * of a record instead of one per field, nothing here throws; whoever reads compares the position with the end.
 */
const beyondEveryEnd: number = Number.MAX_SAFE_INTEGER

/** Reads varints one after the other; bytes beyond the buffer count as 0 (the position then tells). */
export class VarintReader {
  buffer: Buffer
  position: number

  constructor(buffer: Buffer, position: number) {
    this.buffer = buffer
    this.position = position
  }

  /** A varint of 32 bits; longer than 5 bytes or wider than 32 bits is malformed. */
  readVarint(): number {
    const buffer = this.buffer
    let at = this.position
    let zigzag = 0
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = buffer[at++] as number
      if (shift === 28 && byte > 0x0f) break
      zigzag |= (byte & 0x7f) << shift
      if (!(byte > 0x7f)) {
        this.position = at
        return (zigzag >>> 1) ^ -(zigzag & 1)
      }
    }
    this.position = beyondEveryEnd
    return 0
  }

  /**
   * A varlong of 64 bits; longer than 10 bytes or wider than 64 bits is malformed. A value beyond 2^52 comes out
   * rounded to the nearest float.
   */
  readVarlong(): number {
    const buffer = this.buffer
    let at = this.position
    let low = 0
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = buffer[at++] as number
      low |= (byte & 0x7f) << shift
      if (!(byte > 0x7f)) {
        this.position = at
        return (low >>> 1) ^ -(low & 1)
      }
    }
    let high = 0
    let scale = 1
    for (let count = 4; count < 10; count++) {
      const byte = buffer[at++] as number
      if (count === 9 && byte > 1) break
      high += (byte & 0x7f) * scale
      scale *= 0x80
      if (!(byte > 0x7f)) {
        this.position = at
        // (high * 2^28 + low) / 2 without ever holding the doubled value, whose last bit a float could lose.
        const magnitude = high * (twoTo28 / 2) + (low >>> 1)
        return (low & 1) === 0 ? magnitude : -magnitude - 1
      }
    }
    this.position = beyondEveryEnd
    return 0
  }
}

const twoTo32 = 2 ** 32

/** Reads an int64 as a number; beyond +-2^53 it is rounded, which Number.isSafeInteger shows. */
export const readInt64 = (source: Buffer, position: number): number =>
  source.readInt32BE(position) * twoTo32 + source.readUInt32BE(position + 4)

/** Writes an integer as int64. @throws RangeError beyond 64 bits. */
export const writeInt64 = (target: Buffer, position: number, value: number): void => {
  const high = Math.floor(value / twoTo32)
  target.writeInt32BE(high, position)
  target.writeUInt32BE(value - high * twoTo32, position + 4)
}

/** Sequence numbers run from 0 to 2^31 - 1 and begin again at 0 (KIP-98). */
export const nextSequence = (sequence: number, count: number): number => (sequence + count) % twoTo31
