// The files of a savepoint: record batches (RecordBatch v2, see record/batch-view.ts) one behind the other, as a broker
// keeps them, so that each batch has its CRC-32C. The SHA-256 of the whole file stands in the manifest.
import { createHash } from 'node:crypto'
import path from 'node:path'
import type { Disk, FileSink } from '../base/ports.ts'
import { MillstreamError } from '../errors.ts'
import { BatchBuilder } from '../record/batch-builder.ts'
import { type BatchView, batchOverheadBytes, readBatches } from '../record/batch-view.ts'
import type { Compression } from '../record/compression.ts'
import type { RecordHeader } from '../record/record-cursor.ts'
import type { RecordFile } from './manifest.ts'

const batchBytes = 256 << 10
/** Of a batch, without base offset and length. */
const lengthPosition = 8
const uncountedBytes = 12
const readBytes = 1 << 20

/** Bytes of a record: `source[start, start + length)`; a length of -1 is null. */
export interface Bytes {
  readonly source: Uint8Array
  readonly start: number
  readonly length: number
}

/** Writes one file from its beginning to its end. */
export class RecordFileWriter {
  readonly #directory: string
  readonly #file: string
  readonly #compression: Compression
  readonly #sink: FileSink
  readonly #builder = new BatchBuilder(batchBytes + (16 << 10))
  readonly #hash = createHash('sha256')
  #records = 0
  #bytes = 0

  /** @param file relative to the directory, with `/` */
  constructor(disk: Disk, directory: string, file: string, compression: Compression) {
    this.#directory = directory
    this.#file = file
    this.#compression = compression
    const whole = path.join(this.#directory, file)
    disk.makeDirectory(path.dirname(whole))
    this.#sink = disk.create(whole)
  }

  append(timestamp: number, key: Bytes, value: Bytes, headers: readonly RecordHeader[] | undefined): void {
    const given = [key.source, key.start, key.length, value.source, value.start, value.length] as const
    this.#builder.append(timestamp, ...given, headers)
    this.#records++
    if (this.#builder.bytes >= batchBytes) this.#seal()
  }

  /** Ends the file. @returns its entry in the manifest */
  finish(): RecordFile {
    if (this.#builder.count > 0) this.#seal()
    this.#sink.close()
    return {
      file: this.#file,
      records: this.#records,
      bytes: this.#bytes,
      sha256: this.#hash.digest('hex'),
    }
  }

  #seal(): void {
    const batch = this.#builder.seal({
      producerId: -1,
      producerEpoch: -1,
      baseSequence: -1,
      transactional: false,
      compression: this.#compression,
    })
    this.#sink.write(batch)
    this.#hash.update(batch)
    this.#bytes += batch.length
  }
}

const damaged = (what: string, file: string): MillstreamError =>
  new MillstreamError('SAVEPOINT_INVALID', {
    what,
    where: { file },
    fix: 'Take the savepoint again, or use another copy of it.',
  })

/**
 * Compares a file with its entry in the manifest.
 * @throws MillstreamError SAVEPOINT_INVALID
 */
export const checkRecordFile = (disk: Disk, directory: string, entry: RecordFile): void => {
  const file = path.join(directory, entry.file)
  const size = disk.size(file)
  if (size === undefined) throw damaged('a file of the savepoint is missing', file)
  if (size !== entry.bytes)
    throw damaged(`a file of the savepoint has ${size} bytes, and ${entry.bytes} were written`, file)
  const hash = createHash('sha256')
  for (let at = 0; at < size; at += readBytes) hash.update(disk.read(file, at, readBytes))
  if (hash.digest('hex') !== entry.sha256)
    throw damaged('a file of the savepoint does not match its checksum: it was changed', file)
}

/**
 * The batches of a file in their order, each with its CRC checked.
 * @throws MillstreamError SAVEPOINT_INVALID, BATCH_CORRUPT
 */
export function* readRecordFile(disk: Disk, directory: string, entry: RecordFile): Generator<BatchView> {
  const file = path.join(directory, entry.file)
  for (let at = 0; at < entry.bytes; ) {
    const head = disk.read(file, at, uncountedBytes)
    const size = head.length < uncountedBytes ? -1 : head.readInt32BE(lengthPosition) + uncountedBytes
    if (size < batchOverheadBytes || at + size > entry.bytes)
      throw damaged(`the file of the savepoint cannot be read from byte ${at} on`, file)
    const bytes = disk.read(file, at, size)
    for (const batch of readBatches(bytes, 0, bytes.length, { topic: entry.file, partition: 0 })) {
      batch.checkCrc()
      yield batch
    }
    at += size
  }
}
