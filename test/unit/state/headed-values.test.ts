import { describe, expect, it } from 'vitest'
import { nodePorts } from '../../../src/base/node-ports.ts'
import { batchOverheadBytes } from '../../../src/record/batch-view.ts'
import { json } from '../../../src/serde/json.ts'
import { int64 } from '../../../src/serde/numbers.ts'
import { string } from '../../../src/serde/text.ts'
import { expiringEntries } from '../../../src/state/expiring-table.ts'
import { headed, joinHeaders, sameHeaders, splitHeaders } from '../../../src/state/headed-values.ts'
import { MemoryEngine } from '../../../src/state/memory-engine.ts'
import { timestamped } from '../../../src/state/timestamped.ts'
import { TransactionalStore } from '../../../src/state/transactional-store.ts'
import { appendedSize } from '../../../src/record/batch-builder.ts'
import { identity } from './support.ts'

const headers = [
  { key: 'trace', value: Buffer.from([0, 255]) },
  { key: '', value: null },
  { key: 'ü', value: Buffer.alloc(0) },
]

describe('values with headers', () => {
  it.each([
    ['int64', int64, -5],
    ['string', string, 'zwölf'],
    ['json', json<object>(), { a: [1, null] }],
  ] as const)('%s comes back both ways, and as it was written in place', (_name, serde, value) => {
    const inner = timestamped(serde as never)
    const whole = headed(inner)
    const entry = { value: value as never, timestamp: 1_700_000_000_123, headers }
    const written = Buffer.from(whole.encode(entry))
    expect(whole.decode(written)).toEqual(entry)
    expect(Buffer.from(splitHeaders(written).value)).toEqual(Buffer.from(inner.encode(entry)))
    expect(splitHeaders(written).headers).toEqual(headers)
    expect(joinHeaders(inner.encode(entry), headers)).toEqual(written)
    if (whole.encodeInto === undefined || whole.decodeFrom === undefined) return
    const target = Buffer.alloc(96)
    const length = whole.encodeInto(entry, target, 3)
    expect(target.subarray(3, 3 + length)).toEqual(written)
    expect(whole.decodeFrom(target, 3, 3 + length)).toEqual(entry)
    for (let short = 0; short < length; short++)
      expect(whole.encodeInto(entry, Buffer.alloc(short), 0)).toBe(-1)
  })

  it('ends with four bytes where there are none, marks of a store included', () => {
    const whole = headed(expiringEntries(string))
    for (const entry of [{ value: 'a', timestamp: 5, headers: [] }, { swept: 'ab' }]) {
      const written = Buffer.from(whole.encode(entry))
      expect(written.subarray(-4)).toEqual(Buffer.alloc(4))
      expect(splitHeaders(written).headers).toBeUndefined()
      expect(whole.decode(written)).toEqual(entry)
    }
    expect(whole.decode(whole.encode({ swept: undefined }))).toEqual({ swept: undefined })
  })

  it('refuses bytes that do not end with headers', () => {
    const whole = headed(timestamped(string))
    for (const end of [
      [0, 0, 1],
      [0, 0, 0, 9],
      [255, 255, 255, 255],
    ])
      expect(() => whole.decode(Buffer.from([1, ...end]))).toThrow(/do not end with headers/)
  })

  it('are the same by key and value', () => {
    expect(sameHeaders(headers, [...headers])).toBe(true)
    expect(sameHeaders(headers, headers.slice(1))).toBe(false)
    expect(sameHeaders([{ key: 'a', value: null }], [{ key: 'a', value: Buffer.alloc(0) }])).toBe(false)
    expect(sameHeaders([{ key: 'a', value: null }], [{ key: 'b', value: null }])).toBe(false)
  })

  it('are refused with the record that makes them, where their changelog would not take them', () => {
    const opened = (changeBytesMax: number): TransactionalStore<string, object> => {
      const engine = new MemoryEngine()
      engine.reset(identity)
      const value = headed(timestamped(string)) as never
      return new TransactionalStore({
        name: 's',
        key: string,
        value,
        engine,
        clock: nodePorts.clock,
        changeBytesMax,
      })
    }
    // Many small ones: each takes more room in a batch than in the store.
    const many = Array.from({ length: 50 }, () => ({ key: '', value: null }))
    const size = appendedSize(1, 8 + 1, many) + batchOverheadBytes
    const entry = { value: 'v', timestamp: 5, headers: many }
    opened(size).put('k', entry)
    expect(() => opened(size - 1).put('k', entry)).toThrow(/RECORD_TOO_LARGE/)
  })
})
