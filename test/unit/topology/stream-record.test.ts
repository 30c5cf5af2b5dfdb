import { describe, expect, it } from 'vitest'
import { int64 } from '../../../src/serde/numbers.ts'
import { nullable } from '../../../src/serde/nullable.ts'
import type { Serde } from '../../../src/serde/serde.ts'
import { string } from '../../../src/serde/text.ts'
import { StreamRecord } from '../../../src/topology/stream-record.ts'
import { recordOver } from '../../support/record-over.ts'

const source = Buffer.concat([Buffer.from('..key'), Buffer.from(int64.encode(7))])

/** Counts how often it decodes. */
const counting = (): { serde: Serde<string>; calls: () => number } => {
  let calls = 0
  const serde: Serde<string> = {
    name: 'counting',
    encode: string.encode,
    decode: (bytes) => {
      calls += 1
      return string.decode(bytes)
    },
  }
  return { serde, calls: () => calls }
}

describe('a record over bytes', () => {
  it('decodes what is asked for, once', () => {
    const { serde, calls } = counting()
    const record = recordOver(source, 5, 2, 3, serde, 5, 8, int64, 0, 0)
    expect([record.timestamp, record.keyIsNull, record.valueIsNull, record.withoutHeaders, calls()]).toEqual([
      5,
      false,
      false,
      true,
      0,
    ])
    expect([record.value, calls()]).toEqual([7, 0])
    expect([record.key, record.key, calls()]).toEqual(['key', 'key', 1])
    expect(record.headers).toEqual([])
  })

  it('keeps its bytes where it is not changed', () => {
    const record = recordOver(source, 5, 2, 3, string, 5, 8, int64, 0, 0)
    const other = record.withValue('x').withTimestamp(9)
    expect([other.key, other.value, other.timestamp]).toEqual(['key', 'x', 9])
    expect([other.keyBytes?.source, other.keyBytes?.keySerde, other.valueBytes]).toEqual([
      source,
      string,
      undefined,
    ])
    const moved = record.withKey(1)
    expect([moved.key, moved.value, moved.keyBytes, moved.valueBytes?.source]).toEqual([
      1,
      7,
      undefined,
      source,
    ])
    const both = record.withHeaders([{ key: 'h', value: null }]).withKeyAndValue('a', 'b')
    expect([both.key, both.value, both.keyBytes, both.valueBytes, both.headers.length]).toEqual([
      'a',
      'b',
      undefined,
      undefined,
      1,
    ])
  })

  it('answers null only where the serde takes it', () => {
    const refused = recordOver(source, 5, 0, -1, string, 0, -1, int64, 0, 0)
    expect([refused.keyIsNull, refused.valueIsNull]).toEqual([true, true])
    expect(() => refused.key).toThrow(
      /DESERIALIZATION_FAILED: the key is null, which the serde string does not take.*nullable\(string\)/,
    )
    expect(() => refused.value).toThrow(/the value is null/)
    const taken = recordOver(source, 5, 0, -1, nullable(string), 0, -1, nullable(int64), 0, 0)
    expect([taken.key, taken.value]).toEqual([null, null])
  })

  it('names the serde that refuses the bytes', () => {
    const record = recordOver(source, 5, 2, 3, int64, 2, 3, string, 0, 0)
    expect(() => record.key).toThrow(
      /DESERIALIZATION_FAILED: the serde int64 refused the key of 3 bytes: int64 takes 8 bytes, not 3/,
    )
    expect(record.value).toBe('key')
  })
})

describe('a record whose bytes are gone', () => {
  /** As the memory of an answer that is used again (client/frame-pool.ts). */
  const lent = (): { readonly bytes: Buffer; readonly letGo: () => void } => {
    const bytes = Buffer.allocUnsafeSlow(source.length + header.length)
    bytes.set(source)
    bytes.set(header, source.length)
    return { bytes, letGo: () => void (bytes.buffer as ArrayBuffer).transfer() }
  }
  const header = Buffer.from([2, 0x68, 4, 1, 2])
  const over = (bytes: Buffer): StreamRecord<string, number> =>
    recordOver(bytes, 5, 2, 3, string, 5, 8, int64, source.length, 1)

  it('still has what was read before', () => {
    const { bytes, letGo } = lent()
    const record = over(bytes)
    expect(record.withoutHeaders).toBe(false)
    const read = [record.key, record.value, record.headers]
    letGo()
    expect([record.key, record.value, record.headers]).toEqual(read)
    expect(read).toEqual(['key', 7, [{ key: 'h', value: Buffer.from([1, 2]) }]])
  })

  it('says so for whatever was not, and wherever it is sent on', () => {
    const { bytes, letGo } = lent()
    const record = over(bytes)
    const changed = record.withKeyAndValue('other', 1)
    letGo()
    for (const read of [() => record.key, () => record.value, () => record.headers, () => changed.headers])
      expect(read).toThrow(/RECORD_EXPIRED: a record was read after its turn.*keep its key and value instead/)
    for (const one of [record, record.withKey('a'), record.withValue(1), changed])
      expect(() => one.checked()).toThrow('RECORD_EXPIRED')
    const whole = changed.withHeaders([])
    expect(whole.checked()).toBe(whole)
  })

  it('is not one that has no bytes at all', () => {
    const none = Buffer.alloc(0)
    const record = recordOver(none, 5, 0, 0, string, 0, 0, string, 0, 0)
    expect([record.checked().key, record.value]).toEqual(['', ''])
  })
})

describe('a record of values', () => {
  it('has no headers where a caller without types gives none', () => {
    const none = null as never
    const record = StreamRecord.of({ key: 1, value: 2, timestamp: 1, headers: none })
    for (const one of [record, record.withHeaders(none)])
      expect([one.headers, one.withoutHeaders]).toEqual([[], true])
  })

  it('knows its nulls', () => {
    const record = StreamRecord.of({ key: null, value: 0, timestamp: 1 })
    expect([
      record.keyIsNull,
      record.valueIsNull,
      record.withValue(null).valueIsNull,
      record.withKey('a').keyIsNull,
    ]).toEqual([true, false, true, false])
  })
})
