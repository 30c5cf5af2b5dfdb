import { describe, expect, it } from 'vitest'
import { json } from '../../../src/serde/json.ts'
import { nullable } from '../../../src/serde/nullable.ts'
import { string } from '../../../src/serde/text.ts'
import { windowed } from '../../../src/serde/windowed.ts'
import { tumbling, unlimited } from '../../../src/topology/windows.ts'

const key = { key: 'ab', start: 0x0102030405, end: 0x0102030405 + 60_000 }

describe('keys in windows', () => {
  it('are the key and the start, as TimeWindowedSerializer writes them', () => {
    const serde = windowed(string, tumbling({ sizeMs: 60_000, graceMs: 0 }))
    expect(Buffer.from(serde.encode(key)).toString('hex')).toBe('61620000000102030405')
    expect(serde.decode(serde.encode(key))).toEqual(key)
    const target = Buffer.alloc(12)
    expect(serde.encodeInto?.(key, target, 1)).toBe(10)
    expect(target.toString('hex')).toBe('00616200000001020304' + '0500')
    expect(serde.decodeFrom?.(target, 1, 11)).toEqual(key)
    expect(serde.encodeInto?.(key, target, 3)).toBe(-1)
  })

  it('without an end are the key and the start, too', () => {
    const serde = windowed(string, unlimited({ startMs: 5 }))
    const endless = { key: 'a', start: 5, end: Number.POSITIVE_INFINITY }
    expect(Buffer.from(serde.encode(endless)).toString('hex')).toBe('610000000000000005')
    expect(serde.decode(serde.encode(endless))).toEqual(endless)
  })

  it('are the key, the end and the start, as SessionWindowedSerializer writes them', () => {
    const serde = windowed(string, { kind: 'sessions' })
    const session = { key: 'a', start: 1, end: 258 }
    expect(Buffer.from(serde.encode(session)).toString('hex')).toBe('6100000000000001020000000000000001')
    expect(serde.decode(serde.encode(session))).toEqual(session)
  })

  it('are partitioned by the key alone', () => {
    const time = windowed(string, { kind: 'sliding', sizeMs: 5 })
    expect(time.partitionSuffixBytes).toBe(8)
    expect(nullable(time).partitionSuffixBytes).toBe(8)
    expect(windowed(string, { kind: 'sessions' }).partitionSuffixBytes).toBe(16)
    expect(windowed(time, { kind: 'sessions' }).partitionSuffixBytes).toBe(24)
  })

  it('of a serde without the quick paths, and bytes that are too short', () => {
    const serde = windowed(json<{ readonly id: number }>(), { kind: 'time', sizeMs: 5 })
    const one = { key: { id: 1 }, start: 10, end: 15 }
    expect(serde.decode(serde.encode(one))).toEqual(one)
    expect(() => serde.decode(Buffer.alloc(7))).toThrow('a key in a window takes at least 8 bytes, not 7')
  })
})
