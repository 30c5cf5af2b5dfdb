// The compressions of RecordBatch v2, both ways. Sole importer of snappy and lz4-napi; gzip and zstd are Node's own.
// Whatever is decompressed is bounded *before* memory is taken for it: record bytes come from anybody who may write to
// the topic, and a few kilobytes can claim to be gigabytes.
import zlib from 'node:zlib'
import { compressFrameSync, decompressFrameSync } from 'lz4-napi'
import { compressSync as snappyCompressSync, uncompressSync as snappyUncompressSync } from 'snappy'
import { isMillstreamError } from '../errors.ts'
import { type BatchPlace, batchCorrupt, batchTooLarge, formatUnsupported } from './batch-errors.ts'
import { lz4FrameExceeds } from './lz4-size.ts'

export type Compression = 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd'

/** By the number that stands in the attributes of a batch (zstd: KIP-110). */
export const compressions: readonly Compression[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd']

/** Largest size to which one batch may grow: 128 times the broker's default of 1 MiB for a whole batch. */
export const decompressedBytesMax: number = 128 * 1024 * 1024

/** @throws MillstreamError COMPRESSION_UNSUPPORTED for a number that has no meaning today. */
export const compressionOf = (bits: number, place: BatchPlace): Compression => {
  const compression = compressions[bits]
  if (compression !== undefined) return compression
  throw formatUnsupported(
    place,
    `a record batch has the unknown compression ${bits}`,
    `Supported are ${compressions.join(', ')}: let the producer use one of these, or update millstream.`,
  )
}

/** Compresses the records section of a batch. */
export const compress = (compression: Compression, records: Buffer): Buffer => {
  switch (compression) {
    case 'none':
      return records
    case 'gzip':
      return zlib.gzipSync(records)
    case 'snappy':
      return compressXerial(records)
    case 'lz4':
      return compressFrameSync(records)
    case 'zstd':
      return zlib.zstdCompressSync(records)
  }
}

/**
 * Decompresses the records section of a batch.
 * @throws MillstreamError BATCH_TOO_LARGE beyond `limitBytes`, BATCH_CORRUPT when the bytes are refused.
 */
export const decompress = (
  compression: Compression,
  bytes: Buffer,
  place: BatchPlace,
  limitBytes: number = decompressedBytesMax,
): Buffer => {
  try {
    switch (compression) {
      case 'none':
        return bytes
      case 'gzip':
        return zlib.gunzipSync(bytes, { maxOutputLength: limitBytes, chunkSize: chunkSizeFor(bytes) })
      case 'snappy':
        return decompressSnappy(bytes, place, limitBytes)
      case 'lz4':
        // The library takes no limit, so the frame is measured first.
        if (lz4FrameExceeds(bytes, limitBytes)) throw batchTooLarge(place, limitBytes)
        return decompressFrameSync(bytes)
      case 'zstd':
        return zlib.zstdDecompressSync(bytes, { maxOutputLength: limitBytes, chunkSize: chunkSizeFor(bytes) })
    }
  } catch (error) {
    if (isMillstreamError(error)) throw error
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE')
      throw batchTooLarge(place, limitBytes, error)
    throw batchCorrupt(place, `a record batch cannot be decompressed with ${compression}`, error)
  }
}

/** zlib's default of 16 KiB makes 64 steps and a concatenation out of a megabyte. */
const chunkSizeFor = (bytes: Buffer): number => Math.min(Math.max(bytes.length * 4, 16 * 1024), 1024 * 1024)

// Snappy as Java's library streams it ("xerial" framing): 8 bytes of magic, two int32 versions, then blocks, each with
// an int32 length and a raw snappy block. Other clients write one raw block without a frame; both are read.
const xerialMagic = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00])
const xerialHeaderBytes = 16
/** What Kafka's Java producer uses; readers take any size. */
const xerialBlockBytes = 32 * 1024

const compressXerial = (records: Buffer): Buffer => {
  const header = Buffer.alloc(xerialHeaderBytes)
  xerialMagic.copy(header)
  header.writeInt32BE(1, 8)
  header.writeInt32BE(1, 12)
  const parts: Buffer[] = [header]
  for (let at = 0; at < records.length; at += xerialBlockBytes) {
    const block = snappyCompressSync(records.subarray(at, at + xerialBlockBytes))
    const length = Buffer.allocUnsafe(4)
    length.writeInt32BE(block.length)
    parts.push(length, block)
  }
  return Buffer.concat(parts)
}

const decompressSnappy = (bytes: Buffer, place: BatchPlace, limitBytes: number): Buffer => {
  const framed = bytes.length >= xerialHeaderBytes && xerialMagic.compare(bytes, 0, xerialMagic.length) === 0
  const blocks = framed ? xerialBlocks(bytes) : [bytes]
  let total = 0
  for (const block of blocks) total += claimedSnappySize(block)
  if (total > limitBytes) throw batchTooLarge(place, limitBytes)
  const parts = blocks.map((block) => snappyUncompressSync(block, { asBuffer: true }) as Buffer)
  return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts)
}

const xerialBlocks = (bytes: Buffer): Buffer[] => {
  const blocks: Buffer[] = []
  let at = xerialHeaderBytes
  while (at < bytes.length) {
    if (bytes.length - at < 4) throw new Error('a snappy block has no length')
    const length = bytes.readInt32BE(at)
    at += 4
    if (length <= 0 || length > bytes.length - at) throw new Error(`a snappy block claims ${length} bytes`)
    blocks.push(bytes.subarray(at, at + length))
    at += length
  }
  return blocks
}

/** A raw snappy block begins with its decompressed size, and the library takes that much memory on its word. */
const claimedSnappySize = (block: Buffer): number => {
  let size = 0
  let scale = 1
  for (let at = 0; at < 5; at++) {
    const byte = block[at]
    if (byte === undefined) break
    size += (byte & 0x7f) * scale
    scale *= 0x80
    if (byte < 0x80) return size
  }
  throw new Error('a snappy block has no size')
}
