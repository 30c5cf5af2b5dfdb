// The file that keeps a partition over a restart of the broker: its batches one behind the other, as they stand in memory,
// and between them entries that say where the log begins after records were deleted.
//
// What is written survives the end of the process, not a crash of the machine: nothing is synced. A process that was
// killed within a write leaves a torn entry at the end, which is cut off when the file is read; so is everything from the
// first entry on whose CRC is wrong.
import type { Disk, FileAppender } from '../base/ports.ts'
import { crc32c } from '../record/crc32c.ts'
import { readInt64, writeInt64 } from '../record/varint.ts'

const headBytes = 12
/** Length field of an entry for the start of the log: too short for any batch. */
const startLength = 4
const startBytes = headBytes + startLength
const batchLengthMin = 49
const chunkBytes = 4 * 1024 * 1024

export interface KeptLog {
  readonly batches: Buffer[]
  /** 0 where no records were ever deleted. */
  readonly startOffset: number
}

const startEntry = (offset: number): Buffer => {
  const entry = Buffer.alloc(startBytes)
  writeInt64(entry, 0, offset)
  entry.writeInt32BE(startLength, 8)
  entry.writeUInt32BE(crc32c(entry, 0, headBytes), headBytes)
  return entry
}

const isWhole = (entry: Buffer): boolean => {
  const length = entry.readInt32BE(8)
  if (length === startLength) return entry.readUInt32BE(headBytes) === crc32c(entry, 0, headBytes)
  return (
    length >= batchLengthMin &&
    entry.readInt8(16) === 2 &&
    entry.readUInt32BE(17) === crc32c(entry, 21, entry.length)
  )
}

export class LogFile {
  readonly #disk: Disk
  readonly #path: string
  #appender: FileAppender | undefined
  #size = 0

  /** The file comes with the first write. */
  constructor(disk: Disk, path: string) {
    this.#disk = disk
    this.#path = path
  }

  /** Bytes of the file, those of dropped records too. */
  get size(): number {
    return this.#size
  }

  /** Reads what is there and cuts off what is torn. */
  load(): KeptLog {
    const batches: Buffer[] = []
    let startOffset = 0
    const fileBytes = this.#disk.size(this.#path) ?? 0
    let chunk: Buffer = Buffer.alloc(0)
    for (;;) {
      if (this.#entryOf(chunk) === undefined) chunk = this.#read(fileBytes)
      const entry = this.#entryOf(chunk)
      if (entry === undefined || !isWhole(entry)) break
      if (entry.length === startBytes) startOffset = readInt64(entry, 0)
      else batches.push(entry)
      chunk = chunk.subarray(entry.length)
      this.#size += entry.length
    }
    if (this.#size < fileBytes) this.#disk.cut(this.#path, this.#size)
    return { batches, startOffset }
  }

  append(batch: Uint8Array): void {
    this.#appender ??= this.#disk.append(this.#path)
    this.#appender.write(batch)
    this.#size += batch.length
  }

  appendStart(offset: number): void {
    this.append(startEntry(offset))
  }

  /** Puts other contents in place of all there is; a kill in between leaves the old ones. */
  rewrite(startOffset: number, batches: Iterable<Uint8Array>): void {
    const next = `${this.#path}.new`
    const sink = this.#disk.create(next)
    const first = startEntry(startOffset)
    sink.write(first)
    this.#size = first.length
    for (const batch of batches) {
      sink.write(batch)
      this.#size += batch.length
    }
    sink.close()
    this.close()
    this.#disk.rename(next, this.#path)
  }

  close(): void {
    this.#appender?.close()
    this.#appender = undefined
  }

  /** The file with what is in front of the entry that comes next, at least as much as that entry needs. */
  #read(fileBytes: number): Buffer {
    const rest = fileBytes - this.#size
    if (rest === 0) return Buffer.alloc(0)
    const first = this.#disk.read(this.#path, this.#size, Math.min(rest, chunkBytes))
    if (first.length < headBytes) return first
    const needed = headBytes + first.readInt32BE(8)
    return needed <= first.length || needed > rest ? first : this.#disk.read(this.#path, this.#size, needed)
  }

  #entryOf(chunk: Buffer): Buffer | undefined {
    if (chunk.length < headBytes) return undefined
    const end = headBytes + chunk.readInt32BE(8)
    return end >= startBytes && end <= chunk.length ? chunk.subarray(0, end) : undefined
  }
}
