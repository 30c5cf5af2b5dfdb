// The records of the golden bytes: everything that the layout of a record can hold, in three batches.
import type { BatchView } from '../../src/record/batch-view.ts'
import { RecordCursor } from '../../src/record/record-cursor.ts'
import type { JudgedRecord } from './judge.ts'
import { seededRandom } from './random.ts'

type GoldenRecord = Omit<JudgedRecord, 'partition' | 'offset'>

/** A record in text alone, so that a difference can be read. */
export interface PlainRecord {
  readonly offset: number
  readonly timestamp: number
  readonly key: string | null
  readonly value: string | null
  readonly headers: ReadonlyArray<readonly [string, string | null]>
}

const firstTimestamp = 1_700_000_000_000
const empty = Buffer.alloc(0)
const bytes = (text: string): Buffer => Buffer.from(text)

/** Small enough to be kept as a file. */
export const smallRecords: readonly GoldenRecord[] = [
  { timestamp: firstTimestamp, key: bytes('key'), value: bytes('value'), headers: [] },
  // Earlier than the first one: a negative delta; the one after it is more than 2^31 ms later.
  { timestamp: firstTimestamp - 70_000, key: null, value: bytes('no key'), headers: [] },
  { timestamp: firstTimestamp + 2 ** 32, key: bytes('tombstone'), value: null, headers: [] },
  { timestamp: 0, key: null, value: null, headers: [] },
  { timestamp: firstTimestamp, key: empty, value: empty, headers: [['', empty]] },
  // What a transaction marker looks like.
  { timestamp: firstTimestamp, key: Buffer.alloc(4), value: Buffer.alloc(6), headers: [] },
  { timestamp: firstTimestamp, key: Buffer.from([0, 0, 0, 1]), value: Buffer.alloc(6), headers: [] },
  {
    timestamp: firstTimestamp,
    key: bytes('Schlüssel €'),
    value: Buffer.from([0, 0xff, 0x80, 0x7f, 0xc3]),
    headers: [
      ['trace', bytes('a')],
      ['trace', bytes('b')],
      ['nothing', null],
      ['überschrift 😀', Buffer.from([0, 0xff])],
    ],
  },
  {
    timestamp: firstTimestamp + 1,
    key: bytes('k'.repeat(64)),
    value: bytes('tick tack '.repeat(90)),
    headers: [],
  },
]

/** Beyond the blocks of snappy (32 KiB) and lz4 (64 KiB), compressible and not; many records. */
const largeRecords = (): GoldenRecord[] => {
  const random = seededRandom(7)
  const noise = Buffer.from(Array.from({ length: 150_000 }, () => Math.floor(random() * 256)))
  const text = bytes('to be or not to be, '.repeat(10_000))
  const many = Array.from({ length: 300 }, (_, index) => ({
    timestamp: firstTimestamp + index * 1000,
    key: bytes(`key-${index}`),
    value: bytes(`value of ${index}`),
    headers: [['index', bytes(String(index))] as const],
  }))
  const one = (value: Buffer): GoldenRecord => ({ timestamp: firstTimestamp, key: null, value, headers: [] })
  return [...many, one(noise), one(text)]
}

/** By batch. */
export const goldenBatches: ReadonlyArray<readonly GoldenRecord[]> = [
  smallRecords,
  [{ timestamp: firstTimestamp, key: bytes('alone'), value: bytes('x'), headers: [] }],
  largeRecords(),
]

const hex = (value: Uint8Array | null): string | null =>
  value === null ? null : Buffer.from(value).toString('hex')

export const plainRecord = (record: Omit<JudgedRecord, 'partition'>): PlainRecord => ({
  offset: record.offset,
  timestamp: record.timestamp,
  key: hex(record.key),
  value: hex(record.value),
  headers: record.headers.map(([key, value]) => [key, hex(value)] as const),
})

/** What the golden records are once they stand at offset 0 and behind. */
export const plainGolden = (records: readonly GoldenRecord[]): PlainRecord[] =>
  records.map((record, offset) => plainRecord({ ...record, offset }))

/** The records of a batch as millstream reads them. */
export const plainBatch = (batch: BatchView): PlainRecord[] => {
  const records: PlainRecord[] = []
  const cursor = new RecordCursor()
  cursor.reset(batch)
  while (cursor.next()) {
    const { buffer, offset, timestamp, keyStart, keyLength, valueStart, valueLength } = cursor
    records.push({
      offset,
      timestamp,
      key: keyLength < 0 ? null : buffer.toString('hex', keyStart, keyStart + keyLength),
      value: valueLength < 0 ? null : buffer.toString('hex', valueStart, valueStart + valueLength),
      headers: cursor.headers().map(({ key, value }) => [key, hex(value)] as const),
    })
  }
  return records
}
