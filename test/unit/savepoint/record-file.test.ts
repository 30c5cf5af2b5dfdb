import { readFileSync, truncateSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { nodePorts } from '../../../src/base/node-ports.ts'
import { type Compression, compressions } from '../../../src/record/compression.ts'
import { RecordCursor } from '../../../src/record/record-cursor.ts'
import type { RecordFile } from '../../../src/savepoint/manifest.ts'
import {
  type Bytes,
  checkRecordFile,
  readRecordFile,
  RecordFileWriter,
} from '../../../src/savepoint/record-file.ts'
import { temporaryDirectory } from '../../support/worker.ts'

interface Plain {
  readonly key: string | null
  readonly value: string | null
  readonly timestamp: number
  readonly headers: readonly string[]
}

const { disk } = nodePorts
const file = 'stores/a-0.records'

const bytesOf = (text: string | null): Bytes => {
  const source = Buffer.from(`..${text ?? ''}..`)
  return { source, start: 2, length: text === null ? -1 : source.length - 4 }
}

const write = (
  directory: string,
  records: readonly Plain[],
  compression: Compression = 'none',
): RecordFile => {
  const writer = new RecordFileWriter(disk, directory, file, compression)
  for (const { key, value, timestamp, headers } of records) {
    const given = headers.map((name) => ({ key: name, value: Buffer.from(name) }))
    writer.append(timestamp, bytesOf(key), bytesOf(value), given.length > 0 ? given : undefined)
  }
  return writer.finish()
}

const read = (directory: string, entry: RecordFile): { records: Plain[]; batches: number } => {
  const records: Plain[] = []
  const cursor = new RecordCursor()
  let batches = 0
  const text = (start: number, length: number): string | null =>
    length < 0 ? null : cursor.buffer.toString('utf8', start, start + length)
  for (const batch of readRecordFile(disk, directory, entry)) {
    batches++
    cursor.reset(batch)
    while (cursor.next()) {
      records.push({
        key: text(cursor.keyStart, cursor.keyLength),
        value: text(cursor.valueStart, cursor.valueLength),
        timestamp: cursor.timestamp,
        headers: cursor.headers().map(({ key }) => key),
      })
    }
  }
  return { records, batches }
}

const codeOf = (run: () => unknown): string => {
  try {
    run()
    return 'fine'
  } catch (error) {
    return (error as { code?: string }).code ?? String(error)
  }
}

const many: Plain[] = Array.from({ length: 3000 }, (_, index) => ({
  key: index % 50 === 0 ? null : `key ${index}`,
  value: index % 70 === 0 ? null : 'v'.repeat(index % 400),
  timestamp: 1_700_000_000_000 - index * 17,
  headers: index % 3 === 0 ? ['one', 'two'] : [],
}))

describe('a file of records', () => {
  it.each(compressions)('is read as it was written, in several batches (%s)', (compression) => {
    using directory = temporaryDirectory()
    const entry = write(directory.path, many, compression)
    expect(entry).toMatchObject({ file, records: many.length })
    expect(disk.size(path.join(directory.path, file))).toBe(entry.bytes)
    checkRecordFile(disk, directory.path, entry)
    const found = read(directory.path, entry)
    expect(found.records).toEqual(many)
    expect(found.batches).toBeGreaterThan(1)
  })

  it('may be empty', () => {
    using directory = temporaryDirectory()
    const entry = write(directory.path, [])
    checkRecordFile(disk, directory.path, entry)
    expect(entry.bytes).toBe(0)
    expect(read(directory.path, entry).records).toEqual([])
  })

  it('is refused with any bit of it turned, cut, or gone', () => {
    using directory = temporaryDirectory()
    const entry = write(directory.path, many.slice(0, 5))
    const whole = path.join(directory.path, file)
    const bytes = readFileSync(whole)
    for (let at = 0; at < bytes.length; at++) {
      const flipped = Buffer.from(bytes)
      flipped[at] = (flipped[at] as number) ^ (1 << (at % 8))
      writeFileSync(whole, flipped)
      expect(
        codeOf(() => checkRecordFile(disk, directory.path, entry)),
        `byte ${at}`,
      ).toBe('SAVEPOINT_INVALID')
    }
    writeFileSync(whole, bytes)
    truncateSync(whole, bytes.length - 1)
    expect(codeOf(() => checkRecordFile(disk, directory.path, entry))).toBe('SAVEPOINT_INVALID')
    expect(codeOf(() => read(directory.path, entry))).not.toBe('fine')
    disk.remove(whole)
    expect(codeOf(() => checkRecordFile(disk, directory.path, entry))).toBe('SAVEPOINT_INVALID')
  })

  it('is read no further than its damage, should it change after the check', () => {
    using directory = temporaryDirectory()
    const entry = write(directory.path, many)
    const whole = path.join(directory.path, file)
    const bytes = readFileSync(whole)
    const at = bytes.length - 10
    bytes[at] = (bytes[at] as number) ^ 1
    writeFileSync(whole, bytes)
    expect(codeOf(() => read(directory.path, entry))).toBe('BATCH_CORRUPT')
    bytes.writeInt32BE(-5, 8)
    writeFileSync(whole, bytes)
    expect(codeOf(() => read(directory.path, entry))).toBe('SAVEPOINT_INVALID')
  })
})
