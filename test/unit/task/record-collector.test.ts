import { describe, expect, it } from 'vitest'
import { int64, json, nullable, type Serde, string } from '../../../src/index.ts'
import { BatchView } from '../../../src/record/batch-view.ts'
import { partitionForKey } from '../../../src/record/murmur2.ts'
import { type OutputTopic, RecordCollector } from '../../../src/task/record-collector.ts'
import { StreamRecord } from '../../../src/topology/stream-record.ts'
import { plain, readPlain } from '../record/record-arbitrary.ts'
import { recordOver } from '../../support/record-over.ts'

const outputOf = (key: Serde<unknown>, value: Serde<unknown>): OutputTopic => ({
  name: 'out',
  partitions: 1,
  batchBytesMax: 1e6,
  key,
  value,
  keySuffixBytes: 0,
})

type Written = readonly [key: string | null, value: string | null]

const inBatch = (bytes: Buffer, partition = 0) =>
  readPlain(new BatchView(bytes, 0, { topic: 'out', partition }))

/** Text with a character per byte. */
const textOf = (bytes: Uint8Array | null): string | null => bytes && Buffer.from(bytes).toString('latin1')

/** Collects the records, each twice: the first record of a batch goes another way than those behind it. */
const written = (output: OutputTopic, ...records: StreamRecord<unknown, unknown>[]): Written[] => {
  const all: Written[] = []
  const collector = new RecordCollector(
    (_topic, _partition, builder) =>
      all.push(
        ...inBatch(builder.seal(plain)).map(({ key, value }): Written => [textOf(key), textOf(value)]),
      ),
    {
      batchBytes: 1e6,
    },
  )
  for (const record of [...records, ...records]) {
    collector.beginRecord()
    collector.collect(output, record, 0)
    collector.collectTo(output, record, 0)
    collector.finishRecord()
  }
  collector.flush()
  return all
}

/** A record over these texts, read with these serdes. */
const over = (
  key: string,
  value: string,
  serdes: { readonly key: Serde<unknown>; readonly value: Serde<unknown> },
) => {
  const bytes = Buffer.from(`--${key}-${value}`)
  return recordOver(bytes, 5, 2, key.length, serdes.key, key.length + 3, value.length, serdes.value, 0, 0)
}

const anyString = string as Serde<unknown>
const anyJson = json() as Serde<unknown>
const times = (one: Written, count = 4): Written[] => Array.from({ length: count }, () => one)

describe('a record that is collected', () => {
  it('keeps its bytes where the serde of the topic reads any', () => {
    const strings = { key: anyString, value: anyString }
    const invalid = recordOver(Buffer.from([0x6b, 0xff]), 5, 0, 1, anyString, 1, 1, anyString, 0, 0)
    expect(written(outputOf(anyString, anyString), over('key', 'value', strings))).toEqual(
      times(['key', 'value']),
    )
    // Decoded and encoded again it would be three bytes.
    expect(written(outputOf(anyString, anyString), invalid)).toEqual(times(['k', '\xff']))
  })

  it('is written anew where one value has several spellings', () => {
    const spelled = over('{"a": 1}', '[1, 2]', { key: anyJson, value: anyJson })
    expect(written(outputOf(anyJson, anyJson), spelled)).toEqual(times(['{"a":1}', '[1,2]']))
  })

  it('is written anew where the topic has other serdes', () => {
    const texts = over('key', 'value', { key: anyString, value: anyString })
    expect(written(outputOf(anyJson, anyJson), texts)).toEqual(times(['"key"', '"value"']))
  })

  it('may have nulls, and keys and values that outgrow the memory in which they are encoded', () => {
    const nulls = StreamRecord.of({ key: null, value: null, timestamp: 1 })
    const output = outputOf(nullable(string) as Serde<unknown>, nullable(string) as Serde<unknown>)
    const [key, value] = ['k'.repeat(3000), 'v'.repeat(100_000)]
    const long = StreamRecord.of({ key, value, timestamp: 1 })
    expect(written(output, nulls.withKey('k'), nulls.withValue('v'))).toEqual([
      ...times(['k', null], 2),
      ...times([null, 'v'], 2),
      ...times(['k', null], 2),
      ...times([null, 'v'], 2),
    ])
    expect(written(output, nulls, long, nulls)).toEqual(
      [nulls, long, nulls, nulls, long, nulls].flatMap((record) =>
        times(record === long ? [key, value] : [null, null], 2),
      ),
    )
  })

  it('says which part its topic does not take', () => {
    const record = StreamRecord.of({ key: 'a', value: 'no number', timestamp: 1 })
    expect(() => written(outputOf(anyString, int64 as unknown as Serde<unknown>), record)).toThrow(
      /SERIALIZATION_FAILED: the value cannot be written/,
    )
    expect(() => written(outputOf(int64 as unknown as Serde<unknown>, anyString), record)).toThrow(
      /SERIALIZATION_FAILED: the key cannot be written/,
    )
  })

  it('is refused where bytes that are there say something else, or nothing, in the serdes of the topic', () => {
    const numbers = over('7', '8', { key: anyJson, value: anyJson })
    const none = recordOver(Buffer.alloc(0), 5, 0, -1, anyString, 0, -1, anyString, 0, 0)
    const output = outputOf(anyString, anyString)
    for (const [record, reason] of [
      [numbers.withValue('v'), /SERIALIZATION_FAILED: the key/],
      [numbers.withKey('k'), /SERIALIZATION_FAILED: the value/],
      [none.withValue('v'), /DESERIALIZATION_FAILED: the key is null/],
      [none.withKey('k'), /DESERIALIZATION_FAILED: the value is null/],
    ] as const)
      expect(() => written(output, record)).toThrow(reason)
  })

  it('has its timestamp and headers, in the partition of its key, and is gone where it was undone', () => {
    const output = { ...outputOf(anyString, anyString), partitions: 7 }
    const found: unknown[] = []
    const collector = new RecordCollector(
      (_topic, partition, builder) => {
        for (const { timestamp, headers } of inBatch(builder.seal(plain), partition))
          found.push([partition, timestamp, headers])
      },
      { batchBytes: 1e6 },
    )
    const texts = { key: anyString, value: anyString }
    const headers = [{ key: 'h', value: Uint8Array.of(0x78) }]
    const record = over('some key', 'value', texts).withTimestamp(8).withHeaders(headers)
    const partition = partitionForKey(Buffer.from('some key'), 0, 8, 7)
    collector.beginRecord()
    expect(collector.collect(output, record, 0)).toBe(partition)
    expect(collector.collect(output, record.withKey('some key').withValue('made'), 0)).toBe(partition)
    collector.finishRecord()
    collector.beginRecord()
    collector.collect(output, record, 0)
    collector.undoRecord()
    collector.flush()
    expect(found).toEqual([
      [partition, 8, headers],
      [partition, 8, headers],
    ])
  })
})
