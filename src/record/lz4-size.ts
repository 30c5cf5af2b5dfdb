// Measures an LZ4 frame without decompressing it: the library that decompresses takes no limit, and LZ4 can grow its
// input 255 times. Blocks are bounded by their headers first; only where that bound is too high are they walked.
//
// Frame:  magic 4 (LE 0x184d2204) | flags 1 | block size 1 | [content size 8] | [dictionary 4] | header checksum 1
//         then blocks: size u32 LE (top bit: stored as is; 0: end) | bytes | [checksum 4]
// Block:  sequences of token 1 (literals << 4 | match) | [more literals] | literals | offset 2 | [more match]

const frameMagic = 0x184d2204
const blockBytesMax = [0, 0, 0, 0, 64 * 1024, 256 * 1024, 1024 * 1024, 4 * 1024 * 1024]

/**
 * @returns whether the first frame of `bytes` decompresses to more than `limitBytes`.
 * @throws Error when it is no frame.
 */
export const lz4FrameExceeds = (bytes: Buffer, limitBytes: number): boolean => {
  if (bytes.length < 7 || bytes.readUInt32LE(0) !== frameMagic) throw new Error('the bytes are no LZ4 frame')
  const flags = bytes.readUInt8(4)
  const blockMax = blockBytesMax[(bytes.readUInt8(5) >>> 4) & 7] ?? 0
  const checksumBytes = (flags & 0x10) !== 0 ? 4 : 0
  const firstBlock = 7 + ((flags & 0x08) !== 0 ? 8 : 0) + ((flags & 0x01) !== 0 ? 4 : 0)
  const sizeWith = (sizeOf: (start: number, end: number) => number): number => {
    let total = 0
    let at = firstBlock
    while (bytes.length - at >= 4 && total <= limitBytes) {
      const word = bytes.readUInt32LE(at)
      if (word === 0) break
      const length = word & 0x7fffffff
      at += 4
      if (length > bytes.length - at) throw new Error(`an LZ4 block claims ${length} bytes`)
      total += word > 0x7fffffff ? length : sizeOf(at, at + length)
      at += length + checksumBytes
    }
    return total
  }
  if (sizeWith((start, end) => Math.min(blockMax, (end - start) * 255)) <= limitBytes) return false
  return sizeWith((start, end) => blockSize(bytes, start, end)) > limitBytes
}

const blockSize = (bytes: Buffer, start: number, end: number): number => {
  let total = 0
  let at = start
  // A length of 15 goes on in bytes of up to 255 each; one below 255 is the last.
  const extended = (nibble: number): number => {
    let length = nibble
    let more = nibble === 15
    while (more && at < end) {
      const byte = bytes[at++] as number
      length += byte
      more = byte === 255
    }
    return length
  }
  while (at < end) {
    const token = bytes[at++] as number
    const literals = extended(token >>> 4)
    at += literals
    total += literals
    if (at >= end) break
    at += 2
    total += extended(token & 15) + 4
  }
  return total
}
