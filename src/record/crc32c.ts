// CRC-32C (Castagnoli), the checksum of RecordBatch v2. Sole importer of @node-rs/crc32, which uses the processor's
// instruction; zlib's crc32 is another polynomial.
import { crc32c as nativeCrc32c } from '@node-rs/crc32'

/** CRC-32C of `source[start, end)`, as an unsigned 32-bit number. */
export const crc32c = (source: Buffer, start: number, end: number): number =>
  nativeCrc32c(source.subarray(start, end))
