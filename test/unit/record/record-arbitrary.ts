// Random records for the property tests, and how they are appended and read back.
import fc from 'fast-check'
import type { BatchBuilder, SealOptions } from '../../../src/record/batch-builder.ts'
import type { BatchView } from '../../../src/record/batch-view.ts'
import { RecordCursor, type RecordHeader } from '../../../src/record/record-cursor.ts'

export interface PlainRecord {
  readonly timestamp: number
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly headers: RecordHeader[]
}

const bytes = fc.oneof(
  { weight: 6, arbitrary: fc.uint8Array({ maxLength: 60 }) },
  {
    weight: 2,
    arbitrary: fc.integer({ min: 61, max: 9000 }).map((length) => new Uint8Array(length).fill(length)),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(63, 64, 8191, 8192, 20_000).map((length) => new Uint8Array(length).fill(7)),
  },
)

/** A transaction marker's own key among them. */
const nullableBytes = fc.oneof(
  { weight: 1, arbitrary: fc.constant(null) },
  { weight: 1, arbitrary: fc.constant(new Uint8Array(4)) },
  { weight: 8, arbitrary: bytes },
)

/** Near each other, at the edges of the varint sizes, and so far apart that the delta needs more than 32 bits. */
const timestamp = fc.oneof(
  fc.integer({ min: 1_700_000_000_000, max: 1_700_000_100_000 }),
  fc
    .constantFrom(63, 64, 8191, 8192, 2 ** 20, 2 ** 27, 2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 40)
    .map((d) => 1_700_000_000_000 + d),
  fc.integer({ min: 0, max: 2 ** 51 }),
)

export const plainRecord: fc.Arbitrary<PlainRecord> = fc.record({
  timestamp,
  key: nullableBytes,
  value: nullableBytes,
  headers: fc.oneof(
    { weight: 4, arbitrary: fc.constant<RecordHeader[]>([]) },
    {
      weight: 2,
      arbitrary: fc.array(
        fc.record({
          key: fc.string({ unit: 'grapheme', maxLength: 70 }),
          value: fc.option(fc.uint8Array({ maxLength: 80 })),
        }),
        { maxLength: 70 },
      ),
    },
  ),
})

export const plain: SealOptions = {
  producerId: -1,
  producerEpoch: -1,
  baseSequence: -1,
  transactional: false,
  compression: 'none',
}

/** Appends from the middle of a larger buffer, as the runtime does. */
export const appendPlain = (builder: BatchBuilder, record: PlainRecord): void => {
  const none = Buffer.alloc(0)
  const source = Buffer.concat([
    Buffer.from([9, 9]),
    record.key ?? none,
    record.value ?? none,
    Buffer.from([9]),
  ])
  const keyLength = record.key?.length ?? -1
  const valueLength = record.value?.length ?? -1
  builder.append(
    record.timestamp,
    source,
    2,
    keyLength,
    source,
    2 + Math.max(keyLength, 0),
    valueLength,
    record.headers.length === 0 ? undefined : record.headers,
  )
}

export const readPlain = (batch: BatchView): (PlainRecord & { offset: number })[] => {
  const cursor = new RecordCursor()
  cursor.reset(batch)
  const records: (PlainRecord & { offset: number })[] = []
  while (cursor.next()) {
    const { buffer, keyStart, keyLength, valueStart, valueLength } = cursor
    records.push({
      offset: cursor.offset,
      timestamp: cursor.timestamp,
      key: keyLength < 0 ? null : Uint8Array.from(buffer.subarray(keyStart, keyStart + keyLength)),
      value: valueLength < 0 ? null : Uint8Array.from(buffer.subarray(valueStart, valueStart + valueLength)),
      headers: cursor
        .headers()
        .map(({ key, value }) => ({ key, value: value === null ? null : Uint8Array.from(value) })),
    })
  }
  return records
}
