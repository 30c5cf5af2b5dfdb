import { describe, expect, it } from 'vitest'
import { string } from '../../../src/serde/text.ts'
import { StoreCodec } from '../../../src/state/store-codec.ts'
import type { StreamRecord } from '../../../src/topology/stream-record.ts'
import { recordOver } from '../../support/record-over.ts'

describe('the key of a record whose bytes are gone', () => {
  const codec = new StoreCodec('totals', string, string, 100, 1000)
  const gone = (look: (record: StreamRecord<string, string>) => void): StreamRecord<string, string> => {
    const bytes = Buffer.allocUnsafeSlow(3)
    bytes.write('key')
    const record = recordOver(bytes, 0, 0, 3, string, 0, 3, string, 0, 0)
    look(record)
    bytes.buffer.transfer()
    return record
  }

  it('is refused, and not taken for one that is empty', () => {
    const record = gone(() => {})
    expect(() => codec.rawKeyOf(record) ?? codec.key(record.key)).toThrow('RECORD_EXPIRED')
    expect(() => codec.placeKeyOf(record)).toThrow('RECORD_EXPIRED')
  })

  it('is still known where it was read', () => {
    const record = gone(({ key }) => key)
    expect(codec.rawKeyOf(record) ?? codec.key(record.key)).toBe('key')
    codec.placeKeyOf(record)
    expect(codec.source.toString('utf8', codec.start, codec.start + codec.length)).toBe('key')
  })
})
